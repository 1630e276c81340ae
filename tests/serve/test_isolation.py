# SPDX-License-Identifier: Apache-2.0
"""isolation: process. Each running request has a process of its own, forked from one that has loaded the pipeline."""
import http.client
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.serve.serve_harness import PYTHON, ROOT, Server, children_of, make_snapshot, wait_for
from tests.serve.test_workers import failed, in_background

ISOLATED = {"isolation": "process", "processes": 6}


def isolated(start, deployment=None, **more):
    server = start({**ISOLATED, **(deployment or {})}, **more)
    if more.get("ready", True):
        server.idle_fds += 2 * 7  # processes come when they are needed, and stay for a while
    return server


def gated(server, folder, n):
    """n requests that run, each in a process."""
    boxes = [in_background(server.invoke, "gate", gate=str(folder / "go"), begun=str(folder / f"begun-{i}")) for i in range(n)]
    wait_for(lambda: all((folder / f"begun-{i}").exists() for i in range(n)), f"{n} requests run")
    return boxes


def finish(folder, boxes):
    (folder / "go").touch()
    for box in boxes:
        box["join"]()
    return [box["answer"].status for box in boxes]


def test_requests_that_run_at_the_same_time_have_a_process_each(start, tmp_path):
    server = isolated(start)
    boxes = gated(server, tmp_path, 5)
    wait_for(lambda: len(children_of(server.pid)) == 1 + 6, "the template, and one more kept ahead, up to the bound")
    assert finish(tmp_path, boxes) == [200] * 5
    pids = {server.invoke("pid").json()["outputs"]["output"] for _ in range(20)}
    assert len(pids) <= 6 and pids <= set(server.workers())  # they are kept and used again
    assert server.get("/info").json()["isolation"] == {"mode": "process", "processes": 6, "start": "fork"}


@pytest.mark.parametrize("end", ["exit", "abort"])
def test_a_crash_costs_one_request_and_no_reload(start, tmp_path, end):
    server = isolated(start)
    boxes = gated(server, tmp_path, 4)
    for _ in range(3):
        answer = server.invoke(end)
        assert answer.status == 502 and failed(answer, retryable=False)
        began = time.monotonic()
        assert server.invoke("echo", value=1).status == 200
        assert time.monotonic() - began < 2
    assert finish(tmp_path, boxes) == [200] * 4
    assert server.log().count("tiny runner starts") == 1  # the template did, once
    assert server.metric("kourou_worker_crashes_total") == 3


@pytest.mark.parametrize("op,more", [("sleep", {"seconds": 300}), ("spin_gil", {"n": 3e11})])
def test_a_timeout_costs_one_request_also_when_it_holds_the_interpreter(start, tmp_path, op, more):
    server = isolated(start)
    boxes = gated(server, tmp_path, 3)
    answer = server.invoke(op, _request={"timeout": 0.3}, **more)
    assert answer.status == 504 and failed(answer, retryable=False)
    with ThreadPoolExecutor(8) as pool:
        assert [a.status for a in pool.map(lambda i: server.invoke("echo", value=i), range(8))] == [200] * 8
    assert finish(tmp_path, boxes) == [200] * 3
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "its process is gone")


def test_more_requests_than_processes_wait(start, tmp_path):
    server = isolated(start, {"processes": 2})
    boxes = gated(server, tmp_path, 2)
    waiting = [in_background(server.invoke, "echo", value=i) for i in range(10)]
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 12, "they wait")
    assert len(children_of(server.pid)) == 3 and all(box["runs"]() for box in waiting)
    assert finish(tmp_path, boxes) == [200] * 2
    for i, box in enumerate(waiting):
        box["join"]()
        assert box["answer"].json()["outputs"]["output"] == i


def test_the_loaded_state_is_shared_and_load_happens_once(start, tmp_path):
    """What the template loaded is there in every process, without loading."""
    server = isolated(start)
    code = "import os, sys\nimport kourou.runtime as r\nresult = [os.getpid(), os.getppid()]"
    boxes = gated(server, tmp_path, 3)
    pid, parent = server.invoke("python", code=code).json()["outputs"]["output"]
    assert parent == server.pid and pid in server.workers()
    assert finish(tmp_path, boxes) == [200] * 3
    assert server.log().count("tiny runner starts") == 1


def test_libraries_of_numbers_start_one_thread_unless_told_otherwise(start):
    code = "import os\nresult = [os.environ.get(n) for n in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')]"
    server = isolated(start, env={"OMP_NUM_THREADS": "3"})
    assert server.invoke("python", code=code).json()["outputs"]["output"] == ["3", "1", "1"]


def test_threads_of_the_template_mean_that_processes_start_afresh(start, tmp_path):
    (tmp_path / "mode").write_text("thread")
    server = isolated(start, {"processes": 2})
    assert server.get("/info").json()["isolation"] == {
        "mode": "process", "processes": 2, "start": "exec", "reason": "loading the pipeline started 1 thread"}
    assert server.log().count("processes cannot be forked and start afresh") == 1
    boxes = gated(server, tmp_path, 2)
    assert finish(tmp_path, boxes) == [200] * 2
    assert server.invoke("exit").status == 502
    assert server.invoke("echo", value=1).status == 200
    wait_for(lambda: len(children_of(server.pid)) <= 2, "the template is gone")
    assert server.log().count("processes cannot be forked and start afresh") == 1


def template_of(server):
    """The oldest child of the front: the others were forked from it. (Numbers of processes begin anew some time.)"""
    def began(pid):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    return min(children_of(server.pid), key=began)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_template_that_ends_or_hangs_is_started_anew(start, tmp_path, number):
    """Requests go on in the processes that there are, and in those that the next one forks."""
    server = isolated(start, args=["--stall-timeout", "1"])
    template = template_of(server)
    boxes = gated(server, tmp_path, 2)
    os.kill(template, number)
    wait_for(lambda: not Path(f"/proc/{template}").exists(), "the template is replaced")
    assert server.invoke("exit").status == 502
    assert server.invoke("echo", value=1).status == 200
    assert finish(tmp_path, boxes) == [200] * 2
    wait_for(lambda: server.log().count("tiny runner starts") == 2, "another template")


def test_a_pipeline_that_cannot_load_is_told_by_health(start, tmp_path):
    (tmp_path / "mode").write_text("fatal")
    server = isolated(start, ready=False, check=False)
    wait_for(lambda: server.get("/health").json()["status"] == "crash-loop", "the verdict", 60)
    assert "no module named nothing" in server.get("/health").json()["detail"]
    assert server.invoke("echo", value=1).status == 503
    (tmp_path / "mode").unlink()
    wait_for(lambda: server.get("/health").status == 200, "it recovers by itself", 60)
    assert server.invoke("echo", value=1).status == 200


def test_a_drain_ends_processes_and_then_the_template(start, tmp_path):
    server = isolated(start, check=False)
    boxes = gated(server, tmp_path, 3)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    assert finish(tmp_path, boxes) == [200] * 3
    assert server.process.wait(30) == 0
    assert server.log().count("tiny runner stops") == 1


def test_everything_dies_with_a_killed_front(start, tmp_path):
    server = isolated(start, check=False)

    def doomed(*args, **more):
        try:
            return server.invoke(*args, **more)
        except (OSError, http.client.HTTPException) as error:
            return error

    boxes = [in_background(doomed, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}")) for i in range(2)]
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(2)), "they run")
    pids = server.workers()
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "no process is left")
    for box in boxes:  # nobody was left to answer them
        box["join"]()
        assert isinstance(box["answer"], (ConnectionError, http.client.HTTPException)), box


def test_what_cannot_go_together_is_refused(tmp_path):
    for deployment, args, text in [({"isolation": "process"}, ["--reload"], "isolation 'process' cannot go with --reload"),
                                   ({"isolation": "fork"}, [], "isolation is 'fork', expected thread or process")]:
        folder = tmp_path / str(len(text))
        folder.mkdir()
        server = Server(folder, make_snapshot(deployment), args)
        assert server.process.wait(30) in (1, 2) and text in server.log()


def test_processes_without_isolation_is_said_to_have_no_effect(start):
    assert "processes has no effect: isolation is 'thread'" in start({"processes": 3}).log()


def test_forked_children_of_such_a_process_do_not_answer(start):
    server = isolated(start)
    code = "import os, sys\npid = os.fork()\nif pid == 0:\n    sys.exit(7)\nresult = os.waitpid(pid, 0)[1]"
    for _ in range(5):
        assert server.invoke("python", code=code).json()["outputs"]["output"] == 7 << 8
        assert server.invoke("echo", value=3).json()["outputs"]["output"] == 3


# -- with the real package ----------------------------------------------------------------------------------------------

PIPELINE = '''
import os, time
from kourou import pipeline, step, stream, get_step_context

def load():
    with open("loads", "a") as file:
        file.write(f"{os.getpid()}\\\\n")
    if os.path.exists("fork"):
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
    return {"weights": list(range(1000)), "loaded_by": os.getpid()}

def clean():
    with open("cleaned", "a") as file:
        file.write(f"{os.getpid()}\\\\n")

@step
def work(op: str = "sum", seconds: float = 0.0) -> dict:
    context = get_step_context()
    state = context.pipeline_state
    if op == "fork":
        pid = os.fork()
        if pid == 0:
            raise ValueError("in the child")
        return {"status": os.waitpid(pid, 0)[1]}
    if op == "emit":
        pid = os.fork()
        if pid == 0:
            for i in range(1000):
                stream({"child": i})
            return {}
        stream({"status": os.waitpid(pid, 0)[1]})
    if op == "exit":
        os._exit(3)
    if op == "until cancelled":
        open("begun", "w").close()
        while not context.cancelled:
            time.sleep(0.01)
        open("cancelled", "w").close()
    return {"sum": sum(state["weights"]), "loaded_by": state["loaded_by"], "pid": os.getpid()}

@pipeline(on_init=load, on_cleanup=clean, settings={"deployment": {"isolation": "%s", "processes": %d}})
def served(op: str = "sum", seconds: float = 0.0) -> dict:
    return work(op, seconds)
'''


@pytest.fixture
def real(tmp_path):
    servers = []

    def run(isolation="process", processes=4, args=()):
        (tmp_path / "served_app.py").write_text(PIPELINE.replace("\\\\", "\\") % (isolation, processes if isolation == "process" else 0))
        subprocess.run([PYTHON, ROOT / "python/kourou/_boot.py", "compile", "served_app.served", "--root", tmp_path, "--output",
                        tmp_path / "made.json"], check=True)
        import json

        server = Server(tmp_path, json.loads((tmp_path / "made.json").read_text()), args, python_path=ROOT / "python")
        servers.append(server)
        return server.ready()

    yield run
    for server in servers:
        server.stop()


def ask(server, op="sum", **more):
    return server.post("/invoke", {"parameters": {"op": op}, **more})


def test_on_init_runs_once_and_on_cleanup_once(real, tmp_path):
    server = real()
    answers = [ask(server).json()["outputs"]["output"] for _ in range(5)]
    assert ask(server, "exit").status == 502
    answers.append(ask(server).json()["outputs"]["output"])
    assert {a["sum"] for a in answers} == {499500}
    loads = (tmp_path / "loads").read_text().split()
    assert len(loads) == 1 and {str(a["loaded_by"]) for a in answers} == set(loads)
    assert str(answers[-1]["pid"]) not in loads
    server.stop()
    assert (tmp_path / "cleaned").read_text().split() == loads


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_child_of_a_real_step_ends_as_a_program_would(real, isolation):
    server = real(isolation)
    for _ in range(2):
        assert ask(server, "fork").json()["outputs"]["output"] == {"status": 1 << 8}
        assert ask(server).json()["outputs"]["output"]["sum"] == 499500
    wait_for(lambda: "ValueError: in the child" in server.log(), "its last words are in the log")


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_child_that_on_init_forks_is_no_second_worker(real, tmp_path, isolation):
    (tmp_path / "fork").touch()
    server = real(isolation)
    assert [ask(server).status for _ in range(20)] == [200] * 20
    assert len((tmp_path / "loads").read_text().split()) == 1
    assert len(server.workers()) == server.log().count("is ready after") and "out of step" not in server.log()


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_child_of_a_stream_emits_nothing_and_waits_for_nobody(real, isolation):
    server = real(isolation)
    answer = server.post("/invoke/stream", {"parameters": {"op": "emit"}}, timeout=30)
    names = [line[7:] for line in answer.body.decode().splitlines() if line.startswith("event: ")]
    assert names == ["run_started", "user_message", "run_finished"] and b'{"status":0}' in answer.body
    assert ask(server).status == 200


def test_a_step_can_ask_whether_anybody_waits(real, tmp_path):
    server = real("thread")
    assert ask(server, "until cancelled", timeout=0.3).status == 504
    assert (tmp_path / "begun").exists()
    wait_for((tmp_path / "cancelled").exists, "it was told")
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "and has ended")
    assert server.metric("kourou_worker_restarts_total") == 0
