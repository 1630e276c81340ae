# SPDX-License-Identifier: Apache-2.0
"""Creating, describing, listing, moving and deleting Spaces."""

import base64
import re
import shutil

from . import apphost, frontmatter, keys, patterns, runtime
from .commits import entry_for
from .core import HttpError, Response, quote, route
from .files import next_link
from .gitstore import Repository
from .hardware import FLAVORS
from .state import Space, iso

EXPANDABLE = (
    "author",
    "cardData",
    "createdAt",
    "datasets",
    "disabled",
    "lastModified",
    "likes",
    "models",
    "private",
    "region",
    "resourceGroup",
    "runtime",
    "sdk",
    "sha",
    "siblings",
    "subdomain",
    "tags",
    "trendingScore",
    "usedStorage",
    "xetEnabled",
)
PLAN_TEXT = (
    "Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on free cpu-basic requires a "
    "PRO subscription. Subscribe at https://huggingface.co/pro"
)


def name_problem(name):
    if not 1 <= len(name) <= 96:
        return "Invalid repo name: the name must have 1 to 96 characters"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return f'Invalid repo name: "{name}" may only contain letters, digits, ".", "_" and "-"'
    if name[0] in "-." or name[-1] in "-.":
        return f'Invalid repo name: "{name}" must not begin or end with "-" or "."'
    if "--" in name or ".." in name or name.endswith(".git"):
        return f'Invalid repo name: "{name}" must not contain "--" or ".." nor end with ".git"'
    return None


def subdomain_of(state, space_id):
    """Lower case, `_` and `.` to `-`, at most 63 characters, unique by a number at the end."""
    plain = re.sub(r"[^a-z0-9-]", "-", space_id.lower().replace("/", "-"))[:63].strip("-")
    taken = {space.subdomain for space in state.spaces.values()}
    answer, number = plain, 2
    while answer in taken:
        tail = f"-{number}"
        answer, number = plain[: 63 - len(tail)] + tail, number + 1
    return answer


def initial_readme(name, sdk, short_description, license_name):
    lines = [
        "---",
        f"title: {name.replace('-', ' ').replace('_', ' ').title()}",
        "emoji: 🐳",
        "colorFrom: blue",
        "colorTo: gray",
        f"sdk: {sdk}",
        "pinned: false",
    ]
    if license_name:
        lines.append(f"license: {license_name}")
    if short_description:
        lines.append(f"short_description: {short_description}")
    return "\n".join(
        [
            *lines,
            "---",
            "",
            "Check out the configuration reference at https://huggingface.co/docs/hub/spaces-config-reference",
            "",
        ]
    )


@route("POST", "/api/repos/create")
def create(ctx):
    ctx.need_token()
    body = ctx.request.json()
    kind = body.get("type", "model")
    if kind != "space":
        raise HttpError(400, f'This Hub keeps Spaces only, not repositories of type "{kind}"')
    name, owner = body.get("name"), body.get("organization") or ctx.caller.user
    if not isinstance(name, str) or "/" in name:
        raise HttpError(400, "Invalid repo name")
    if "private" in body and body["private"] is not None and body.get("visibility") is not None:
        raise HttpError(400, '"private" and "visibility" are mutually exclusive')
    account = ctx.state.account(owner)
    preferred = account.default_visibility if account else "public"
    visibility = body.get("visibility") or {True: "private", False: "public", None: preferred}[body.get("private")]
    if visibility not in ("private", "public", "protected"):
        raise HttpError(400, 'Invalid option: expected one of "public"|"private"|"protected"')
    sdk = body.get("sdk")
    if sdk not in frontmatter.SDKS:
        raise HttpError(400, 'Invalid option: expected one of "gradio"|"docker"|"static"')
    problem = name_problem(name)
    if problem:
        raise HttpError(400, problem)
    owner = account.name if account else owner
    reason = ctx.state.why_not_create(owner, name, ctx.caller)
    if reason:
        raise HttpError(403, reason)
    check_plan(ctx, body, account, sdk, visibility)
    settings = create_settings(body)
    settings.update(place_of(body, account))
    files = create_files(body)
    with ctx.state.lock:
        space_id = f"{owner}/{name}"
        existing = next((key for key in ctx.state.spaces if key.lower() == space_id.lower()), None)
        if existing:
            url = f"{ctx.base}/spaces/{existing}"
            raise HttpError(409, "exists", body={"error": "You already created this space repo", "url": url})
        space = new_space(ctx, owner, name, sdk, visibility, settings)
    first_commit(ctx, space, body, files)
    ctx.space_id = space.id
    ctx.state.counters["creates"] += 1
    space.runtime.created()
    return Response.json({"url": f"{ctx.base}/spaces/{space.id}", "name": space.id, "id": space.id_hex})


def check_plan(ctx, body, account, sdk, visibility):
    flavor = body.get("hardware") or "cpu-basic"
    if flavor not in FLAVORS:
        raise HttpError(400, f'Invalid option: "{flavor}" is not a hardware flavor')
    if flavor in ("zero-a10g", "zerogpu") and sdk != "gradio":
        raise HttpError(400, "ZeroGPU hardware is available for Gradio Spaces only")
    if not ctx.settings.enforce_plan:
        return
    free = account.plan == "free"
    if free and flavor in ("zero-a10g", "zerogpu"):
        raise HttpError(ctx.settings.zero_gpu_status, "ZeroGPU hardware requires a PRO subscription")
    if free and sdk != "static" and flavor == "cpu-basic":
        raise HttpError(402, PLAN_TEXT)
    if flavor != "cpu-basic" and (ctx.settings.require_payment or not account.can_pay):
        raise HttpError(402, "You must add a payment method to your account to upgrade your space's hardware")
    if free and visibility == "protected":
        raise HttpError(402, "Protected Spaces require a PRO subscription")
    if free and body.get("devModeEnabled"):
        raise HttpError(402, "Dev mode requires a PRO subscription")


def place_of(body, account):
    """Region and resource group: for organizations with a plan."""
    region, group = body.get("region") or "us", body.get("resourceGroupId")
    if region not in ("us", "eu"):
        raise HttpError(400, 'Invalid option: expected one of "us"|"eu"')
    if region != "us" and (account.kind != "org" or account.plan not in ("enterprise", "plus")):
        raise HttpError(403, "Storage regions are available to Enterprise organizations only")
    if group is None:
        return {"region": region, "group": None}
    found = [one for one in account.resource_groups if one["id"] == group]
    if not found:
        raise HttpError(400, "Resource group not found")
    return {"region": region, "group": {"id": group, "name": found[0]["name"]}}


def create_settings(body):
    """Checks secrets, variables, sleep time and volumes of a create call before anything is made."""
    out = {"secrets": {}, "variables": {}}
    for field in ("secrets", "variables"):
        for item in body.get(field) or []:
            keys.check_key(item.get("key"))
            if not isinstance(item.get("value"), str):
                raise HttpError(400, f'"{field}" needs a string "value" for {item["key"]}')
            out[field][item["key"]] = keys.stored(item, None)
    sleep = body.get("sleepTimeSeconds")
    if sleep is not None and (not isinstance(sleep, int) or (sleep <= 0 and sleep != -1)):
        raise HttpError(400, '"sleepTimeSeconds" must be greater than 0, or -1')
    out["sleep"], out["hardware"] = sleep, body.get("hardware") or "cpu-basic"
    out["volumes"] = keys.check_volumes(body["volumes"]) if body.get("volumes") else None
    out["dev"], out["storage"] = bool(body.get("devModeEnabled")), body.get("storageTier")
    if len(body.get("short_description") or "") > 60:
        raise HttpError(400, '"short_description" length must be less than or equal to 60 characters long')
    return out


def create_files(body):
    files = {}
    for item in body.get("files") or []:
        content = item.get("content", "")
        try:
            data = base64.b64decode(content, validate=True) if item.get("encoding") == "base64" else content.encode()
        except ValueError:
            raise HttpError(400, f'"{item.get("path")}": content is not base64') from None
        files[item["path"]] = data
    return files


def new_space(ctx, owner, name, sdk, visibility, given):
    repo = Repository(ctx.hub.data / "repos" / f"{len(list((ctx.hub.data / 'repos').iterdir()))}-{owner}-{name}.git")
    space = Space(owner, name, sdk, repo, visibility, subdomain_of(ctx.state, f"{owner}/{name}"))
    space.secrets, space.variables = given["secrets"], given["variables"]
    space.hardware, space.volumes = given["hardware"], given["volumes"]
    space.dev_mode, space.storage = given["dev"], given["storage"]
    space.region, space.resource_group = given.get("region", "us"), given.get("group")
    space.sleep_seconds = (
        172800 if space.hardware == "cpu-basic" else None if given["sleep"] in (None, -1) else given["sleep"]
    )
    space.runtime = runtime.Runtime(ctx.hub, space)
    space.app = apphost.AppHost(ctx.hub, space)
    ctx.state.spaces[space.id] = space
    ctx.state.moved.pop(space.id.lower(), None)
    return space


def first_commit(ctx, space, body, given):
    files = {".gitattributes": patterns.DEFAULT_GITATTRIBUTES.encode()}
    if ctx.settings.readme_on_create:
        files["README.md"] = initial_readme(
            space.name, space.sdk, body.get("short_description"), body.get("license")
        ).encode()
    files.update(given)
    space.repo.commit(
        "refs/heads/main",
        {path: entry_for(space.repo, data) for path, data in files.items()},
        "initial commit",
        author=ctx.caller.user,
    )


@route("DELETE", "/api/repos/delete")
def delete(ctx):
    ctx.need_token()
    body = ctx.request.json()
    if body.get("type", "model") != "space":
        ctx.missing()
    space = ctx.space(body.get("organization") or ctx.caller.user, body.get("name") or "", "write")
    with ctx.state.lock:
        ctx.state.spaces.pop(space.id, None)
        ctx.state.counters["deletes"] += 1
    space.runtime.deleted()
    space.app.close()
    shutil.rmtree(space.repo.path, ignore_errors=True)
    return Response(200, "OK", "text/plain; charset=utf-8")


def info_object(ctx, space, rev="main", blobs=False):
    oid = space.repo.resolve(rev)
    files = space.repo.commits[oid].files if oid else {}
    card = card_data(space, oid)
    answer = {
        "_id": space.id_hex,
        "id": space.id,
        "author": space.owner,
        "sha": oid,
        "lastModified": iso(space.modified),
        "createdAt": iso(space.created),
        "private": space.private or (space.visibility == "protected" and ctx.settings.protected_reads_private),
        "gated": space.gated,
        "disabled": False,
        "likes": 0,
        "trendingScore": 0,
        "sdk": (card or {}).get("sdk") or space.sdk,
        "host": f"http://{space.app.domain}",
        "subdomain": space.subdomain,
        "tags": [space.sdk, f"region:{space.region}"],
        "models": [],
        "datasets": [],
        "usedStorage": ctx.state.used_storage(space),
        "region": space.region,
        "xetEnabled": False,
    }
    if ctx.settings.info_visibility:
        answer["visibility"] = space.visibility
    if space.resource_group:
        answer["resourceGroup"] = space.resource_group
    if card is not None:
        answer["cardData"] = card
        answer["tags"] += [tag for tag in card.get("tags") or [] if isinstance(tag, str)]
    answer["siblings"] = [sibling(path, entry, blobs) for path, entry in sorted(files.items())]
    answer["runtime"] = space.runtime.describe(ctx.caller)
    return answer


def card_data(space, oid):
    files = space.repo.commits[oid].files if oid else {}
    readme = files.get("README.md")
    if readme is None or readme.sha256:
        return None
    return frontmatter.parse(space.repo.read_object(readme.oid).decode("utf-8", "replace"))


def sibling(path, entry, blobs):
    answer = {"rfilename": path}
    if blobs:
        answer.update(size=entry.size, blobId=entry.oid)
        if entry.sha256:
            answer["lfs"] = {"size": entry.size, "sha256": entry.sha256, "pointerSize": entry.pointer_size}
    return answer


def selected(ctx, whole):
    """The answer reduced to the fields asked for by `expand`."""
    wanted = ctx.request.args("expand", "expand[]")
    if not wanted:
        return whole
    unknown = [name for name in wanted if name not in EXPANDABLE]
    if unknown:
        allowed = "|".join(f'"{name}"' for name in EXPANDABLE)
        raise HttpError(400, f'Invalid option: expected one of {allowed} in "expand", got "{unknown[0]}"')
    return {"_id": whole["_id"], "id": whole["id"], **{name: whole[name] for name in wanted if name in whole}}


@route("GET", "/api/spaces/{ns}/{name}")
def info(ctx, ns, name):
    space = ctx.space(ns, name)
    return Response.json(
        selected(ctx, info_object(ctx, space, blobs=ctx.request.arg("blobs") in ("true", "1", "True")))
    )


@route("GET", "/api/spaces/{ns}/{name}/revision/{rev}")
def info_at(ctx, ns, name, rev):
    space = ctx.space(ns, name)
    need_revision(space, rev)
    blobs = ctx.request.arg("blobs") in ("true", "1", "True")
    return Response.json(selected(ctx, info_object(ctx, space, rev, blobs)))


def need_revision(space, rev):
    oid = space.repo.resolve(rev)
    if oid is None:
        raise HttpError(404, f"Invalid rev id: {rev}", "RevisionNotFound")
    return oid


@route("GET", "/api/spaces/{ns}/{name}/host")
def host(ctx, ns, name):
    space = ctx.space(ns, name)
    return Response.json({"subdomain": space.subdomain, "host": f"http://{space.app.domain}"})


@route("GET", "/api/spaces/by-subdomain/{subdomain}")
def by_subdomain(ctx, subdomain):
    for space in list(ctx.state.spaces.values()):
        if space.subdomain == subdomain and ctx.state.can_read(space, ctx.caller):
            ctx.space_id = space.id
            return Response.json(info_object(ctx, space))
    ctx.missing()


@route("GET", "/api/spaces/{ns}/{name}/auth-check")
def auth_check(ctx, ns, name):
    ctx.space(ns, name)
    return Response(200, "OK", "text/plain; charset=utf-8")


@route("GET", "/api/spaces/{ns}/{name}/auth-check/write")
def auth_check_write(ctx, ns, name):
    ctx.space(ns, name, "write")
    return Response(200, "OK", "text/plain; charset=utf-8")


@route("GET", "/api/spaces")
def listing(ctx):
    author, search = ctx.request.arg("author"), ctx.request.arg("search")
    found = [space for space in ctx.state.spaces.values() if ctx.state.can_read(space, ctx.caller)]
    if author:
        found = [space for space in found if space.owner.lower() == author.lower()]
    if search:
        found = [space for space in found if search.lower() in space.id.lower()]
    sort = ctx.request.arg("sort") or "trendingScore"
    if sort not in ("likes", "lastModified", "createdAt", "trendingScore", "last_modified", "created_at"):
        raise HttpError(400, f'Invalid option: "sort" cannot be "{sort}"')
    found.sort(key=lambda space: space.created if "created" in sort.lower() else space.modified, reverse=True)
    limit = int(ctx.request.arg("limit") or 1000)
    start = int(ctx.request.arg("cursor") or 0)
    page = found[start : start + limit]
    full = ctx.request.arg("full") in ("true", "1", "True")
    rows = []
    for space in page:
        whole = info_object(ctx, space)
        if not ctx.request.args("expand", "expand[]") and not full:
            whole = {
                key: whole[key]
                for key in (
                    "_id",
                    "id",
                    "likes",
                    "trendingScore",
                    "private",
                    "tags",
                    "createdAt",
                    "sdk",
                    "lastModified",
                )
            }
        rows.append(selected(ctx, whole))
    return Response.json(rows, headers=next_link(ctx, start + limit if start + limit < len(found) else None))


@route("GET", "/api/settings/repositories")
def own_repositories(ctx):
    ctx.need_token()
    rows = []
    for space in ctx.state.spaces.values():
        if space.owner == ctx.caller.user:
            used = ctx.state.used_storage(space)
            rows.append(
                {
                    "id": space.id,
                    "type": "space",
                    "updatedAt": iso(space.modified),
                    "visibility": space.visibility,
                    "storage": used,
                    "storagePercent": round(100 * used / ctx.settings.repo_limit, 2),
                }
            )
    return Response.json(rows)


@route("POST", "/api/repos/move")
def move(ctx):
    body = ctx.request.json()
    ctx.need_token()
    if body.get("type", "model") != "space":
        raise HttpError(404, "Repository not found", "RepoNotFound")
    parts, target = str(body.get("fromRepo", "")).split("/"), str(body.get("toRepo", "")).split("/")
    if len(parts) != 2 or len(target) != 2:
        raise HttpError(400, '"fromRepo" and "toRepo" must have the form owner/name')
    space = ctx.space(*parts, "write")
    problem = name_problem(target[1])
    if problem:
        raise HttpError(400, problem)
    reason = ctx.state.why_not_create(target[0], target[1], ctx.caller)
    if reason:
        raise HttpError(403, reason)
    with ctx.state.lock:
        if any(key.lower() == "/".join(target).lower() and key != space.id for key in ctx.state.spaces):
            raise HttpError(409, f"A space repository called {'/'.join(target)} already exists")
        old = space.id
        ctx.state.spaces.pop(old)
        space.owner, space.name = target
        space.subdomain = subdomain_of(ctx.state, space.id)
        ctx.state.spaces[space.id] = space
        ctx.state.moved[old.lower()] = space.id
        ctx.state.moved.pop(space.id.lower(), None)
    space.app.renamed()
    space.runtime.restart("move")
    return Response(200, "OK", "text/plain; charset=utf-8")


@route("PUT", "/api/spaces/{ns}/{name}/settings")
def settings(ctx, ns, name):
    space = ctx.space(ns, name, "write")
    body, echo = ctx.request.json(), {}
    if body.get("private") is not None and body.get("visibility") is not None:
        raise HttpError(400, '"private" and "visibility" are mutually exclusive')
    wanted = body.get("visibility") or {True: "private", False: "public", None: None}[body.get("private")]
    if wanted is not None:
        if wanted not in ("private", "public", "protected"):
            raise HttpError(400, 'Invalid option: expected one of "public"|"private"|"protected"')
        plan = ctx.state.accounts[space.owner].plan
        if wanted == "protected" and plan == "free" and ctx.settings.enforce_plan:
            raise HttpError(402, "Protected Spaces require a PRO subscription")
        space.visibility = wanted
        echo.update(private=space.private, visibility=wanted)
    if "discussionsDisabled" in body:
        space.discussions_disabled = echo["discussionsDisabled"] = bool(body["discussionsDisabled"])
    if "gated" in body:
        space.gated = echo["gated"] = body["gated"]
    return Response.json(echo)


@route("POST", "/api/spaces/{ns}/{name}/duplicate")
def duplicate(ctx, ns, name):
    source = ctx.space(ns, name)
    ctx.need_token()
    body = ctx.request.json()
    owner, _, new_name = str(body.get("repository", "")).partition("/")
    problem = name_problem(new_name)
    if problem:
        raise HttpError(400, problem)
    reason = ctx.state.why_not_create(owner, new_name, ctx.caller)
    if reason:
        raise HttpError(403, reason)
    visibility = body.get("visibility") or ("private" if body.get("private") else source.visibility)
    check_plan(ctx, body, ctx.state.accounts[owner], source.sdk, visibility)
    given = create_settings(body)
    for key, value in source.variables.items():
        given["variables"].setdefault(key, dict(value))
    with ctx.state.lock:
        if f"{owner}/{new_name}" in ctx.state.spaces:
            raise HttpError(
                409,
                "exists",
                body={"error": "You already created this space repo", "url": f"{ctx.base}/spaces/{owner}/{new_name}"},
            )
        space = new_space(ctx, owner, new_name, source.sdk, visibility, given)
    for oid in {entry.oid for entry in source.repo.files().values()}:
        space.repo.write_object("blob", source.repo.read_object(oid))
    space.repo.commit(
        "refs/heads/main", dict(source.repo.files()), f"Duplicate from {source.id}", author=ctx.caller.user
    )
    space.runtime.created()
    return Response.json({"url": f"{ctx.base}/spaces/{space.id}"})


@route("GET", "/spaces/{ns}/{name}")
def page(ctx, ns, name):
    space = ctx.state.spaces.get(f"{ns}/{name}")
    if space is None or not ctx.state.can_read(space, ctx.caller):
        raise HttpError(404, "Not found", body="<!DOCTYPE html><h1>404</h1>", headers=[("Content-Type", "text/html")])
    return Response(
        200,
        f"<!DOCTYPE html><title>{quote(space.id, '/')}</title><iframe src='http://"
        f"{space.app.domain}/?__theme=light'></iframe>\n",
        "text/html; charset=utf-8",
    )
