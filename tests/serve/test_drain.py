# SPDX-License-Identifier: Apache-2.0
"""A server that is to stop while requests run: everybody gets an answer, and who may finish does."""
import json
import os
import signal
import socket
import sqlite3
import struct

import pytest
from tests.serve.serve_client import head, read_all, statuses
from tests.serve.serve_harness import Server, make_snapshot, wait_for
from tests.serve.test_life import control
from tests.serve.test_workers import doomed_request, failed, in_background


def ends(server, seconds=30):
    assert server.process.wait(seconds) == 0, server.log()[-3000:]


def test_a_drain_lasts_as_long_as_what_runs(start, tmp_path):
    """Longer than the half minute that it once had is not waited for here: the bound is shown by what ends it."""
    server = start(args=["--request-timeout", "60"], check=False)
    running = [in_background(server.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / f"begun-{i}"))
               for i in range(3)]
    wait_for(lambda: all((tmp_path / f"begun-{i}").exists() for i in range(3)), "they run")
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    assert server.process.poll() is None and running[0]["runs"]()
    (tmp_path / "go").touch()
    for one in running:
        one["join"]()
        assert one["answer"].status == 200
    ends(server)
    assert "drain timeout" not in server.log()


def test_whoever_still_waits_at_the_end_of_a_drain_gets_an_answer(start, tmp_path):
    """What runs: 503 that is not to be repeated. What has not begun, in the worker or before it: 503 that may be."""
    server = start({"thread_pool_size": 1}, args=["--drain-timeout", "0.7", "--data-dir", str(tmp_path / "data")], check=False)
    running = doomed_request(server, tmp_path)
    waiting = [in_background(server.invoke, "echo", value=i) for i in range(40)]
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 41, "they wait")
    stream = server.socket()
    body = b'{"parameters":{"count":3}}'
    stream.sendall(head("POST", "/invoke/stream", "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
    wait_for(lambda: server.metric("kourou_in_flight") + server.metric("kourou_queue_length") == 42, "the stream waits")
    server.process.send_signal(signal.SIGTERM)
    running["join"]()
    assert running["answer"].status == 503 and "retry-after" in running["answer"].headers
    assert failed(running["answer"], retryable=False) == "The server stopped while it ran this request"
    for one in waiting:
        one["join"]()
        assert one["answer"].status == 503 and failed(one["answer"], retryable=True) == "The server is stopping"
        assert one["answer"].headers["connection"] == "close"
    assert b"503 Service Unavailable" in read_all(stream)
    ends(server)
    with sqlite3.connect(next((tmp_path / "data").glob("*.db"))) as journal:  # what ran is recorded, the others are not
        assert [row[0] for row in journal.execute("SELECT COUNT(*) FROM runs")] == [1]


def test_a_stream_that_runs_at_the_end_of_a_drain_says_so(start, tmp_path):
    server = start(args=["--drain-timeout", "0.5"], check=False)
    with server.socket() as sock:
        body = ('{"parameters":{"count":3,"gate":"%s"}}' % (tmp_path / "never")).encode()
        sock.sendall(head("POST", "/invoke/stream", "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
        seen = b""
        while b"run_started" not in seen:
            seen += sock.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        data = read_all(sock)
    assert b"event: error" in data and b"The server stopped" in data and data.endswith(b"0\r\n\r\n"), data
    ends(server)


def test_asked_twice_it_ends_at_once_and_everybody_has_an_answer(start, tmp_path):
    server = start(check=False)
    running = doomed_request(server, tmp_path)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    assert running["runs"]()
    server.process.send_signal(signal.SIGTERM)
    running["join"]()
    assert running["answer"].status == 503 and failed(running["answer"], retryable=False)
    ends(server)


def test_a_worker_that_crashes_during_a_drain_is_replaced(start, tmp_path):
    """What had not started still runs, in a new one."""
    server = start({"thread_pool_size": 1}, check=False)
    running = doomed_request(server, tmp_path)
    waiting = in_background(server.invoke, "echo", value=3)
    wait_for(lambda: server.metric("kourou_in_flight") == 2, "the second stands behind it")
    worker = server.workers()[0]
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    os.kill(worker, signal.SIGKILL)
    running["join"]()
    waiting["join"]()
    assert running["answer"].status == 502
    assert waiting["answer"].status == 200 and waiting["answer"].json()["outputs"]["output"] == 3
    ends(server)


def test_a_hand_over_does_not_cut_what_runs_longer(start, tmp_path):
    """The new server answers meanwhile; the old one ends with its last request."""
    path = tmp_path / "c"
    old = start(args=["--control", str(path)], check=False)
    running = in_background(old.invoke, "gate", gate=str(tmp_path / "go"), begun=str(tmp_path / "begun"))
    wait_for((tmp_path / "begun").exists, "it runs")
    folder = tmp_path / "new"
    folder.mkdir()
    new = Server(folder, make_snapshot(), ["--takeover", str(path), "--control", str(path)])
    try:
        new.ready()
        wait_for(lambda: control(path, "status")["pid"] == new.pid, "the control socket leads to the new one")
        assert new.invoke("echo", value=1).status == 200
        assert old.process.poll() is None and running["runs"]()
        (tmp_path / "go").touch()
        running["join"]()
        assert running["answer"].status == 200
        ends(old)
    finally:
        new.close()
        new.stop()


@pytest.mark.parametrize("args,bound", [(["--space"], 25), (["--drain-timeout", "2", "--space"], 2), (["--request-timeout", "7"], 12)])
def test_how_long_a_drain_may_last(start, args, bound, tmp_path):
    server = start(args=args, check=False)
    running = doomed_request(server, tmp_path)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: f"for {bound} seconds at most" in server.log(), "it says how long")
    server.process.send_signal(signal.SIGTERM)
    running["join"]()
    ends(server)


def half_closed(server, tmp_path, name):
    """A client that has sent its request, has ended its sending side, and waits."""
    body = json.dumps({"parameters": {"op": "gate", "gate": str(tmp_path / "go"), "begun": str(tmp_path / name)}}).encode()
    sock = server.socket()
    sock.sendall(head("POST", "/invoke", "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
    sock.shutdown(socket.SHUT_WR)
    wait_for((tmp_path / name).exists, "its request runs")
    return sock


def test_a_half_closed_client_still_waits(start, tmp_path):
    """An end of what is sent says nothing of what is read: a drain lasts until the answer is there."""
    server = start(check=False)
    with half_closed(server, tmp_path, "begun") as sock:
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "draining" in server.log(), "it drains")
        assert server.process.poll() is None
        (tmp_path / "go").touch()
        data = read_all(sock)
    assert statuses(data) == [200] and b'"success": true' in data
    ends(server)
    assert "drain timeout" not in server.log()


def test_a_half_closed_client_is_answered_at_the_end_of_a_drain(start, tmp_path):
    server = start(args=["--drain-timeout", "0.7"], check=False)
    with half_closed(server, tmp_path, "begun") as sock:
        server.process.send_signal(signal.SIGTERM)
        data = read_all(sock)
    assert statuses(data) == [503] and b"The server stopped while it ran this request" in data
    ends(server)


def test_half_closed_clients_that_wait_for_nothing_hold_no_drain(start, tmp_path):
    """Idle, in the middle of a head, and of a body: they can bring no request any more."""
    server = start(args=["--drain-timeout", "60", "--idle-timeout", "60"], check=False)
    socks = [server.socket() for _ in range(3)]
    for sock, sent in zip(socks, (b"", b"GET /health HT", head("POST", "/invoke", "Content-Type: application/json", "Content-Length: 100") + b"{")):
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
    assert [read_all(sock) for sock in socks] == [b"", b"", b""]
    server.process.send_signal(signal.SIGTERM)
    ends(server, 20)
    for sock in socks:
        sock.close()


def test_a_client_that_has_reset_its_connection_is_not_waited_for(start, tmp_path):
    server = start(args=["--drain-timeout", "60"], check=False)
    sock = half_closed(server, tmp_path, "begun")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    wait_for(lambda: server.metric("kourou_connections") == 1, "it is seen")
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    (tmp_path / "go").touch()
    ends(server, 20)
