# SPDX-License-Identifier: Apache-2.0
"""Workers that take nothing, whatever the reason; short timeouts of callers; children that steps fork; orphans."""
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.serve.serve_client import head
from tests.serve.serve_harness import children_of, stop, wait_for
from tests.serve.test_workers import failed, in_background

STALL = ["--stall-timeout", "1"]

# A thread that outlives its request and holds the interpreter for good. The answer goes out first.
LEAVES_HOLDER = """
import threading, time
def hold():
    time.sleep(0.2)
    sum(range(10 ** 13))
threading.Thread(target=hold, daemon=True).start()
result = "left"
"""
CATASTROPHE = """
import re, threading, time
def hold():
    time.sleep(0.2)
    re.match("(a+)+$", "a" * 60 + "b")
threading.Thread(target=hold, daemon=True).start()
result = "left"
"""


def stop_worker(server):
    stop(server.workers()[0])


def leave_holder(server):
    assert server.invoke("python", code=LEAVES_HOLDER).status == 200


def leave_catastrophe(server):
    assert server.invoke("python", code=CATASTROPHE).status == 200


def end_leader(server):
    """An exception in the thread that leads, from outside of every request."""
    code = ("import ctypes, threading, time\nme = threading.get_ident()\ndef later():\n    time.sleep(0.2)\n"
            "    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), ctypes.py_object(SystemExit))\n"
            "threading.Thread(target=later, daemon=True).start()\nresult = 1")
    assert server.invoke("python", code=code).status == 200


WEDGES = [stop_worker, leave_holder, leave_catastrophe, end_leader]

CHANNEL = """
import sys
def find():
    for frame in sys._current_frames().values():
        while frame is not None:
            if type(frame.f_locals.get("channel")).__name__ == "Channel":
                return frame.f_locals["channel"]
            frame = frame.f_back
one = find()
"""


@pytest.mark.parametrize("wedge", WEDGES, ids=lambda w: w.__name__)
def test_a_worker_that_takes_nothing_is_replaced_and_its_requests_run(start, wedge):
    server = start(args=STALL)
    first = server.workers()
    wedge(server)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: server.invoke("echo", value=i), range(8)))
    assert [(a.status, a.json()["outputs"]["output"]) for a in answers] == [(200, i) for i in range(8)]
    wait_for(lambda: not set(first) & set(server.workers()), "the wedged worker is gone")
    wait_for(lambda: server.metric("kourou_worker_restarts_total") == 1, "and the front has seen it")


@pytest.mark.parametrize("wedge", [stop_worker, leave_holder], ids=lambda w: w.__name__)
def test_health_turns_although_nobody_asks_for_anything(start, wedge):
    """No request is sent to the wedged worker: the server asks it by itself."""
    server = start(args=["--stall-timeout", "1"])
    first = server.workers()
    wedge(server)
    wait_for(lambda: not set(first) & set(server.workers()), "the wedged worker is gone")
    wait_for(lambda: server.get("/health").status == 200, "the next one is ready")


def test_a_step_that_holds_the_interpreter_and_is_waited_for_is_left_alone(start):
    """Health tells the truth meanwhile, at once, and the waiting requests run when it is over."""
    server = start(args=STALL)
    workers = server.workers()
    long = in_background(server.invoke, "spin_gil", n=3e8)
    wait_for(lambda: server.metric("kourou_in_flight") >= 1, "it runs")
    waiting = in_background(server.invoke, "echo", value=1)
    stuck = wait_for(lambda: next((a for a in [server.get("/health")] if a.status == 503), None) or not long["runs"](),
                     "health turns")
    assert stuck is not True and stuck.json()["status"] == "stuck", stuck
    assert "holds its interpreter" in stuck.json()["detail"]
    began = time.monotonic()
    assert server.get("/health").status == 503 and time.monotonic() - began < 0.5
    assert server.get("/info").json()["status"] == "unhealthy"
    for box in (long, waiting):
        box["join"]()
        assert box["answer"].status == 200
    wait_for(lambda: server.get("/health").status == 200, "health turns back")
    assert server.workers() == workers and server.metric("kourou_worker_restarts_total") == 0


def test_a_step_that_holds_the_interpreter_for_a_minute_and_may(start):
    """Many times the watchdog's bound, without a moment for any other thread; the operator allows it. KOUROU_TEST_ALL: with the
    bounds as they come, a whole minute."""
    bounds, seconds = ([], 61) if os.environ.get("KOUROU_TEST_ALL") else (["--stall-timeout", "0.5"], 8)
    server = start(args=[*bounds, "--request-timeout", "300"])
    workers = server.workers()
    hold = "import ctypes\nctypes.PyDLL(None).sleep(%d)\nresult = 'done'" % seconds  # PyDLL does not let the interpreter go
    began = time.monotonic()
    long = in_background(server.invoke, "python", code=hold, _timeout=200)
    wait_for(lambda: server.metric("kourou_in_flight") >= 1, "it runs")
    waiting = [in_background(server.invoke, "echo", value=i, _timeout=200) for i in range(4)]
    long["thread"].join(200)
    assert time.monotonic() - began >= seconds and long["answer"].json()["outputs"]["output"] == "done"
    for box in waiting:
        box["join"]()
        assert box["answer"].status == 200
    assert server.workers() == workers and server.metric("kourou_worker_restarts_total") == 0


def test_time_that_the_server_had_not_itself_is_not_held_against_a_worker(start):
    """A container is frozen and goes on: the server wakes a moment before its workers."""
    server = start(args=STALL)
    workers = server.workers()
    for pid in (*workers, server.pid):
        stop(pid)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 2.5, "it is frozen for longer than the bound")
    os.kill(server.pid, signal.SIGCONT)
    assert server.get("/health").status == 200
    os.kill(workers[0], signal.SIGCONT)
    assert server.invoke("echo", value=1).status == 200
    assert server.workers() == workers and server.metric("kourou_worker_restarts_total") == 0


def test_busy_threads_are_not_stuck(start, tmp_path):
    """All places in use for longer than the bound: requests wait, and that is all."""
    server = start({"thread_pool_size": 1}, args=["--stall-timeout", "0.3"])
    workers = server.workers()
    gates = [in_background(server.invoke, "gate", gate=str(tmp_path / "go")) for _ in range(3)]
    began = time.monotonic()
    while time.monotonic() - began < 1.2:
        assert server.get("/health").status == 200
    (tmp_path / "go").touch()
    for gate in gates:
        gate["join"]()
        assert gate["answer"].status == 200
    assert server.workers() == workers


def test_short_timeouts_of_callers_condemn_nobody(start, tmp_path):
    server = start({"thread_pool_size": 4}, args=STALL)
    workers = server.workers()
    others = [in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}"))
              for i in range(3)]
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(3)), "the others run")
    for _ in range(4):  # each holds a thread that the next request does not miss
        began = time.monotonic()
        answer = server.invoke("gate", gate=str(tmp_path / "go"), _request={"timeout": 0.2})
        assert answer.status == 504 and failed(answer, retryable=False) and time.monotonic() - began < 5
        assert server.invoke("echo", value=1).status == 200
    (tmp_path / "go").touch()
    for other in others:
        other["join"]()
        assert other["answer"].status == 200
    assert server.workers() == workers and server.metric("kourou_worker_restarts_total") == 0
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "what was abandoned has ended")


def test_more_abandoned_requests_than_a_worker_has_threads_cost_it_its_place(start, tmp_path):
    """They hold twice its threads: the next caller gets a new worker, and one that runs beside them its answer."""
    server = start({"thread_pool_size": 2}, args=STALL)
    other = in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / "begun"))
    wait_for((tmp_path / "begun").exists, "the other runs")
    for i in range(3):
        begun = tmp_path / f"abandoned-{i}"
        assert server.invoke("sleep", seconds=300, begun=str(begun), _request={"timeout": 0.3}).status == 504
        assert begun.exists()
    assert server.invoke("echo", value=5).json()["outputs"]["output"] == 5
    assert server.metric("kourou_worker_restarts_total") == 1
    (tmp_path / "go").touch()
    other["join"]()
    assert other["answer"].status == 200
    wait_for(lambda: server.metric('kourou_workers{state="condemned"}') == 0, "the former one has ended")


def test_one_request_at_a_time_stays_so_when_a_caller_gives_up(start, tmp_path):
    """Code that asked for one thread never runs twice at once, also not beside a request that nobody waits for."""
    server = start({"thread_pool_size": 1}, args=["--stall-timeout", "30"])
    assert server.invoke("gate", gate=str(tmp_path / "go"), _request={"timeout": 0.2}).status == 504
    waiting = in_background(server.invoke, "meet", n=1)
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 2, "it waits")
    assert waiting["runs"]()
    (tmp_path / "go").touch()
    waiting["join"]()
    assert waiting["answer"].json()["outputs"]["output"] == 1


def test_an_abandoned_request_that_overruns_the_servers_limit_costs_its_worker(start):
    server = start(args=["--request-timeout", "1.5"])
    workers = server.workers()
    began = time.monotonic()
    assert server.invoke("sleep", seconds=300, _request={"timeout": 0.2}).status == 504
    assert time.monotonic() - began < 1.2
    assert server.workers() == workers
    wait_for(lambda: server.metric("kourou_worker_restarts_total") == 1, "the worker is replaced")
    assert time.monotonic() - began > 1.4


def test_what_was_cancelled_is_forgotten(server):
    """Of the ids of requests whose clients have gone nothing stays in the worker; PAUSE and CANCEL that come late neither."""
    look = (CHANNEL + "from kourou.context import cancelled_runs\n"
            "result = [len(one.cancelled), len(one.paused), len(cancelled_runs), len(one.running)]")
    for _ in range(40):
        with server.socket() as sock:
            body = b'{"parameters":{"op":"echo"}}'
            sock.sendall(head("POST", "/invoke", "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
    server.invoke("sleep", seconds=0.3, _request={"timeout": 0.05})
    late = CHANNEL + "[one._control(t, 10 ** 6 + i) for t in (2, 4, 7) for i in range(100)]\nresult = 1"
    assert server.invoke("python", code=late).status == 200
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "all have ended")
    cancelled, paused, runs, running = server.invoke("python", code=look).json()["outputs"]["output"]
    assert (cancelled, paused, runs) == (0, 0, 0) and running <= 80


def test_a_worker_that_never_becomes_ready_is_ended(start, tmp_path):
    (tmp_path / "mode").write_text("slow")
    server = start(ready=False, check=False, args=["--startup-timeout", "0.5"])
    wait_for(lambda: server.get("/health").json().get("failures", 0) >= 1, "the first has had its time")
    answer = server.get("/health")
    assert answer.status == 503 and "not ready within 0.5 seconds" in answer.json()["detail"]
    (tmp_path / "mode").unlink()
    wait_for(lambda: server.get("/health").status == 200, "the next one is ready")


def test_start_up_and_stall_times_are_settings(start, tmp_path):
    (tmp_path / "mode").write_text("slow")
    server = start({"startup_timeout": 1, "stall_timeout": 1}, ready=False, check=False)
    wait_for(lambda: "within 1 seconds" in server.get("/health").json()["detail"], "the setting counts")
    (tmp_path / "mode").unlink()
    wait_for(lambda: server.get("/health").status == 200, "the next one is ready")
    first = server.workers()
    began = time.monotonic()
    stop_worker(server)
    assert server.invoke("echo", value=1).status == 200
    assert 0.9 < time.monotonic() - began < 20
    wait_for(lambda: not set(first) & set(server.workers()), "the stopped one is ended")


# -- children that steps fork -----------------------------------------------------------------------------------------

FORKS = {
    "sys.exit": "import os, sys\npid = os.fork()\nif pid == 0:\n    sys.exit(7)\nresult = os.waitpid(pid, 0)[1]",
    "raises": "import os\npid = os.fork()\nif pid == 0:\n    raise ValueError('in the child')\nresult = os.waitpid(pid, 0)[1]",
    "returns": "import os\npid = os.fork()\nresult = os.waitpid(pid, 0)[1] if pid else None",
    "in C": "import ctypes, os\npid = ctypes.PyDLL(None).fork()\nresult = os.waitpid(pid, 0)[1] if pid else None",
    "multiprocessing": "import multiprocessing as m, os\np = m.get_context('fork').Process(target=os.getpid)\np.start()\n"
                       "p.join()\nresult = p.exitcode << 8",
    "grandchild": "import os, sys\npid = os.fork()\nif pid == 0:\n    if os.fork() == 0:\n        sys.exit(3)\n    sys.exit(7)\n"
                  "result = os.waitpid(pid, 0)[1]",
}
STATUS = {"sys.exit": 7, "raises": 0, "returns": 0, "in C": 0, "multiprocessing": 0, "grandchild": 7}


@pytest.mark.parametrize("how", FORKS)
def test_a_forked_child_never_answers_for_its_parent(server, how):
    workers = server.workers()
    for i in range(3):
        answer = server.invoke("python", code=FORKS[how])
        assert answer.status == 200 and answer.json()["outputs"]["output"] == STATUS[how] << 8, answer
        assert server.invoke("echo", value=i).json()["outputs"]["output"] == i
    wait_for(lambda: server.workers() == workers, "no child is left")
    assert "out of step" not in server.log()


def test_a_forked_child_in_a_stream_and_in_another_thread(server):
    code = "import os, sys, threading\nout = []\ndef work():\n    pid = os.fork()\n    if pid == 0:\n        os._exit(4)\n" \
           "    out.append(os.waitpid(pid, 0)[1])\nt = threading.Thread(target=work)\nt.start()\nt.join()\nresult = out[0]"
    assert server.invoke("python", code=code).json()["outputs"]["output"] == 4 << 8
    assert server.invoke("echo", value=1).status == 200


def test_a_child_does_not_hold_the_workers_socket(server, tmp_path):
    """It lives on by itself: what was the worker's is closed in it, and a signal to end does not clean up for the worker."""
    code = f"import os, time\npid = os.fork()\nif pid == 0:\n    os.setsid()\n    time.sleep(1000)\n    os._exit(0)\nresult = pid"
    child = server.invoke("python", code=code).json()["outputs"]["output"]
    try:
        def sockets():
            return [fd for fd in os.listdir(f"/proc/{child}/fd") if "socket" in os.readlink(f"/proc/{child}/fd/{fd}")]
        wait_for(lambda: not sockets(), "the socket is closed in it")
    finally:
        os.kill(child, signal.SIGTERM)
    wait_for(lambda: not Path(f"/proc/{child}").exists() or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z", "it ends")
    assert server.invoke("echo", value=1).status == 200
    assert "tiny runner stops" not in server.log()


def test_an_answer_to_nothing_ends_the_worker(server):
    """A second process on the socket, or a worker that has lost count: whose answers cannot be told apart is not asked again."""
    first = server.workers()
    code = (CHANNEL + "from kourou.frames import RESPONSE\n"
            "one.sock.sendall(RESPONSE.pack(6, 4242, 19, 2, 200, 1) + b'{}')\nresult = 1")
    answer = server.invoke("python", code=code)
    assert answer.status == 502 and "out of step" in failed(answer, retryable=False)
    assert server.invoke("echo", value=1).status == 200
    assert not set(first) & set(server.workers())


def test_orphans_are_reaped(server):
    """A step leaves processes behind whose parents are gone: none stays as a zombie."""
    code = ("import os\nfor _ in range(5):\n    if os.fork() == 0:\n        if os.fork() == 0:\n            os._exit(0)\n"
            "        os._exit(0)\n    os.wait()\nresult = 1")
    for _ in range(4):
        assert server.invoke("python", code=code).status == 200

    def zombies():
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if fields[0] == "Z" and int(fields[1]) in (server.pid, *server.workers()):
                    found.append(entry.name)
        return found
    wait_for(lambda: not zombies(), f"no zombie is left: {zombies()}")
    assert len(children_of(server.pid)) == 1
