# SPDX-License-Identifier: Apache-2.0
"""Debian's docker-registry on a free port, open to all or asking for a password."""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from tests.support.ports import OPENER, end_program, free_port, start_program, wait_for

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
http: {{addr: "127.0.0.1:{port}", secret: test}}
"""
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """`user` and `password` given: every call needs them (HTTP Basic). Use as a context manager."""

    def __init__(self, user=None, password=None, folder=None):
        program = shutil.which("docker-registry")
        assert program, "docker-registry is missing: tools/setup.sh test"
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="kreg-"))
        self.user, self.password = user, password
        self.port = free_port()
        self.host, self.url = f"127.0.0.1:{self.port}", f"http://127.0.0.1:{self.port}"
        text = CONFIG.format(folder=self.folder, port=self.port)
        if user:
            secret = subprocess.run(
                ["htpasswd", "-niBC", "5", user], input=password, capture_output=True, text=True, check=True
            ).stdout
            (self.folder / "htpasswd").write_text(secret)
            text += f"auth:\n  htpasswd: {{realm: test, path: {self.folder}/htpasswd}}\n"
        (self.folder / "config.yml").write_text(text)
        self.log = self.folder / "registry.log"
        self.process = start_program([program, "serve", str(self.folder / "config.yml")], self.log)
        wait_for(self._answers, 30, "docker-registry", self.process, self.log)

    def _answers(self):
        try:
            return self.request("GET", "/v2/")[0] == 200
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        end_program(self.process, 10)
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method, path, body=None, headers=None, auth=True):
        """(status, headers, bytes) of a call, with the registry's own password unless told otherwise."""
        headers = dict(headers or {})
        if self.user and auth:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with OPENER.open(request, timeout=120) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as wrong:
            return wrong.code, wrong.headers, wrong.read()

    def push_blob(self, name, digest, source):
        """`source` is bytes or a path; a blob that is there already is not sent."""
        if self.request("HEAD", f"/v2/{name}/blobs/{digest}")[0] == 200:
            return
        status, headers, _ = self.request("POST", f"/v2/{name}/blobs/uploads/", b"")
        assert status == 202, status
        place = headers["Location"]
        place += ("&" if "?" in place else "?") + "digest=" + urllib.parse.quote(digest)
        sent = {"Content-Type": "application/octet-stream"}
        if isinstance(source, bytes):
            status, _, text = self.request("PUT", place, source, sent)
        else:
            with open(source, "rb") as body:
                sent["Content-Length"] = str(pathlib.Path(source).stat().st_size)
                status, _, text = self.request("PUT", place, body, sent)
        assert status == 201, (status, text)

    def push_manifest(self, name, tag, manifest):
        """Gives the digest under which the manifest now stands."""
        kind = manifest.get("mediaType", MANIFEST)
        status, headers, text = self.request(
            "PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), {"Content-Type": kind}
        )
        assert status == 201, (status, text)
        return headers["Docker-Content-Digest"]

    def repositories(self):
        return json.loads(self.request("GET", "/v2/_catalog")[2])["repositories"]

    def tags(self, name):
        status, _, text = self.request("GET", f"/v2/{name}/tags/list")
        return (json.loads(text).get("tags") or []) if status == 200 else []
