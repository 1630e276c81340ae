# SPDX-License-Identifier: Apache-2.0
"""The soak: a server, many clients of all kinds, trouble, and the count afterwards."""
import pathlib
import random
import shutil
import tempfile
import threading
import time
import uuid

from tests.serve.serve_harness import Server, make_snapshot
from tests.support.disk import Disk

from .audit import Audit
from .chaos import Changer, Filler, Killer, Reader, Reloads, failed_hand_over, hand_over, processes_with, settle
from .good import GoodClient
from .ledger import Gate, Ledger
from .rude import Poisoner, RudeClient

WORKERS = 2
OPTIONS = {"header-timeout": "2", "body-timeout": "2", "write-timeout": "1.5", "request-timeout": "10", "stall-timeout": "2",
           "drain-timeout": "30", "worker-memory": "250MB", "max-body-size": "8MB", "runs-kept": "1000000",
           "log-size": "200KB", "log-files": "2"}


class Soak:
    """One run. After run(): `problems` is empty when nothing was lost; `lines` say what was tried."""

    def __init__(self, seconds, seed, say=print, good=6, rude=4):
        self.seconds, self.seed, self.say = seconds, seed, say
        self.numbers = good, rude
        self.ledger, self.gate, self.reloading = Ledger(), Gate(), Reloads()
        self.ending, self.disk_lock = threading.Event(), threading.Lock()
        self.marker = f"KOUROU_SOAK={uuid.uuid4()}"
        self.servers, self.threads, self.lines = [], [], []
        self.audit = Audit(self)
        self.port = 0

    @property
    def problems(self):
        return self.ledger.problems

    @property
    def server(self):
        return self.servers[-1]

    # -- servers ----------------------------------------------------------------------------------------------------

    def make_server(self, name, takeover=False, mode=None):
        folder = self.folder / name
        folder.mkdir()
        if mode:
            (folder / "mode").write_text(mode)
        data = self.disk.folder
        options = {**OPTIONS, "control": self.folder / "control", "data-dir": data / "data",
                   "log-file": data / f"{name}.log", "deployment-id": name}
        if takeover:
            options["takeover"] = self.folder / "control"
        options = {name: str(value) for name, value in options.items()}
        key, _, value = self.marker.partition("=")
        server = Server(folder, make_snapshot({"uvicorn_workers": WORKERS}),
                        ["--reload", *(f"--{option}={value}" for option, value in options.items())],
                        {key: value, "EXECUTED": str(self.folder / "executed"), "KOUROU_AUTH_KEY": "soak-key"})
        server.generation, server.serve_log = name, data / f"{name}.log"
        return server

    def start(self, takeover=False):
        server = self.make_server(f"gen-{len(self.servers) + 1}", takeover)
        if takeover:
            settle(lambda: server.port_file.exists() or server.process.poll() is not None)
            server.listen()
        else:
            server.ready()
            self.port = server.port
        self.servers.append(server)
        return server

    # -- the run ----------------------------------------------------------------------------------------------------

    def run(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kourou-soak-"))
        self.disk = Disk(self.folder / "disk", 128 << 20)  # the journal of a long soak must fit, or the disk stays full
        try:
            self.start()
            self.audit.begin()
            self._go()
        finally:
            self.ending.set()
            self.gate.stop()
            for server in self.servers:
                if server.process.poll() is None:
                    server.process.kill()
                    server.process.wait()
            self.disk.close()
            if not self.problems:
                shutil.rmtree(self.folder)
        return not self.problems

    def _go(self):
        good, rude = self.numbers
        self.threads = [GoodClient(self, f"good {i}") for i in range(good)]
        self.threads += [RudeClient(self, f"rude {i}") for i in range(rude)]
        self.threads += [Poisoner(self, "poison"), Killer(self, "killer"), Changer(self, "changer")]
        self.threads += [Reader(self, f"reader {i}") for i in range(2)]
        if self.disk.mounted:
            self.threads.append(Filler(self, "disk"))
        else:
            self.lines.append(f"the full disk was not tried: {self.disk.why_not}")
        for thread in self.threads:
            thread.start()
        began = time.monotonic()
        self._until(began, 0.25)
        self.audit.checkpoint("after a quarter")
        self._until(began, 0.6)
        self.audit.checkpoint("before a new server takes over")
        failed_hand_over(self)
        rng = random.Random(f"{self.seed} reload")
        while time.monotonic() - began < 0.85 * self.seconds or len(self.servers) < 3:
            hand_over(self)
            self.ending.wait(rng.uniform(0.2, max(1.0, self.seconds / 20)))
        self._until(began, 1.0)
        self._finish()

    def _until(self, began, share):
        self.ending.wait(max(0.0, began + share * self.seconds - time.monotonic()))

    def _finish(self):
        self.gate.close()
        self.ending.set()
        self.gate.stop()
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                self.ledger.problem(f"{thread.name} does not end")
        self.audit.checkpoint("at the end", reopen=False)
        self.server.stop()
        for server in self.servers:
            server.stop()
        if not settle(lambda: not processes_with(self.marker), 40):
            self.ledger.problem(f"processes that outlive the server: {processes_with(self.marker)}")
        self.audit.end()

    def report(self):
        """Lines that say what was tried and what came of it."""
        ledger = self.ledger
        out = [f"seed {self.seed}, {self.seconds} s, {len(self.servers)} servers one after the other"]
        for kind in sorted(ledger.tried):
            found = {}
            for (name, status), n in ledger.outcome.items():
                if name == kind or name.startswith(kind + " ("):
                    found[str(status)] = found.get(str(status), 0) + n
            text = ", ".join(f"{n}x {status}" for status, n in sorted(found.items()))
            out.append(f"  {ledger.tried[kind]:6d} {kind}" + (f": {text}" if text else ""))
        out += self.lines
        out += [f"PROBLEM {text}" for text in self.problems[:40]]
        out.append("nothing lost" if not self.problems else
                   f"{len(self.problems)} problems; seed {self.seed}; files: {self.folder}")
        return out
