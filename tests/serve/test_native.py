# SPDX-License-Identifier: Apache-2.0
"""Pipelines in C: the example, and one that misbehaves."""
import json
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.serve.serve_client import head
from tests.serve.serve_harness import ROOT, Server, wait_for
from tests.serve.test_schema import NATIVE, build_native

BAD = r"""
#include <kourou/pipeline.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    if (op.n == 3 && memcmp(op.p, "big", 3) == 0) {
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

    def run(env=None, ready=True, args=(), **deployment):
        (tmp_path / "bad.c").write_text(BAD)
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o", tmp_path / "libbad.so", tmp_path / "bad.c"],
                       check=True)
        made = json.loads(subprocess.run([NATIVE, "--describe", "libbad.so", "--root", tmp_path], check=True,
                                         capture_output=True).stdout)
        made["settings"] = {"deployment": deployment}
        server = Server(tmp_path, made, args, env=env)
        servers.append(server)
        return server.ready() if ready else server.listen()

    yield run
    for server in servers:
        if server.get("/health").status == 200:
            server.check_clean()
        server.stop()


def op(server, name, n=0, timeout=None, **more):
    return server.post("/invoke", {"parameters": {"op": name, "n": n, **more}, "timeout": timeout})


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
