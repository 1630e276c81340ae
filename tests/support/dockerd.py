# SPDX-License-Identifier: Apache-2.0
"""A Docker engine of the tests' own: own socket, own folders, own bridge; stopped and wiped at the end."""

import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from tests.support.ports import end_program, start_program, wait_for


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def why_not():
    """None when an engine can be started here, else the reason."""
    if os.geteuid() != 0:
        return "starting a Docker engine needs root"
    for program in ("dockerd", "containerd", "runc"):
        if not shutil.which(program):
            return f"{program} is missing: tools/setup.sh test"
    return None


def build_program():
    """A docker command line program that can use BuildKit: with its own client, or with the buildx plugin."""
    for program in dict.fromkeys(("/usr/bin/docker", shutil.which("docker"))):
        if not program or not os.access(program, os.X_OK):
            continue
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        major = version.split("version ")[-1].split(".")[0]
        if major.isdigit() and int(major) < 23:
            return program
        if subprocess.run([program, "buildx", "version"], capture_output=True).returncode == 0:
            return program
    raise RuntimeError("no docker program with BuildKit: install docker.io or the buildx plugin")


class Dockerd:
    """`mirror` is the address of a registry that stands in for Docker Hub; `insecure` are further plain ones."""

    def __init__(self, mirror=None, insecure=()):
        reason = why_not()
        assert reason is None, reason
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="krd-"))
        self.socket = self.folder / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.log = self.folder / "dockerd.log"
        self.bridge = "krd" + secrets.token_hex(4)
        self.mounted = None
        self.process = None
        self._cgroups()
        flags = ["--registry-mirror", mirror] if mirror else []
        for name in insecure:
            flags += ["--insecure-registry", name]
        try:
            self._start(flags)
            self.api(
                "POST",
                "/networks/create",
                {
                    "Name": "spaces",
                    "Driver": "bridge",
                    "Options": {
                        "com.docker.network.bridge.name": self.bridge,
                        "com.docker.network.bridge.enable_ip_masquerade": "false",
                    },
                },
            )
        except BaseException:
            self.stop()
            raise

    def _cgroups(self):
        """Where no cgroups are mounted (a bare virtual machine), mounts the unified hierarchy."""
        place = pathlib.Path("/sys/fs/cgroup")
        if place.is_dir() and not any(place.iterdir()):
            if subprocess.run(["mount", "-t", "cgroup2", "none", str(place)], capture_output=True).returncode == 0:
                self.mounted = place

    def _start(self, flags):
        """The storage driver that the engine prefers; plain copies where that one does not work."""
        try:
            self._run(flags)
        except TimeoutError:
            self._end()
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            self._run([*flags, "--storage-driver", "vfs"])

    def _run(self, flags):
        command = [
            "dockerd",
            "--host",
            self.host,
            "--data-root",
            str(self.folder / "data"),
            "--exec-root",
            str(self.folder / "exec"),
            "--pidfile",
            str(self.folder / "dockerd.pid"),
            "--bridge",
            "none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--userland-proxy=false",
            "--exec-opt",
            "native.cgroupdriver=cgroupfs",
            *flags,
        ]
        environment = {**os.environ, "DOCKER_TMPDIR": str(self.folder / "tmp")}
        self.process = start_program(command, self.log, env=environment)
        wait_for(self._answers, 60, "dockerd", self.process, self.log)

    def _answers(self):
        try:
            return self.api("GET", "/_ping") is not None
        except (OSError, http.client.HTTPException):
            return False

    def api(self, method, path, body=None, timeout=60):
        """A call of the Engine API: the decoded answer, or the text; RuntimeError with its message."""
        connection = UnixConnection(str(self.socket), timeout)
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text[:1] in (b"{", b"[") else text.decode(errors="replace")

    def containers(self, label=None):
        """All containers, running or not."""
        query = "?all=1"
        if label:
            query += "&filters=" + urllib.parse.quote(json.dumps({"label": [label]}))
        return self.api("GET", "/containers/json" + query)

    def images(self):
        return self.api("GET", "/images/json")

    def env(self):
        return {"DOCKER_HOST": self.host}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Removes containers, network, engine, mounts and folders."""
        if self.process is not None and self.process.poll() is None:
            try:
                for container in self.containers():
                    self.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")
                self.api("DELETE", "/networks/spaces")
            except (OSError, RuntimeError, http.client.HTTPException):
                pass
        self._end()
        if (pathlib.Path("/sys/class/net") / self.bridge).exists():
            subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)
        self._unmount()
        if self.mounted:
            subprocess.run(["umount", str(self.mounted)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self):
        end_program(self.process, 30)
        for number in self._ours():
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                pass
        until = time.monotonic() + 10
        while self._ours() and time.monotonic() < until:
            time.sleep(0.05)

    def _ours(self):
        """Processes that were started with this engine's folder on their command line (containerd, shims)."""
        found, mark = [], str(self.folder).encode()
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                program = command.split(b"\0")[0].rsplit(b"/", 1)[-1]
                if mark in command and program in (b"dockerd", b"containerd", b"containerd-shim-runc-v2", b"runc"):
                    found.append(int(entry.name))
        return found

    def _unmount(self):
        lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        for place in sorted((line.split()[1] for line in lines), reverse=True):
            if place.startswith(str(self.folder) + "/"):
                subprocess.run(["umount", "-l", place], capture_output=True)
