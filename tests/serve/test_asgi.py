# SPDX-License-Identifier: Apache-2.0
"""Custom endpoints, middleware and mounted applications through the real front and real workers: what is promised beyond
what test_asgi_peer.py compares."""
import gzip
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from tests.serve.serve_harness import PYTHON, ROOT, Server, wait_for
from tests.serve.test_asgi_peer import Line, head, with_body

PEER = pathlib.Path(__file__).resolve().parent / "peer"
COMPILE = """  # all at once: the frameworks take their time to import
import sys
sys.path[:0] = [sys.argv[1], "."]
from kourou import compiler
import own
for name, thing in list(vars(own).items()):
    if type(thing).__name__ == "Pipeline":
        open(name + ".json", "w").write(compiler.canonical_text(compiler.snapshot_of("own." + name, root=".")))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(PEER / "own.py", folder)
    subprocess.run([PYTHON, "-c", COMPILE, ROOT / "python"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def run(project):
    """run(pipeline, *arguments) gives a server; those of a module are shared by name."""
    servers = {}

    def start(name, *args, ready=True, env=None):
        key = (name, *args)
        if key not in servers:
            folder = project / "-".join(key).replace("/", "-")
            folder.mkdir()
            server = servers[key] = Server(folder, json.loads((project / f"{name}.json").read_text()), ["--root", str(project), *args],
                                           env, python_path=ROOT / "python")
            server.ready() if ready else server.listen()
        return servers[key]

    yield start
    problems = []
    for key, server in servers.items():
        try:
            # processes that were forked meanwhile stay for a while
            if "--isolation" not in key and server.process.poll() is None and server.get("/health").status == 200:
                server.check_clean()
        except AssertionError as error:
            problems.append(error)
        finally:
            server.stop()
    assert not problems


def worker_of(server):
    (pid,) = server.workers()
    return pid


# -- middleware ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path, body, status", [
    ("/invoke", {"parameters": {"x": 1}}, 200), ("/invoke", {"parameters": {"x": "no"}}, 422),
    ("/invoke/batch", [{"parameters": {"x": 1}}], 200), ("/invoke/stream", {"parameters": {"x": 1}}, 200)])
def test_what_middleware_appends_stays_with_its_request(run, path, body, status):
    server = run("wrapped")
    counts = []
    for _ in range(4):
        answer = server.post(path, body)
        assert answer.status == status and answer.headers["x-dispatched"] == "2"
        raw = server.raw(with_body("POST", path, json.dumps(body).encode(), "Content-Type: application/json",
                                   "Connection: close")).split(b"\r\n\r\n")[0].lower()
        assert raw.count(b"\r\nx-outer:") == raw.count(b"\r\nx-inner:") == raw.count(b"\r\ncontent-type:") == 1
        counts.append((answer.headers["x-outer"], answer.headers["x-inner"]))
    assert len(set(counts)) == 4


def test_middleware_that_compresses(run):
    server = run("compressed")
    for _ in range(3):
        answer = server.post("/invoke", {"parameters": {"x": 3}}, {"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(answer.body))["outputs"] == {"output": [0, 1, 2]}
        assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize("name", ["wrapped", "compressed"])
def test_events_pass_middleware_one_by_one(run, project, name):
    server = run(name)
    line = Line(server.port)
    line.send(with_body("POST", "/invoke/stream", json.dumps({"parameters": {"x": 3, "gate": name}}).encode(),
                        "Content-Type: application/json"))
    assert line.head()[0] == 200
    for i in range(3):
        if i:
            (project / f"{name}-{i}").touch()
        line.until(b'{"value":%d}' % i)
        assert b'"value":%d' % (i + 1) not in line.rest
    line.until(b"run_finished")
    line.close()


def test_a_client_that_leaves_ends_the_stream_behind_middleware(run, project):
    server = run("wrapped")
    line = Line(server.port)
    line.send(with_body("POST", "/invoke/stream", json.dumps({"parameters": {"x": 5, "gate": "left"}}).encode(),
                        "Content-Type: application/json"))
    line.until(b'{"value":0}')
    line.close()
    (project / "left-1").touch()
    (project / "left-2").touch()
    (project / "left-3").touch()
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "the run has ended")


def test_runs_behind_middleware_are_recorded_as_what_they_were(run):
    server = run("wrapped")
    server.post("/invoke", {"parameters": {"x": 1}, "run_name": "fine"})
    server.post("/invoke", {"parameters": {"x": "no"}})
    items = server.get("/runs?size=20").json()["items"]
    assert [item["status"] for item in items if item["name"] == "fine"] == ["completed"]


# -- what a step may raise or return ------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError", "StopIteration",
                                  "StopAsyncIteration", "BaseException", "ValueError"])
def test_whatever_a_step_raises_is_a_failed_run(run, kind):
    server = run("raising")
    pid = worker_of(server)
    for asynchronous in (False, True):
        answer = server.post("/invoke", {"parameters": {"kind": kind, "asynchronous": asynchronous}})
        assert answer.status == 500
        document = answer.json()
        assert document["success"] is False and document["outputs"] is None and len(document["metadata"]["run_id"]) == 36
        step = "raises_async" if asynchronous else "raises"
        assert document["error"].startswith(f"Failed to execute pipeline: step '{step}': "), document["error"]
        # a coroutine cannot raise these as they are
        assert kind in document["error"] or kind.startswith("Stop") and "RuntimeError" in document["error"]
        batch = server.post("/invoke/batch", [{"parameters": {"kind": kind, "asynchronous": asynchronous}}])
        assert batch.status == 200 and batch.json()[0]["error"] == document["error"]
        events = server.post("/invoke/stream", {"parameters": {"kind": kind, "asynchronous": asynchronous}}).body
        assert b"event: run_finished" in events and b'"success":false' in events
    assert worker_of(server) == pid


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "ValueError"])
def test_the_event_loop_outlives_tasks_that_exit(run, kind):
    server = run("tasks")
    pids = {server.post("/invoke", {"parameters": {"kind": kind}}, timeout=15).json()["outputs"]["output"]
            for _ in range(3)}
    assert pids == {worker_of(server)}


@pytest.mark.parametrize("which", ["lambda", "nested", "module", "lock", "surrogate"])
def test_an_output_that_is_no_json_is_named(run, which):
    answer = run("oddities").post("/invoke", {"parameters": {"which": which}})
    assert answer.status == 500
    assert answer.json()["error"].startswith(
        "Failed to execute pipeline: output 'output' of step 'odd' cannot be written as JSON: ")


@pytest.mark.parametrize("which", ["lambda", "module", "huge"])
def test_an_output_of_another_type_is_named(run, which):
    answer = run("odd_integers").post("/invoke", {"parameters": {"which": which}})
    if answer.status == 500:
        assert "'output'" in answer.json()["error"] and "step 'odd_int'" in answer.json()["error"]
    else:
        assert answer.status == 200 and which == "huge" and len(answer.body) > 5000


# -- typed endpoints ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/status/", "/status-async/"])
def test_statuses_that_are_none(run, path):
    server = run("endpoints")
    pid = worker_of(server)
    for value in ("-1", "0", "99", "100", "101", "199", "600", "99999", "4294967496", "text", "none", "true", "float"):
        answer = server.get(path + value)
        assert answer.status == 500, value
        assert answer.json()["detail"].startswith("ValueError: the status of an answer is a number from 200 to 599")
    assert server.get(path + "teapot").status == 418 and server.get(path + "299").status == 299
    assert worker_of(server) == pid


@pytest.mark.parametrize("query", ["name=a%0d%0ab&value=1", "name=x&value=a%0d%0aset-cookie:%20b=1", "name=x&value=%00",
                                   "name=&value=1", "name=a%20b&value=1", "name=a:b&value=1", "name=x&value=a%0ab"])
def test_headers_that_are_none(run, query):
    answer = run("endpoints").get("/header?" + query)
    assert answer.status == 500 and answer.json()["detail"].startswith("ValueError: a header of the answer is not valid")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/ends/", "/ends-async/"])
@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError", "StopIteration",
                                  "BaseException"])
def test_whatever_a_handler_raises_is_an_answer(run, path, kind):
    server = run("endpoints")
    pid = worker_of(server)
    answer = server.get(path + kind, timeout=15)
    assert answer.status == 500 and (kind in answer.json()["detail"] or kind == "StopIteration")
    assert worker_of(server) == pid


@pytest.mark.parametrize("path", ["/tells/", "/tells-async/"])
def test_errors_of_endpoints_tell_no_secrets(run, path):
    server = run("endpoints", "--log-level", "info", env={"KOUROU_SECRET_NAMES": "OWN_SECRET",
                                                          "OWN_SECRET": "correct-horse-battery"})
    for how in ("raise", "answer"):
        answer = server.get(path + how)
        assert answer.status == 500 and b"battery" not in answer.body and answer.json()
    assert server.get(path + "say").json() == {"password": "correct-horse-battery"}  # what it says when it succeeds is its own
    assert "battery" not in server.log()


def test_an_application_that_exits(run):
    server = run("endpoints")
    pid = worker_of(server)
    for _ in range(2):
        assert server.get("/exits", timeout=15).status == 500
    assert server.get("/pid").json() == pid


def test_requests_and_responses_of_another_framework(run, project):
    server = run("endpoints")
    assert server.post("/reads", b"x" * 300_000).json() == {"total": 300_000, "path": "/reads"}
    answer = server.get("/sync/4")
    assert answer.body == b"0;1;2;3;" and answer.headers["content-type"].startswith("text/plain")
    wait_for((project / "sync-ran").exists, "the task in the background")
    assert server.get("/plain").body == b"plain" and server.get("/plain").headers["x-plain"] == "1"


def test_a_foreign_request_is_read_while_it_comes(run):
    server = run("endpoints")
    line = Line(server.port)
    line.send(head("POST", "/reports", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
    line.until(b"3;")
    line.send(b"4\r\nabcd\r\n")
    line.until(b"4;")
    line.send(b"0\r\n\r\n")
    line.until(b"pid ")
    line.close()


def test_many_requests_share_the_loop(run):
    """Many more wait in one worker at once than it has threads (four), and keep no others out."""
    server = run("endpoints")
    lines = [Line(server.port) for _ in range(60)]
    streams = [Line(server.port) for _ in range(60)]
    for line in lines[1:]:
        line.send(head("GET", "/meets/60"))
    for line in streams:
        line.send(head("POST", "/reports", "Transfer-Encoding: chunked") + b"1\r\nx\r\n")
        line.until(b"1;")
    assert server.get("/pid").status == 200 and server.post("/invoke", {"parameters": {"x": 1}}).status == 200
    lines[0].send(head("GET", "/meets/60"))
    for line in lines:
        assert line.answer().body == b"60"
    for line in streams:
        line.send(b"0\r\n\r\n")
        line.until(b"pid ")
    for line in lines + streams:
        line.close()


def test_mounted_applications(run):
    server = run("endpoints")
    assert server.get("/router/routed").json() == {"routed": True}
    assert server.get("/made/title").json() == "mine" and server.get("/made/nothing").status == 404
    assert server.get("/whole").json() == "whole path" and server.get("/whole/below").json() == "below"
    assert server.post("/made/title", {}).status == 405
    assert server.get("/made/openapi.json").json()["info"]["title"] == "mine"
    assert "/made" in server.get("/openapi.json").json()["paths"]


def test_applications_in_processes_of_their_own(run):
    """Each process has its own loop and lifespan; parts go through as ever, one request at a time in each."""
    server = run("endpoints", "--isolation", "process")
    assert server.get("/made/title").json() == "mine"
    lines = [Line(server.port) for _ in range(3)]
    for line in lines:
        line.send(head("POST", "/reports", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
        line.until(b"3;")
    pids = set()
    for line in lines:
        line.send(b"0\r\n\r\n")
        line.until(b"pid ")
        pids.add(line.until(b"\r\n"))
        line.close()
    assert len(pids) == 3


# -- which endpoint, and whose key ------------------------------------------------------------------------------------

def test_the_key_belongs_to_the_endpoint_that_answers(run):
    """However the path is written."""
    server = run("endpoints", "--log-level", "error", env={"KOUROU_AUTH_KEY": "right-key"})
    key = {"X-API-Key": "right-key"}
    assert server.get("/secret", key).json() == "secret" and server.get("/%73ecret", key).json() == "secret"
    for path in ("/secret", "/%73ecret", "/secre%74", "/%73%65%63%72%65%74", "/secret?x=1", "/secret/open",
                 "/secret%2fopen", "/secret/%6fpen", "/secret/x"):
        answer = server.get(path)
        assert answer.status == 401, (path, answer)
    assert server.get("/open/../secret").json() == {"rest": "../secret"}
    assert server.get("/open/%2e%2e/secret").json() == {"rest": "../secret"}
    assert server.get("/open%2Fx").json() == {"rest": "x"}
    assert server.get("/a/open").json() == {"name": "a"}
    assert server.get("/shown/a%20b%C3%A9%25").json() == {"name": "a bé%"}
    assert server.get("/shown/a%2Fb").status == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_websockets_are_refused(run, method):
    server = run("endpoints")
    answer = server.request(method, "/made/title" if method == "GET" else "/reports", headers={
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert answer.status == 501
    assert answer.json() == {"detail": "WebSockets are not supported; use requests and event streams"}


def test_scheme_and_client_in_a_space(run):
    server = run("endpoints", "--space")
    scope = server.get("/scope/a%20b").json()
    assert scope["scheme"] == "https" and scope["path"] == "/scope/a b" and scope["params"] == {"rest": "a b"}
    scope = server.get("/scope/x", {"X-Forwarded-For": "10.9.8.7, 10.1.1.1", "X-Forwarded-Proto": "http"}).json()
    assert scope["scheme"] == "http" and scope["client"] == ["10.9.8.7", 0]
    scope = run("endpoints").get("/scope/x", {"X-Forwarded-For": "10.9.8.7"}).json()
    assert scope["scheme"] == "http" and scope["client"] == ["10.9.8.7", 0] and scope["root_path"] == ""


# -- bounds ---------------------------------------------------------------------------------------------------------

def test_a_slow_reader_holds_the_application_back(run):
    server = run("endpoints")
    line = Line(server.port)
    line.send(head("GET", "/floods"))
    line.until(b"xxxx")
    amounts = []

    def still():
        amounts.append(server.get("/how-much").json())
        return len(amounts) > 5 and len(set(amounts[-5:])) == 1

    wait_for(still, "the application waits")
    assert amounts[-1] < 24 << 20
    assert server.metric('kourou_memory_bytes{process="front"}') < 60e6
    for _ in range(200):
        line.more()
        line.rest = b""
    wait_for(lambda: server.get("/how-much").json() > amounts[-1], "it goes on")
    line.close()
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "it hears that nobody reads")


def test_an_application_that_does_not_read_holds_the_client_back(run, project):
    server = run("endpoints")
    size, sent = 40 << 20, 0
    line = Line(server.port)
    line.send(head("POST", "/never-reads", f"Content-Length: {size}"))
    line.sock.settimeout(0.5)
    try:
        while sent < size:
            sent += line.sock.send(bytes(min(65536, size - sent)))
    except TimeoutError:
        pass
    assert 0 < sent < 16 << 20  # what the buffers of the system hold
    assert server.metric('kourou_memory_bytes{process="front"}') < 60e6
    (project / "read-it").touch()
    line.sock.settimeout(20)
    line.send(bytes(size - sent))
    assert line.answer().body == str(size).encode()
    line.close()


def test_a_large_declared_upload_is_counted_and_refused(run):
    server = run("endpoints", "--max-body-size", "100000")
    assert server.raw(head("POST", "/reports", "Content-Length: 100001")).startswith(b"HTTP/1.1 413 ")
    line = Line(server.port)
    line.send(head("POST", "/reads", "Transfer-Encoding: chunked"))
    for _ in range(3):
        line.send(b"%x\r\n%s\r\n" % (40000, bytes(40000)))
    assert line.answer().status == 413
    line.close()


def test_a_body_that_stops_is_ended(run):
    server = run("endpoints", "--body-timeout", "0.3")
    line = Line(server.port)
    line.send(head("POST", "/reads", "Content-Length: 1000") + b"some")
    assert line.answer().status == 408
    line.close()
    line = Line(server.port)
    line.send(head("POST", "/reports", "Content-Length: 1000") + b"some")
    line.until(b"4;")
    while line.more():
        pass
    assert b"0\r\n\r\n" not in line.rest  # the answer had begun: it is cut
    line.close()
    assert server.get("/pid").json() == worker_of(server)


def test_nonsense_in_the_middle_of_a_body(run):
    server = run("endpoints")
    line = Line(server.port)
    line.send(head("POST", "/reads", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
    line.send(b"nonsense\r\n")
    assert line.answer().status == 400
    line.close()
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "the application has heard of it")


# -- workers that end -------------------------------------------------------------------------------------------------

def test_a_worker_that_dies_during_an_upload_or_a_stream(run):
    server = run("endpoints", "--workers", "1")
    upload, streaming, waits = (Line(server.port) for _ in range(3))
    upload.send(head("POST", "/reports", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
    upload.until(b"3;")
    streaming.send(head("GET", "/slow"))
    streaming.until(b"begun ")
    waits.send(head("POST", "/reads", "Content-Length: 10") + b"abc")
    wait_for(lambda: server.metric("kourou_in_flight") == 3, "all three are with the worker")
    os.kill(worker_of(server), signal.SIGKILL)
    for line in (upload, streaming):  # cut: no last chunk, and no event that is not the application's
        while line.more():
            pass
        assert b"0\r\n\r\n" not in line.rest and b"event" not in line.rest
    found = waits.answer()
    assert found.status == 502 and json.loads(found.body)["retryable"] is False
    assert server.get("/pid").status == 200
    for line in (upload, streaming, waits):
        line.close()


def test_a_drain_waits_for_streams(run, project):
    server = run("endpoints", "--workers", "2")
    line = Line(server.port)
    line.send(head("GET", "/slow"))
    line.until(b"begun ")
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "the drain")
    (project / "end-it").touch()
    line.until(b"ended")
    while line.more():
        pass
    assert line.rest.endswith(b"0\r\n\r\n")
    line.close()
    assert server.process.wait(20) == 0


# -- lifespan ---------------------------------------------------------------------------------------------------------

def test_an_application_that_cannot_start(run):
    server = run("bad_start", ready=False)
    text = wait_for(lambda: (lambda a: "weights" in a.body.decode() and a)(server.get("/health")), "the reason")
    assert text.status == 503 and "the application at /bad did not start: the weights are missing" in text.body.decode()


def test_applications_without_a_lifespan_start(run, project):
    server = run("good_start")
    assert server.get("/raises").status == 500
    assert server.post("/twice", b"body").body == b"body"
    assert server.get("/ended").body == b"up" and not (project / "shut-down").exists()
    server.stop()
    assert (project / "shut-down").exists()


def test_middleware_takes_part_in_the_lifespan(run, project):
    server = run("wrapped")
    assert server.post("/invoke", {"parameters": {"x": 1}}).status == 200 and not (project / "guard-shut-down").exists()
    server.stop()
    assert (project / "guard-shut-down").exists()
