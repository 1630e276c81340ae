# SPDX-License-Identifier: Apache-2.0
"""Workers that sleep, spin, eat memory, end; what other requests see of it; replacement and verdict."""
import json
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.serve.serve_client import head, read_all, statuses
from tests.serve.serve_harness import stop, wait_for


def in_background(call, *args, **more):
    box = {}

    def run():
        began = time.monotonic()
        box["answer"] = call(*args, **more)
        box["seconds"] = time.monotonic() - began

    thread = threading.Thread(target=run)
    thread.start()
    box["join"] = lambda: thread.join(60)
    box["runs"] = thread.is_alive
    box["thread"] = thread
    return box


def doomed_request(server, folder):
    """One that runs for certain, and to no end: its worker can be killed over it."""
    box = in_background(server.invoke, "sleep", seconds=600, begun=str(folder / "begun"))
    wait_for((folder / "begun").exists, "the request runs")
    return box


def failed(answer, retryable):
    """The text of an answer that the front gave in place of the pipeline's: what every failed invocation has, and more."""
    body = answer.json()
    assert body["success"] is False and body["outputs"] is None and body["error"] == body["detail"], body
    assert body["retryable"] is retryable and body["run_id"] == body["metadata"]["run_id"], body
    assert 0 <= body["execution_time"] < 60 and body["metadata"]["pipeline_name"], body
    assert set(body["metadata"]) == {"deployment_id", "deployment_name", "snapshot_id", "snapshot_name", "pipeline_name",
                                     "run_id", "run_name", "parameters_used"}
    return body["detail"]


class Health:
    """Asks /health all the time while it is entered; keeps the slowest answer."""

    def __init__(self, server):
        self.server, self.worst, self.count, self.bad = server, 0.0, 0, []

    def __enter__(self):
        self.go = True
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self):
        connection = self.server.connection()
        while self.go:
            began = time.monotonic()
            answer = self.server.get("/health", connection=connection)
            self.worst = max(self.worst, time.monotonic() - began)
            self.count += 1
            if answer.status not in (200, 503) or answer.json()["status"] not in ("healthy", "restarting"):
                self.bad.append(answer)
            time.sleep(0.001)
        connection.close()

    def __exit__(self, *_):
        self.go = False
        self.thread.join()


@pytest.mark.parametrize("op,more,status", [
    ("sleep", {"seconds": 300}, 504),
    ("spin", {"seconds": 300}, 504),
    ("spin_gil", {"n": 3e10}, 504),
])
def test_overrunning_request_is_504_and_others_go_on(start, op, more, status):
    server = start({"uvicorn_workers": 2}, args=["--request-timeout", "2"])
    wait_for(lambda: server.metric('kourou_workers{state="ready"}') == 2, "both workers are ready")
    with Health(server) as health:
        slow = in_background(server.invoke, op, **more)
        wait_for(lambda: server.metric("kourou_in_flight") >= 1, "the slow request is in a worker")
        while slow["runs"]():
            assert server.invoke("echo", value=7).json()["outputs"]["output"] == 7
        slow["join"]()
    answer = slow["answer"]
    assert answer.status == status, answer
    assert "timeout" in failed(answer, retryable=False)
    assert 1.9 < slow["seconds"] < 15
    assert health.worst < 1.5 and not health.bad and health.count > 50
    wait_for(lambda: server.metric("kourou_worker_restarts_total") == 1, "the worker is replaced")
    assert server.metric("kourou_worker_timeouts_total") == 1
    wait_for(lambda: server.metric('kourou_workers{state="ready"}') == 2, "both workers are ready")


def test_single_worker_with_stuck_interpreter_is_replaced_and_waiting_requests_run(start):
    server = start(args=["--stall-timeout", "2"])
    slow = in_background(server.invoke, "spin_gil", n=3e10, _request={"timeout": 2})
    wait_for(lambda: server.metric("kourou_in_flight") >= 1, "the request runs")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: server.invoke("echo", value=i), range(8)))
    assert [a.status for a in answers] == [200] * 8
    slow["join"]()
    assert slow["answer"].status == 504


@pytest.mark.parametrize("workers", [1, 2])
def test_exit_in_a_request_is_502_and_is_replaced(start, workers):
    server = start({"uvicorn_workers": workers})
    connection = server.connection()
    began = time.monotonic()
    answer = server.invoke("exit", _connection=connection)
    took = time.monotonic() - began
    assert answer.status == 502, answer
    assert "exit status 3" in failed(answer, retryable=False)
    assert took < 5
    assert server.invoke("echo", value=1, _connection=connection).status == 200  # the same connection lives
    assert server.metric("kourou_worker_crashes_total") == 1
    for _ in range(7):  # requests that kill their worker are no reason to stop serving
        assert server.invoke("exit").status == 502
    assert server.invoke("echo", value=1).status == 200
    connection.close()


def test_abort_and_kill(server, tmp_path):
    answer = server.invoke("abort", _request={"run_name": "caf\u00e9 \"7\"\n"})
    assert answer.status == 502 and "signal 6" in failed(answer, retryable=False)
    assert answer.json()["metadata"]["run_name"] == "caf\u00e9 \"7\"\n"
    slow = doomed_request(server, tmp_path)
    os.kill(server.workers()[0], signal.SIGKILL)
    slow["join"]()
    assert slow["answer"].status == 502 and "signal 9" in slow["answer"].json()["detail"]


def test_memory_runaway_is_502(start):
    server = start(args=["--worker-memory", "300MB"])
    with Health(server) as health:
        answer = server.invoke("eat")
    assert answer.status == 502, answer
    assert "memory" in failed(answer, retryable=False)
    assert not health.bad
    assert server.metric("kourou_worker_memory_kills_total") == 1
    assert server.invoke("echo", value=1).status == 200


def test_requests_that_had_not_started_survive_a_crash(start, tmp_path):
    """One thread: while the first request runs, the others stand behind it in the same worker."""
    server = start({"thread_pool_size": 1})
    doomed = doomed_request(server, tmp_path)
    with ThreadPoolExecutor(10) as pool:
        others = [pool.submit(server.invoke, "echo", value=i) for i in range(10)]
        wait_for(lambda: server.metric("kourou_in_flight") >= 5, "others stand behind it")
        os.kill(server.workers()[0], signal.SIGKILL)
        answers = [f.result() for f in others]
    doomed["join"]()
    assert doomed["answer"].status == 502
    assert [(a.status, a.json()["outputs"]["output"]) for a in answers] == [(200, i) for i in range(10)]
    assert server.metric("kourou_redispatched_total") >= 5


def test_pipelined_bytes_do_not_disturb_the_body_of_a_waiting_request(start, tmp_path):
    """The buffer of the connection grows, and moves, while a request of it waits and is given to another worker."""
    server = start({"thread_pool_size": 1})
    doomed = doomed_request(server, tmp_path)
    socks = [server.socket(20) for _ in range(12)]

    def echo(value):
        body = json.dumps({"parameters": {"op": "echo", "value": value}}).encode()
        return head("POST", "/invoke", "Content-Type: application/json", f"Content-Length: {len(body)}") + body

    for n, sock in enumerate(socks):
        sock.sendall(echo(f"first-{n}-" + "a" * 3000))
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 13, "they wait")
    for n, sock in enumerate(socks):
        sock.sendall(b"".join(echo(f"more-{n}-{i}-" + "b" * 1500) for i in range(20)))
    server.get("/health")
    os.kill(server.workers()[0], signal.SIGKILL)
    doomed["join"]()
    for n, sock in enumerate(socks):
        sock.sendall(head("GET", "/nothing", "Connection: close"))
        data = read_all(sock)
        sock.close()
        assert statuses(data) == [200] * 21 + [404], data[:500]
        assert b'"first-%d-aaa' % n in data
        at = [data.index(b'"more-%d-%d-bbb' % (n, i)) for i in range(20)]
        assert at == sorted(at)


def test_slow_requests_run_at_the_same_time_in_one_worker(server):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: server.invoke("meet", n=20), range(20)))
    assert [a.status for a in answers] == [200] * 20
    assert server.invoke("threads").json()["outputs"]["output"] > 5


def test_trivial_request_passes_a_slow_one_that_was_not_expected_to_be_slow(server, tmp_path):
    for _ in range(50):
        server.invoke("echo", value=1)
    slow = in_background(server.invoke, "gate", gate=str(tmp_path / "go"))
    wait_for(lambda: server.metric("kourou_in_flight") >= 1, "the slow one runs")
    for i in range(5):
        assert server.invoke("echo", value=i).status == 200
    (tmp_path / "go").touch()
    slow["join"]()
    assert slow["answer"].status == 200


def test_thread_pool_size_bounds_what_runs_at_once(start):
    server = start({"thread_pool_size": 3})
    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: server.invoke("sleep", seconds=0.4), range(6)))
    assert [a.status for a in answers] == [200] * 6
    assert 0.75 < time.monotonic() - began
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: server.invoke("meet", n=3), range(6)))
    assert [a.status for a in answers] == [200] * 6
    assert max(a.json()["outputs"]["output"] for a in answers) == 3


def test_queue_is_bounded(start, tmp_path):
    server = start({"thread_pool_size": 1}, args=["--queue-size", "3"])
    for _ in range(3):  # teaches the front that requests are slow here
        server.invoke("sleep", seconds=0.05)
    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(server.invoke, "gate", gate=str(tmp_path / "go")) for _ in range(30)]
        wait_for(lambda: server.metric("kourou_rejected_total") >= 1, "the queue is full")
        (tmp_path / "go").touch()
        answers = [future.result() for future in asked]
    counts = {s: sum(a.status == s for a in answers) for s in (200, 503)}
    assert counts[200] >= 4 and counts[503] >= 1 and sum(counts.values()) == 30
    refused = next(a for a in answers if a.status == 503)
    assert refused.headers["retry-after"] == "1" and failed(refused, retryable=True)
    assert server.metric("kourou_rejected_total") == counts[503]


def test_timeout_while_waiting_is_504_and_costs_no_worker(start, tmp_path):
    server = start({"thread_pool_size": 1})
    worker = server.workers()
    slow = in_background(server.invoke, "gate", gate=str(tmp_path / "go"))
    wait_for(lambda: server.metric("kourou_in_flight") >= 1, "the slow one runs")
    answer = server.invoke("echo", value=1, _request={"timeout": 0.2})
    assert answer.status == 504 and failed(answer, retryable=True)
    (tmp_path / "go").touch()
    slow["join"]()
    assert slow["answer"].status == 200 and server.workers() == worker


def test_other_running_requests_may_end_before_an_overrun_worker_is_killed(start, tmp_path):
    server = start(args=["--request-timeout", "3"])
    began = time.monotonic()
    doomed = in_background(server.invoke, "sleep", seconds=300)
    wait_for(lambda: time.monotonic() - began > 1.5, "the others have longer than the doomed one")
    others = [in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}"))
              for i in range(8)]
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(8)), "the others run")
    doomed["join"]()
    assert doomed["answer"].status == 504
    assert server.invoke("echo", value=1).status == 200  # in the worker that was started at once
    assert server.metric('kourou_workers{state="condemned"}') == 1
    (tmp_path / "go").touch()
    for other in others:
        other["join"]()
    assert [other["answer"].status for other in others] == [200] * 8
    assert server.metric("kourou_worker_restarts_total") == 1


def test_default_timeout_is_a_setting(start):
    server = start(args=["--request-timeout", "0.3"])
    assert server.invoke("sleep", seconds=300).status == 504
    wait_for(lambda: server.invoke("echo", value=1).status == 200, "the next worker answers in time")
    began = time.monotonic()  # a request may ask for less, not for more
    assert server.invoke("sleep", seconds=300, _request={"timeout": 60}).status == 504
    assert time.monotonic() - began < 30


def test_start_up_failure_is_told_by_health(start, tmp_path):
    (tmp_path / "mode").write_text("fatal")
    server = start(ready=False, check=False)
    wait_for(lambda: server.get("/health").json()["status"] == "crash-loop", "the verdict", 60)
    answer = server.get("/health")
    assert answer.status == 503 and answer.json()["failures"] >= 5
    assert "no module named nothing" in answer.json()["detail"]
    assert any("Traceback: nothing" in line for line in answer.json()["stderr"])
    refused = server.invoke("echo", value=1)
    assert refused.status == 503 and "retry-after" in refused.headers
    (tmp_path / "mode").unlink()
    wait_for(lambda: server.get("/health").status == 200, "it recovers by itself", 60)
    assert server.invoke("echo", value=1).status == 200


def test_worker_that_dies_at_start_is_reported_with_its_last_words(start, tmp_path):
    (tmp_path / "mode").write_text("exit")
    server = start(ready=False, check=False)
    wait_for(lambda: server.get("/health").json().get("failures", 0) >= 2, "two failures")
    assert "exit status 7" in server.get("/health").json()["detail"]
    wait_for(lambda: "last words of a worker" in server.get("/health").json()["stderr"], "what the worker said last")


def test_not_ready_is_503_until_it_is(start, tmp_path):
    (tmp_path / "mode").write_text("slow")
    server = start(ready=False, check=False)
    answer = server.get("/health")
    assert (answer.status, answer.json()["status"]) == (503, "starting")
    assert server.invoke("echo", value=1).status == 503
    (tmp_path / "mode").unlink()
    wait_for(lambda: server.get("/health").status == 200, "ready")
    assert server.invoke("echo", value=1).status == 200


def test_failures_of_the_pipeline_and_of_its_code(server):
    answer = server.invoke("raise", message="no such digit")
    assert answer.status == 500 and answer.json()["success"] is False
    assert answer.json()["error"] == "no such digit"
    answer = server.invoke("system_exit")
    assert answer.status == 500 and "SystemExit" in answer.json()["detail"]
    assert server.metric("kourou_worker_restarts_total") == 0
    assert server.metric("kourou_executions_failed_total") == 2


@pytest.mark.parametrize("flags", [1, 4, 8], ids=["memory file without one", "head that is none", "outputs nobody asked for"])
def test_answers_that_break_the_protocol_are_502(server, flags):
    answer = server.invoke("echo", flags=flags)
    assert answer.status == 502 and failed(answer, False) == "The worker sent an answer that could not be read"
    assert "answer that fits no request" in server.log()
    assert server.invoke("echo", value=1).json()["outputs"] == {"output": 1}


def test_a_memory_file_shorter_than_announced_is_502(server):
    """What a worker announces becomes the length that the client is told."""
    shorten = ("import kourou.worker as w; real = w.memory_file\n"
               "w.memory_file = lambda *parts: real(*parts[:-1], parts[-1][:10])\nresult = 0")
    assert server.invoke("python", code=shorten).status == 200
    answer = server.invoke("big", n=1_000_000)
    assert answer.status == 502 and failed(answer, False) == "The worker sent an answer that could not be read"
    assert server.invoke("echo", value=1).json()["outputs"] == {"output": 1}


def test_answers_for_which_the_worker_has_no_descriptor_go_in_their_frames(start):
    """Up to a frame's size; beyond that, and for a body that it cannot take, one clear answer. Nobody else notices."""
    from tests.serve.test_native import no_descriptor_left

    server = start()
    worker = server.workers()[0]
    assert server.invoke("big", n=400_000).status == 200  # what is imported for such answers is there
    limit = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    no_descriptor_left(worker)
    assert len(server.invoke("big", n=3_000_000).json()["outputs"]["output"]) == 3_000_000
    answer = server.invoke("big", n=20_000_000)
    assert answer.status == 502 and "to send this answer" in failed(answer, retryable=False)
    answer = server.invoke("length", value="v" * 300_000)
    assert answer.status == 503 and "to take this request" in failed(answer, retryable=True)
    assert server.invoke("echo", value=1).status == 200
    resource.prlimit(worker, resource.RLIMIT_NOFILE, limit)
    assert server.invoke("length", value="v" * 300_000).json()["outputs"]["output"] == 300_000
    assert server.workers() == [worker] and server.metric("kourou_worker_restarts_total") == 0


def check_lost_descriptors(server, preload, lost, echo, output):
    """In the worker that has none left, and in the front: the next requests and answers with one are those behind it."""
    values = [chr(ord("a") + i) * (300_000 + i) for i in range(12)]
    preload.lose_descriptors(lost)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(echo, values))
    assert preload.left() == (0, 0)
    for answer, value in zip(answers, values):
        if answer.status == 200:
            assert answer.json()["outputs"][output] == value
        else:
            text = failed(answer, retryable=answer.status == 503)
            assert "to take this request" in text or "could not be read" in text
    assert [a.status for a in answers].count(200) == 12 - lost
    assert server.metric("kourou_worker_restarts_total") == 0


def test_a_lost_descriptor_gives_no_request_the_body_of_another(start, preload):
    server = start(args=["--stall-timeout", "30"], env=preload.env, program=preload.PROGRAM)
    check_lost_descriptors(server, preload, 4, lambda value: server.invoke("echo", value=value), "output")


def test_a_descriptor_that_cannot_be_sent(start, preload):
    """By the front: it is tried again. By the worker: the answer stands in its frame."""
    server = start(env=preload.env, program=preload.PROGRAM)
    preload.refuse_descriptors(3)
    assert server.invoke("length", value="v" * 300_000).json()["outputs"]["output"] == 300_000
    preload.refuse_descriptors(1)
    assert len(server.invoke("big", n=3_000_000).json()["outputs"]["output"]) == 3_000_000
    preload.refuse_descriptors(1)
    assert "to send this answer" in failed(server.invoke("big", n=20_000_000), retryable=False)
    assert preload.left() == (0, 0) and server.metric("kourou_worker_restarts_total") == 0


def test_an_event_larger_than_a_frame_goes_on(server):
    answer = server.post("/invoke/stream", {"parameters": {"count": 2, "pad": 20_000_000}})
    assert answer.status == 200 and answer.body.count(b"event: user_message") == 2 and answer.body.count(b"y") >= 40_000_000
    assert answer.body.endswith(b'{"success":true}\n\n') and server.metric("kourou_worker_restarts_total") == 0


def test_answers_wait_for_a_front_that_does_not_read(start, tmp_path):
    """More of them than fit into the socket, from several threads: all come, each to its request."""
    from tests.serve.test_native import waits_in_send

    server = start(args=["--stall-timeout", "30"])
    worker, sizes = server.workers()[0], [200_000, 255_000, 300_000, 5, 1_000_000] * 8
    code = "import os, time\nwhile not os.path.exists(%r):\n    time.sleep(0.005)\nresult = 'x' * %d"
    with ThreadPoolExecutor(len(sizes)) as pool:
        answers = [pool.submit(server.invoke, "python", code=code % (str(tmp_path / "go"), size)) for size in sizes]
        wait_for(lambda: server.metric("kourou_in_flight") == len(sizes), "all run")
        stop(server.pid)
        (tmp_path / "go").touch()
        try:
            wait_for(lambda: waits_in_send(worker), "a thread of it waits for the socket")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        for size, answer in zip(sizes, answers):
            assert len(answer.result().json()["outputs"]["output"]) == size
    assert server.metric("kourou_worker_restarts_total") == 0


def test_children_of_a_worker_do_not_outlive_it(server):
    child = server.invoke("child").json()["outputs"]["output"]
    assert Path(f"/proc/{child}").exists()
    server.invoke("exit")
    wait_for(lambda: not Path(f"/proc/{child}/cmdline").exists()
             or not Path(f"/proc/{child}/cmdline").read_bytes(), "the child is gone")


def test_workers_die_with_a_killed_front(start):
    server = start(check=False)
    workers = server.workers()
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "workers are gone")


def test_large_bodies_both_ways(server):
    for size in (200_000, 262_144, 1_000_000, 20_000_000):
        answer = server.invoke("length", value="v" * size)
        assert answer.json()["outputs"]["output"] == size
        answer = server.invoke("big", n=size)
        assert answer.status == 200 and len(answer.json()["outputs"]["output"]) == size
    value = "w" * 1_000_000
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: server.invoke("echo", value=value), range(8)))
    assert all(a.json()["outputs"]["output"] == value for a in answers)


def test_large_body_survives_a_crash_of_the_worker_it_waited_in(start, tmp_path):
    server = start({"thread_pool_size": 1})
    doomed = doomed_request(server, tmp_path)
    large = in_background(server.invoke, "length", value="v" * 3_000_000)
    wait_for(lambda: server.metric("kourou_in_flight") >= 2, "the second stands behind it")
    os.kill(server.workers()[0], signal.SIGKILL)
    doomed["join"]()
    large["join"]()
    assert large["answer"].json()["outputs"]["output"] == 3_000_000


def test_client_that_leaves_does_not_disturb(server):
    for _ in range(5):
        with server.socket() as sock:
            body = b'{"parameters":{"op":"sleep","seconds":0.2}}'
            sock.sendall(head("POST", "/invoke", "Content-Type: application/json",
                              f"Content-Length: {len(body)}") + body)
    assert server.invoke("echo", value=1).status == 200


def test_console_of_the_worker_reaches_the_log(server):
    server.invoke("print", text="hello from a step")
    wait_for(lambda: "hello from a step" in server.log(), "the line in the log")
    whole = server.log().rpartition("\n")[0]  # the last line may just be on its way
    assert all(json.loads(line) for line in whole.splitlines())


def test_secrets_are_not_in_the_log(start):
    server = start(env={"KOUROU_AUTH_KEY": "super-secret-key-1"})
    server.invoke("print", text="key super-secret-key-1", _headers={"X-API-Key": "super-secret-key-1"})
    wait_for(lambda: "key ****" in server.log(), "the line in the log")
    assert "super-secret-key-1" not in server.log()
    environment = Path(f"/proc/{server.workers()[0]}/environ").read_bytes()
    assert b"super-secret-key-1" not in environment


def test_statuses_of_concurrent_load(server):
    def many(_):
        connection = server.connection()
        found = [server.invoke("echo", value=i, _connection=connection).status for i in range(200)]
        connection.close()
        return found

    with ThreadPoolExecutor(16) as pool:
        found = sum(pool.map(many, range(16)), [])
    assert found == [200] * 3200
