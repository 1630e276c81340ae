# SPDX-License-Identifier: Apache-2.0
"""A kourou-serve process under test, and what must be true when it is gone."""
import json
import mmap
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

from tests.serve.serve_client import Client

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = Path(os.environ.get("KOUROU_BUILD", ROOT / "build"))
BIN = os.environ.get("KOUROU_SERVE_BIN", str(BUILD / "kourou-serve"))
PYTHON = os.environ.get("KOUROU_TEST_PYTHON", str(ROOT / ".venv" / "bin" / "python"))

SCHEMA = {"type": "object", "properties": {"op": {"type": "string"}}}


def stop(pid):
    """SIGSTOP, and waits until it has: a process on another processor goes on for a moment."""
    def stands():
        try:
            return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] in "TtZX"
        except OSError:
            return True  # it was ended meanwhile

    os.kill(pid, signal.SIGSTOP)
    wait_for(stands, f"process {pid} stands still")


def wait_for(check, what, seconds=30.0):
    """Polls a condition; the result is its first true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Preload:
    """What tests/serve/preload.c does in a server, its workers and other programs: changed while they run."""

    PROGRAM = str(BUILD / "kourou-serve-dynamic")  # kourou-serve is static: nothing can be preloaded

    def __init__(self, folder):
        self.path = folder / "preload"
        self.path.write_bytes(bytes(24))
        with open(self.path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), 24)
        self.env = {"LD_PRELOAD": str(BUILD / "tests" / "serve" / "preload.so"), "KOUROU_TEST_PRELOAD": str(self.path),
                    "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}

    def shift_clock(self, seconds):
        """The wall clock is wrong by so much from now on."""
        self._page[:8] = struct.pack("q", seconds)

    def refuse_descriptors(self, count):
        """So many of the next messages with a descriptor cannot be sent."""
        self._page[8:16] = struct.pack("q", count)

    def lose_descriptors(self, count):
        """So many of the next messages with a descriptor come without it."""
        self._page[16:] = struct.pack("q", count)

    def left(self):
        """How many are still to be refused, and to be lost."""
        return struct.unpack("qq", self._page[8:])


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry))
    return found


class Server(Client):
    """A running kourou-serve."""

    def __init__(self, folder, snapshot, args=(), env=None, python_path=None, program=BIN):
        self.folder = folder
        self.log_path = folder / "log"
        (folder / "snapshot.json").write_text(json.dumps(snapshot))
        self.port_file = folder / "port"
        self.port_file.unlink(missing_ok=True)
        self.argv = [program, "--snapshot", str(folder / "snapshot.json"), "--root", str(folder), "--port", "0",
                     "--port-file", str(self.port_file), "--python", PYTHON, "--python-path",
                     str(python_path or HERE / "tiny"), *args]
        self.environment = {**os.environ, **(env or {})}
        self.workers_seen = set()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment)
        self.pid = self.process.pid

    def listen(self):
        wait_for(lambda: self.port_file.exists() or self.process.poll() is not None, "port file")
        assert self.process.poll() is None, self.log()
        super().__init__(int(self.port_file.read_text()))
        return self

    def ready(self, prefix=""):
        self.listen()
        self.prefix = prefix
        wait_for(lambda: self.get(prefix + "/info").json()["status"] == "healthy" if prefix
                 else self.get("/health").status == 200, "ready worker")
        self.workers_seen.update(self.workers())
        self.idle_fds = self.fds()
        return self

    def workers(self):
        return children_of(self.pid)

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def log(self):
        return self.log_path.read_text(errors="replace")

    def metric(self, name):
        for line in self.get(self.prefix + "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no metric {name}")

    def check_clean(self):
        """After a test: same descriptors as when it was idle, as many workers."""
        wait_for(lambda: self.metric("kourou_in_flight") == 0, "no request in flight")
        wait_for(lambda: self.metric('kourou_workers{state="ready"}') >= 1, "a ready worker")
        wait_for(lambda: self.fds() <= self.idle_fds + 1,
                 f"descriptors back to {self.idle_fds}, now {os.listdir(f'/proc/{self.pid}/fd')}")

    def stop(self, expect=0):
        """SIGTERM, and then nothing may be left."""
        workers = set(self.workers()) | self.workers_seen
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(40)
        wait_for(lambda: not any(Path(f"/proc/{pid}/stat").exists() for pid in workers), "no worker is left")
        text = self.log()
        assert "Sanitizer" not in text and "runtime error" not in text, text[-4000:]
        if expect is not None:
            assert status == expect, text[-4000:]


def make_snapshot(deployment=None, **more):
    return {"format": 1, "pipeline": {"name": "tiny", "source": "tiny", "kind": "python"}, "steps": [],
            "edges": [], "streams": True, "input_schema": SCHEMA,
            "output_schema": {"type": "object", "properties": {"output": {}}},
            "settings": {"deployment": deployment or {}}, **more}
