# SPDX-License-Identifier: Apache-2.0
"""A wall clock that jumps by a day under the server and its workers: nothing that lasts is measured with it."""
import datetime
import email.utils
import json
import os
import signal
import sqlite3
import time

import pytest
from tests.serve.serve_client import head, read_all, statuses
from tests.serve.serve_harness import Preload, Server, children_of, stop, wait_for
from tests.serve.test_isolation import ISOLATED
from tests.serve.test_schema import build_native
from tests.serve.test_workers import failed, in_background

DAY = 86_400
J = "Content-Type: application/json"

both_ways = pytest.mark.parametrize("jump", [DAY, -DAY], ids=["a day forwards", "a day back"])


def jumping(start, preload, deployment=None, args=(), **more):
    return start(deployment, args=args, env=preload.env, program=Preload.PROGRAM, **more)


def wall(server):
    """The server's wall clock, by the header of an answer, less ours."""
    return email.utils.parsedate_to_datetime(server.get("/livez").headers["date"]).timestamp() - time.time()


def close_to(value, wanted, slack=120):
    return abs(value - wanted) < slack


@both_ways
def test_what_runs_and_what_waits_goes_on(start, preload, tmp_path, jump):
    """Requests, a stream, a body on its way, a kept connection, the watchdog: none of them notices."""
    server = jumping(start, preload, {"thread_pool_size": 2}, ["--stall-timeout", "2", "--request-timeout", "60",
                                                               "--idle-timeout", "60", "--body-timeout", "60"])
    workers = server.workers()
    kept = server.connection()
    assert server.get("/livez", connection=kept).status == 200
    running = [in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}")) for i in range(2)]
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(2)), "they run")
    waiting = in_background(server.invoke, "echo", value=3)
    body = b'{"parameters":{"value":"half"}}'
    half = server.socket()
    half.sendall(head("POST", "/invoke", J, f"Content-Length: {len(body)}", "Connection: close") + body[:10])
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 3, "one waits")
    preload.shift_clock(jump)
    wait_for(lambda: close_to(wall(server), jump), "the header says the new time")
    began = time.monotonic()
    while time.monotonic() - began < 2.5:  # longer than the watchdog's bound
        assert server.get("/health").status == 200
    assert all(box["runs"]() for box in (*running, waiting))
    half.sendall(body[10:])
    (tmp_path / "go").touch()
    for box in (*running, waiting):
        box["join"]()
        assert box["answer"].status == 200
    assert statuses(read_all(half)) == [200]
    half.close()
    assert server.invoke("echo", value=4, _connection=kept).json()["outputs"]["output"] == 4
    kept.close()
    assert server.workers() == workers and server.metric("kourou_worker_restarts_total") == 0
    assert server.metric("kourou_connections_evicted_total") == 0


@both_ways
def test_what_has_its_time_ends_in_its_time(start, preload, jump):
    """A request's timeout, an idle connection, a slow head, a slow body, a worker that takes nothing."""
    server = jumping(start, preload, args=["--stall-timeout", "1", "--idle-timeout", "1", "--header-timeout", "1", "--body-timeout", "1"])
    first = server.workers()
    request = b'{"parameters":{"op":"echo","value":1}}'
    slow = {"idle": head("POST", "/invoke", J, f"Content-Length: {len(request)}") + request,
            "head": b"POST /invoke HTTP/1.1\r\nHost: a", "body": head("POST", "/invoke", J, "Content-Length: 500") + b"x"}
    socks = {name: server.socket() for name in slow}
    began = time.monotonic()
    for name, sock in socks.items():
        sock.sendall(slow[name])
    preload.shift_clock(jump)
    said = {name: statuses(read_all(sock)) for name, sock in socks.items()}
    assert said == {"idle": [200], "head": [408], "body": [408]}
    assert 0.9 < time.monotonic() - began < 20
    for sock in socks.values():
        sock.close()
    began = time.monotonic()
    answer = server.invoke("sleep", seconds=300, _request={"timeout": 0.5})
    assert answer.status == 504 and failed(answer, retryable=False) and 0.4 < time.monotonic() - began < 15
    stop(first[0])
    began = time.monotonic()
    assert server.invoke("echo", value=2).status == 200
    assert 0.9 < time.monotonic() - began < 20
    wait_for(lambda: not set(first) & set(server.workers()), "the stopped one is ended")


@both_ways
def test_the_journal_and_the_log_stay_readable(start, preload, tmp_path, jump):
    """In the order in which things happened, each with the time that the clock showed, and durations that are right."""
    server = jumping(start, preload, args=["--data-dir", str(tmp_path / "data"), "--deployment-name", "clock"])
    names = ["before", "across", "after"]
    assert server.invoke("echo", _request={"run_name": "before"}).status == 200
    across = in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / "begun"),
                           _request={"run_name": "across"})
    wait_for((tmp_path / "begun").exists, "it runs")
    preload.shift_clock(jump)
    (tmp_path / "go").touch()
    across["join"]()
    assert server.invoke("echo", _request={"run_name": "after"}).status == 200
    wait_for(lambda: server.get("/runs").json()["total"] == 3, "all are recorded")
    runs = server.get("/runs").json()["items"]
    assert [run["name"] for run in reversed(runs)] == names
    now = time.time()
    for run, wanted in zip(reversed(runs), (0, jump, jump)):
        started = datetime.datetime.fromisoformat(run["started_at"].replace("Z", "+00:00")).timestamp()
        assert close_to(started - now, wanted), run
        assert 0 <= run["duration_ms"] < 60_000, run
    server.check_clean()
    server.stop()
    with sqlite3.connect(next((tmp_path / "data").glob("*.db"))) as journal:
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    lines = [json.loads(line) for line in server.log().splitlines()]
    times = [datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() - now for line in lines]
    assert close_to(times[0], 0) and close_to(times[-1], jump) and all(close_to(t, 0) or close_to(t, jump) for t in times)
    assert all(0 <= line["ms"] < 60_000 for line in lines if line["part"] == "access")


@both_ways
def test_a_drain_lasts_as_long_as_it_may(start, preload, tmp_path, jump):
    server = jumping(start, preload, args=["--drain-timeout", "1.5"], check=False)
    running = in_background(server.invoke, "gate", gate=str(tmp_path / "never"), begun=str(tmp_path / "begun"))
    wait_for((tmp_path / "begun").exists, "it runs")
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    preload.shift_clock(jump)
    running["join"]()
    assert running["answer"].status == 503 and failed(running["answer"], retryable=False)
    assert 1.4 < time.monotonic() - began < 20
    assert server.process.wait(40) == 0


@both_ways
def test_a_server_that_starts_at_another_time_than_it_was_deployed(start, preload, jump):
    preload.shift_clock(jump)
    server = jumping(start, preload, args=["--startup-timeout", "30"])
    assert server.invoke("echo", value=1).status == 200
    assert close_to(wall(server), jump) and 0 <= server.get("/info").json()["uptime"] < 60


@both_ways
def test_processes_of_a_template_stay(start, preload, tmp_path, jump):
    server = jumping(start, preload, ISOLATED, ["--stall-timeout", "1"])
    server.idle_fds += 2 * 7
    boxes = [in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}")) for i in range(3)]
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(3)), "they run")
    there = set(children_of(server.pid))
    preload.shift_clock(jump)
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        assert server.get("/health").status == 200
    assert there <= set(children_of(server.pid))
    (tmp_path / "go").touch()
    for box in boxes:
        box["join"]()
        assert box["answer"].status == 200
    assert server.metric("kourou_worker_restarts_total") == 0


@both_ways
def test_native_workers(tmp_path, preload, jump):
    made, root = build_native(tmp_path)
    server = Server(tmp_path, json.loads(made.read_text()), ["--root", str(root), "--stall-timeout", "1"], preload.env,
                    program=Preload.PROGRAM).ready()
    workers = server.workers()

    def count():
        return server.post("/invoke", {"parameters": {"values": [1, 2, 1, 2, 1, 50, 1]}}).json()
    assert count()["outputs"]["count"] == 1
    preload.shift_clock(jump)
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        answer = count()
        assert answer["outputs"]["count"] == 1 and 0 <= answer["execution_time"] < 60
    assert server.workers() == workers
    server.check_clean()
    server.stop()
