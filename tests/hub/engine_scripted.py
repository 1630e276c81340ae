# SPDX-License-Identifier: Apache-2.0
"""Runs Spaces without Docker: builds end as told, and the app is a tiny one in here or any local port."""

import json
import os
import socket
import threading
import time

from .http1 import Response

DEFAULT_LOG = [
    "--> FROM docker.io/library/python:3.11-slim@sha256:" + "0" * 64,
    "DONE 0.0s",
    "",
    "--> COPY --chown=user . .",
    "DONE 0.1s",
    "",
    "--> Pushing image",
    "DONE 0.2s",
    "",
    "--> Exporting cache",
    "DONE 0.1s",
]


class Scripted:
    """A Space's script: {"build": {"ok", "seconds", "exit_code", "reason", "log"},
    "app": {"mode", "port", "seconds", "exit_code", "reason", "log"}}; modes are builtin, port, hang,
    wrong_port, crash."""

    real = False

    def __init__(self, hub=None):
        self.hub = hub

    def close(self):
        pass

    def build(self, space, sha, log, factory, cancelled):
        told = self.hub.script(space).get("build") or {}
        until = time.monotonic() + told.get("seconds", self.hub.state.settings.build_seconds)
        for line in told.get("log") or DEFAULT_LOG:
            log.add(line)
        while time.monotonic() < until and not cancelled():
            time.sleep(min(0.02, max(0, until - time.monotonic())))
        if told.get("ok", True):
            return None
        code = told.get("exit_code", 1)
        log.add(f"--> ERROR: {told.get('error', 'process did not complete successfully: exit code: ' + str(code))}")
        return f"Job failed with exit code: {code}. Reason: {told.get('reason', 'cache miss: [stage-0 5/9] COPY . .')}"

    def start(self, space, sha, matter, log):
        return ScriptedApp(self.hub, space, sha, matter, log)


class ScriptedApp:
    def __init__(self, hub, space, sha, matter, log):
        self.hub, self.space, self.sha, self.log = hub, space, sha, log
        self.told = hub.script(space).get("app") or {}
        self.mode = self.told.get("mode", "builtin")
        self.ready = time.monotonic() + self.told.get("seconds", hub.state.settings.start_seconds)
        self.env = environment(hub, space, matter)
        self.stopped = threading.Event()
        self.crashed = None
        port = (matter or {}).get("app_port", 7860)
        lines = {
            "wrong_port": [f"Listening on 0.0.0.0:{port + 1}"],
            "crash": ["Traceback (most recent call last):", "RuntimeError: the model is missing"],
        }.get(self.mode, [f"Listening on 0.0.0.0:{port}"])
        for line in self.told.get("log") or lines:
            log.add(line)

    def address(self):
        return ("127.0.0.1", self.told["port"]) if self.mode == "port" else None

    def healthy(self):
        if time.monotonic() < self.ready or self.mode in ("hang", "wrong_port"):
            return False
        if self.mode == "port":
            try:
                socket.create_connection(self.address(), 1).close()
            except OSError:
                return False
        return True

    def exit_code(self):
        if self.mode == "crash" and time.monotonic() >= self.ready:
            return self.told.get("exit_code", 1)
        return self.crashed

    def reason(self):
        return self.told.get("reason", "Error")

    def crash(self, code):
        self.log.add("Killed")
        self.crashed = code

    def stop(self):
        if not self.stopped.is_set():
            self.stopped.set()
            self.log.add("Signal received, starting graceful shutdown")

    def respond(self, request):
        """The tiny app: /health, /invoke, /env, /echo and a page."""
        path = request.raw_path
        self.log.add(f"{request.method} {path}")
        if path == "/health":
            return Response.json({"status": "ok", "sha": self.sha})
        if path == "/invoke" and self.told.get("invoke") == "page":
            return Response(self.told.get("status", 200), "<!DOCTYPE html><title>wait</title>", "text/html")
        if path == "/invoke":
            given = json.loads(request.body() or b"{}").get("parameters", {})
            return Response.json({"success": True, "outputs": given, "execution_time": 0.0, "metadata": {}})
        if path == "/env":
            return Response.json(self.env)
        if path == "/echo":
            return Response.json(
                {
                    "method": request.method,
                    "query": request.raw_query,
                    "headers": list(request.headers.items()),
                    "body": request.body().decode("latin-1"),
                }
            )
        return Response(200, f"<!DOCTYPE html><title>{self.space.name}</title>{self.sha}\n", "text/html; charset=utf-8")


def environment(hub, space, matter):
    """What a container finds in its environment: the injected names, all variables, all secrets."""
    hardware = space.hardware
    env = {
        "SPACE_ID": space.id,
        "SPACE_HOST": space.app.domain,
        "SPACE_AUTHOR_NAME": space.owner,
        "SPACE_REPO_NAME": space.name,
        "SPACE_TITLE": str((matter or {}).get("title", space.name)),
        "SPACE_CREATOR_USER_ID": hub.state.accounts[space.owner].id,
        "CPU_CORES": "2",
        "MEMORY": "16Gi",
        "ACCELERATOR": "none" if hardware.startswith("cpu") else hardware,
    }
    if (matter or {}).get("hf_oauth"):
        env.update(
            OAUTH_CLIENT_ID=space.id_hex,
            OAUTH_CLIENT_SECRET=os.urandom(12).hex(),
            OAUTH_SCOPES=" ".join(["openid", "profile", *matter.get("hf_oauth_scopes", [])]),
            OPENID_PROVIDER_URL=hub.url,
        )
    env.update({key: value["value"] for key, value in space.variables.items()})
    env.update({key: value["value"] for key, value in space.secrets.items()})
    return env


def dumps(env):
    return json.dumps(env, sort_keys=True)
