# SPDX-License-Identifier: Apache-2.0
"""What the Hub knows: accounts, tokens, Spaces, settings; and who may do what."""

import base64
import collections
import dataclasses
import datetime
import hashlib
import secrets
import threading
import time

from .http1 import HttpError

ANONYMOUS_TEXT = "Invalid username or password."
BAD_TOKEN_TEXT = "Invalid credentials in Authorization header"
REVOKED_TEXT = (
    "Your token has been revoked by the organization administrator. Please contact them for more information."
)


def iso(when=None):
    moment = datetime.datetime.fromtimestamp(time.time() if when is None else when, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def object_id():
    return secrets.token_hex(12)


@dataclasses.dataclass
class Settings:
    """Everything that tests may switch; times are seconds, sizes bytes."""

    enforce_plan: bool = True  # free account + docker + cpu-basic = 402
    lag: float = 0.05  # between a commit and its first change of stage
    build_log_lag: float = 0  # how long the log of the build before stands when the next one begins
    build_seconds: float = 0.05  # scripted engine
    start_seconds: float = 0.05  # scripted engine
    probe_interval: float = 0.1  # between two looks at an app that is not healthy yet
    launch_timeout: float | None = None  # real limit instead of startup_duration_timeout
    sleep_scale: float = 1.0  # factor on gcTimeout
    rate_quota: dict = dataclasses.field(default_factory=dict)  # {"api": 100} instead of the plan's
    rate_window: int = 300
    whoami_quota: int | None = None
    lfs_size: int = 10_000_000  # larger regular files must be LFS
    multipart_size: int = 64_000_000  # LFS files above go in parts
    chunk_size: int = 16_000_000
    repo_limit: int = 1_000_000_000  # a Space repository, history included
    private_limit: int | None = None  # all private repositories of an account
    preupload_max: int = 1000
    preupload_too_many: int = 413
    tree_limit: int = 1000
    batch_max: int = 1000
    lfs_header: str = "object"  # or "null", "absent": the `header` of a basic upload
    stale_text: str = "new"  # which of the two 412 texts
    storage_routes: str = "gone"  # or "work"
    resolve_redirect: bool = False  # regular files by 307 to /api/resolve-cache
    old_app_after_build_error: bool = False
    variable_rebuilds: bool = False
    require_payment: bool = False  # paid hardware = 403 with the payment text
    zero_gpu_status: int = 403
    downgrade_402: bool = False
    sleeptime_basic_refused: bool = False
    scheduling_failure: str | None = None
    running_quota: int | None = None  # running Spaces per owner
    wake: str = "page"  # or "block": what a request to a sleeping app gets
    wake_block_seconds: float = 60
    keepalive: float = 15  # between two empty `data:` lines
    metric_interval: float = 1
    chunked_commit_truncated: bool = False
    commit_checks_readme: bool = True
    replicas_form: str = "int"  # or "auto", "null", "absent"
    run_user: str = "1000"  # or "image"
    require_logs_token: bool = True
    stop_grace: int = 5
    readme_on_create: bool = True
    oauth_rotates: bool = True  # a refresh token is good once
    oauth_expires_in: int = 30 * 86400
    info_visibility: bool = False  # the description of a Space says its visibility
    protected_reads_private: bool = False  # what `private` reads there for a protected Space


@dataclasses.dataclass
class Account:
    name: str
    kind: str = "user"  # or "org"
    plan: str = "pro"  # users: free, pro; orgs: free, team, enterprise, plus, academia
    fullname: str = ""
    email: str = ""
    can_pay: bool = True
    id: str = dataclasses.field(default_factory=object_id)
    members: dict = dataclasses.field(default_factory=dict)  # orgs: user -> role
    restrictions: list = dataclasses.field(default_factory=list)
    resource_groups: list = dataclasses.field(default_factory=list)
    default_visibility: str = "public"  # of Spaces made without one


@dataclasses.dataclass
class Token:
    value: str
    name: str
    user: str
    role: str = "write"  # read, write, god, fineGrained
    kind: str = "access_token"  # or oauth, jwt
    scoped: list = dataclasses.field(default_factory=list)
    repo: str | None = None  # jwt: the only repository it is good for
    revoked: bool = False
    created: str = dataclasses.field(default_factory=iso)
    expires: float | None = None

    def valid(self):
        return not self.revoked and (self.expires is None or self.expires > time.time())

    def permissions(self, kind, name):
        return {
            permission
            for scope in self.scoped
            if scope["entity"].get("type") == kind and scope["entity"].get("name") == name
            for permission in scope["permissions"]
        }


@dataclasses.dataclass
class Space:
    owner: str
    name: str
    sdk: str
    repo: object
    visibility: str = "public"
    subdomain: str = ""
    hardware: str = "cpu-basic"
    sleep_seconds: int | None = 172800
    replicas: int = 1
    dev_mode: bool = False
    volumes: list | None = None
    storage: str | None = None
    discussions_disabled: bool = False
    gated: object = False
    region: str = "us"
    resource_group: dict | None = None
    id_hex: str = dataclasses.field(default_factory=object_id)
    secrets: dict = dataclasses.field(default_factory=dict)
    variables: dict = dataclasses.field(default_factory=dict)
    created: float = dataclasses.field(default_factory=time.time)
    modified: float = dataclasses.field(default_factory=time.time)
    lock: object = dataclasses.field(default_factory=threading.RLock)
    runtime: object = None
    app: object = None
    pulls: int = 0
    counts: object = dataclasses.field(default_factory=collections.Counter)  # commits, builds, restarts

    @property
    def id(self):
        return f"{self.owner}/{self.name}"

    @property
    def private(self):
        return self.visibility == "private"


class Caller:
    """Who a request comes from; `token` is None for an anonymous one."""

    def __init__(self, token=None):
        self.token = token
        self.user = token.user if token else None


class State:
    def __init__(self):
        self.settings = Settings()
        self.lock = threading.RLock()
        self.accounts, self.tokens, self.spaces = {}, {}, {}
        self.logins = {}  # refresh token -> name of the access token it renews; None: it was used
        self.moved = {}  # old id, lower case -> new id
        self.counters = collections.Counter()
        self.windows = {}  # (bucket, caller) -> [window start, calls]

    def account(self, name):
        for account in self.accounts.values():
            if account.name.lower() == name.lower():
                return account
        return None

    # -- who is it

    def caller(self, headers, basic=False):
        """Reads Authorization; 401 when a token is given that is not known or not valid."""
        given = headers.get("Authorization")
        if given is None:
            return Caller()
        scheme, _, rest = given.strip().partition(" ")
        value = rest.strip()
        if scheme.lower() == "basic" and basic:
            try:
                value = base64.b64decode(value).decode().partition(":")[2]
            except ValueError:
                value = ""
        elif scheme.lower() != "bearer":
            raise HttpError(401, BAD_TOKEN_TEXT)
        token = self.tokens.get(value)
        if token is None or not token.valid():
            raise HttpError(401, BAD_TOKEN_TEXT)
        return Caller(token)

    def describe_auth(self, headers):
        """How a request identified itself, without the token: (scheme, name of the token or a digest)."""
        given = headers.get("Authorization")
        if given is None:
            return None, None
        scheme, _, value = given.strip().partition(" ")
        value = value.strip()
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value).decode().partition(":")[2]
            except ValueError:
                pass
        token = self.tokens.get(value)
        digest = "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:16]
        return scheme.lower(), token.name if token else digest

    # -- what may they do

    def role_in(self, owner, caller):
        """admin, write, contributor, read, or None: the caller's standing in a namespace."""
        if caller.user is None:
            return None
        if caller.user == owner:
            return "admin"
        account = self.accounts.get(owner)
        return account.members.get(caller.user) if account and account.kind == "org" else None

    def _scope_allows(self, space_id, caller, permission):
        token, owner = caller.token, space_id.split("/")[0]
        kind = self.accounts[owner].kind if owner in self.accounts else "user"
        granted = token.permissions(kind, owner) | token.permissions("space", space_id)
        return permission in granted or (permission == "repo.content.read" and "repo.write" in granted)

    def can_read(self, space, caller):
        if space.visibility == "public":
            return True
        if self.role_in(space.owner, caller) in (None, "no_access"):
            return False
        if caller.token.kind == "jwt":
            return caller.token.repo == space.id
        if caller.token.role == "fineGrained":
            return self._scope_allows(space.id, caller, "repo.content.read")
        return True

    def why_not_write(self, space, caller):
        """None when the caller may write, else the sentence of the 403."""
        role = self.role_in(space.owner, caller)
        owner = self.accounts.get(space.owner)
        if owner and owner.kind == "org" and role and owner.restrictions:
            return REVOKED_TEXT
        if role not in ("admin", "write", "contributor"):
            return "You don't have the required permissions to perform this action on this repository"
        return self._why_token_not(space.id, caller)

    def _why_token_not(self, space_id, caller):
        token = caller.token
        if token.kind == "jwt":
            return None if token.repo == space_id else "This token cannot be used for this repository"
        if token.role == "read":
            return "Forbidden: this token has read access only, use a token with write access"
        if token.role == "fineGrained" and not self._scope_allows(space_id, caller, "repo.write"):
            return "Forbidden: this token does not have the permission repo.write for this repository"
        return None

    def why_not_create(self, owner, name, caller):
        account = self.accounts.get(owner)
        role = self.role_in(owner, caller)
        if account and account.kind == "org" and role and account.restrictions:
            return REVOKED_TEXT
        if account is None or role not in ("admin", "write", "contributor"):
            return f'You don\'t have the rights to create a space under the namespace "{owner}"'
        if caller.token.kind == "jwt":
            return "This token cannot create repositories"
        if caller.token.role == "read":
            return (
                "You don't have the rights to create a space under the namespace "
                f'"{owner}": this token has read access only'
            )
        if caller.token.role == "fineGrained" and not self._scope_allows(f"{owner}/{name}", caller, "repo.write"):
            return f'You don\'t have the rights to create a space under the namespace "{owner}"'
        return None

    # -- limits

    def plan_of(self, caller):
        return self.accounts[caller.user].plan if caller.user in self.accounts else "anonymous"

    QUOTA = {
        "anonymous": (500, 3000, 100),
        "free": (1000, 5000, 200),
        "pro": (2500, 12000, 400),
        "team": (3000, 20000, 400),
        "enterprise": (6000, 50000, 600),
    }

    def take(self, bucket, key, plan):
        """Counts one call; returns (remaining, seconds to reset, quota, refused)."""
        number = {"api": 0, "resolvers": 1, "pages": 2}[bucket]
        quota = self.settings.rate_quota.get(bucket, self.QUOTA.get(plan, self.QUOTA["free"])[number])
        now = time.time()
        with self.lock:
            window = self.windows.setdefault((bucket, key), [now, 0])
            if now - window[0] >= self.settings.rate_window:
                window[:] = [now, 0]
            window[1] += 1
            left = quota - window[1]
        reset = max(0, int(self.settings.rate_window - (now - window[0])))
        return max(0, left), reset, quota, left < 0

    def used_storage(self, space):
        """Bytes of a repository with its history: git objects and every LFS object ever committed."""
        seen = {}
        for commit in space.repo.commits.values():
            for entry in commit.files.values():
                seen[entry.sha256 or entry.oid] = entry.size
        return sum(seen.values())
