# SPDX-License-Identifier: Apache-2.0
"""Changing files: what upload mode a file needs, and the commit itself."""

import base64
import json
import re

from . import frontmatter, patterns
from .core import HttpError, Response, route
from .gitstore import Entry, blob_oid, pointer

STALE = {
    "new": "The branch was updated since you opened this page. Please refresh and try again.",
    "old": "A commit has happened since. Please refresh and try again.",
}
NEED_KEY = "Add a line with the key `lfsFile`, `file` or `deletedFile`"
BINARY_TEXT = (
    "Your push was rejected because it contains binary files. Please use "
    "https://huggingface.co/docs/hub/xet to store binary files. Offending files: "
)
MAX_LFS_FILES, MAX_REGULAR_BYTES = 25_000, 1_000_000_000


def stale(settings):
    return HttpError(412, STALE[settings.stale_text])


def entry_for(repo, data):
    return Entry(repo.write_object("blob", data), len(data))


def lfs_entry(repo, sha256, size):
    text = pointer(sha256, size)
    return Entry(repo.write_object("blob", text), size, sha256, len(text))


def text_of(repo, files, path):
    entry = files.get(path)
    return repo.read_object(entry.oid).decode("utf-8", "replace") if entry and not entry.sha256 else ""


def looks_binary(sample):
    if b"\0" in sample:
        return True
    try:
        sample.decode()
    except UnicodeDecodeError as wrong:
        return wrong.start < len(sample) - 4 or len(sample) < 512 and wrong.reason != "unexpected end of data"
    return False


def bad_path(path):
    """Whether a path leaves the repository or is no path at all."""
    if (
        not isinstance(path, str)
        or not path
        or len(path) > 1000
        or path.startswith("/")
        or "\\" in path
        or "\0" in path
    ):
        return True
    return any(part in ("", ".", "..", ".git") for part in path.split("/"))


def upload_mode(settings, attributes, path, size, sample):
    if patterns.is_lfs(attributes, path) or size > settings.lfs_size or looks_binary(sample):
        return "lfs"
    return "regular"


def check_upload(ctx, file):
    if (
        not isinstance(file, dict)
        or not isinstance(file.get("path"), str)
        or not isinstance(file.get("size"), int)
        or not isinstance(file.get("sample"), str)
    ):
        raise HttpError(400, '"files" needs "path", "size" and "sample" for every file')
    if bad_path(file["path"]):
        raise HttpError(422, f"Invalid path: {file['path']}")
    try:
        return base64.b64decode(file["sample"], validate=True)
    except ValueError:
        raise HttpError(400, f'"sample" of {file["path"]} is not base64') from None


@route("POST", "/api/spaces/{ns}/{name}/preupload/{rev}")
def preupload(ctx, ns, name, rev):
    proposed = ctx.request.arg("create_pr") == "1"
    space = ctx.space(ns, name, "read" if proposed else "write")
    ctx.need_token()
    oid = space.repo.resolve(rev)
    if oid is None:
        raise HttpError(404, f"Invalid rev id: {rev}", "RevisionNotFound")
    body = ctx.request.json()
    files = body.get("files")
    if not isinstance(files, list):
        raise HttpError(400, '"files" is required')
    if len(files) > ctx.settings.preupload_max:
        raise HttpError(ctx.settings.preupload_too_many, f"too many parameters: at most {ctx.settings.preupload_max}")
    present = space.repo.commits[oid].files
    attributes = body.get("gitAttributes") or text_of(space.repo, present, ".gitattributes")
    ignore = body.get("gitIgnore")
    ignore = text_of(space.repo, present, ".gitignore") if ignore is None else ignore
    answers = []
    for file in files:
        sample = check_upload(ctx, file)
        path = file["path"]
        answer = {
            "path": path,
            "uploadMode": upload_mode(ctx.settings, attributes, path, file["size"], sample),
            "shouldIgnore": patterns.is_ignored(ignore, path),
        }
        if path in present:
            answer["oid"] = present[path].sha256 or present[path].oid
        answers.append(answer)
    return Response.json({"files": answers, "commitOid": oid})


@route("POST", "/api/validate-yaml")
def validate_yaml(ctx):
    body = ctx.request.json()
    if not isinstance(body.get("content"), str):
        raise HttpError(400, '"content" is required')
    errors, warnings = frontmatter.check(body["content"])
    answer = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return Response.json(answer, 400 if errors else 200)


# -- the commit


def commit_lines(ctx):
    """(header, [(key, value)...]) of the body, in either of its two forms."""
    kind = (ctx.request.headers.get("Content-Type") or "").split(";")[0].strip()
    text = ctx.request.body()
    if kind == "application/json":
        return _legacy(ctx.request.json())
    if kind != "application/x-ndjson":
        raise HttpError(415 if kind else 400, "Content-Type must be application/x-ndjson")
    if ctx.request.chunked and ctx.settings.chunked_commit_truncated:
        text = text.split(b"\n")[0]
    rows = []
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            key, value = row["key"], row["value"]
        except (ValueError, TypeError, KeyError):
            raise HttpError(400, f"Line {number} is not valid. {NEED_KEY}") from None
        if not isinstance(value, dict):
            raise HttpError(400, f"Line {number} has no object as value. {NEED_KEY}")
        rows.append((key, value))
    if not rows or rows[0][0] != "header":
        raise HttpError(400, "The first line must have the key `header`")
    if any(key == "header" for key, _ in rows[1:]):
        raise HttpError(400, "Only the first line may have the key `header`")
    return rows[0][1], rows[1:]


def _legacy(body):
    rows = [("file", item) for item in body.get("files") or []]
    rows += [("lfsFile", item) for item in body.get("lfsFiles") or []]
    rows += [("deletedFile", item) for item in body.get("deletedFiles") or []]
    rows += [("deletedEntry", item) for item in body.get("deletedEntries") or []]
    return body, rows


def apply(ctx, space, files, rows):
    """The files after all operations; raises at the first that cannot be done, and nothing has changed then."""
    files, regular, lfs, added = dict(files), 0, [], {}
    for key, value in rows:
        path = value.get("path")
        if key not in ("file", "lfsFile", "deletedFile", "deletedFolder", "deletedEntry"):
            raise HttpError(400, f"Unknown key `{key}`. {NEED_KEY}")
        if bad_path(path.rstrip("/") if isinstance(path, str) else path):
            raise HttpError(400, f"Invalid path: {path}")
        if key in ("file", "lfsFile") and value.get("oldPath"):
            if value["oldPath"] not in files:
                raise HttpError(404, "A file with this name doesn't exist", "EntryNotFound")
            moved = files.pop(value["oldPath"])
            if key == "file" and value.get("content") is None:
                files[path] = moved
                continue
        if key == "file":
            data = content(value)
            regular += len(data)
            if path in added:
                raise HttpError(400, f"The file {path} stands twice in this commit")
            added[path] = data
            files[path] = entry_for(space.repo, data)
        elif key == "lfsFile":
            files[path] = lfs_operation(ctx, space, value)
            lfs.append(path)
        elif key == "deletedFile":
            if path not in files:
                raise HttpError(404, "A file with this name doesn't exist", "EntryNotFound")
            del files[path]
        else:
            remove(files, path, key)
    if regular > MAX_REGULAR_BYTES or len(lfs) > MAX_LFS_FILES:
        raise HttpError(413, "Payload too large")
    return finish(ctx, space, files, added, lfs)


def content(value):
    text = value.get("content")
    if not isinstance(text, str):
        raise HttpError(400, f'"content" of {value["path"]} must be a string')
    encoding = value.get("encoding", "utf-8")
    if encoding == "utf-8":
        return text.encode()
    if encoding != "base64":
        raise HttpError(400, f'"encoding" of {value["path"]} must be one of ["utf-8", "base64"]')
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise HttpError(400, f'"content" of {value["path"]} is not valid base64') from None


def lfs_operation(ctx, space, value):
    sha256, size = value.get("oid"), value.get("size")
    if value.get("algo") != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", str(sha256)):
        raise HttpError(400, f'"oid" of {value["path"]} must be a sha256, with "algo": "sha256"')
    stored = ctx.hub.lfs_path(sha256)
    if not stored.exists():
        raise HttpError(400, f"LFS pointer pointed to a file that does not exist: {value['path']} ({sha256})")
    if size is not None and size != stored.stat().st_size:
        raise HttpError(400, f"Size of {value['path']} is {stored.stat().st_size}, not {size}")
    return lfs_entry(space.repo, sha256, stored.stat().st_size)


def remove(files, path, key):
    folder = path.rstrip("/") + "/"
    gone = [name for name in files if name.startswith(folder)]
    if key == "deletedEntry" and path in files:
        gone.append(path)
    if not gone:
        raise HttpError(404, "A file with this name doesn't exist", "EntryNotFound")
    for name in gone:
        del files[name]


def finish(ctx, space, files, added, lfs):
    """Checks of the whole: attributes, binaries, README, files that stand where a folder is."""
    attributes = text_of(space.repo, files, ".gitattributes")
    extended = attributes
    for path in lfs:
        if path in files and not patterns.is_lfs(extended, path):
            extended = patterns.add_lfs(extended, path)
    if extended != attributes:
        files[".gitattributes"] = entry_for(space.repo, extended.encode())
    wrong = [
        path
        for path, data in added.items()
        if data and path in files and upload_mode(ctx.settings, extended, path, len(data), data[:512]) == "lfs"
    ]
    if wrong:
        raise HttpError(400, BINARY_TEXT + ", ".join(sorted(wrong)))
    if ctx.settings.commit_checks_readme and "README.md" in added:
        errors, _ = frontmatter.check(added["README.md"].decode("utf-8", "replace"))
        if errors:
            raise HttpError(400, "Invalid metadata in README.md. " + " ".join(errors))
    for path in files:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in files for depth in range(1, len(parts))):
            raise HttpError(400, f"A file stands where {path} needs a folder")
    return files


@route("POST", "/api/spaces/{ns}/{name}/commit/{rev}")
def commit(ctx, ns, name, rev):
    proposed = ctx.request.arg("create_pr") == "1"
    space = ctx.space(ns, name)
    ctx.need_token()
    reason = ctx.state.why_not_write(space, ctx.caller)
    if reason and not proposed:
        foreign = ctx.state.role_in(space.owner, ctx.caller) is None
        raise HttpError(
            403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request" if foreign else reason
        )
    if proposed and space.discussions_disabled:
        raise HttpError(403, "Discussions are disabled for this repo")
    header, rows = commit_lines(ctx)
    if not isinstance(header.get("summary"), str) or not header["summary"]:
        raise HttpError(400, '"summary" is required')
    if not rows:
        raise HttpError(400, NEED_KEY)
    parent = header.get("parentCommit")
    if parent is not None and not re.fullmatch(r"[0-9a-f]{40}", str(parent)):
        raise HttpError(400, '"parentCommit" must be 40 hexadecimal characters')
    with space.lock:
        ref = rev if rev.startswith("refs/") else f"refs/heads/{rev}"
        if ref not in space.repo.refs:
            raise HttpError(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        if parent is not None and parent != space.repo.refs[ref]:
            raise stale(ctx.settings)
        files = apply(ctx, space, space.repo.commits[space.repo.refs[ref]].files, rows)
        check_limits(ctx, space, files)
        if proposed:
            space.pulls += 1
            space.repo.set_ref(f"refs/pr/{space.pulls}", space.repo.refs[ref])
            ref = f"refs/pr/{space.pulls}"
        oid = store(ctx.hub, space, ref, files, header["summary"], header.get("description") or "", ctx.caller.user)
    answer = {
        "success": True,
        "commitOid": oid,
        "commitUrl": f"{ctx.base}/spaces/{space.id}/commit/{oid}",
        "hookOutput": "",
    }
    if proposed:
        answer["pullRequestUrl"] = f"{ctx.base}/spaces/{space.id}/discussions/{space.pulls}"
    return Response.json(answer)


def check_limits(ctx, space, files):
    seen = {entry.sha256 or entry.oid: entry.size for entry in files.values()}
    for one in space.repo.commits.values():
        seen.update({entry.sha256 or entry.oid: entry.size for entry in one.files.values()})
    if sum(seen.values()) > ctx.settings.repo_limit:
        raise HttpError(403, "Repository storage limit reached (Max: 1 GB)")
    if space.private and ctx.settings.private_limit is not None and sum(seen.values()) > ctx.settings.private_limit:
        raise HttpError(
            403,
            "Private repository storage limit reached, please upgrade your plan to increase your "
            "private storage limit.",
        )


def store(hub, space, ref, files, summary, description, author):
    """Makes the commit and tells the runtime when it is on main."""
    oid = space.repo.commit(ref, files, summary, description, author)
    space.modified = space.repo.commits[oid].when
    space.counts["commits"] += 1
    hub.state.counters["commits"] += 1
    if ref == "refs/heads/main":
        space.runtime.committed(oid)
    return oid


def commit_files(hub, space, changes, summary, author):
    """A commit made by the test itself: {path: bytes, or None to delete}."""
    files = dict(space.repo.files())
    for path, data in changes.items():
        if data is None:
            files.pop(path, None)
        else:
            files[path] = Entry(space.repo.write_object("blob", data), len(data))
            assert files[path].oid == blob_oid(data)
    return store(hub, space, "refs/heads/main", files, summary, "", author)
