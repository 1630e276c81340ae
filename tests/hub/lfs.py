# SPDX-License-Identifier: Apache-2.0
"""Large files: batch, basic and multipart transfer to another origin, verification."""

import hashlib
import os
import re
import secrets

from .core import HttpError, Response, no_auth, route

LFS_TYPE = "application/vnd.git-lfs+json"


def _lfs_response(value, status=200):
    answer = Response.json(value, status)
    answer.headers[0] = ("Content-Type", LFS_TYPE)
    return answer


def _typed(request):
    return (request.headers.get("Content-Type") or "").split(";")[0].strip() == LFS_TYPE


@route("POST", "/spaces/{ns}/{name}.git/info/lfs/objects/batch")
def batch(ctx, ns, name):
    if not _typed(ctx.request) or LFS_TYPE not in (ctx.request.headers.get("Accept") or ""):
        raise HttpError(415, f"Accept and Content-Type must be {LFS_TYPE}")
    body = ctx.request.json()
    operation = body.get("operation")
    if operation not in ("upload", "download"):
        raise HttpError(422, '"operation" must be one of ["upload", "download"]')
    space = ctx.space(ns, name)
    if operation == "upload":
        ctx.need_token()
        # Without a ref the objects are for a pull request, which every reader may open.
        reason = ctx.state.why_not_write(space, ctx.caller) if body.get("ref") else None
        if reason:
            raise HttpError(403, reason)
    if body.get("hash_algo", "sha256") not in ("sha256", "sha_256"):
        raise HttpError(409, '"hash_algo" must be sha256')
    objects = body.get("objects")
    if not isinstance(objects, list) or len(objects) > ctx.settings.batch_max:
        raise HttpError(413, "too many objects")
    if operation == "upload":
        coming = sum(item.get("size", 0) for item in objects if not ctx.hub.lfs_path(str(item.get("oid"))).exists())
        if ctx.state.used_storage(space) + coming > ctx.settings.repo_limit:
            raise HttpError(403, "Repository storage limit reached (Max: 1 GB)")
    multipart = "multipart" in (body.get("transfers") or ["basic"])
    answers = [_object(ctx, space, item, operation, multipart) for item in objects]
    kinds = {
        "multipart" if "chunk_size" in (item["actions"].get("upload", {}).get("header") or {}) else "basic"
        for item in answers
        if "actions" in item
    }
    return _lfs_response({"transfer": "multipart" if kinds == {"multipart"} else "basic", "objects": answers})


def _object(ctx, space, item, operation, multipart):
    oid, size = item.get("oid"), item.get("size")
    answer = {"oid": oid, "size": size}
    if not re.fullmatch(r"[0-9a-f]{64}", str(oid)) or not isinstance(size, int) or size < 0:
        return {**answer, "error": {"code": 422, "message": "Invalid oid or size"}}
    failing = ctx.hub.script(space).get("lfs_errors") or {}
    if oid in failing or "*" in failing:
        return {**answer, "error": {"code": 422, "message": failing.get(oid) or failing.get("*")}}
    stored = ctx.hub.lfs_path(oid)
    if operation == "download":
        if not stored.exists():
            return {**answer, "error": {"code": 404, "message": "Object does not exist"}}
        return {**answer, "actions": {"download": {"href": f"{ctx.hub.cdn_url}/cdn/{oid}/file?signature=test"}}}
    if stored.exists():
        return answer
    upload = secrets.token_hex(8)
    record = {"oid": oid, "size": size, "parts": {}, "chunk": None, "space": space.id}
    ctx.hub.uploads[upload] = record
    verify = {"href": f"{ctx.base}/spaces/{space.id}.git/info/lfs/objects/verify", "header": {}}
    if multipart and size > ctx.settings.multipart_size:
        record["chunk"] = ctx.settings.chunk_size
        count = -(-size // ctx.settings.chunk_size)
        width = max(5, len(str(count)))
        header = {"chunk_size": str(ctx.settings.chunk_size)}
        header.update(
            {
                f"{number:0{width}d}": f"{ctx.hub.lfs_url}/part/{upload}/{number}?signature=test"
                for number in range(1, count + 1)
            }
        )
        action = {
            "href": f"{ctx.base}/api/complete_multipart?uploadId={upload}&signature=test",
            "header": header,
            "expires_in": 86400,
        }
    else:
        action = {"href": f"{ctx.hub.lfs_url}/lfs/{upload}?signature=test", "header": {}, "expires_in": 86400}
        if ctx.settings.lfs_header != "object":
            action["header"] = verify["header"] = None
        if ctx.settings.lfs_header == "absent":
            del action["header"], verify["header"]
    return {**answer, "authenticated": True, "actions": {"upload": action, "verify": verify}}


def _no_second_auth(ctx):
    if ctx.request.headers.get("Authorization"):
        ctx.request.drain()
        raise HttpError(
            400,
            "InvalidArgument",
            body='<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>'
            "InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>",
            headers=[("Content-Type", "application/xml")],
        )
    if ctx.request.arg("signature") != "test":
        raise HttpError(403, "SignatureDoesNotMatch", body="<Error><Code>SignatureDoesNotMatch</Code></Error>")
    if not ctx.request.has_length:
        ctx.request.drain()
        raise HttpError(411, "MissingContentLength", body="<Error><Code>MissingContentLength</Code></Error>")


def _receive(ctx, name):
    """Stores the body beside the objects; gives (path, sha256, md5, size)."""
    path = ctx.hub.data / "lfs" / f"part-{name}"
    sha, md5, size = hashlib.sha256(), hashlib.md5(), 0
    with open(path, "wb") as out:
        for part in ctx.request.stream():
            out.write(part)
            sha.update(part)
            md5.update(part)
            size += len(part)
    ctx.state.counters["lfs_bytes"] += size
    return path, sha.hexdigest(), md5.hexdigest(), size


@route("PUT", "/lfs/{upload}", origin="lfs")
@no_auth
def put(ctx, upload):
    _no_second_auth(ctx)
    record = ctx.hub.uploads.get(upload)
    if record is None:
        raise HttpError(404, "NoSuchUpload", body="<Error><Code>NoSuchUpload</Code></Error>")
    if record["size"] == 0:
        raise HttpError(501, "NotImplemented", body="<Error><Code>NotImplemented</Code></Error>")
    path, sha, md5, size = _receive(ctx, f"{upload}-{secrets.token_hex(4)}")
    if size != record["size"] or sha != record["oid"]:
        os.unlink(path)
        raise HttpError(
            400,
            "BadDigest",
            body=f"<Error><Code>BadDigest</Code><Message>got {size} bytes, sha256 {sha}</Message></Error>",
        )
    ctx.state.counters["lfs_uploads"] += 1
    os.rename(path, ctx.hub.lfs_path(sha))
    return Response(200, b"", None, [("ETag", f'"{md5}"')])


@route("PUT", "/part/{upload}/{number}", origin="lfs")
@no_auth
def put_part(ctx, upload, number):
    _no_second_auth(ctx)
    record, number = ctx.hub.uploads.get(upload), int(number)
    if record is None or record["chunk"] is None:
        raise HttpError(404, "NoSuchUpload", body="<Error><Code>NoSuchUpload</Code></Error>")
    path, _, md5, size = _receive(ctx, f"{upload}-{number}-{secrets.token_hex(4)}")
    expected = min(record["chunk"], record["size"] - (number - 1) * record["chunk"])
    if size != expected:
        os.unlink(path)
        raise HttpError(400, "EntityTooSmall", body="<Error><Code>EntityTooSmall</Code></Error>")
    old = record["parts"].get(number)
    record["parts"][number] = (path, f'"{md5}"')
    if old:
        os.unlink(old[0])
    return Response(200, b"", None, [("ETag", f'"{md5}"')])


@route("POST", "/api/complete_multipart")
@no_auth
def complete(ctx):
    """The address itself is signed: no Authorization is looked at, though this is the Hub's own origin."""
    upload = ctx.request.arg("uploadId")
    record = ctx.hub.uploads.get(upload)
    if record is None or ctx.request.arg("signature") != "test":
        raise HttpError(404, "No such upload")
    body = ctx.request.json()
    parts = body.get("parts")
    count = -(-record["size"] // record["chunk"])
    if body.get("oid") != record["oid"] or not isinstance(parts, list) or len(parts) != count:
        raise HttpError(400, f"{count} parts of {record['oid']} are expected")
    if ctx.hub.lfs_path(record["oid"]).exists():
        return Response.json({"success": True})
    for number, part in enumerate(sorted(parts, key=lambda item: item.get("partNumber", 0)), 1):
        if (
            part.get("partNumber") != number
            or number not in record["parts"]
            or part.get("etag") != record["parts"][number][1]
        ):
            raise HttpError(400, f"Part {number} is missing or its etag is wrong")
    whole, sha = ctx.hub.data / "lfs" / f"whole-{upload}-{secrets.token_hex(4)}", hashlib.sha256()
    with open(whole, "wb") as out:
        for number in range(1, count + 1):
            with open(record["parts"][number][0], "rb") as part:
                while block := part.read(1 << 20):
                    sha.update(block)
                    out.write(block)
    if sha.hexdigest() != record["oid"]:
        os.unlink(whole)
        raise HttpError(400, "The sha256 of the whole does not match")
    for path, _ in record["parts"].values():
        os.unlink(path)
    os.rename(whole, ctx.hub.lfs_path(record["oid"]))
    ctx.state.counters["lfs_uploads"] += 1
    return Response.json({"success": True})


@route("POST", "/spaces/{ns}/{name}.git/info/lfs/objects/verify")
def verify(ctx, ns, name):
    ctx.space(ns, name)
    ctx.need_token()
    body = ctx.request.json()
    stored = ctx.hub.lfs_path(str(body.get("oid")))
    if not re.fullmatch(r"[0-9a-f]{64}", str(body.get("oid"))) or not stored.exists():
        raise HttpError(404, "Object does not exist")
    if body.get("size") != stored.stat().st_size:
        raise HttpError(400, f"Size mismatch: stored {stored.stat().st_size}, given {body.get('size')}")
    ctx.state.counters["lfs_verified"] += 1
    return _lfs_response({"success": True})


@route("GET", "/api/spaces/{ns}/{name}/lfs-files")
def lfs_files(ctx, ns, name):
    space = ctx.space(ns, name, "write")
    seen = {}
    for commit in space.repo.commits.values():
        for path, entry in commit.files.items():
            if entry.sha256:
                seen[entry.sha256] = {
                    "fileOid": entry.sha256,
                    "oid": entry.sha256,
                    "filename": path,
                    "size": entry.size,
                }
    return Response.json(list(seen.values()))
