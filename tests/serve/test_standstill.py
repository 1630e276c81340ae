# SPDX-License-Identifier: Apache-2.0
"""Processes that are stopped and go on: the front, a worker, a template, all of them. Nobody is held to time in which it did not run."""
import os
import signal
import time
from pathlib import Path

import pytest
from tests.serve.serve_client import head, read_all, statuses
from tests.serve.serve_harness import children_of, stop, wait_for
from tests.serve.test_isolation import gated, isolated, template_of
from tests.serve.test_workers import failed, in_background

J = "Content-Type: application/json"
TIGHT = ["--stall-timeout", "1", "--request-timeout", "2", "--header-timeout", "2", "--body-timeout", "2", "--idle-timeout", "2"]
LONG = 4.5  # longer than each of them, and than the grace of a worker that is told to end


def signal_all(pids, number):
    for pid in pids:
        stop(pid) if number == signal.SIGSTOP else os.kill(pid, number)


def stand_still(pids, seconds):
    signal_all(pids, signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > seconds, "they stand still")
    signal_all(pids, signal.SIGCONT)


def half_request(server):
    """A body of which half has come, and what is missing."""
    body = b'{"parameters":{"op":"echo","value":"whole"}}'
    sock = server.socket()
    sock.sendall(head("POST", "/invoke", J, f"Content-Length: {len(body)}", "Connection: close") + body[:20])
    return sock, body[20:]


@pytest.mark.parametrize("who", ["everybody", "front"])
def test_time_in_which_nobody_ran_ends_nothing(start, tmp_path, who):
    """Longer than every bound: what ran, waited, idled or was on its way goes on as if nothing had been."""
    server = start({"thread_pool_size": 2}, args=TIGHT)
    workers = server.workers()
    kept = server.connection()
    assert server.get("/livez", connection=kept).status == 200
    running = [in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}")) for i in range(2)]
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(2)), "they run")
    waiting = in_background(server.invoke, "echo", value=3)
    sock, rest = half_request(server)
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 3, "one waits")
    stand_still([server.pid, *workers] if who == "everybody" else [server.pid], LONG)
    assert server.get("/health").status == 200
    (tmp_path / "go").touch()
    sock.sendall(rest)
    for box in (*running, waiting):
        box["join"]()
        assert box["answer"].status == 200, box["answer"]
    assert statuses(read_all(sock)) == [200]
    sock.close()
    assert server.invoke("echo", value=4, _connection=kept).json()["outputs"]["output"] == 4
    kept.close()
    assert server.workers() == workers
    assert server.metric("kourou_worker_restarts_total") == 0 and server.metric("kourou_worker_timeouts_total") == 0


def test_bounds_hold_again_afterwards(start):
    """The time before it counts, and the time behind it."""
    server = start(args=TIGHT)
    running = in_background(server.invoke, "sleep", seconds=300)
    wait_for(lambda: server.metric("kourou_in_flight") == 1, "it runs")
    stand_still([server.pid, *server.workers()], LONG)
    began = time.monotonic()
    running["join"]()
    assert running["answer"].status == 504 and failed(running["answer"], retryable=False)
    assert time.monotonic() - began < 20
    assert server.invoke("echo", value=1).status == 200


def test_a_drain_is_not_shortened(start, tmp_path):
    server = start(args=["--drain-timeout", "3"], check=False)
    running = in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / "begun"))
    wait_for((tmp_path / "begun").exists, "it runs")
    workers = server.workers()
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    stand_still([server.pid, *workers], LONG)
    (tmp_path / "go").touch()
    running["join"]()
    assert running["answer"].status == 200
    assert server.process.wait(40) == 0 and "drain timeout" not in server.log()


def test_a_start_is_not_shortened(start, tmp_path):
    (tmp_path / "mode").write_text("slow")
    server = start(ready=False, args=["--startup-timeout", "3"], check=False)
    wait_for(lambda: "tiny runner starts" in server.log(), "it loads")
    stand_still([server.pid, *server.workers()], LONG)
    assert server.get("/health").json()["status"] == "starting"
    (tmp_path / "mode").unlink()
    wait_for(lambda: server.get("/health").status == 200, "ready")
    assert server.log().count("tiny runner starts") == 1 and "was stopped" not in server.log()


def test_a_worker_that_is_stopped_for_a_moment_goes_on(start):
    server = start(args=["--stall-timeout", "10", "--request-timeout", "60"])
    workers = server.workers()
    signal_all(workers, signal.SIGSTOP)
    boxes = [in_background(server.invoke, "echo", value=i) for i in range(8)]
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 8, "they wait")
    assert all(box["runs"]() for box in boxes)
    signal_all(workers, signal.SIGCONT)
    for i, box in enumerate(boxes):
        box["join"]()
        assert box["answer"].status == 200 and box["answer"].json()["outputs"]["output"] == i
    assert server.workers() == workers and server.metric("kourou_worker_restarts_total") == 0


def test_a_worker_that_stays_stopped_while_the_front_runs_is_replaced(start):
    """Also when it is continued too late: by then another has its place, and it ends."""
    server = start(args=["--stall-timeout", "1"])
    first = server.workers()
    signal_all(first, signal.SIGSTOP)
    assert server.invoke("echo", value=1).status == 200
    for pid in first:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in first), "it is gone")
    assert server.metric("kourou_worker_restarts_total") == 1 and server.invoke("echo", value=2).status == 200


def test_a_template_that_is_stopped_for_a_moment_goes_on(start, tmp_path):
    """Requests for which a process has to be forked wait for it."""
    server = isolated(start, args=["--stall-timeout", "10"])
    template = template_of(server)
    stop(template)
    boxes = [in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}")) for i in range(5)]
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 5, "they wait or run")
    os.kill(template, signal.SIGCONT)
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(5)), "all run")
    (tmp_path / "go").touch()
    for box in boxes:
        box["join"]()
        assert box["answer"].status == 200
    assert Path(f"/proc/{template}").exists() and server.log().count("tiny runner starts") == 1


def test_processes_and_their_template_stand_still_together(start, tmp_path):
    server = isolated(start, args=TIGHT)
    boxes = gated(server, tmp_path, 3)
    there = children_of(server.pid)
    stand_still([server.pid, *there], LONG)
    assert server.get("/health").status == 200
    (tmp_path / "go").touch()
    for box in boxes:
        box["join"]()
        assert box["answer"].status == 200
    assert set(there) <= set(children_of(server.pid)) and server.metric("kourou_worker_restarts_total") == 0
