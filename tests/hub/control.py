# SPDX-License-Identifier: Apache-2.0
"""What tests say to the Hub and ask it: accounts, settings, faults, scripts, counters, contents."""

import base64
import dataclasses
import os
import secrets
import threading
import time

from . import faults
from .commits import commit_files
from .core import HttpError, Response, route
from .state import Account, Token

TEST = "control"


def add_account(state, name, **fields):
    known = state.accounts.get(name)
    if known:
        for key, value in fields.items():
            setattr(known, key, value)
        return known
    state.accounts[name] = Account(name, **fields)
    return state.accounts[name]


def add_token(state, user, role="write", kind="access_token", name=None, value=None, **fields):
    if user not in state.accounts:
        add_account(state, user)
    prefix = {"oauth": "hf_oauth_", "jwt": "hf_jwt_"}.get(kind, "hf_")
    value = value or prefix + secrets.token_urlsafe(26).replace("-", "x").replace("_", "y")
    name = name or f"{user}-{role}-{len(state.tokens) + 1}"
    state.tokens[value] = Token(value, name, user, role, kind, **fields)
    return state.tokens[value]


@route("GET", "/_test/addresses", TEST)
def addresses(ctx):
    return Response.json(ctx.hub.addresses())


@route("POST", "/_test/accounts", TEST)
def accounts(ctx):
    body = ctx.request.json()
    account = add_account(ctx.state, body.pop("name"), **body)
    return Response.json(dataclasses.asdict(account))


@route("POST", "/_test/tokens", TEST)
def tokens(ctx):
    token = add_token(ctx.state, **ctx.request.json())
    return Response.json({"token": token.value, "name": token.name})


@route("POST", "/_test/logins", TEST)
def logins(ctx):
    """What `hf auth login` of a user leaves: a token that ends, and one that renews it."""
    body = ctx.request.json()
    token = add_token(ctx.state, body["user"], kind="oauth", expires=time.time() + body["expires_in"])
    refresh = "hf_refresh_" + secrets.token_hex(16)
    ctx.state.logins[refresh] = token.value
    return Response.json({"token": token.value, "refresh_token": refresh, "expires_at": int(token.expires)})


@route("POST", "/_test/tokens/{name}", TEST)
def change_token(ctx, name):
    token = next(item for item in ctx.state.tokens.values() if item.name == name)
    for key, value in ctx.request.json().items():
        if not hasattr(token, key):
            raise HttpError(400, f"a token has no {key}")
        setattr(token, key, value)
    return Response.json({"name": token.name})


@route("GET|POST", "/_test/settings", TEST)
def settings(ctx):
    if ctx.request.method == "POST":
        for key, value in ctx.request.json().items():
            if not hasattr(ctx.settings, key):
                raise HttpError(400, f"there is no setting {key}")
            setattr(ctx.settings, key, value)
    return Response.json(dataclasses.asdict(ctx.settings))


@route("GET|POST|DELETE", "/_test/faults", TEST)
def fault_list(ctx):
    if ctx.request.method == "POST":
        return Response.json(dataclasses.asdict(ctx.hub.faults.add(**ctx.request.json())))
    if ctx.request.method == "DELETE":
        ctx.hub.faults.clear()
    return Response.json({"active": ctx.hub.faults.listed(), "kinds": faults.KINDS})


@route("GET|DELETE", "/_test/log", TEST)
def log(ctx):
    if ctx.request.method == "DELETE":
        ctx.hub.log.clear()
    return Response.json(ctx.hub.log.list(ctx.request.arg("origin")))


@route("GET|DELETE", "/_test/counters", TEST)
def counters(ctx):
    """Calls of each origin since the last DELETE; commits, builds, restarts likewise, and per Space."""
    state = ctx.state
    if ctx.request.method == "DELETE":
        state.counters.clear()
        state.windows.clear()
        ctx.hub.log.clear()
        for space in state.spaces.values():
            space.counts.clear()
    entries = ctx.hub.log.list()
    origins, routes = {}, {}
    for entry in entries:
        origin = entry["origin"].split(":")[0]
        origins[origin] = origins.get(origin, 0) + 1
        if origin == "hub":
            key = f"{entry['method']} {shape(entry['path'])}"
            routes[key] = routes.get(key, 0) + 1
    base = dict.fromkeys(
        ("creates", "deletes", "commits", "builds", "restarts", "lfs_uploads", "lfs_verified", "lfs_bytes"), 0
    )
    return Response.json(
        {
            **base,
            **{key: value for key, value in state.counters.items() if " " not in key},
            "calls": origins.get("hub", 0),
            "origins": origins,
            "routes": routes,
            "spaces": {
                space.id: {**dict.fromkeys(("commits", "builds", "restarts"), 0), **space.counts}
                for space in state.spaces.values()
            },
        }
    )


def shape(path):
    """A path with the Space's name and the revision replaced, so that routes can be counted."""
    parts = path.split("/")
    if path.startswith("/api/spaces/") and len(parts) > 4:
        parts[3:5] = ["{id}"]
        if len(parts) > 5 and parts[4] in ("tree", "commit", "preupload", "revision", "paths-info"):
            parts[5:] = ["{rev}"]
        return "/".join(parts)
    if path.startswith("/spaces/") and len(parts) > 3:
        return (
            "/spaces/{id}"
            + (".git" if parts[3].endswith(".git") else "")
            + "/"
            + "/".join(parts[4:] if ".git" in parts[3] else parts[4:5])
        )
    return path


@route("POST", "/_test/scripts", TEST)
def scripts(ctx):
    """{"space": "owner/name" or "*", "build": {...}, "app": {...}, "lfs_errors": {...}}"""
    body = ctx.request.json()
    ctx.hub.scripts.setdefault(body.pop("space", "*"), {}).update(body)
    return Response.json(ctx.hub.scripts)


def find(ctx, ns, name):
    space = ctx.state.spaces.get(f"{ns}/{name}")
    if space is None:
        raise HttpError(404, f"there is no Space {ns}/{name}")
    return space


@route("GET", "/_test/spaces", TEST)
def spaces(ctx):
    return Response.json(sorted(ctx.state.spaces))


@route("GET", "/_test/spaces/{ns}/{name}", TEST)
def space_state(ctx, ns, name):
    space = find(ctx, ns, name)
    runtime = space.runtime
    return Response.json(
        {
            "id": space.id,
            "sdk": space.sdk,
            "visibility": space.visibility,
            "head": space.repo.head(),
            "commits": [
                {"id": one.oid, "title": one.title, "message": one.message, "author": one.author}
                for one in space.repo.history(space.repo.head())
            ],
            "files": {
                path: {"oid": entry.oid, "size": entry.size, "sha256": entry.sha256}
                for path, entry in space.repo.files().items()
            },
            "secrets": space.secrets,
            "variables": space.variables,
            "hardware": space.hardware,
            "sleep_seconds": space.sleep_seconds,
            "volumes": space.volumes,
            "storage": space.storage,
            "dev_mode": space.dev_mode,
            "region": space.region,
            "resource_group": space.resource_group,
            "counts": dict(space.counts),
            "stage": runtime.stage,
            "message": runtime.message,
            "sha": runtime.sha,
            "history": runtime.history,
            "app_url": f"http://{space.app.domain}",
            "git": str(space.repo.path),
            "subdomain": space.subdomain,
            "build_log": runtime.build_log.text() if runtime.build_log else None,
            "run_log": runtime.run_log.text() if runtime.run_log else None,
            "container": getattr(runtime.handle, "container", None),
        }
    )


@route("GET", "/_test/files/{ns}/{name}/{path*}", TEST)
def file(ctx, ns, name, path):
    space = find(ctx, ns, name)
    entry = space.repo.files(ctx.request.arg("rev") or "main").get(path)
    if entry is None:
        raise HttpError(404, f"there is no file {path}")
    data = ctx.hub.lfs_path(entry.sha256).read_bytes() if entry.sha256 else space.repo.read_object(entry.oid)
    return Response(200, data, "application/octet-stream")


@route("POST", "/_test/spaces/{ns}/{name}/commit", TEST)
def foreign_commit(ctx, ns, name):
    """{"files": {path: base64 or null}, "summary", "author"}: a commit by somebody else."""
    space, body = find(ctx, ns, name), ctx.request.json()
    changes = {path: None if data is None else base64.b64decode(data) for path, data in body["files"].items()}
    with space.lock:
        oid = commit_files(ctx.hub, space, changes, body.get("summary", "A change"), body.get("author", "mallory"))
    return Response.json({"commitOid": oid})


@route("POST", "/_test/spaces/{ns}/{name}/stage", TEST)
def stage(ctx, ns, name):
    """{"stage": ..., "message": ...}; SLEEPING and PAUSED stop the app, as when the Hub does it."""
    space, body = find(ctx, ns, name), ctx.request.json()
    space.runtime.force(body["stage"], body.get("message"))
    return Response.json(space.runtime.describe())


@route("POST", "/_test/spaces/{ns}/{name}/crash", TEST)
def crash(ctx, ns, name):
    space = find(ctx, ns, name)
    space.runtime.handle.crash(ctx.request.json().get("exit_code", 137))
    return Response.json({})


@route("POST", "/_test/spaces/{ns}/{name}/log", TEST)
def say(ctx, ns, name):
    """{"kind": "run", "lines": [...]}: lines as if the app had printed them."""
    space, body = find(ctx, ns, name), ctx.request.json()
    for line in body["lines"]:
        getattr(space.runtime, f"{body.get('kind', 'run')}_log").add(line)
    return Response.json({})


@route("POST", "/_test/spaces/{ns}/{name}/wait", TEST)
def wait(ctx, ns, name):
    """{"stage": [...], "seconds": n}: answers when the Space has reached one of the stages, else 408."""
    space, body = find(ctx, ns, name), ctx.request.json()
    wanted = [body["stage"]] if isinstance(body["stage"], str) else body["stage"]
    until = time.monotonic() + body.get("seconds", 30)
    runtime = space.runtime
    while runtime.stage not in wanted or (body.get("sha") and runtime.sha != body["sha"]):
        if time.monotonic() > until:
            raise HttpError(408, f"stage is {runtime.stage} ({runtime.message}), not {wanted}")
        runtime.wait_for_change(0.1)
    return Response.json(runtime.describe())


@route("POST", "/_test/listen", TEST)
def listen(ctx):
    """{"hub": false} shuts the Hub's own port until it is opened again (through the control port)."""
    (ctx.hub.hub_listener.open if ctx.request.json().get("hub", True) else ctx.hub.hub_listener.close)()
    return Response.json({})


@route("POST", "/_test/stop", TEST)
def stop(ctx):
    threading.Thread(target=ctx.hub.stop_program, daemon=True).start()
    return Response.json({"pid": os.getpid()})
