# SPDX-License-Identifier: Apache-2.0
"""One and the same applications under uvicorn and under Kourou: what clients get, what the applications saw, and when
the first byte comes. Differences that are meant stand in the tables of this file, each with its reason."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from tests.serve.serve_harness import PYTHON, ROOT, Server, wait_for

ORDER = {"PYTHONHASHSEED": "0"}  # Starlette writes a set into `allow`
PEER = pathlib.Path(__file__).resolve().parent / "peer"

# Headers that only one of them sends, or that differ with every answer.
OWN_HEADERS = {
    "date": "both send it, in seconds",
    "server": "each says its own name, or none",
    "x-request-id": "Kourou's: the id that the access log has",
    "strict-transport-security": "Kourou's secure headers",
    "x-frame-options": "Kourou's secure headers",
    "x-content-type-options": "Kourou's secure headers",
    "content-security-policy": "Kourou's secure headers",
    "referrer-policy": "Kourou's secure headers",
    "permissions-policy": "Kourou's secure headers",
    "cache-control": "Kourou's secure headers; the application's own wins, see test_own_headers_win",
}

# Requests whose answers differ, and why.
REASONS = {
    "an absolute target": "uvicorn takes all of it for the path; Kourou reads it as RFC 9112 says",
    "no answer": "the body says what was wrong, as for other endpoints; the connection stays",
    "a status that is none": "uvicorn ends the connection without an answer; Kourou answers 500 and says why",
    "a long body that nobody reads": "it is not read to its end: the connection ends, and says so",
    "a cut answer of HTTP/1.0": "the connection is reset: an ordinary end would look like that of a whole answer",
}


# -- a client that sees everything ------------------------------------------------------------------------

class Got:
    """One answer, and how the connection was afterwards."""

    def __init__(self, status, headers, body, whole):
        self.status, self.headers, self.body, self.whole = status, headers, body, whole

    def comparable(self):
        own = [(k, v) for k, v in self.headers if k not in OWN_HEADERS]
        return self.status, sorted(own), self.body, self.whole

    def get(self, name):
        return [v for k, v in self.headers if k == name]

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r} whole={self.whole}>"


class Line:
    """A connection; what was read and not used stays in ``rest``."""

    def __init__(self, port, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.rest = b""
        self.ended = False

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.ended = not data
        self.rest += data
        return bool(data)

    def until(self, mark):
        """Reads until the mark; the result is what stands before it and the mark."""
        while mark not in self.rest:
            assert self.more(), (mark, self.rest)
        at = self.rest.index(mark) + len(mark)
        found, self.rest = self.rest[:at], self.rest[at:]
        return found

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = [(k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:] if line)]
        return int(lines[0].split(" ")[1]), headers

    def answer(self, method="GET"):
        status, headers = self.head()
        while status == 100:
            status, headers = self.head()
        table = dict(headers)
        if method == "HEAD" or status in (204, 304):
            return Got(status, headers, b"", True)
        if table.get("transfer-encoding") == "chunked":
            body, whole = self.chunks()
        elif "content-length" in table:
            n = int(table["content-length"])
            while len(self.rest) < n and self.more():
                pass
            body, self.rest = self.rest[:n], self.rest[n:]
            whole = len(body) == n
        else:
            while self.more():
                pass
            body, self.rest, whole = self.rest, b"", True
        return Got(status, headers, body, whole)

    def chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self.rest:
                if not self.more():
                    return body + self.rest, False
            size = int(self.until(b"\r\n"), 16)
            while len(self.rest) < size + 2:
                if not self.more():
                    return body + self.rest, False
            body, self.rest = body + self.rest[:size], self.rest[size + 2:]
            if size == 0:
                return body, True

    def stays(self):
        """Whether the connection can be used again."""
        try:
            self.send(b"GET /plain HTTP/1.1\r\nHost: peer\r\n\r\n")
            return self.answer().body == b"hello"
        except (OSError, AssertionError):
            return False

    def close(self):
        self.sock.close()


def head(method, path, *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: peer", *lines, "", ""]).encode("latin-1")


def with_body(method, path, body, *lines):
    return head(method, path, f"Content-Length: {len(body)}", *lines) + body


def chunked(method, path, parts, *lines):
    return head(method, path, "Transfer-Encoding: chunked", *lines) + b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def multipart(*fields):
    parts = b"".join(
        b"--edge\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n%s\r\n" % (name, extra, value)
        for name, extra, value in fields)
    return parts + b"--edge--\r\n"


# -- the servers --------------------------------------------------------------------------------------------

class Side:
    """One of the two: where the Starlette and the FastAPI application are."""

    def __init__(self, star, fast, prefix):
        self.star, self.fast, self.prefix = star, fast, prefix

    def line(self):
        return Line(self.star)

    def ask(self, request, method="GET"):
        line = self.line()
        try:
            line.send(request)
            return line.answer(method)
        finally:
            line.close()

    def ask_fast(self, method, path, body=b"", *lines):
        line = Line(self.fast)
        try:
            line.send(with_body(method, self.prefix + path, body, *lines) if body else
                      head(method, self.prefix + path, *lines))
            return line.answer(method)
        finally:
            line.close()

    def open(self, gate):
        assert self.ask(with_body("POST", f"/gate/{gate}", b"")).status == 200

    def seen(self, key, n=1):
        return json.loads(self.ask(head("GET", f"/seen/{key}?n={n}")).body)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peer")
    for path in PEER.glob("*.py"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def uvicorn(project):
    ports = project / "ports"
    process = subprocess.Popen([PYTHON, project / "uvicorn_peers.py", ports], cwd=project, env=os.environ | ORDER)
    wait_for(lambda: ports.exists() or process.poll() is not None, "uvicorn")
    assert process.poll() is None
    star, fast = map(int, ports.read_text().split())
    yield Side(star, fast, "")
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def kourou(project):
    target = project / "compiled.json"
    subprocess.run([PYTHON, ROOT / "python/kourou/_boot.py", "compile", "pipe.served", "--root", project, "--output",
                    target], check=True, capture_output=True)
    server = Server(project, json.loads(target.read_text()), env=ORDER, python_path=ROOT / "python")
    server.ready()
    yield Side(server.port, server.port, "/fast")
    server.check_clean()
    server.stop()


@pytest.fixture(scope="module")
def both(project, uvicorn, kourou):
    """The files that both serve are the same: their times are in the answers."""
    folder = project / "files"
    (folder / "page.txt").write_bytes(b"".join(b"line %d\n" % i for i in range(200)))
    (folder / "large.bin").write_bytes(bytes(range(256)) * 4096)
    (folder / "empty.txt").write_bytes(b"")
    return uvicorn, kourou


# -- whole requests -------------------------------------------------------------------------------------------

G = "GET"
REQUESTS = {
    "text": head(G, "/plain"),
    "html and a header of one's own": head(G, "/html"),
    "cookies both ways": head(G, "/cookies", "Cookie: one=1; two=2", "Cookie: three=3"),
    "an empty body": head(G, "/sizes?n=0"),
    "100 KB": head(G, "/sizes?n=100000"),
    "3 MB": head(G, "/sizes?n=3000000"),
    "201": head(G, "/status/201"),
    "204": head(G, "/status/204"),
    "304": head(G, "/status/304"),
    "404 by the application": head(G, "/status/404"),
    "599": head(G, "/status/599"),
    "a stream": head(G, "/streamed"),
    "a stream of nothing": head(G, "/streamed?n=0"),
    "a long stream": head(G, "/streamed?n=3000"),
    "a stream of a sync generator": head(G, "/streamed-sync"),
    "a stream of a declared length": head(G, "/with-length"),
    "a file": head(G, "/file/page.txt"),
    "an empty file": head(G, "/file/empty.txt"),
    "a large file": head(G, "/file/large.bin"),
    "a range": head(G, "/file/page.txt", "Range: bytes=10-30"),
    "the last bytes": head(G, "/file/page.txt", "Range: bytes=-5"),
    "a range outside": head(G, "/file/page.txt", "Range: bytes=90000-"),
    "a malformed range": head(G, "/file/page.txt", "Range: lines=1"),
    "an If-Range that fails": head(G, "/file/page.txt", "Range: bytes=0-3", 'If-Range: "x"'),
    "a static file": head(G, "/files/page.txt"),
    "a static file that is not there": head(G, "/files/nothing.txt"),
    "a static file outside": head(G, "/files/..%2f..%2fetc%2fpasswd"),
    "an exception": head(G, "/fails"),
    "an exception in a stream": head(G, "/fails-in-stream"),
    "an exception in a declared length": head(G, "/fails-in-length"),
    "an HTTPException": head(G, "/refuses"),
    "a redirect": head(G, "/redirect"),
    "a 303": head(G, "/redirect?code=303"),
    "a slash that is missing": head(G, "/slash"),
    "nothing there": head(G, "/nothing/at/all"),
    "a method that is not offered": head("DELETE", "/plain"),
    "OPTIONS": head("OPTIONS", "/plain"),
    "DELETE": head("DELETE", "/methods"),
    "PATCH": with_body("PATCH", "/echo", b"patched", "Content-Type: a/b"),
    "a body": with_body("POST", "/echo", b'{"a": 1}', "Content-Type: application/json"),
    "a body of 2 MB": with_body("POST", "/echo", b"0123456789" * 200_000),
    "a body in chunks": chunked("POST", "/echo", [b"one", b"two" * 1000, b"three"]),
    "a counted upload": chunked("POST", "/count", [b"x" * 30_000] * 40),
    "an empty POST": with_body("POST", "/echo", b""),
    "a form": with_body("POST", "/form", b"a=1&a=2&b=%C3%A9&empty=&plus=a+b",
                        "Content-Type: application/x-www-form-urlencoded"),
    "files in a form": with_body("POST", "/form", multipart(
        (b"note", b"", b"hello"), (b"file", b'; filename="a.txt"\r\nContent-Type: text/plain', b"content"),
        (b"file", b'; filename="b.bin"', bytes(range(256)))), "Content-Type: multipart/form-data; boundary=edge"),
    "a form of nonsense": with_body("POST", "/form", b"--edge\r\nnonsense", "Content-Type: multipart/form-data; boundary=edge"),
    "a body that nobody reads": with_body("POST", "/ignores", b"x" * 500),
    "a query of everything": head(G, "/query?a=1&a=2&b&c=&d=%26%3D&e=a+b&f=%C3%A9&g=%ff&=x&h=1=2&&"),
    "an empty query": head(G, "/query?"),
    "headers twice": head(G, "/headers", "X-Same: 1", "x-same: 2", "Accept: a/b", "X-Odd: \xe9\xff", "X-Empty:",
                          "X-Blank: \t padded \t"),
    "urls": head(G, "/urls"),
    "urls behind a proxy": head(G, "/urls", "X-Forwarded-Proto: https", "X-Forwarded-For: 10.1.2.3"),
    "several proxies": head(G, "/urls", "X-Forwarded-For: 6.6.6.6, 10.1.2.3:55", "X-Forwarded-For: 127.0.0.1"),
    "a proxy that says nothing": head(G, "/urls", "X-Forwarded-Proto: gopher", "X-Forwarded-For: "),
    "a scope": head(G, "/scope/a/b?x=1", "X-A: 1", "Connection: keep-alive"),
    "a path of escapes": head(G, "/scope/%41%20%2F%3f%25%2b+"),
    "a path in UTF-8": head(G, "/scope/%C3%A9%E2%82%AC"),
    "a path that is no UTF-8": head(G, "/scope/%ff%fe%C3"),
    "a path with half of an escape": head(G, "/scope/%4%zz%"),
    "a route in UTF-8": head(G, "/caf%C3%A9/%D0%B6"),
    "a path with dots": head(G, "/scope/../x/./y//z"),
    "an absolute target": head(G, "http://peer/scope/absolute?q=1"),
    "a POST's scope": with_body("POST", "/scope/post", b"abc", "Content-Type: text/plain"),
    "state of the lifespan": head(G, "/state"),
    "a bare answer": head(G, "/raw/bare"),
    "repeated headers": head(G, "/raw/repeated"),
    "too short": head(G, "/raw/too-short"),
    "too long": head(G, "/raw/too-long"),
    "too long in the second part": head(G, "/raw/too-long-later"),
    "no end": head(G, "/raw/no-end"),
    "no answer": head(G, "/raw/no-answer"),
    "chunked by itself": head(G, "/raw/chunked-by-itself"),
    "empty parts": head(G, "/raw/empty-parts"),
    "sent twice": head(G, "/raw/twice"),
    "started twice": head(G, "/raw/start-twice"),
    "body before start": head(G, "/raw/body-first"),
    "a close that the application wants": head(G, "/raw/close"),
    "a 304 with a length": head(G, "/raw/304"),
    "what receive gives": with_body("POST", "/raw/received", b"received"),
    "what receive gives of nothing": head(G, "/raw/received"),
    "middleware": head(G, "/wrapped/plain"),
    "middleware that compresses": head(G, "/wrapped/big?n=5000", "Accept-Encoding: gzip"),
    "middleware around a stream": head(G, "/wrapped/streamed?n=50"),
    "middleware around a compressed stream": head(G, "/wrapped/streamed?n=50", "Accept-Encoding: gzip"),
    "middleware around a body": with_body("POST", "/wrapped/echo", b"e" * 300),
    "middleware around an exception": head(G, "/wrapped/fails"),
    "a client that closes": head(G, "/plain", "Connection: close"),
    "HTTP/1.0": b"GET /plain HTTP/1.0\r\nHost: peer\r\n\r\n",
    "a stream in HTTP/1.0": b"GET /streamed HTTP/1.0\r\nHost: peer\r\n\r\n",
}
HEADS = ["/plain", "/streamed", "/with-length", "/file/page.txt", "/sizes?n=3000000", "/methods", "/status/204",
         "/wrapped/big?n=5000"]


def same(name, one, other):
    assert one.comparable() == other.comparable(), (name, one, other)


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in REASONS])
def test_same_answer(both, name):
    answers = [side.ask(REQUESTS[name]) for side in both]
    same(name, *answers)
    assert answers[0].status >= 200


@pytest.mark.parametrize("path", HEADS)
def test_same_head(both, path):
    answers = [side.ask(head("HEAD", path), "HEAD") for side in both]
    same(path, *answers)


def test_requests_enough():
    assert len(REQUESTS) + len(HEADS) >= 60
    assert len(set(REQUESTS.values())) == len(REQUESTS)


FAST = [
    (G, "/items/5?q=abc", b"", ()), (G, "/items/x", b"", ()), (G, "/items/5?q=too-long-a-query", b"", ()),
    ("POST", "/items", b'{"name": "a", "price": 2}', ("Content-Type: application/json", "X-User: me")),
    ("POST", "/items", b'{"price": "x"}', ("Content-Type: application/json",)),
    ("POST", "/items", b"{", ("Content-Type: application/json",)), (G, "/sync", b"", ()),
    ("POST", "/upload", multipart((b"note", b"", b"n"), (b"file", b'; filename="f"', b"12345")),
     ("Content-Type: multipart/form-data; boundary=edge",)),
    (G, "/refuse", b"", ()), (G, "/boom", b"", ()), (G, "/stream", b"", ()), (G, "/openapi.json", b"", ()),
    (G, "/docs", b"", ()), (G, "/nothing", b"", ()), ("PUT", "/sync", b"", ()), ("HEAD", "/sync", b"", ()),
]


@pytest.mark.parametrize("method, path, body, lines", FAST)
def test_same_answer_of_fastapi(both, method, path, body, lines):
    same(path, *(side.ask_fast(method, path, body, *lines) for side in both))


def test_tasks_of_fastapi(both):
    for side in both:
        assert side.ask_fast(G, "/tasks/one").body == b'{"queued":"one"}'
        assert side.ask_fast(G, "/log/one").body == b"true"


# -- differences that are meant --------------------------------------------------------------------------------

def test_an_application_without_an_answer(both):
    theirs, ours = (side.ask(REQUESTS["no answer"]) for side in both)
    assert theirs.status == ours.status == 500 and theirs.body == b"Internal Server Error"
    assert ours.get("content-type") == ["application/json"]
    assert json.loads(ours.body) == {"detail": "RuntimeError: the application ended without an answer"}


def test_an_absolute_target(kourou):
    scope = json.loads(kourou.ask(REQUESTS["an absolute target"]).body)
    assert (scope["path"], scope["query_string"]) == ("/scope/absolute", "q=1")


def test_a_status_that_is_none(both):
    """uvicorn ends the connection, or breaks while it does so."""
    for status in ("-1", "0", "99", "199", "600", "99999", "1.5", "text", "none", "true"):
        found = both[1].ask(head(G, f"/raw/status-{status}"))
        assert found.status == 500 and found.whole
        assert json.loads(found.body)["detail"].startswith("ValueError: the status of an answer is a number from 200")
    assert both[1].ask(REQUESTS["text"]).status == 200


def test_a_long_body_that_nobody_reads(both):
    """uvicorn reads all of it away; Kourou says that the connection ends."""
    for side, closes in zip(both, (False, True)):
        line = side.line()
        line.send(head("POST", "/ignores", "Content-Length: 10000000") + b"x" * 1000)
        found = line.answer()
        assert (found.status, found.body) == (403, b"not read")
        assert (found.get("connection") == ["close"]) is closes
        line.close()


def test_a_cut_answer_of_http_1_0_does_not_look_whole(kourou):
    line = kourou.line()
    line.send(b"GET /fails-in-stream HTTP/1.0\r\nHost: peer\r\n\r\n")
    assert line.head()[0] == 200
    with pytest.raises(ConnectionResetError):
        while True:
            data = line.sock.recv(1000)
            assert data, "an ordinary end"
    line.close()


def test_own_headers_win(kourou):
    line = kourou.line()
    line.send(head(G, "/events/own-headers"))
    status, headers = line.head()
    assert status == 200 and [v for k, v in headers if k == "cache-control"] == ["no-cache"]
    line.close()


# -- when bytes come -----------------------------------------------------------------------------------------

def test_parts_of_a_stream_come_one_by_one(both):
    for side in both:
        for path in ("/gated/", "/wrapped/gated/"):
            name = re.sub(r"\W", "", path)
            line = side.line()
            line.send(head(G, path + name))
            assert line.head()[0] == 200
            for i in range(3):
                if i:
                    side.open(f"{name}-{i}")
                line.until(f"{i:04}".encode() * 10)
                assert i == 2 or b"%04d" % (i + 1) not in line.rest
            line.close()


def test_events_come_before_the_last(both):
    for side in both:
        line = side.line()
        line.send(head(G, "/events/sse"))
        line.until(b'data: {"n": 1}\n\n')
        side.open("sse")
        line.until(b'data: {"n": 3}\n\n')
        line.close()


def test_the_head_comes_before_the_body(both):
    for side in both:
        line = side.line()
        line.send(head(G, "/late/late"))
        assert line.head()[0] == 200
        side.open("late")
        line.until(b"after")
        line.close()


@pytest.mark.parametrize("path", ["/parts", "/wrapped/parts"])
def test_parts_of_a_body_come_back_while_it_comes(both, path):
    for side in both:
        line = side.line()
        line.send(head("POST", path, "Transfer-Encoding: chunked"))
        for i in range(5):
            line.send(b"5\r\npart%d\r\n" % i)
            line.until(b"<part%d>" % i)
        line.send(b"0\r\n\r\n")
        while not line.rest.endswith(b"0\r\n\r\n"):
            assert line.more()
        line.rest = b""
        assert line.stays()
        line.close()


def test_parts_of_a_declared_body_come_back(both):
    for side in both:
        line = side.line()
        line.send(head("POST", "/parts", "Content-Length: 10"))
        line.send(b"first")
        line.until(b"<first>")
        line.send(b"later")
        line.until(b"<later>")
        line.close()


def test_large_bodies_both_ways_at_once(both):
    """What comes back is read only in the end: nobody may keep all of it, nobody may wait for ever."""
    part = bytes(range(256)) * 256
    for side in both:
        line = side.line()
        line.send(head("POST", "/parts", "Transfer-Encoding: chunked"))
        for _ in range(10):
            line.send(b"%x\r\n%s\r\n" % (len(part), part))
        line.send(b"0\r\n\r\n")
        found = line.answer()
        assert found.whole and len(re.sub(rb"[<>]", b"", found.body)) == 10 * len(re.sub(rb"[<>]", b"", part))
        line.close()


# -- connections -----------------------------------------------------------------------------------------------

def test_the_connection_is_used_again(both):
    for side in both:
        line = side.line()
        for name in ("text", "a stream", "204", "304", "a body in chunks", "a large file", "an HTTPException",
                     "a body that nobody reads", "a 304 with a length", "a body of 2 MB", "text"):
            line.send(REQUESTS[name])
            assert line.answer().whole, name
        assert line.stays()
        line.close()


def test_requests_one_behind_the_other(both):
    for side in both:
        line = side.line()
        names = ["a stream", "text", "a body", "a body in chunks", "cookies both ways", "text"]
        line.send(b"".join(REQUESTS[name] for name in names))
        for name in names:
            alone = side.ask(REQUESTS[name])
            assert line.answer().comparable() == alone.comparable(), name
        line.close()


def test_100_continue_when_the_application_reads(both):
    for side in both:
        line = side.line()
        line.send(head("POST", "/echo", "Content-Length: 4", "Expect: 100-continue"))
        assert line.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        line.send(b"body")
        assert line.answer().body == b"body"
        line.close()


def test_no_100_continue_when_it_does_not(both):
    for side in both:
        line = side.line()
        line.send(head("POST", "/ignores", "Content-Length: 4", "Expect: 100-continue"))
        assert line.until(b"\r\n").startswith(b"HTTP/1.1 403 ")
        line.close()


def test_ends_of_connections(both):
    """Whole answers, and what the application did wrong: whether the connection can be used afterwards."""
    for name in ("too short", "too long", "no end", "a close that the application wants", "an exception in a stream",
                 "a client that closes"):
        for side in both:
            line = side.line()
            line.send(REQUESTS[name])
            line.answer()
            assert not line.stays(), name
            line.close()


# -- clients that leave ------------------------------------------------------------------------------------------

def test_the_application_hears_of_a_client_that_left(both):
    for side in both:
        line = side.line()
        line.send(head(G, "/waits/gone"))
        assert side.seen("gone-begun") == [True]
        line.close()
        assert side.seen("gone") == ["disconnected"]


def test_a_client_that_leaves_an_upload(both):
    for side in both:
        line = side.line()
        line.send(head("POST", "/cut/upload", "Content-Length: 1000") + b"some")
        assert sum(side.seen("upload-begun")) == 4
        line.close()
        assert side.seen("upload") == ["ClientDisconnect"]


def test_a_client_that_leaves_a_stream(both):
    for side in both:
        line = side.line()
        line.send(head(G, "/endless/stream"))
        line.until(b"tick ")
        line.close()
        assert side.seen("stream") == ["ended"]


def test_background_tasks_run_after_the_answer_and_without_the_client(both):
    for side in both:
        assert side.ask(head(G, "/background/task")).body == b"answered"
        side.open("task")
        assert side.seen("task") == ["ran"]


# -- what applications see of each other's requests ------------------------------------------------------------------

def test_nothing_stays_of_a_request(both):
    for side in both:
        assert side.ask(head(G, "/leave")).body == b"left"
        assert json.loads(side.ask(head(G, "/state")).body) == {"made": "at the start", "same_loop": True, "other": None}
        for _ in range(3):
            stamps = side.ask(head(G, "/wrapped/plain")).get("x-stamp")
            assert stamps == ["inner", "outer"]


def test_messages_of_send_that_are_wrong(both):
    for side in both:
        for name in ("twice", "start-twice", "body-first"):
            side.ask(head(G, f"/raw/{name}"))
            assert set(side.seen(name)) == {True}
        assert side.ask(REQUESTS["what receive gives"]).status == 200
        assert set(side.seen("received-after")) == {"http.disconnect"}
