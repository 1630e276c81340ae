# SPDX-License-Identifier: Apache-2.0
"""The HTTP front: shapes it refuses, limits, slow clients, keep-alive, pipelining."""
import json
import socket

import pytest
from tests.serve.serve_client import head, read_all, statuses
from tests.serve.serve_harness import wait_for

BODY = b'{"parameters":{"op":"echo","value":1}}'
J = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(BODY)}"

SMUGGLING = {
    "length and chunked": head("POST", "/invoke", J, LENGTH, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked and length": head("POST", "/invoke", J, "Transfer-Encoding: chunked", LENGTH) + b"0\r\n\r\n",
    "two different lengths": head("POST", "/invoke", J, LENGTH, "Content-Length: 3") + BODY,
    "two equal lengths": head("POST", "/invoke", J, LENGTH, LENGTH) + BODY,
    "length with plus": head("POST", "/invoke", J, "Content-Length: +4") + BODY,
    "negative length": head("POST", "/invoke", J, "Content-Length: -1") + BODY,
    "length list": head("POST", "/invoke", J, "Content-Length: 4, 4") + BODY,
    "length overflow": head("POST", "/invoke", J, "Content-Length: 18446744073709551617") + BODY,
    "unknown coding": head("POST", "/invoke", J, "Transfer-Encoding: xchunked") + BODY,
    "chunked twice": head("POST", "/invoke", J, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "coding list": head("POST", "/invoke", J, "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
    "gzip coding": head("POST", "/invoke", J, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "space before colon": head("POST", "/invoke", J, f"Content-Length : {len(BODY)}") + BODY,
    "bare LF": head("POST", "/invoke", J, LENGTH).replace(b"\r\n", b"\n") + BODY,
    "one bare LF": head("POST", "/invoke", J, LENGTH).replace(b"test\r\n", b"test\n") + BODY,
    "folded line": head("POST", "/invoke", J, "X-A: b\r\n c", LENGTH) + BODY,
    "folded empty line": head("POST", "/invoke", J, "X-A: b\r\n ", LENGTH) + BODY,
    "folded coding": head("POST", "/invoke", J, "X-A: b\r\n\tTransfer-Encoding: chunked", LENGTH) + BODY,
    "CR in value": head("POST", "/invoke", J, "X-Abc: \rxTransfer-Encoding: chunked", LENGTH) + BODY,
    "NUL in value": head("POST", "/invoke", J, "X-A: a\0b", LENGTH) + BODY,
    "chunk size 0x": head("POST", "/invoke", J, "Transfer-Encoding: chunked") + b"0x4\r\nabcd\r\n0\r\n\r\n",
    "negative chunk": head("POST", "/invoke", J, "Transfer-Encoding: chunked") + b"-1\r\nabcd\r\n0\r\n\r\n",
    "LF in extension": head("POST", "/invoke", J, "Transfer-Encoding: chunked") + b"4;a\nabcd\r\n0\r\n\r\n",
    "huge chunk": head("POST", "/invoke", J, "Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n",
    "no host": head("POST", "/invoke", J, LENGTH, host=False) + BODY,
    "two hosts": head("POST", "/invoke", J, "Host: other", LENGTH) + BODY,
    "host with path": head("POST", "/invoke", J, "Host: a/b", LENGTH, host=False) + BODY,
    "two keys": head("POST", "/invoke", J, "Authorization: Bearer a", "Authorization: Bearer b", LENGTH) + BODY,
    "target without slash": b"GET invoke HTTP/1.1\r\nHost: a\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "chunked in 1.0": b"POST /invoke HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


CHUNKED = head("POST", "/invoke", J, "Transfer-Encoding: chunked")
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)


def sized(size, end=b"0\r\n\r\n"):
    """A body of one chunk whose line is the given one."""
    return CHUNKED + size + b"\r\n" + BODY + b"\r\n" + end


def trailer(lines):
    return CHUNKED + CHUNK + b"0\r\n" + lines


def line(text):
    return text + b"\r\nHost: a\r\n\r\n"


def field(text):
    return b"GET /health HTTP/1.1\r\nHost: a\r\n" + text + b"\r\n"


def host(text):
    return b"GET /health HTTP/1.1\r\nHost: " + text + b"\r\n\r\n"


SIZE = b"%x" % len(BODY)
AMBIGUOUS = {
    **{f"end of chunks {end!r}": CHUNKED + CHUNK + end for end in (
        b"0\r\n\n", b"0\n\n", b"0\n\r\n", b"0\r\n\rx", b"0\r\r\n", b"0 \r\n\r\n", b"0x0\r\n\r\n", b"\r\n\r\n", b";\r\n\r\n", b"-0\r\n\r\n")},
    **{f"end of a chunk {end!r}": CHUNKED + SIZE + b"\r\n" + BODY + end + b"0\r\n\r\n" for end in (
        b"\n", b"", b"\r", b"\n\r", b"\r\n\r\n", b" \r\n")},
    **{f"size {size!r}": sized(size) for size in (
        b" " + SIZE, SIZE + b" ", SIZE + b"\t", b"+" + SIZE, b"2_6", SIZE + b"g", b"0" * 20 + SIZE, SIZE + b" ;a=b", SIZE + b";a\x01b",
        SIZE + b";a\0b", SIZE + b";a\rb", SIZE + b';a="\r\n"', SIZE + b";" + b"e" * 2000, b"ffffffffffffffffff", SIZE + b"\x0b",
        b"\xef\xbc\x91")},
    "size and LF": CHUNKED + SIZE + b"\n" + BODY + b"\r\n0\r\n\r\n",
    **{f"trailer {lines[:40]!r}": trailer(lines) for lines in (
        b"X-A: b\r\n c\r\n\r\n", b"X-A: b\r\n\tc\r\n\r\n", b"X-A: b\n\r\n", b"X-A: b\r\n\n", b": b\r\n\r\n", b"XA\r\n\r\n",
        b"X-A : b\r\n\r\n", b" X-A: b\r\n\r\n", b"X-A: \0b\r\n\r\n", b"X-A: \x01b\r\n\r\n", b"X-A: a\rb\r\n\r\n", b"X A: b\r\n\r\n",
        b"X\xe9: b\r\n\r\n", b"X-A: \x7f\r\n\r\n", b"Content-Length: 5\r\n\r\n", b"content-LENGTH: 0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n", b"Host: b\r\n\r\n", b"Authorization: Bearer x\r\n\r\n", b"X-API-Key: x\r\n\r\n",
        b"X-Long: " + b"b" * 20_000 + b"\r\n\r\n", b"X-A: b\r\n" * 2_000 + b"\r\n")},
    **{f"line {text!r}": line(text) for text in (
        b"GET /health RTSP/1.0", b"GET /health RTSP/1.1", b"GET /health ICE/1.0", b"GET /health http/1.1", b"GET /health Http/1.1",
        b"SOURCE /health ICE/1.0", b"DESCRIBE /health RTSP/1.0", b"DESCRIBE /health HTTP/1.1", b"GET  /health HTTP/1.1",
        b"GET /health  HTTP/1.1", b"GET\t/health HTTP/1.1", b"GET /health\tHTTP/1.1", b" GET /health HTTP/1.1", b"\nGET /health HTTP/1.1",
        b"\rGET /health HTTP/1.1", b"\r\n\rGET /health HTTP/1.1", b"GET http:///health HTTP/1.1", b"GET http://u@a/health HTTP/1.1",
        b"GET http://u:p@a/health HTTP/1.1", b"GET http://b/health HTTP/1.1", b"GET http://a:81/health HTTP/1.1",
        b"GET http://a.b/health HTTP/1.1", b"GET http://a?x=/health HTTP/1.1", b"GET http://a#/health HTTP/1.1", b"GET http://a HTTP/1.1",
        b"GET ftp://a/health HTTP/1.1", b"GET http:/health HTTP/1.1", b"GET http:health HTTP/1.1", b"GET https:///health HTTP/1.1",
        b"GET /health#x HTTP/1.1", b"GET /a\\..\\health HTTP/1.1", b'GET /health"x HTTP/1.1', b"GET /health<x HTTP/1.1",
        b"GET /health\xe9 HTTP/1.1", b"GET /he\x01alth HTTP/1.1", b"GET /he\0alth HTTP/1.1", b"GET /he\x7falth HTTP/1.1",
        b"GET * HTTP/1.1", b"CONNECT a:80 HTTP/1.1", b"GET \\health HTTP/1.1")},
    **{f"field {text!r}": field(text) for text in (
        b": b\r\n", b" : b\r\n", b"X A: b\r\n", b"X-A\t: b\r\n", b"X\x01A: b\r\n", b"X\0A: b\r\n", b"X\xe9: b\r\n", b"X(A): b\r\n",
        b"X/A: b\r\n", b"XA\r\n", b"X-A: a\x01b\r\n", b"X-A: a\x7fb\r\n", b"X-A: a\x0bb\r\n", b"X-A: a\r\r\n", b"X-A: a\r\n\n",
        b"Content-Length: \r\n", b"Content-Length: 0x5\r\n", b"Content-Length: 5 5\r\n", b"Content-Length: 5,\r\n", b"Content-Length: 5.0\r\n",
        b"Content-Length: 5_0\r\n", b'Content-Length: "5"\r\n', b"Content-Length: 5\x0b\r\n", b"Transfer-Encoding: \r\n",
        b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: chunked,\r\n", b"Transfer-Encoding: ,chunked\r\n",
        b'Transfer-Encoding: "chunked"\r\n', b"Transfer-Encoding: chunked;q=1\r\n", b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
    **{f"host {text!r}": host(text) for text in (
        b"", b"a b", b"a,b", b"a@b", b"a:8x", b"a:80:80", b":80", b"a:99999", b"a:123456", b"[::1", b"[::1]x", b"[]", b"[g]", b"a;b", b"a%00b", b"a\xe9",
        b"http://a", b"a/", b"a?b", b"a#b", b"a\\b", b"a'b", b"a\tb")},
    "first line folded": b"GET /health HTTP/1.1\r\n Host: a\r\n\r\n",
    "head ends in LF": b"GET /health HTTP/1.1\r\nHost: a\r\n\n",
    "head ends in CR CR LF": b"GET /health HTTP/1.1\r\nHost: a\r\n\r\r\n",
    "two hosts in 1.0": b"GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "two content types": head("POST", "/invoke", J, "Content-Type: text/plain", LENGTH) + BODY,
}


def test_nothing_that_two_readers_could_cut_differently(server):
    follow = b"GET /runs HTTP/1.1\r\nHost: a\r\n\r\n"
    wrong = {name: statuses(answer) for name, request in AMBIGUOUS.items()
             for answer in [server.raw(request + follow)] if statuses(answer) != [400] or b"connection: close" not in answer}
    assert wrong == {} and len(AMBIGUOUS) > 150


def test_it_does_not_depend_on_the_pieces(server):
    """Also byte by byte, where the end of a line is in another piece than its beginning."""
    wrong = {}
    for name, request in list(AMBIGUOUS.items())[::7] + [(n, AMBIGUOUS[n]) for n in AMBIGUOUS if n.startswith(("end", "trailer"))]:
        if len(request) > 1000:
            continue
        with server.socket(10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for at in range(len(request)):
                    sock.sendall(request[at:at + 1])
                sock.sendall(b"GET /runs HTTP/1.1\r\nHost: a\r\n\r\n")
            except OSError:
                pass
            found = statuses(read_all(sock))
        if found not in ([400], []):  # none: what was sent crossed the end
            wrong[name] = found
    assert wrong == {}


def test_unusual_requests_that_are_right(server):
    close = b"Connection: close\r\n"
    for request in (sized(SIZE.upper()), sized(b"000" + SIZE), sized(SIZE + b";a=b"), sized(SIZE + b';a="b c"'), sized(SIZE, b"0;last\r\n\r\n"),
                    sized(SIZE, b"000\r\n\r\n"), sized(SIZE, b"0\r\nX-A: b\r\nX-B:\r\n\r\n"), sized(SIZE, b"0\r\nX-A: caf\xe9\tb\r\n\r\n"),
                    CHUNKED.replace(b"chunked", b"Chunked") + CHUNK + b"0\r\n\r\n",
                    b"\r\n\r\n" + CHUNKED + CHUNK + b"0\r\n\r\n"):
        answer = server.raw(request + head("GET", "/health", "Connection: close"))
        assert statuses(answer) == [200, 200] and b'"output": 1' in answer, request
    for request in (host(b"a.b-c_d:65535"), host(b"[::1]:80"), host(b"[::ffff:1.2.3.4]"), host(b"127.0.0.1"), field(b"X-A:\r\nX-B: caf\xe9\r\n"),
                    line(b"GET http://a/health?x=/y HTTP/1.1"), line(b"GET https://A/health HTTP/1.1"), line(b"GET /health?a=%zz&b={}|^ HTTP/1.1"),
                    line(b"GET http://a/health HTTP/1.0")):
        request = request[:-2] + close + b"\r\n"
        assert statuses(server.raw(request)) == [200], request


@pytest.mark.parametrize("name", SMUGGLING)
def test_ambiguous_requests_get_400_and_are_cut_off(server, name):
    follow = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = server.raw(SMUGGLING[name] + follow)
    assert statuses(answer) == [400], answer
    assert b'{"detail":' in answer and b"connection: close" in answer


def test_versions_and_methods(server):
    assert statuses(server.raw(b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n")) == [505]
    assert statuses(server.raw(b"BREW /health HTTP/1.1\r\nHost: a\r\n\r\n")) == [405]
    assert statuses(server.raw(head("TRACE", "/health", "Connection: close"))) == [405]
    assert statuses(server.raw(b"BREW /tea HTTP/1.1\r\nHost: a\r\n\r\n")) == [404]
    assert statuses(server.raw(b"GET /health HTTP/1.0\r\n\r\n")) == [200]
    assert statuses(server.raw(b"GET http://x/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == [200]


@pytest.mark.parametrize("line, status", [
    (b"A ", 400), (b"A  HTTP/1.1", 400), (b"A x", 400), (b"BREW /health", 400), (b"BREW /hea lth HTTP/1.1", 400),
    (b"BREW /\xff HTTP/1.1", 400), (b"BREW /health HTTP/1.12", 400), (b"BREW /health HTTP/3.0", 505),
    (b"BREW /" + 20_000 * b"a" + b" HTTP/1.1", 414), (b"BREW /health HTTP/1.1", 405), (b"BREW /tea HTTP/1.1", 404)])
def test_unknown_method_is_judged_by_its_whole_line(server, line, status):
    request = line + b"\r\nHost: a\r\n\r\n"
    assert statuses(server.raw(request)) == [status]
    with server.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for at in range(0, len(request), 1 + len(request) // 50):
                sock.sendall(request[at:at + 1 + len(request) // 50])
        except OSError:  # it was refused before all was sent
            pass
        assert statuses(read_all(sock)) == [status]


def test_unknown_path_and_wrong_method(server):
    answer = server.get("/nothing")
    assert (answer.status, answer.json()) == (404, {"detail": "Not Found"})
    answer = server.get("/invoke")
    assert (answer.status, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == "POST"
    assert server.request("DELETE", "/health").headers["allow"] == "GET, HEAD"


def test_wrong_content_type(server):
    for headers in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
        assert server.post("/invoke", BODY, headers).status == 415


def test_head_has_the_same_headers_and_no_body(server):
    data = server.raw(head("HEAD", "/info", "Connection: close"))
    headers, _, body = data.partition(b"\r\n\r\n")
    assert b"content-length: " in headers and b"content-length: 0" not in headers and body == b""


def test_limits_of_the_head(server):
    assert statuses(server.raw(head("GET", "/health", "X-Long: " + "a" * 100_000))) == [431]
    assert statuses(server.raw(head("GET", "/health", *[f"X-{i}: a" for i in range(150)]))) == [431]
    assert statuses(server.raw(head("GET", "/" + "a" * 9000))) == [414]
    assert statuses(server.raw(head("GET", "/health", "X-Long: " + "a" * 12_000, "Connection: close"))) == [200]


def test_oversized_bodies(start):
    server = start(args=["--max-body-size", "1MB"])
    big = head("POST", "/invoke", J, "Content-Length: 10000000")
    assert statuses(server.raw(big)) == [413]
    assert statuses(server.raw(big + b"x" * 500_000)) == [413]
    chunks = b"".join(b"40000\r\n" + b"y" * 0x40000 + b"\r\n" for _ in range(5))
    data = server.raw(head("POST", "/invoke", J, "Transfer-Encoding: chunked") + chunks)
    assert statuses(data) == [413] and b"too large" in data
    value = "z" * 900_000
    assert server.invoke("length", value=value).json()["outputs"]["output"] == 900_000


def test_chunk_framing_may_not_outweigh_the_body(server):
    sock = server.socket(5)
    sock.sendall(head("POST", "/invoke", J, "Transfer-Encoding: chunked"))
    try:
        for _ in range(40):
            sock.sendall(b"1;" + b"e" * 4000 + b"\r\nx\r\n")
    except OSError:
        pass
    assert statuses(read_all(sock)) in ([400], [])
    sock.close()
    assert server.get("/health").status == 200


def test_chunked_bodies_small_and_large(server):
    def chunked(size, piece):
        data = json.dumps({"parameters": {"op": "length", "value": "v" * size}}).encode()
        parts = [data[i : i + piece] for i in range(0, len(data), piece)]
        return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"

    for size, piece in ((10, 7), (50_000, 1000), (300_000, 70_000), (3_000_000, 100_000)):
        data = server.raw(head("POST", "/invoke", J, "Transfer-Encoding: chunked", "Connection: close")
                          + chunked(size, piece))
        assert statuses(data) == [200], data[:500]
        assert b'"output": %d' % size in data


def test_request_that_comes_byte_by_byte(server):
    data = head("POST", "/invoke", J, LENGTH, "Connection: close") + BODY
    with server.socket() as sock:
        for i in range(len(data)):
            sock.sendall(data[i : i + 1])
        assert b'"output": 1' in read_all(sock)


def test_pipelining_answers_in_order(server):
    one = head("POST", "/invoke", J, "Content-Length: %d")
    parts = []
    for i in range(50):
        body = json.dumps({"parameters": {"op": "echo", "value": i}}).encode()
        parts.append(one.replace(b"%d", str(len(body)).encode()) + body)
        parts.append(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    parts.append(head("GET", "/nothing", "Connection: close"))
    data = server.raw(b"".join(parts))
    assert statuses(data) == [200] * 100 + [404]
    at = [data.index(b'"output": %d}' % i) for i in range(50)]
    assert at == sorted(at)


def test_pipelining_beyond_the_buffer(server):
    one = head("POST", "/invoke", J, LENGTH) + BODY
    with server.socket(20) as sock:
        sock.sendall(head("POST", "/invoke", J, "Content-Length: 54")
                     + b'{"parameters":{"op":"sleep","seconds":0.3,"pad":1234}}')
        sock.sendall(one * 2000 + head("GET", "/nothing", "Connection: close"))
        data = read_all(sock)
    assert statuses(data) == [200] * 2001 + [404]


def test_expect_continue(server):
    with server.socket() as sock:
        sock.sendall(head("POST", "/invoke", J, LENGTH, "Expect: 100-continue", "Connection: close"))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BODY)
        assert statuses(read_all(sock)) == [200]
    assert statuses(server.raw(head("POST", "/invoke", J, LENGTH, "Expect: x"))) == [417]
    refused = server.raw(head("POST", "/nowhere", J, LENGTH, "Expect: 100-continue"))
    assert statuses(refused) == [404]


def test_half_closed_client_still_gets_its_answer(server):
    data = server.raw(head("POST", "/invoke", J, LENGTH) + BODY, shut=True)
    assert statuses(data) == [200]


def test_slow_clients_are_cut_off(start):
    server = start(args=["--header-timeout", "0.4", "--body-timeout", "0.5", "--idle-timeout", "0.6"])

    took, data = server.trickle(b"", b"", 30)
    assert 0.3 < took < 20 and data == b""
    took, data = server.trickle(b"GET /health HTTP/1.1\r\nHost: a\r\nX: ", b"a", 30)
    assert 0.3 < took < 20 and statuses(data) == [408]
    took, data = server.trickle(head("POST", "/invoke", J, "Content-Length: 100000"), b"a", 30)
    assert 0.4 < took < 20 and statuses(data) == [408]
    took, data = server.trickle(head("GET", "/health"), b"", 30)
    assert 0.5 < took < 20 and statuses(data) == [200]


def test_reader_that_takes_nothing_is_closed(start):
    server = start(args=["--write-timeout", "0.5"])
    with server.socket(10) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = b'{"parameters":{"op":"big","n":30000000}}'
        sock.sendall(head("POST", "/invoke", J, f"Content-Length: {len(body)}") + body)
        wait_for(lambda: server.metric("kourou_connections") == 1, "the connection is closed")


def test_many_idle_connections_and_the_limit(start):
    server = start(args=["--max-connections", "50"])
    socks = [server.socket() for _ in range(49)]
    wait_for(lambda: server.metric("kourou_connections") == 50, "connections are counted")
    for sock in socks[:10]:
        sock.sendall(head("GET", "/health", "Connection: close"))
        assert statuses(read_all(sock)) == [200]
    for sock in socks:
        sock.close()
    assert server.get("/health").status == 200


def test_answers_of_the_front_are_measured(start):
    server = start(args=["--header-timeout", "0.3", "--max-body-size", "1MB"], env={"KOUROU_AUTH_KEY": "right-key"})
    asked = {"GET /info": 200, "GET /metrics": 200, "GET /nothing": 404, "DELETE /info": 405, "GET /runs": 401, "POST /invoke": 401,
             "GET /openapi.json": 200, "GET /": 200}
    for what in asked:
        method, path = what.split()
        assert server.request(method, path, "" if method == "POST" else None, {"X-Request-Id": "front"}).status == asked[what]
    server.raw(head("POST", "/nothing", "Content-Length: 999999999", "X-Request-Id: front"))
    server.raw(b"GET /x HTTP/1.1\r\n", timeout=10)
    server.raw(b"nonsense\r\n\r\n")
    lines = wait_for(lambda: [found for found in [[json.loads(one) for one in server.log().splitlines() if '"part":"access"' in one]]
                              if any(one["status"] == 408 for one in found) and any(one["status"] == 400 for one in found)], "the log")[0]
    assert {one["path"] for one in lines if one["request_id"] == "front"} == {what.split()[1] for what in asked}
    assert all(0 < one["ms"] < 20_000 for one in lines), lines
    assert all(one["ms"] >= 290 for one in lines if one["status"] == 408)
    for path in ("/info", "/openapi.json", "other"):
        assert 0 < server.metric(f'kourou_request_duration_seconds_sum{{path="{path}"}}') < 60


def test_request_ids(server):
    answer = server.get("/health", {"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    answer = server.get("/health", {"X-Request-Id": 'a"b'})
    assert len(answer.headers["x-request-id"]) == 36
    answer = server.invoke("echo", value=1)
    assert answer.headers["x-request-id"] == answer.json()["metadata"]["run_id"]
    server.get("/nothing", {"X-Request-Id": "find-me"})
    wait_for(lambda: '"request_id":"find-me"' in server.log(), "the log names the request")
