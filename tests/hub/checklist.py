# SPDX-License-Identifier: Apache-2.0
"""What the tests of the checklist share: calls as single sentences, commit lines, LFS objects, event streams."""

import base64
import hashlib
import json
import socket

from tests.hub.rawhttp import call, ndjson

LFS_TYPE = "application/vnd.git-lfs+json"


class Caller:
    def __init__(self, hub, token):
        self.hub, self.token = hub, token

    def __call__(self, method, path, json_body=None, token="", **options):
        return call(self.hub.url + path, method, self.token if token == "" else token, json_body, **options)

    def create(self, name="alice/demo", **fields):
        owner, _, short = name.partition("/")
        answer = self(
            "POST",
            "/api/repos/create",
            {"type": "space", "name": short, "organization": owner, "sdk": "docker", **fields},
        )
        assert answer.status == 200, answer
        return self.hub.space(name)

    def commit(self, *rows, name="alice/demo", summary="x", query="", **options):
        options.setdefault("headers", {"Content-Type": "application/x-ndjson"})
        head = ("header", {"summary": summary, **options.pop("header", {})})
        return self("POST", f"/api/spaces/{name}/commit/main{query}", body=ndjson(head, *rows), **options)

    def deploy(self, space, **files):
        files = files or {"Dockerfile": b"FROM x\n"}
        oid = space.commit(files)["commitOid"]
        space.wait("RUNNING", sha=oid)
        return oid


def file(path, data=b"x", **extra):
    return ("file", {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64", **extra})


def upload(api, data):
    """Batch and PUT of one object; the answer of the batch."""
    sha = hashlib.sha256(data).hexdigest()
    answer = batch(api, [{"oid": sha, "size": len(data)}])
    actions = answer.json()["objects"][0].get("actions")
    if actions:
        assert call(actions["upload"]["href"], "PUT", body=data).status == 200
    return answer.json()


def batch(api, objects, **extra):
    body = {
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "hash_algo": "sha256",
        "ref": {"name": "main"},
        "objects": objects,
        **extra,
    }
    return api(
        "POST",
        "/spaces/alice/demo.git/info/lfs/objects/batch",
        body=json.dumps(body).encode(),
        headers={"Accept": LFS_TYPE, "Content-Type": LFS_TYPE},
    )


class Stream:
    """Lines of an event stream as they come."""

    def __init__(self, hub, path, token):
        self.sock = socket.create_connection(("127.0.0.1", hub.port), 20)
        self.sock.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())

    def __enter__(self):
        self.file = self.sock.makefile("r", encoding="utf-8", errors="replace")
        while self.file.readline().strip():
            pass
        return self._lines()

    def _lines(self):
        """The event lines; sizes of chunks and blank lines are left out."""
        try:
            for line in self.file:
                if line.startswith(("data", "event")):
                    yield line.strip()
        except ConnectionError:
            return

    def __exit__(self, *_):
        self.sock.close()
