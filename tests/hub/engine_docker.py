# SPDX-License-Identifier: Apache-2.0
"""Runs Spaces for real: builds the committed repository with a Docker engine and runs it as user 1000."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

from .engine_scripted import Scripted, environment

NETWORK = "spaces"


class _Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class EngineError(Exception):
    pass


class Docker:
    real = True

    def __init__(self, host, program, network):
        self.host, self.program, self.build_network = host, program, network
        self.path = host.removeprefix("unix://")
        self.hub, self.mark = None, secrets.token_hex(6)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="hub-docker-"))

    def close(self):
        with contextlib.suppress(OSError, EngineError, http.client.HTTPException):
            query = urllib.parse.quote(json.dumps({"label": [f"hub={self.mark}"]}))
            for row in self.api("GET", f"/containers/json?all=1&filters={query}"):
                self.api("DELETE", f"/containers/{row['Id']}?force=1&v=1")
        shutil.rmtree(self.home, ignore_errors=True)

    def open(self, method, path, body=None, timeout=60):
        connection = _Unix(self.path, timeout)
        connection.request(
            method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
        )
        return connection, connection.getresponse()

    def api(self, method, path, body=None, timeout=60):
        connection, answer = self.open(method, path, body, timeout)
        try:
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400 and answer.status != 304:
            raise EngineError(f"{path}: {answer.status} {text.decode(errors='replace').strip()}")
        return json.loads(text) if text[:1] in (b"{", b"[") else None

    # -- build

    def build(self, space, sha, log, factory, cancelled):
        """None when the image stands, else the Space's errorMessage."""
        told = self.hub.script(space).get("build")
        if told:
            scripted = Scripted()
            scripted.hub = self.hub
            problem = scripted.build(space, sha, log, factory, cancelled)
            if problem:
                return problem
        if space.sdk != "docker":
            log.add(f"--> ERROR: this Hub builds Docker Spaces only, not {space.sdk}")
            return "Job failed with exit code: 1. Reason: unsupported sdk"
        with tempfile.TemporaryDirectory(prefix="context-", dir=self.home) as folder:
            context, mounts = pathlib.Path(folder) / "context", pathlib.Path(folder) / "secrets"
            self._materialise(space, sha, context)
            mounts.mkdir(mode=0o700)
            command = [
                self.program,
                "-H",
                self.host,
                "build",
                "--progress=plain",
                f"--network={self.build_network}",
                "--label",
                f"hub={self.mark}",
                "--tag",
                self.tag(space, sha),
            ]
            if factory:
                command.append("--no-cache")
            for key, value in list(space.variables.items()):
                command += ["--build-arg", f"{key}={value['value']}"]
            for key, value in list(space.secrets.items()):
                (mounts / key).write_text(value["value"])
                command += ["--secret", f"id={key},src={mounts / key}"]
            return self._run_build([*command, str(context)], log, cancelled)

    def tag(self, space, sha):
        return f"space-{space.id_hex}:{sha[:12]}"

    def _materialise(self, space, sha, folder):
        """Writes the commit's files, with the contents of LFS files in place of their pointers."""
        folder.mkdir()
        for path, entry in space.repo.commits[sha].files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.sha256:
                shutil.copyfile(self.hub.lfs_path(entry.sha256), target)
            else:
                target.write_bytes(space.repo.read_object(entry.oid))
            os.utime(target, (0, 0))

    def _run_build(self, command, log, cancelled):
        environ = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(self.home),
        }
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        watch = threading.Thread(target=self._kill_when, args=(process, cancelled), daemon=True)
        watch.start()
        progress = Progress(log)
        for line in process.stdout:
            progress.line(line.rstrip("\n"))
        code = process.wait()
        watch.join()
        if code == 0:
            for text in ("", "--> Pushing image", "DONE 0.0s", "", "--> Exporting cache", "DONE 0.0s"):
                log.add(text)
            return None
        return f"Job failed with exit code: {code}. Reason: {progress.reason()}"

    def _kill_when(self, process, cancelled):
        while process.poll() is None:
            if cancelled():
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                return
            time.sleep(0.1)

    # -- run

    def start(self, space, sha, matter, log):
        return Container(self, space, sha, matter, log)

    def binds(self, space):
        """Volumes as folders beside the Hub's data; they outlive the container, as buckets do."""
        out = []
        for volume in space.volumes or []:
            folder = self.hub.data / "volumes" / volume["type"] / volume["source"]
            if volume.get("path"):
                folder = folder / volume["path"]
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
            out.append(f"{folder}:{volume['mountPath']}:{'ro' if volume['readOnly'] else 'rw'}")
        return out


class Progress:
    """Turns BuildKit's plain progress into the lines that a Space's build log has."""

    STEP = re.compile(r"#(\d+) (?:\[([^\]]+)\] )?(.*)")

    def __init__(self, log):
        self.log, self.names, self.ran, self.hidden = log, {}, [], set()

    def line(self, text):
        found = re.match(r"#(\d+) (.*)", text)
        if not found:
            if text.strip() and not re.match(r"-{6,}$|\s*>", text):
                self.log.add(text)
            return
        number, rest = found.groups()
        if rest == "..." or re.match(r"sha256:[0-9a-f]{64}\b|resolve |extracting |transferring ", rest):
            return
        step = re.match(r"\[([^\]]+)\] (.*)", rest)
        if number not in self.names and (step or re.match(r"(exporting|importing|copy)", rest)):
            self.names[number] = rest
            if not step or step.group(1).startswith("internal"):
                self.hidden.add(number)
            else:
                self.ran.append(number)
                self.log.add("")
                self.log.add(f"--> {step.group(2)}")
            return
        if number in self.hidden:
            if rest.startswith("ERROR"):
                self.log.add(f"--> {rest}")
            return
        if rest.startswith("CACHED"):
            if number in self.ran:
                self.ran.remove(number)
            self.log.add("CACHED")
        elif rest.startswith(("DONE", "CANCELED")):
            self.log.add(rest)
        elif rest.startswith("ERROR"):
            self.log.add(f"--> {rest}")
        elif rest.startswith("["):
            return
        else:
            self.log.add(re.sub(r"^\d+\.\d+ ?", "", rest))

    def reason(self):
        steps = [self.names[number] for number in self.ran]
        return "\n".join(f"cache miss: {name}" for name in steps) or "failed to solve"


class Container:
    """The running app of a Space."""

    def __init__(self, engine, space, sha, matter, log):
        self.engine, self.space, self.log = engine, space, log
        self.port = (matter or {}).get("app_port", 7860)
        self.env = environment(engine.hub, space, matter)
        self.state, self.looked, self.stopped, self.ip = {}, 0.0, False, None
        settings = engine.hub.state.settings
        body = {
            "Image": engine.tag(space, sha),
            "Env": [f"{key}={value}" for key, value in self.env.items()],
            "Labels": {"hub": engine.mark, "space": space.id},
            "AttachStdout": False,
            "AttachStderr": False,
            "HostConfig": {"NetworkMode": NETWORK, "Binds": engine.binds(space), "LogConfig": {"Type": "json-file"}},
        }
        if settings.run_user != "image":
            body["User"] = settings.run_user
        self.container = engine.api("POST", "/containers/create", body)["Id"]
        self.failure = None
        try:
            engine.api("POST", f"/containers/{self.container}/start")
        except EngineError as error:
            self.failure = str(error)
            log.add(self.failure)
            return
        threading.Thread(target=self._pump, daemon=True).start()
        self._look()

    def _look(self):
        """The container's state, looked at no more than five times a second."""
        if self.stopped or time.monotonic() - self.looked < 0.2:
            return self.state
        self.looked = time.monotonic()
        try:
            seen = self.engine.api("GET", f"/containers/{self.container}/json")
        except (EngineError, OSError, http.client.HTTPException):
            return self.state
        self.state = seen["State"]
        self.ip = (seen["NetworkSettings"]["Networks"].get(NETWORK) or {}).get("IPAddress") or self.ip
        return self.state

    def _pump(self):
        """Copies what the container prints into the run log, line by line."""
        rest = {1: b"", 2: b""}
        try:
            connection, answer = self.engine.open(
                "GET", f"/containers/{self.container}/logs?follow=1&stdout=1&stderr=1", timeout=None
            )
            while True:
                head = answer.read(8)
                if len(head) < 8:
                    break
                kind, size = struct.unpack(">BxxxI", head)
                data = rest[kind] + answer.read(size)
                lines = data.split(b"\n")
                rest[kind] = lines.pop()
                for line in lines:
                    self.log.add(line.decode("utf-8", "replace").rstrip("\r"))
            connection.close()
        except (OSError, http.client.HTTPException, struct.error):
            pass
        for line in rest.values():
            if line:
                self.log.add(line.decode("utf-8", "replace"))

    def address(self):
        return (self.ip or "0.0.0.0", self.port)

    def healthy(self):
        """Whether anything answers HTTP on app_port at the container's own address."""
        self._look()
        if not self.ip:
            return False
        probe = http.client.HTTPConnection(self.ip, self.port, timeout=5)
        try:
            probe.request("GET", "/", headers={"Host": self.space.app.domain, "User-Agent": "hub-probe"})
            probe.getresponse()
            return True
        except (OSError, http.client.HTTPException):
            return False
        finally:
            probe.close()

    def exit_code(self):
        if self.failure:
            return 128
        state = self._look()
        if state and state.get("Status") in ("exited", "dead"):
            return state.get("ExitCode", 1)
        return None

    def reason(self):
        if self.failure:
            return f"failed to create containerd task: {self.failure}"
        if self.state.get("OOMKilled"):
            return "OOMKilled"
        return self.state.get("Error") or "Error"

    def crash(self, code):
        """Kills the container from outside."""
        self.engine.api("POST", f"/containers/{self.container}/kill?signal=KILL")

    def stop(self):
        if self.stopped:
            return
        self.stopped = True
        with contextlib.suppress(EngineError, OSError, http.client.HTTPException):
            grace = self.engine.hub.state.settings.stop_grace
            self.engine.api("POST", f"/containers/{self.container}/stop?t={grace}", timeout=60 + grace)
        with contextlib.suppress(EngineError, OSError, http.client.HTTPException):
            self.engine.api("DELETE", f"/containers/{self.container}?force=1&v=1")
