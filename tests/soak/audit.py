# SPDX-License-Identifier: Apache-2.0
"""The count: what clients saw beside what the servers, the journal and the pipeline say."""
import collections
import os
import pathlib
import re
import sqlite3
import time

from .chaos import settle
from .wire import Wire, request

FRONT_GROWTH = 6 << 20     # bytes of resident memory between two moments of rest
WORKER_GROWTH = 48 << 20   # above a worker that has just started: threads, and what Python keeps
LINE = re.compile(r"^(kourou_\w+)(?:\{(.*)\})? ([0-9.e+-]+)$")


def parse(text):
    """{(name, labels): value} of a /metrics page."""
    found = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            found[match[1], match[2] or ""] = float(match[3])
    return found


def rss(pid):
    fields = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid):
    found = []
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(re.sub(r"\d{2,}", "N", os.readlink(f"/proc/{pid}/fd/{entry}")))
        except OSError:
            continue
    return collections.Counter(found)


class Audit:
    def __init__(self, soak):
        self.soak, self.ledger = soak, soak.ledger
        self.base = {}         # generation: statuses that were counted before the clients came
        self.rest_fds = None   # of the front, at rest
        self.worker_fds = self.worker_rss = 0
        self.front_rss = {}    # generation: at its first checkpoint
        self.dropped = {}      # generation: runs the journal could not keep

    def problem(self, text):
        self.ledger.problem(text)

    def page(self):
        """The counters of the current server; the page is an answer like any other."""
        wire = Wire(self.soak.port)
        try:
            wire.send(request("GET", "/metrics", headers=[("Connection", "close")]))
            answer = wire.answer()
        finally:
            wire.close()
        before = collections.Counter(self.ledger.seen)
        self.ledger.answered("checks", answer)
        return parse(answer.body.decode()), before

    def at_rest(self):
        def check():
            page, _ = self.page()
            return page["kourou_in_flight", ""] == 0 and page["kourou_connections", ""] == 1 and \
                page["kourou_queue_length", ""] == 0 and page["kourou_workers", 'state="ready"'] == 2 and \
                len(self.soak.server.workers()) == 2
        if not settle(check, 90):
            page, _ = self.page()
            text = ", ".join(f"{k[0][7:]}{k[1]} {v:g}" for k, v in page.items() if "request" not in k[0])
            self.problem(f"the server does not come to rest: {text}, workers {self.soak.server.workers()}")

    def begin(self):
        server = self.soak.server
        self.at_rest()
        page, before = self.page()
        self.base[server.generation] = self.statuses(page)
        self.base[server.generation].subtract({s: n for (g, s), n in before.items() if g == server.generation})
        self.rest_fds = descriptors(server.pid)
        self.worker_fds = max(sum(descriptors(pid).values()) for pid in server.workers())
        self.worker_rss = max(rss(pid) for pid in server.workers())

    @staticmethod
    def statuses(page):
        found = collections.Counter()
        for (name, labels), value in page.items():
            if name == "kourou_requests_total":
                found[int(re.search(r'status="(\d+)"', labels)[1])] += int(value)
        return found

    # -- moments of rest --------------------------------------------------------------------------------------------

    def checkpoint(self, when, reopen=True):
        self.soak.gate.close()
        with self.soak.disk_lock:
            self.soak.disk.free()
            began = time.monotonic()
            self.at_rest()
            self._counters(when)
            self._processes(when)
            self._journal(when)
            self.soak.lines.append(f"{when}: at rest within {time.monotonic() - began:.1f} s, "
                                   f"front {rss(self.soak.server.pid) >> 10} KiB")
        if reopen:
            self.soak.gate.reopen()

    def _counters(self, when):
        """Every answer a client read was counted by the server that gave it, and no more than clients left behind."""
        server = self.soak.server.generation
        page, seen = self.page()
        counted = self.statuses(page)
        counted.subtract(self.base.get(server, {}))
        mine = collections.Counter({s: n for (g, s), n in seen.items() if g == server})
        self._compare(f"{when}, {server}", counted, mine)
        durations = sum(int(v) for (name, _), v in page.items() if name == "kourou_request_duration_seconds_count")
        if durations != sum(self.statuses(page).values()):
            self.problem(f"{when}: {durations} durations for {sum(self.statuses(page).values())} answers")
        self.dropped[server] = int(page["kourou_runs_dropped_total", ""])

    def _compare(self, where, counted, mine):
        for status in set(counted) | set(mine):
            if counted[status] < mine[status]:
                self.problem(f"{where}: clients read {mine[status]} answers with {status}, "
                             f"the server counts {counted[status]}")
        extra = sum(counted.values()) - sum(mine.values())
        if extra > self.ledger.unseen:
            self.problem(f"{where}: {extra} more answers were counted than read, but only {self.ledger.unseen} "
                         "requests were left by their clients")

    def _processes(self, when):
        server = self.soak.server
        now = descriptors(server.pid)
        if not settle(lambda: sum(descriptors(server.pid).values()) <= sum(self.rest_fds.values()), 40):
            self.problem(f"{when}: descriptors of the front: {now - self.rest_fds}, at first {self.rest_fds}")
        front = rss(server.pid)
        first = self.front_rss.setdefault(server.generation, front)
        if front - first > FRONT_GROWTH:
            self.problem(f"{when}: the front grew from {first >> 10} to {front >> 10} KiB")
        for pid in server.workers():
            count = sum(descriptors(pid).values())
            if count > self.worker_fds + 2:  # the notes of the test pipeline, and a spare one
                self.problem(f"{when}: worker with {count} descriptors, at first {self.worker_fds}")
            if rss(pid) > self.worker_rss + WORKER_GROWTH:
                self.problem(f"{when}: worker with {rss(pid) >> 10} KiB, at first {self.worker_rss >> 10}")

    def _journal(self, when):
        """Runs in the journal and runs that it counts as dropped are all there are."""
        path = self.soak.disk.folder / "data" / "runs.db"
        generation = self.soak.server.generation

        def rows():
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                return db.execute("SELECT count(*) FROM runs").fetchone()[0]

        if len(self.soak.servers) == 1:
            page, _ = self.page()
            executions = int(page["kourou_executions_total", ""])
            dropped = int(page["kourou_runs_dropped_total", ""])
            if not settle(lambda: rows() + dropped == executions, 40):
                self.problem(f"{when}: {executions} runs, but {rows()} in the journal and {dropped} dropped")
            self.dropped[generation] = dropped

    # -- the end ----------------------------------------------------------------------------------------------------

    def end(self):
        self._replaced_servers()
        self._runs()
        self._executions()
        answers = sum(self.ledger.seen.values())
        self.soak.lines.append(f"{answers} answers were read, {self.ledger.unseen} requests were left by clients, "
                               f"{self.ledger.retried} kept connections ended in a reload and were replaced")

    def _replaced_servers(self):
        """The last line of a server's log tells how many answers it gave."""
        for server in self.soak.servers:
            text = server.serve_log.read_text(errors="replace")
            match = re.search(r"stopped: (\d+) connections, (\d+) answers", text)
            if match is None:
                self.problem(f"{server.generation}: no count in its log: {text[-500:]}")
                continue
            seen = sum(n for (g, _), n in self.ledger.seen.items() if g == server.generation)
            extra = int(match[2]) - seen - sum(self.base.get(server.generation, {}).values())
            if not 0 <= extra <= self.ledger.unseen:
                self.problem(f"{server.generation}: gave {match[2]} answers, clients read {seen}")

    def _runs(self):
        path = self.soak.disk.folder / "data" / "runs.db"
        with sqlite3.connect(path) as db:
            if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                self.problem("the journal is damaged")
            rows = db.execute("SELECT id, status FROM runs").fetchall()
        journal = dict(rows)
        if len(journal) != len(rows):
            self.problem("a run is twice in the journal")
        missing = [run for run in self.ledger.runs if run not in journal]
        wrong = [run for run, status in self.ledger.runs.items() if journal.get(run, status) != status]
        dropped = sum(self.dropped.values())
        if len(missing) > dropped:
            self.problem(f"{len(missing)} runs are not in the journal, {dropped} are counted as dropped")
        if wrong:
            self.problem(f"{len(wrong)} runs have another status in the journal: {wrong[:3]}")
        self.soak.lines.append(f"{len(rows)} runs in the journal, {dropped} dropped while the disk was full")

    def _executions(self):
        text = (self.soak.folder / "executed").read_text()
        executed = collections.Counter(text.split())
        for token, (least, most) in self.ledger.tokens.items():
            if not least <= executed[token] <= most:
                self.problem(f"request {token} was executed {executed[token]} times, wanted {least} to {most}")
        unknown = set(executed) - set(self.ledger.tokens)
        if unknown:
            self.problem(f"executed without an answer: {sorted(unknown)[:10]}")
        self.soak.lines.append(f"{sum(executed.values())} executions, {len(self.ledger.tokens)} requests with a token")
