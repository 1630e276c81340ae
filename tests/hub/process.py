# SPDX-License-Identifier: Apache-2.0
"""Starts the Hub as a program of its own and speaks to its control port."""

import base64
import contextlib
import json
import os
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

from tests.support.ports import end_program, start_program, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HubProcess:
    """A running test Hub: addresses, accounts, faults, counters, Spaces. Use it as a context manager."""

    def __init__(self, folder, *options):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        self.log_path = self.folder / "hub.log"
        self.log_path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.hub", "--data", self.folder / "data", "--port-file", ports, *options]
        self.process = start_program([str(word) for word in command], self.log_path, cwd=ROOT)
        wait_for(ports.exists, 30, "the test Hub", self.process, self.log_path)
        self.addresses = json.loads(ports.read_text())
        self.url, self.control = self.addresses["url"], self.addresses["control"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the program; every connection, app and container of it ends too."""
        end_program(self.process, 60)

    def call(self, method, path, body=None, raw=False):
        """A call of the control port; AssertionError with the Hub's words when it fails."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with _OPENER.open(request, timeout=120) as answer:
                got = answer.read()
        except urllib.error.HTTPError as wrong:
            raise AssertionError(f"{method} {path}: {wrong.code} {wrong.read().decode(errors='replace')}") from None
        return got if raw else json.loads(got)

    # -- accounts

    def make_user(self, name, plan="pro", **fields):
        return self.call("POST", "/_test/accounts", {"name": name, "plan": plan, **fields})

    def make_org(self, name, members, plan="team", **fields):
        """`members` is {user: role}."""
        return self.call(
            "POST", "/_test/accounts", {"name": name, "kind": "org", "members": members, "plan": plan, **fields}
        )

    def make_token(self, user, role="write", **fields):
        """A token of the user; `kind="oauth"`, `scoped=[...]`, `name`, `value`, `expires` where wanted."""
        return self.call("POST", "/_test/tokens", {"user": user, "role": role, **fields})["token"]

    def make_login(self, user, expires_in):
        """{token, refresh_token, expires_at} of a login by browser."""
        return self.call("POST", "/_test/logins", {"user": user, "expires_in": expires_in})

    def scoped_token(self, user, entity, permissions, entity_type="user"):
        scope = {"entity": {"_id": "0" * 24, "name": entity, "type": entity_type}, "permissions": list(permissions)}
        return self.make_token(user, "fineGrained", scoped=[scope])

    def change_token(self, name, **fields):
        return self.call("POST", f"/_test/tokens/{name}", fields)

    # -- behaviour

    def settings(self, **fields):
        return self.call("POST", "/_test/settings", fields)

    def fault(self, kind, method="*", path="*", **fields):
        """Adds a fault; see tests/hub/faults.py for the kinds. The path is a shell pattern."""
        return self.call("POST", "/_test/faults", {"kind": kind, "method": method, "path": path, **fields})

    def faults(self):
        return self.call("GET", "/_test/faults")["active"]

    def clear_faults(self):
        self.call("DELETE", "/_test/faults")

    def script(self, space="*", **fields):
        """How builds end and what the app is: build={...}, app={...}, lfs_errors={...}."""
        return self.call("POST", "/_test/scripts", {"space": space, **fields})

    def listen(self, hub=True):
        self.call("POST", "/_test/listen", {"hub": hub})

    # -- what happened

    def counters(self):
        return self.call("GET", "/_test/counters")

    def reset_counters(self):
        self.call("DELETE", "/_test/counters")

    def log(self, origin=None):
        """Every request: origin, method, path, auth scheme, name of the token, status, faults, leaks."""
        return self.call("GET", "/_test/log" + (f"?origin={origin}" if origin else ""))

    def spaces(self):
        return self.call("GET", "/_test/spaces")

    def space(self, space_id):
        return SpaceView(self, space_id)

    def env(self, token=None, home=None):
        """Environment variables for a client of this Hub."""
        out = {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1"}
        if token:
            out["HF_TOKEN"] = token
        if home:
            out["HF_HOME"] = str(home)
        return out


class SpaceView:
    """One Space as the Hub sees it."""

    def __init__(self, hub, space_id):
        self.hub, self.id = hub, space_id

    def state(self):
        return self.hub.call("GET", f"/_test/spaces/{self.id}")

    def files(self):
        """{path: {"oid", "size", "sha256"}} at the head of main."""
        return self.state()["files"]

    def read(self, path):
        return self.hub.call("GET", f"/_test/files/{self.id}/{urllib.parse.quote(path)}", raw=True)

    def contents(self):
        return {path: self.read(path) for path in self.files()}

    @property
    def app_url(self):
        return self.state()["app_url"]

    @property
    def stage(self):
        return self.state()["stage"]

    @property
    def head(self):
        return self.state()["head"]

    def stages(self):
        """The stages it went through, in order."""
        return [row["stage"] for row in self.state()["history"]]

    def wait(self, *stages, seconds=60, sha=None):
        """Waits until the Space is in one of the stages (and serves the commit); gives its runtime object."""
        return self.hub.call(
            "POST", f"/_test/spaces/{self.id}/wait", {"stage": list(stages), "seconds": seconds, "sha": sha}
        )

    def commit(self, files, summary="A change by somebody else"):
        """A commit by somebody else: {path: bytes, or None to delete it}."""
        coded = {path: None if data is None else base64.b64encode(data).decode() for path, data in files.items()}
        return self.hub.call("POST", f"/_test/spaces/{self.id}/commit", {"files": coded, "summary": summary})

    def set_stage(self, stage, message=None):
        return self.hub.call("POST", f"/_test/spaces/{self.id}/stage", {"stage": stage, "message": message})

    def crash(self, exit_code=137):
        return self.hub.call("POST", f"/_test/spaces/{self.id}/crash", {"exit_code": exit_code})

    def say(self, *lines, kind="run"):
        return self.hub.call("POST", f"/_test/spaces/{self.id}/log", {"lines": list(lines), "kind": kind})

    def exists(self):
        return self.id in self.hub.spaces()


@contextlib.contextmanager
def running(folder, *options):
    hub = HubProcess(folder, *options)
    try:
        yield hub
    finally:
        hub.stop()


def without_hub_variables():
    """os.environ without anything that would reach a real Hub or another home."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING_FACE"))}
