# SPDX-License-Identifier: Apache-2.0
"""What is promised about requests that run beside others that time out, crash or wedge: counted."""
import collections
import os
import random
import signal
import threading
import time

import pytest

from tests.serve.serve_harness import Server, children_of, make_snapshot, wait_for

from .rude import FORK, HOLDER

SECONDS = float(os.environ.get("KOUROU_NEIGHBOURS_SECONDS") or 6)

# kind: (operation, parameters, timeout, statuses that it may get)
GENTLE = {"sleeps too long": ("sleep", {"seconds": 3}, 0.2, {504}), "spins": ("spin", {"seconds": 1}, 0.2, {504}),
          "forks": ("python", {"code": FORK}, None, {200}), "raises": ("raise", {}, None, {500})}
ROUGH = {**GENTLE, "holds the interpreter": ("spin_gil", {"n": 1e12}, 0.3, {504}), "exits": ("exit", {}, None, {502}),
         "aborts": ("abort", {}, None, {502})}
# The thread that it leaves behind wedges whatever its process has begun by then: that request is lost at the server's limit.
WEDGES = {"leaves a holder": ("python", {"code": HOLDER}, None, {200, 502, 504})}


class Count:
    """Good requests, each with a token that the step gives back and writes down."""

    def __init__(self, server, seed):
        self.server, self.seed, self.go = server, seed, True
        self.answers, self.poison, self.problems = {}, collections.Counter(), []
        self.numbers = iter(range(10 ** 9))
        self.lock = threading.Lock()

    def good(self, which):
        rng, connection = random.Random(f"{self.seed} good {which}"), self.server.connection(60)
        while self.go:
            with self.lock:
                token = f"n{next(self.numbers)}-"
            try:
                answer = self.server.invoke("token", token=token, seconds=rng.choice([0, 0, 0.01, 0.3]),
                                            _connection=connection)
            except OSError as error:
                self.problems.append(f"{token} got no answer: {error!r}")
                connection.close()
                continue
            own = answer.status != 200 or answer.json()["outputs"]["output"] == token
            self.answers[token] = answer.status if own else "the answer of another request"
        connection.close()

    def poisoner(self, kinds, which):
        rng = random.Random(f"{self.seed} poison {which}")
        while self.go:
            name = rng.choice(sorted(kinds))
            op, parameters, timeout, statuses = kinds[name]
            answer = self.server.invoke(op, _request={"timeout": timeout}, **parameters)
            if kinds is WEDGES:
                time.sleep(0.3)
            self.poison[name, answer.status] += 1
            if answer.status not in statuses:
                self.problems.append(f"{name}: {answer}")

    def run(self, jobs, seconds=SECONDS):
        threads = [threading.Thread(target=job, args=args) for job, *args in jobs]
        for thread in threads:
            thread.start()
        threads[0].join(seconds)
        self.go = False
        for thread in threads:
            thread.join(90)

    def executed(self, folder):
        return collections.Counter((folder / "executed").read_text().split())


@pytest.fixture
def served(tmp_path):
    servers = []

    def run(deployment, args=()):
        server = Server(tmp_path, make_snapshot(deployment), args, {"EXECUTED": str(tmp_path / "executed")})
        servers.append(server)
        return server.ready()

    yield run
    for server in servers:
        server.stop()


def check(count, folder, lost_at_most):
    """Every request has one answer, its own; it ran once if that says so; no more were lost than may be."""
    assert not count.problems, count.problems[:10]
    by = collections.Counter(count.answers.values())
    executed = count.executed(folder)
    print(dict(by), dict(count.poison))
    assert by[200] > 20 and set(by) <= {200, 502}, by
    assert by[502] <= lost_at_most, by
    wrong = [t for t, status in count.answers.items() if executed[t] != 1 and status == 200 or executed[t] > 1]
    assert not wrong, wrong[:10]


def test_threads_short_timeouts_cost_nobody_anything(served, tmp_path, seed):
    """40 places, at most as many abandoned requests: none of the neighbours is lost."""
    server = served({"thread_pool_size": 40}, ["--stall-timeout", "2"])
    count = Count(server, seed)
    count.run([(count.good, i) for i in range(6)] + [(count.poisoner, GENTLE, i) for i in range(2)])
    check(count, tmp_path, 0)


def test_processes_crashes_and_timeouts_cost_nobody_anything(served, tmp_path, seed):
    server = served({"isolation": "process", "processes": 12}, ["--stall-timeout", "2"])
    count = Count(server, seed)
    count.run([(count.good, i) for i in range(4)] + [(count.poisoner, ROUGH, i) for i in range(3)])
    check(count, tmp_path, 0)


def test_processes_killed_and_stopped_from_outside_cost_one_request_each(served, tmp_path, seed):
    """SIGKILL, SIGSTOP, a thread that holds the interpreter, at any moment: such a process had one request at most, and is found."""
    server = served({"isolation": "process", "processes": 8, "request_timeout": 3}, ["--stall-timeout", "1"])
    count = Count(server, seed)
    rng, signals = random.Random(f"{seed} killer"), []

    def killer():
        while count.go:
            pids = children_of(server.pid)
            if pids:
                number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP])
                try:
                    os.kill(rng.choice(pids), number)
                    signals.append(number)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + rng.uniform(0.1, 0.4)
            while count.go and time.monotonic() < end:
                time.sleep(0.02)

    count.run([(count.good, i) for i in range(4)] + [(killer,), (count.poisoner, WEDGES, 0)])
    by = collections.Counter(count.answers.values())
    print(dict(by), collections.Counter(signals))
    assert not count.problems and by[200] > 20 and set(by) <= {200, 502, 504}, (by, count.problems[:5])
    assert by[502] + by[504] <= len(signals) + sum(count.poison.values()), (by, len(signals), count.poison)
    executed = count.executed(tmp_path)
    assert not [t for t in count.answers if executed[t] > 1]
    wait_for(lambda: server.get("/health").status == 200 and server.invoke("echo", value=1).status == 200, "it serves")


def test_drains_in_the_middle_of_runs_cut_nobody(served, tmp_path, seed):
    """One server takes over from the other again and again, with requests under way that last as long as that."""
    control = tmp_path / "control"
    servers = [served({}, ["--control", str(control)])]
    count = Count(servers[0], seed)
    failed = []

    def long(which):
        while count.go:  # each on a connection of its own: a kept one may be ended between requests
            try:
                answer = servers[0].invoke("sleep", seconds=0.4)
            except OSError as error:
                failed.append(repr(error))
                continue
            count.answers[f"{which} {time.monotonic()}"] = answer.status

    def successor():
        for i in range(3):
            folder = tmp_path / f"next-{i}"
            folder.mkdir()
            new = Server(folder, make_snapshot({}), ["--control", str(control), "--takeover", str(control)],
                         {"EXECUTED": str(tmp_path / "executed")})
            new.ready()
            old, _ = servers[-1], servers.append(new)
            old.process.wait(60)
        count.go = False

    count.run([(successor,)] + [(long, i) for i in range(8)], 60)
    try:
        assert len(servers) == 4 and not failed, failed[:5]
        assert set(count.answers.values()) == {200}, collections.Counter(count.answers.values())
    finally:
        for server in servers[1:]:
            server.stop()
