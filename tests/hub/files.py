# SPDX-License-Identifier: Apache-2.0
"""Reading trees, files, history, branches and tags."""

import re
import urllib.parse

from .core import HttpError, Response, no_auth, quote, route
from .gitstore import pointer
from .state import iso


def next_link(ctx, cursor):
    """The Link header to the next page, absolute, or nothing."""
    if cursor is None:
        return []
    query = [(key, value) for key, value in ctx.request.query if key != "cursor"] + [("cursor", str(cursor))]
    return [("Link", f'<{ctx.base}{ctx.request.raw_path}?{urllib.parse.urlencode(query)}>; rel="next"')]


def revision(space, rev):
    oid = space.repo.resolve(rev)
    if oid is None:
        raise HttpError(404, f"Invalid rev id: {rev}", "RevisionNotFound")
    return oid


def rows_of(space, oid, expand=False):
    """{path: row} of every file and folder of a commit."""
    repo = space.repo
    rows = {
        path: {"type": "directory", "oid": tree, "size": 0, "path": path}
        for path, tree in repo.tree_of[oid].items()
        if path
    }
    for path, entry in repo.commits[oid].files.items():
        row = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
        if entry.sha256:
            row["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
        rows[path] = row
    if expand:
        for path, row in rows.items():
            row["lastCommit"] = last_commit(repo, oid, path)
            if row["type"] == "file":
                row["securityFileStatus"] = {"status": "safe", "avScan": {"status": "safe"}, "pickleImportScan": None}
    return rows


def last_commit(repo, oid, path):
    """The newest commit in which the file or folder became what it is."""

    def what(commit):
        return repo.tree_of[commit.oid].get(path) or commit.files.get(path)

    found = None
    for commit in repo.history(oid):
        if found is not None and what(commit) != what(found):
            break
        found = commit
    return {"id": found.oid, "title": found.title, "date": iso(found.when)}


@route("GET", "/api/spaces/{ns}/{name}/tree/{rev}")
def tree(ctx, ns, name, rev):
    return _tree(ctx, ns, name, rev, "")


@route("GET", "/api/spaces/{ns}/{name}/tree/{rev}/{path*}")
def tree_of(ctx, ns, name, rev, path):
    return _tree(ctx, ns, name, rev, path.strip("/"))


def _tree(ctx, ns, name, rev, path):
    space = ctx.space(ns, name)
    oid = revision(space, rev)
    expand = ctx.request.arg("expand") in ("true", "True", "1")
    recursive = ctx.request.arg("recursive") in ("true", "True", "1")
    rows = rows_of(space, oid, expand)
    if path and path not in rows:
        raise HttpError(404, f'"{path}" does not exist on "{rev}"', "EntryNotFound")
    if path and rows[path]["type"] == "file":
        shown = [rows[path]]
    else:
        start = path + "/" if path else ""
        shown = [
            row
            for key, row in sorted(rows.items())
            if key.startswith(start) and (recursive or "/" not in key[len(start) :])
        ]
    most = min(ctx.settings.tree_limit, 100) if expand else ctx.settings.tree_limit
    limit = max(1, min(int(ctx.request.arg("limit") or most), most))
    begin = int(ctx.request.arg("cursor") or 0)
    more = begin + limit if begin + limit < len(shown) else None
    return Response.json(shown[begin : begin + limit], headers=[*next_link(ctx, more), ("X-Repo-Commit", oid)])


@route("POST", "/api/spaces/{ns}/{name}/paths-info/{rev}")
def paths_info(ctx, ns, name, rev):
    space = ctx.space(ns, name)
    oid = revision(space, rev)
    if "json" in (ctx.request.headers.get("Content-Type") or ""):
        body = ctx.request.json()
        paths, expand = body.get("paths") or [], body.get("expand") is True
    else:
        form = urllib.parse.parse_qsl(ctx.request.body().decode("utf-8", "replace"), keep_blank_values=True)
        paths = [value for key, value in form if key in ("paths", "paths[]")]
        expand = any(key == "expand" and value.lower() in ("true", "1") for key, value in form)
    if len(paths) > 2000:
        raise HttpError(413, "too many parameters")
    rows = rows_of(space, oid, expand)
    return Response.json([rows[path.strip("/")] for path in paths if path.strip("/") in rows])


# -- file contents


@route("GET", "/spaces/{ns}/{name}/resolve/{rev}/{path*}")
def resolve(ctx, ns, name, rev, path):
    space = ctx.space(ns, name)
    oid = revision(space, rev)
    entry = space.repo.commits[oid].files.get(path)
    if entry is None:
        raise HttpError(
            404, "Entry not found", "EntryNotFound", body="Entry not found", headers=[("X-Repo-Commit", oid)]
        )
    headers = [
        ("X-Repo-Commit", oid),
        ("Accept-Ranges", "bytes"),
        ("Content-Disposition", f"inline; filename*=UTF-8''{quote(path.split('/')[-1])}"),
    ]
    if entry.sha256:
        target = f"{ctx.hub.cdn_url}/cdn/{entry.sha256}/{quote(path.split('/')[-1])}?signature=test"
        headers += [
            ("X-Linked-Size", str(entry.size)),
            ("X-Linked-ETag", f'"{entry.sha256}"'),
            ("ETag", f'"{entry.sha256}"'),
            ("Location", target),
        ]
        return Response(302, f"Found. Redirecting to {target}", "text/plain; charset=utf-8", headers)
    if ctx.settings.resolve_redirect:
        target = f"/api/resolve-cache/spaces/{space.id}/{oid}/{quote(path)}"
        headers += [("X-Linked-Size", str(entry.size)), ("X-Linked-ETag", f'"{entry.oid}"'), ("Location", target)]
        return Response(307, f"Temporary Redirect. Redirecting to {target}", "text/plain; charset=utf-8", headers)
    return ranged(ctx.request, space.repo.read_object(entry.oid), f'"{entry.oid}"', headers)


@route("GET", "/api/resolve-cache/spaces/{ns}/{name}/{commit}/{path*}")
def resolve_cache(ctx, ns, name, commit, path):
    space = ctx.space(ns, name)
    entry = space.repo.commits[revision(space, commit)].files.get(path)
    if entry is None:
        raise HttpError(404, "Entry not found", "EntryNotFound", body="Entry not found")
    return ranged(
        ctx.request,
        space.repo.read_object(entry.oid),
        f'"{entry.oid}"',
        [("X-Repo-Commit", commit), ("Accept-Ranges", "bytes")],
    )


@route("GET", "/spaces/{ns}/{name}/raw/{rev}/{path*}")
def raw(ctx, ns, name, rev, path):
    space = ctx.space(ns, name)
    oid = revision(space, rev)
    entry = space.repo.commits[oid].files.get(path)
    if entry is None:
        raise HttpError(
            404, "Entry not found", "EntryNotFound", body="Entry not found", headers=[("X-Repo-Commit", oid)]
        )
    data = pointer(entry.sha256, entry.size) if entry.sha256 else space.repo.read_object(entry.oid)
    return ranged(ctx.request, data, f'"{entry.oid}"', [("X-Repo-Commit", oid)])


def ranged(request, data, etag, headers):
    """The bytes, or the part of them that Range asks for, or 304."""
    headers = [*headers, ("ETag", etag)]
    if request.headers.get("If-None-Match") == etag:
        return Response(304, b"", None, headers)
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range") or "")
    kind = "text/plain; charset=utf-8"
    if not wanted or wanted.groups() == ("", ""):
        headers.append(("Content-Length", str(len(data))))
        return Response(200, data, kind, headers)
    first, last = wanted.groups()
    begin = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if begin >= len(data) or begin > end:
        return Response(416, "Range Not Satisfiable", kind, [*headers, ("Content-Range", f"bytes */{len(data)}")])
    part = data[begin : end + 1]
    headers += [("Content-Range", f"bytes {begin}-{end}/{len(data)}"), ("Content-Length", str(len(part)))]
    return Response(206, part, kind, headers)


@route("GET", "/cdn/{sha256}/{name*}", origin="cdn")
@no_auth
def cdn(ctx, sha256, name):
    if ctx.request.headers.get("Authorization"):
        raise HttpError(
            400,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
            "query string parameter or the Authorization header should be specified",
        )
    if ctx.request.arg("signature") != "test":
        raise HttpError(403, "AccessDenied")
    path = ctx.hub.lfs_path(sha256)
    if not path.exists():
        raise HttpError(404, "NoSuchKey")
    return ranged(ctx.request, path.read_bytes(), f'"{sha256}"', [("Accept-Ranges", "bytes")])


# -- history, branches, tags


@route("GET", "/api/spaces/{ns}/{name}/commits/{rev}")
def commits(ctx, ns, name, rev):
    space = ctx.space(ns, name)
    rows = list(space.repo.history(revision(space, rev)))
    limit, number = int(ctx.request.arg("limit") or 50), int(ctx.request.arg("p") or 0)
    page = rows[number * limit : (number + 1) * limit]
    headers = [("X-Total-Count", str(len(rows)))]
    if (number + 1) * limit < len(rows):
        query = urllib.parse.urlencode(
            [
                *[(key, value) for key, value in ctx.request.query if key not in ("p", "limit")],
                ("p", number + 1),
                ("limit", limit),
            ]
        )
        headers.append(("Link", f'<{ctx.base}{ctx.request.raw_path}?{query}>; rel="next"'))
    return Response.json(
        [
            {
                "id": row.oid,
                "title": row.title,
                "message": row.message,
                "authors": [{"user": row.author, "avatar": f"{ctx.base}/avatars/{row.author}.svg"}],
                "date": iso(row.when),
            }
            for row in page
        ],
        headers=headers,
    )


@route("GET", "/api/spaces/{ns}/{name}/refs")
def refs(ctx, ns, name):
    space = ctx.space(ns, name)

    def listed(prefix):
        return [
            {"name": ref[len(prefix) :], "ref": ref, "targetCommit": oid}
            for ref, oid in space.repo.refs.items()
            if ref.startswith(prefix)
        ]

    answer = {"branches": listed("refs/heads/"), "tags": listed("refs/tags/"), "converts": []}
    if ctx.request.arg("include_prs") in ("1", "true"):
        answer["pullRequests"] = [
            {"name": ref[5:], "ref": ref, "targetCommit": oid}
            for ref, oid in space.repo.refs.items()
            if ref.startswith("refs/pr/")
        ]
    return Response.json(answer)


@route("POST|DELETE", "/api/spaces/{ns}/{name}/branch/{rev}")
def branch(ctx, ns, name, rev):
    space = ctx.space(ns, name, "write")
    ref = f"refs/heads/{rev}"
    with space.lock:
        if ctx.request.method == "DELETE":
            if rev == "main":
                raise HttpError(403, "Cannot delete refs/heads/main")
            revision(space, ref)
            space.repo.delete_ref(ref)
            return Response(200, "OK", "text/plain; charset=utf-8")
        body = ctx.request.json()
        if ref in space.repo.refs and not body.get("overwrite"):
            raise HttpError(409, f"Reference {ref} already exists")
        if body.get("emptyBranch"):
            space.repo.refs.pop(ref, None)
            space.repo.commit(ref, {}, "initial commit", author=ctx.caller.user)
        else:
            space.repo.set_ref(ref, revision(space, body.get("startingPoint") or "main"))
    return Response(200, "OK", "text/plain; charset=utf-8")


@route("POST|DELETE", "/api/spaces/{ns}/{name}/tag/{rev}")
def tag(ctx, ns, name, rev):
    space = ctx.space(ns, name, "write")
    with space.lock:
        if ctx.request.method == "DELETE":
            revision(space, f"refs/tags/{rev}")
            space.repo.delete_ref(f"refs/tags/{rev}")
            return Response(200, "OK", "text/plain; charset=utf-8")
        wanted = ctx.request.json().get("tag")
        if not wanted:
            raise HttpError(400, '"tag" is required')
        if f"refs/tags/{wanted}" in space.repo.refs:
            raise HttpError(409, f"Tag reference exists already: refs/tags/{wanted}")
        space.repo.set_ref(f"refs/tags/{wanted}", revision(space, rev))
    return Response(200, "OK", "text/plain; charset=utf-8")


@route("POST", "/api/spaces/{ns}/{name}/super-squash/{rev}")
def super_squash(ctx, ns, name, rev):
    space = ctx.space(ns, name, "write")
    with space.lock:
        oid = revision(space, rev)
        files = space.repo.commits[oid].files
        space.repo.refs.pop(f"refs/heads/{rev}", None)
        new = space.repo.commit(
            f"refs/heads/{rev}",
            files,
            ctx.request.json().get("message") or f"Super-squash branch '{rev}' using huggingface_hub",
            author=ctx.caller.user,
        )
        reachable = {commit.oid for tip in space.repo.refs.values() for commit in space.repo.history(tip)}
        for old in [old for old in space.repo.commits if old not in reachable]:
            del space.repo.commits[old]
        space.modified = space.repo.commits[new].when
        if rev == "main":
            space.runtime.committed(new)
    return Response.json({"commitId": new})
