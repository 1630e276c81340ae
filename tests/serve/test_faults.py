# SPDX-License-Identifier: Apache-2.0
"""Crowds of slow, idle, half-closed and shouting clients: good ones do not notice."""
import json
import resource
import select
import socket
import threading
import time
from pathlib import Path

from tests.conftest import needs
from tests.serve.serve_client import head, read_all, statuses
from tests.serve.serve_harness import wait_for
from tests.serve.test_life import control

J = "Content-Type: application/json"


def echo(value, *lines):
    body = json.dumps({"parameters": {"op": "echo", "value": value}}).encode()
    return head("POST", "/invoke", J, f"Content-Length: {len(body)}", *lines) + body


def rss(server):
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def slowest(server, count):
    """Seconds of the slowest of so many requests, each over a connection of its own."""
    worst = 0.0
    for n in range(count):
        began = time.monotonic()
        assert server.invoke("echo", value=n).json()["outputs"]["output"] == n
        worst = max(worst, time.monotonic() - began)
    return worst


def room_for(count, beside=0):
    """Lets this process hold so many connections, and what there is beside them. The result is how many it may: fewer, and at least a
    tenth, where this machine allows no more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + beside:
        needs(hard >= count // 10 + beside, f"a hard limit of {count // 10 + beside} descriptors, it is {hard}")
        print(f"scaled: {hard - beside} connections instead of {count}, this machine allows {hard} descriptors")
        count = hard - beside
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + beside), hard))
    return count


class Crowd:
    """Connections that are held, and what becomes of them."""

    def __init__(self, server, count, first=b""):
        self.server, self.first, self.socks = server, first, []
        self.grow(count)

    def grow(self, count):
        for _ in range(count):
            sock = self.server.socket(20)
            if self.first:
                sock.sendall(self.first)
            sock.setblocking(False)
            self.socks.append(sock)

    def drip(self, data):
        """Each sends a little more; the result is how many could."""
        sent = 0
        for sock in self.socks:
            try:
                sent += sock.send(data) > 0
            except OSError:
                pass
        return sent

    def ended(self):
        """(closed in order, reset) of those that the server has ended."""
        poll = select.poll()
        by_fd = {sock.fileno(): sock for sock in self.socks}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        closed = reset = 0
        for fd, _ in poll.poll(0):
            try:
                while by_fd[fd].recv(65536):
                    pass
                closed += 1
            except BlockingIOError:
                pass
            except OSError:
                reset += 1
        return closed, reset

    def close(self):
        for sock in self.socks:
            sock.close()


def test_slow_heads_keep_nobody_out(start):
    """Slowloris: as many as there may be connections send their heads byte by byte."""
    server = start(args=["--max-connections", "400", "--header-timeout", "10"])
    crowd = Crowd(server, 400, b"POST /invoke HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    stop = threading.Event()

    def shout():
        while not stop.wait(0.05):
            crowd.drip(b"a")

    thread = threading.Thread(target=shout)
    thread.start()
    try:
        assert slowest(server, 60) < 8  # the first may wait until the crowd has been there for a second
        assert slowest(server, 100) < 8
        wait_for(lambda: sum(crowd.ended()) >= 395, "the crowd is cut off", 60)
    finally:
        stop.set()
        thread.join()
    assert server.metric("kourou_connections_evicted_total") >= 1
    crowd.close()
    assert slowest(server, 20) < 8


def test_slow_heads_that_come_again_and_again(start):
    """Whoever is cut off connects anew at once."""
    server = start(args=["--max-connections", "200", "--header-timeout", "1"])
    crowd = Crowd(server, 150, b"GET /health HTTP/1.1\r\nHo")
    until, latest = time.monotonic() + 4, time.monotonic() + 60
    while time.monotonic() < until:
        crowd.drip(b"s")
        kept = []
        for sock in crowd.socks:
            try:
                gone = sock.recv(65536, socket.MSG_DONTWAIT) is not None
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                sock.close()
            else:
                kept.append(sock)
        missing = len(crowd.socks) - len(kept)
        crowd.socks = kept
        crowd.grow(missing)
        assert slowest(server, 5) < 8
        if server.metric("kourou_connections_total") <= 300:
            until = max(until, min(time.monotonic() + 1, latest))
    assert server.metric("kourou_connections_total") > 300
    crowd.close()


def test_ten_thousand_idle_connections(start):
    room_for(12_000)
    server = start(args=["--max-connections", "10000"])
    before = rss(server)
    crowd = Crowd(server, 9_990)
    try:
        wait_for(lambda: server.metric("kourou_connections") >= 9_991, "all are accepted", 60)
        assert slowest(server, 200) < 8
        each = (rss(server) - before) / 9_990
        print(f"{each:.0f} bytes each, slowest of 200 requests {slowest(server, 200) * 1e3:.1f} ms")
        assert each < 4096
        assert crowd.ended() == (0, 0)
        time.sleep(1.1)  # whoever has just come is never sent away
        crowd.grow(1_000)
        assert slowest(server, 200) < 8
        wait_for(lambda: sum(crowd.ended()) >= 900, "the oldest have made room")
        closed, reset = crowd.ended()
        assert reset == 0 and closed <= 1_300
        assert server.metric("kourou_connections") <= 10_000
        newest = crowd.socks[-1]
        newest.setblocking(True)
        newest.sendall(head("GET", "/health", "Connection: close"))
        assert statuses(read_all(newest)) == [200]
    finally:
        crowd.close()
    wait_for(lambda: server.metric("kourou_connections") == 1, "all are gone", 60)
    assert slowest(server, 20) < 8


def test_no_descriptors_left(start):
    """Fewer descriptors than connections that may be: the oldest idle ones are closed too."""
    server = start(args=["--max-connections", "100000"])
    limit = server.fds() + 60
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
    crowd = Crowd(server, 55)
    wait_for(lambda: server.metric("kourou_connections") >= 50, "they are accepted")
    time.sleep(1.1)
    crowd.grow(60)
    assert slowest(server, 30) < 8
    assert server.fds() <= limit
    crowd.close()


def test_connections_that_are_in_use_are_not_sent_away(start, tmp_path):
    """At the limit with nobody idle, a new client waits and is answered when there is room."""
    path = tmp_path / "control"
    server = start(args=["--max-connections", "4", "--control", str(path)])
    busy = [server.socket() for _ in range(4)]
    for n, sock in enumerate(busy):
        parameters = {"op": "gate", "gate": str(tmp_path / "go"), "begun": str(tmp_path / f"begun-{n}")}
        body = json.dumps({"parameters": parameters}).encode()
        sock.sendall(head("POST", "/invoke", J, f"Content-Length: {len(body)}", "Connection: close") + body)
    wait_for(lambda: all((tmp_path / f"begun-{n}").exists() for n in range(4)), "they run")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.invoke("echo", value=5)))
    thread.start()
    thread.join(1.5)
    assert not answers and control(path, "status")["connections"] == 4
    (tmp_path / "go").touch()
    thread.join()
    assert answers[0].json()["outputs"]["output"] == 5
    for sock in busy:
        assert statuses(read_all(sock)) == [200]
        sock.close()


def test_half_closed_client_gets_all_its_answers(server):
    data = server.raw(b"".join(echo(f"value-{n}") for n in range(20)), shut=True)
    assert statuses(data) == [200] * 20
    at = [data.index(b'"value-%d"' % n) for n in range(20)]
    assert at == sorted(at)
    data = server.raw(head("GET", "/health") * 30, shut=True)
    assert statuses(data) == [200] * 30
    data = server.raw(echo(1) + head("GET", "/runs") + head("GET", "/metrics") + echo(2), shut=True)
    assert statuses(data) == [200] * 4


def test_half_closed_reader_of_a_stream_gets_it_whole(server):
    body = b'{"parameters":{"count":30,"pause":0.01,"pad":2000}}'
    data = server.raw(head("POST", "/invoke/stream", J, f"Content-Length: {len(body)}") + body, shut=True)
    assert data.count(b"event: user_message") == 30 and data.endswith(b"0\r\n\r\n")


def test_half_closed_in_the_middle_of_a_request(server):
    """What was complete is answered, the rest is not waited for."""
    whole = echo("whole")
    for part in (whole[:20], whole[:-5], b"\r\n"):
        began = time.monotonic()
        data = server.raw(whole + part, timeout=10, shut=True)
        assert statuses(data) == [200] and b'"whole"' in data
        assert time.monotonic() - began < 8


def test_giant_heads_from_many_at_once(server):
    """They are refused before they are read to the end, and cost no memory."""
    before = rss(server)
    giants = [
        (b"GET /health HTTP/1.1\r\nHost: a\r\nX-Giant: " + b"g" * 1_000_000, {431}),
        (b"GET /" + b"g" * 1_000_000, {414, 431}),
        (head("GET", "/health", *[f"X-{n}: v" for n in range(20_000)]), {431}),
        (b"G" * 500_000, {400, 405}),
        (b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X" * 500_000, {431}),
    ]
    found = []

    def shout(data):
        sock = server.socket(20)
        try:
            sock.sendall(data)
        except OSError:
            pass
        found.append(statuses(read_all(sock)))
        sock.close()

    for data, allowed in giants:
        found.clear()
        threads = [threading.Thread(target=shout, args=(data,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        assert slowest(server, 10) < 5
        for thread in threads:
            thread.join()
        assert all(set(codes) <= allowed and len(codes) <= 1 for codes in found), (data[:50], found)
        assert sum(map(bool, found)) >= 15, (data[:50], found)
    assert rss(server) - before < 8 << 20
