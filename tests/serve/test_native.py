# SPDX-License-Identifier: Apache-2.0
"""Pipelines in C: the example, and one that misbehaves."""
import json
import os
import resource
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.serve.serve_client import head
from tests.serve.serve_harness import BIN, ROOT, Server, stop, wait_for
from tests.serve.test_schema import NATIVE, build_native
from tests.serve.test_workers import check_lost_descriptors, failed

BAD = r"""
#include <kourou/pipeline.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct kr_field inputs[] = {{.name = "op", .type = KR_TYPE_STRING}, {.name = "n", .type = KR_TYPE_INTEGER, .dflt = "0"},
                                         {.name = "j", .type = KR_TYPE_JSON, .dflt = "null"}, {.name = NULL}};
static const struct kr_field outputs[] = {{.name = "out", .type = KR_TYPE_JSON}, {.name = NULL}};

static atomic_int here;

static int run(struct kr_run *run)
{
    struct kr_text op = kr_text(run, 0), j = kr_text(run, 2);
    int64_t n = kr_integer(run, 1);

    if (op.n == 5 && memcmp(op.p, "crash", 5) == 0)
        *(volatile int *)(uintptr_t)8 = 1;
    if (op.n == 5 && memcmp(op.p, "abort", 5) == 0)
        kr_put_integer(run, 99, 1);
    if (op.n == 5 && memcmp(op.p, "sleep", 5) == 0) {
        struct timespec ts = {.tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000};
        nanosleep(&ts, NULL);
    }
    if (op.n == 4 && memcmp(op.p, "meet", 4) == 0) { /* until so many have been in here at once */
        atomic_fetch_add(&here, 1);
        for (int i = 0; atomic_load(&here) < n; i++) {
            struct timespec ts = {.tv_nsec = 5000000};
            if (i == 8000)
                return kr_fail_run(run, "the others did not come");
            nanosleep(&ts, NULL);
        }
    }
    if (op.n == 4 && memcmp(op.p, "spin", 4) == 0)
        for (volatile int64_t i = 0; i < n * 1000000; i++)
            ;
    if (op.n == 4 && memcmp(op.p, "emit", 4) == 0)
        for (int64_t i = 0; i < n && kr_emit(run, "{\"value\":1}", 11); i++)
            ;
    if (op.n == 4 && memcmp(op.p, "fail", 4) == 0)
        return kr_fail_run(run, "as asked");
    if (op.n == 8 && memcmp(op.p, "slow_big", 8) == 0) /* when the file go is there */
        while (access("go", F_OK) != 0)
            usleep(1000);
    if (op.n >= 3 && memcmp(op.p + op.n - 3, "big", 3) == 0) {
        char *text = kr_run_alloc(run, (size_t)n + 2);
        memset(text, 'x', (size_t)n + 2);
        text[0] = text[n + 1] = '"';
        kr_put_json(run, 0, text, (size_t)n + 2);
        return 0;
    }
    kr_put_json(run, 0, j.p, j.n);
    return 0;
}

static int on_init(const char *root, void **state, char *error, size_t size)
{
    (void)root; (void)state;
    if (getenv("BAD_INIT") == NULL)
        return 0;
    strncpy(error, "no model", size);
    return 1;
}

static const struct kr_step steps[] = {{.name = "run", .run = run}, {.name = NULL}};
const struct kr_pipeline kourou_pipeline = {.abi = KR_PIPELINE_ABI, .name = "bad", .inputs = inputs, .outputs = outputs,
                                            .steps = steps, .on_init = on_init, .concurrent = true, .streams = true};
"""


@pytest.fixture
def bad(tmp_path):
    servers = []

    def run(env=None, ready=True, args=(), source=BAD, program=BIN, **deployment):
        (tmp_path / "bad.c").write_text(source)
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o", tmp_path / "libbad.so", tmp_path / "bad.c"],
                       check=True)
        made = json.loads(subprocess.run([NATIVE, "--describe", "libbad.so", "--root", tmp_path], check=True,
                                         capture_output=True).stdout)
        made["settings"] = {"deployment": deployment}
        server = Server(tmp_path, made, args, env=env, program=program)
        servers.append(server)
        return server.ready() if ready else server.listen()

    yield run
    for server in servers:
        if server.get("/health").status == 200:
            server.check_clean()
        server.stop()


def op(server, name, n=0, timeout=None, **more):
    parameters = {"op": name, **({} if n is None else {"n": n}), **more}
    return server.post("/invoke", {"parameters": parameters, "timeout": timeout})


def test_example(tmp_path):
    made, root = build_native(tmp_path)
    server = Server(tmp_path, json.loads(made.read_text()), ["--root", str(root)]).ready()
    answer = server.post("/invoke", {"parameters": {"values": [1, 2, 1, 2, 1, 50, 1]}})
    assert answer.status == 200
    assert answer.json()["outputs"]["anomalies"][0]["index"] == 5 and answer.json()["outputs"]["count"] == 1
    assert answer.json()["metadata"]["parameters_used"]["window"] == 20
    answer = server.post("/invoke", {"parameters": {"window": 1, "x": 2}})
    assert answer.status == 422 and len(answer.json()["detail"]) == 3
    batch = server.post("/invoke/batch", [{"parameters": {"values": [1]}}, {}]).json()
    assert [b["success"] for b in batch] == [True, False]
    server.check_clean()
    server.stop()


def test_crash_is_one_502(bad):
    server = bad(env={"ASAN_OPTIONS": "handle_segv=0:handle_abort=0"})  # it is meant to crash
    assert op(server, "crash").status == 502
    assert "signal 11" in op(server, "crash").json()["detail"]
    assert "signal 6" in op(server, "abort").json()["detail"]
    assert op(server, "ok", j={"a": [1, "ä"]}).json()["outputs"] == {"out": {"a": [1, "ä"]}}
    answer = op(server, "fail")
    assert answer.status == 500 and answer.json()["error"].endswith("step 'run': as asked")


def test_deadline_and_threads(bad):
    server = bad(args=["--request-timeout", "3"])
    with ThreadPoolExecutor(8) as pool:
        assert all(a.status == 200 for a in pool.map(lambda _: op(server, "meet", 8), range(8)))
    box = {}
    thread = threading.Thread(target=lambda: box.update(a=op(server, "spin", 10_000_000, 1)))
    thread.start()
    wait_for(lambda: server.metric("kourou_in_flight") >= 1, "it spins")
    assert op(server, "ok").status == 200
    thread.join()
    assert box["a"].status == 504 and server.metric("kourou_worker_restarts_total") == 0
    wait_for(lambda: server.metric("kourou_worker_restarts_total") == 1, "the server's own limit ends it")


def test_large_bodies(bad):
    server = bad()
    answer = op(server, "big", 3_000_000)
    assert len(answer.json()["outputs"]["out"]) == 3_000_000
    assert op(server, "ok", j="v" * 2_000_000).json()["outputs"]["out"] == "v" * 2_000_000


def test_stream(bad):
    server = bad()
    answer = server.post("/invoke/stream", {"parameters": {"op": "emit", "n": 3}})
    names = [line[7:] for line in answer.body.decode().splitlines() if line.startswith("event: ")]
    assert names == ["run_started"] + ["user_message"] * 3 + ["run_finished"]


def test_slow_reader_and_leaving_reader_of_a_stream(bad):
    server = bad()
    body = b'{"parameters":{"op":"emit","n":2000000}}'
    with server.socket(60) as sock:
        sock.sendall(head("POST", "/invoke/stream", "Content-Type: application/json",
                          f"Content-Length: {len(body)}") + body)
        time.sleep(0.7)
        assert server.metric('kourou_memory_bytes{process="front"}') < 40e6
        assert op(server, "ok").status == 200
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "the run has ended")


def test_init_that_fails(bad):
    server = bad(env={"BAD_INIT": "1"}, ready=False)
    wait_for(lambda: "no model" in server.get("/health").json().get("detail", ""), "the reason")


def test_killed_worker_is_replaced(bad):
    server = bad()
    worker = server.workers()[0]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: server.metric("kourou_worker_restarts_total") == 1, "replaced")
    assert op(server, "ok").status == 200


@pytest.mark.parametrize("source,part", [("nothing.so", "nothing.so"), ("libm.so.6", "libm.so.6")])
def test_describe_says_what_is_wrong(tmp_path, source, part):
    done = subprocess.run([NATIVE, "--describe", source, "--root", tmp_path], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and part in done.stderr and done.stdout == ""


# -- children, descriptors, answers that do not fit ---------------------------------------------------------------------

FORKS = r"""
#include <kourou/pipeline.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct kr_field inputs[] = {{.name = "op", .type = KR_TYPE_STRING}, {.name = "file", .type = KR_TYPE_STRING, .dflt = "\"\""},
                                         {.name = NULL}};
static const struct kr_field outputs[] = {{.name = "out", .type = KR_TYPE_INTEGER}, {.name = NULL}};
static int is(struct kr_text text, const char *word) { return text.n == strlen(word) && memcmp(text.p, word, text.n) == 0; }

static int note(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    return fd < 0 || write(fd, line, strlen(line)) < 0 || close(fd) < 0;
}

/* A child that returns: the parent's output is its exit status. */
static int first(struct kr_run *run)
{
    struct kr_text op = kr_text(run, 0), file = kr_text(run, 1);
    char path[512];
    int status = 0;
    pid_t pid;

    snprintf(path, sizeof(path), "%.*s", (int)file.n, file.p);
    if (is(op, "plain")) {
        kr_put_integer(run, 0, 0);
        return 0;
    }
    pid = is(op, "clone") ? (pid_t)syscall(SYS_fork) : fork();
    if (pid == 0) {
        if (is(op, "emit")) { /* what is opened now may get the number of the worker's socket */
            for (int i = 0; i < 4; i++)
                open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
            kr_emit(run, "{\"value\":1}", 11);
        }
        return is(op, "fails") ? kr_fail_run(run, "in the child") : 0;
    }
    waitpid(pid, &status, 0);
    kr_put_integer(run, 0, status);
    return 0;
}

static int second(struct kr_run *run)
{
    struct kr_text file = kr_text(run, 1);
    char path[512];

    snprintf(path, sizeof(path), "%.*s", (int)file.n, file.p);
    return file.n > 0 && !is(kr_text(run, 0), "emit") && note(path, "second\n") ? kr_fail_run(run, "cannot write") : 0;
}

static int on_init(const char *root, void **state, char *error, size_t size)
{
    (void)root; (void)state; (void)error; (void)size;
    if (getenv("INIT_FORKS") != NULL && fork() > 0)
        wait(NULL);
    return 0;
}

static const struct kr_step steps[] = {{.name = "first", .run = first}, {.name = "second", .run = second}, {.name = NULL}};
const struct kr_pipeline kourou_pipeline = {.abi = KR_PIPELINE_ABI, .name = "forks", .inputs = inputs, .outputs = outputs,
                                            .steps = steps, .on_init = on_init, .concurrent = true, .streams = true};
"""


@pytest.mark.parametrize("name", ["returns", "fails", "clone"])
def test_a_child_that_a_step_forks_ends_when_its_step_returns(bad, tmp_path, name):
    """It runs no further step, no further item of a batch, and answers nobody."""
    server = bad(source=FORKS)
    workers, file = server.workers(), tmp_path / "seen"
    for i in range(3):
        assert op(server, name, file=str(file), n=None).json()["outputs"] == {"out": 0}
        assert op(server, "plain", n=None).json()["outputs"] == {"out": 0}
    assert file.read_text() == "second\n" * 3
    batch = server.post("/invoke/batch", [{"parameters": {"op": name, "file": str(file)}} for _ in range(4)]).json()
    assert [item["outputs"] for item in batch] == [{"out": 0}] * 4
    assert file.read_text() == "second\n" * 7
    assert server.workers() == workers and "out of step" not in server.log()


def test_a_child_of_a_native_stream_emits_nothing(bad, tmp_path):
    """Neither to the client nor into a file that has got the number of the worker's socket."""
    server = bad(source=FORKS)
    file = tmp_path / "mine"
    answer = server.post("/invoke/stream", {"parameters": {"op": "emit", "file": str(file)}})
    names = [line[7:] for line in answer.body.decode().splitlines() if line.startswith("event: ")]
    assert names == ["run_started", "run_finished"] and b'"success":true' in answer.body
    assert file.read_text() == ""
    assert op(server, "plain", n=None).status == 200 and "out of step" not in server.log()


def test_a_child_that_on_init_forks_is_no_second_worker(bad):
    server = bad(source=FORKS, env={"INIT_FORKS": "1"})
    assert [op(server, "plain", n=None).status for _ in range(20)] == [200] * 20
    assert len(server.workers()) == 1 and server.log().count("is ready after") == 1


def waits_in_send(pid):
    """Whether a thread of the process is in send() or sendmsg(), by the numbers of x86-64 and arm64."""
    calls = {"44", "46", "206", "211"}
    return any(Path(f"/proc/{pid}/task/{task}/syscall").read_text().split()[0] in calls for task in os.listdir(f"/proc/{pid}/task"))


def test_answers_wait_for_a_front_that_does_not_read(bad):
    """More of them than fit into the socket, small and large, from several threads: all come, each to its request."""
    server = bad(args=["--stall-timeout", "30"])
    sizes = [200_000, 255_000, 300_000, 5, 1_000_000] * 8
    with ThreadPoolExecutor(len(sizes)) as pool:
        answers = [pool.submit(op, server, "slow_big", size) for size in sizes]
        wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == len(sizes), "all are sent")
        stop(server.pid)
        (server.folder / "go").touch()
        worker = server.workers()[0]
        try:
            wait_for(lambda: waits_in_send(worker), "a thread of it waits for the socket")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        for size, answer in zip(sizes, answers):
            assert answer.result().status == 200 and len(answer.result().json()["outputs"]["out"]) == size
    assert server.metric("kourou_worker_restarts_total") == 0


@pytest.mark.parametrize("size", [3_000_000, 40_000_000])
def test_a_result_larger_than_a_frame_ends_its_stream(bad, size):
    answer = bad().post("/invoke/stream", {"parameters": {"op": "big", "n": size}})
    events = [block.split(b"\ndata: ", 1) for block in answer.body.split(b"\n\n")[:-1]]
    assert [name for name, _ in events] == [b"event: run_started", b"event: run_finished"]
    assert len(json.loads(events[1][1])["outputs"]["out"]) == size


def no_descriptor_left(pid):
    """The process can open nothing more; what it sent before is closed in it."""
    def body_is_open():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if "kourou-body" in os.readlink(f"/proc/{pid}/fd/{fd}"):
                    return True
            except OSError:
                continue
        return False

    wait_for(lambda: not body_is_open(), "no body is open")
    taken = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    free = next(fd for fd in range(1024) if fd not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def test_answers_for_which_there_is_no_descriptor_go_in_their_frames(bad):
    """Up to a frame's size; beyond that one clear answer, and nobody else notices."""
    server = bad()
    worker = server.workers()[0]
    limit = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    no_descriptor_left(worker)
    assert len(op(server, "big", 3_000_000).json()["outputs"]["out"]) == 3_000_000
    answer = op(server, "big", 20_000_000)
    assert answer.status == 502 and "no descriptor or no memory left to send this answer" in failed(answer, retryable=False)
    answer = op(server, "ok", j="v" * 300_000)
    assert answer.status == 503 and "no descriptor or no memory left to take this request" in failed(answer, retryable=True)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, limit)
    assert op(server, "ok", j="v" * 300_000).json()["outputs"]["out"] == "v" * 300_000
    assert server.workers() == [worker]


def test_a_lost_descriptor_gives_no_request_the_body_of_another(bad, preload):
    server = bad(env=preload.env, program=preload.PROGRAM, args=["--stall-timeout", "30"])
    check_lost_descriptors(server, preload, 3, lambda value: op(server, "ok", j=value), "out")


def test_a_descriptor_that_cannot_be_sent(bad, preload):
    """By the front: it is tried again. By the worker: the answer stands in its frame."""
    server = bad(env=preload.env, program=preload.PROGRAM)
    preload.refuse_descriptors(3)
    assert op(server, "ok", j="v" * 300_000).json()["outputs"]["out"] == "v" * 300_000
    assert preload.left() == (0, 0)
    preload.refuse_descriptors(1)
    assert len(op(server, "big", 3_000_000).json()["outputs"]["out"]) == 3_000_000
    preload.refuse_descriptors(1)
    answer = op(server, "big", 20_000_000)
    assert answer.status == 502 and "to send this answer" in failed(answer, retryable=False) and preload.left() == (0, 0)
    assert server.metric("kourou_worker_restarts_total") == 0
