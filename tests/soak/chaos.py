# SPDX-License-Identifier: Apache-2.0
"""What happens to the server meanwhile: workers are killed and stopped, the disk is full, a new server takes over."""
import os
import pathlib
import signal
import time

from .actor import Actor
from .good import KEY
from .wire import Broken, Torn, Wire, request


class Killer(Actor):
    """SIGKILL, SIGTERM, SIGABRT, or SIGSTOP for a while: to any worker at any moment."""

    def run(self):
        while not self.soak.ending.wait(self.rng.uniform(0.2, 1.8)):
            with self.soak.gate.pass_through() as go:
                if not go:
                    return
                workers = self.soak.server.workers()
                if workers:
                    self._signal(self.rng.choice(workers))

    def _signal(self, pid):
        number = self.rng.choice([signal.SIGKILL] * 4 + [signal.SIGTERM, signal.SIGABRT, signal.SIGSTOP])
        try:
            os.kill(pid, number)
            self.ledger.trying(f"worker gets {number.name}")
            if number == signal.SIGSTOP and self.rng.random() < 0.6:  # else the server has to find it
                self.soak.ending.wait(self.rng.uniform(0.05, 1.5))
                os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


class Changer(Actor):
    """Writes the code of the pipeline anew, now and then broken: workers are replaced one by one, or not."""

    def run(self):
        while not self.soak.ending.wait(self.rng.uniform(1, 5)):
            with self.soak.gate.pass_through() as go:
                if not go:
                    return
                self._write(self.soak.server.folder)

    def _write(self, folder):
        broken = self.rng.random() < 0.3
        self.ledger.trying("broken code is written" if broken else "code is written")
        if broken:
            (folder / "mode").write_text("fatal")
        (folder / "code.py").write_text(f"# {self.rng.random()}\n")
        if broken:
            self.soak.ending.wait(self.rng.uniform(0.2, 1.5))
            (folder / "mode").unlink()
            (folder / "code.py").write_text("# mended\n")


class Filler(Actor):
    """The disk is full for a second or two. Not while servers change: then the log would not tell the old one's
    counts."""

    def run(self):
        while not self.soak.ending.wait(self.rng.uniform(0.5, 4)):
            with self.soak.disk_lock:
                self.ledger.trying("disk is full")
                self.soak.disk.fill()
                self.soak.ending.wait(self.rng.uniform(0.3, 2))
                self.soak.disk.free()
                self.soak.ending.wait(0.2)


class Reader(Actor):
    """Reads the pages about the service all the time; each must be whole."""

    PATHS = ["/metrics", "/health", "/info", "/openapi.json", "/runs", "/runs?size=500", "/runs?status=crashed",
             "/runs?page=0"]

    def run(self):
        self.wire = None
        while True:
            with self.soak.gate.pass_through(self.drop) as go:
                if not go:
                    break
                path = self.rng.choice(self.PATHS)
                self.ledger.trying(f"reads {path}")
                self._read(path)
                if self.rng.random() < 0.2:
                    self.drop()
            self.soak.ending.wait(self.rng.uniform(0.01, 0.15))
        self.drop()

    def drop(self):
        if self.wire is not None:
            self.wire.close()
        self.wire = None

    def _read(self, path):
        reloads = self.soak.reloading.count
        if self.wire is not None and not self.wire.nothing_more():
            self.drop()
        used = self.wire is not None
        try:
            self.wire = self.wire or Wire(self.soak.port)
            self.wire.send(request("GET", path, headers=[KEY]))
            self._check(path, self.wire.answer())
        except (Torn, Broken, OSError, ValueError, KeyError) as error:
            empty = not getattr(error, "got", b"") and not isinstance(error, Broken)
            if not (used and empty and self.soak.reloading.since(reloads)):
                self.ledger.problem(f"{path}: {type(error).__name__}: {error}")
            self.drop()

    def _check(self, path, answer):
        self.ledger.answered(f"reads {path}", answer)
        allowed = {"/health": (200, 503), "/runs?page=0": (422,)}.get(path, (200,))
        if answer.status not in allowed:
            self.ledger.problem(f"{path}: {answer}")
        elif path == "/metrics":
            if b"kourou_uptime_seconds" not in answer.body:
                self.ledger.problem("/metrics is not whole")
        else:
            answer.json()
        if answer.closes:
            self.drop()


class Reloads:
    """Counts hand-overs, so that a client can tell whether one happened around a moment."""

    def __init__(self):
        self.count = 0
        self.running = False

    def since(self, count):
        return self.running or self.count != count


def hand_over(soak):
    """Another server takes the listening socket over; the old one finishes and ends with 0."""
    old = soak.server
    with soak.disk_lock:
        soak.ledger.trying("a new server takes over")
        soak.reloading.running = True
        try:
            new = soak.start(takeover=True)
            for pid in old.workers():  # the killer may have stopped one
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            status = old.process.wait(60)
            if status != 0:
                soak.ledger.problem(f"the replaced server ended with {status}: {old.log()[-2000:]}")
        finally:
            soak.reloading.count += 1
            soak.reloading.running = False
    return new


def failed_hand_over(soak):
    """A new server whose workers cannot start gives up; the old one goes on."""
    with soak.disk_lock:
        soak.ledger.trying("a new server fails to take over")
        server = soak.make_server("failing", takeover=True, mode="fatal")
        status = server.process.wait(60)
        if status != 1:
            soak.ledger.problem(f"a server that cannot start ended with {status}: {server.log()[-2000:]}")


def processes_with(marker):
    """{pid: command} of every process whose environment has the marker."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def settle(check, seconds=60):
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.05)
    return check()

