# SPDX-License-Identifier: Apache-2.0
"""A strict HTTP/1.1 client: it notices a byte too many, a byte too few, and an answer nobody asked for."""
import json
import select
import socket
import struct


class Torn(Exception):
    """The connection ended before a whole answer was there. `got` is what had come of it."""

    def __init__(self, got, why):
        super().__init__(f"{why}, after {len(got)} bytes {bytes(got[:120])!r}")
        self.got = bytes(got)


class Broken(Exception):
    """The server broke HTTP: this is never allowed."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def closes(self):
        return self.headers.get("connection") == "close"

    @property
    def generation(self):
        return self.headers.get("server", "?")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


def request(method, path, body=b"", headers=(), chunked=0, version="1.1"):
    """Bytes of a request; `chunked` sends the body in chunks of that many bytes."""
    lines = [f"{method} {path} HTTP/{version}", "Host: soak"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        parts = [body[i:i + chunked] for i in range(0, len(body), chunked)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Wire:
    def __init__(self, port, timeout=40.0):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.answers = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def nothing_more(self):
        """Between requests not one byte may come; an orderly end may."""
        if self.buffer:
            raise Broken(f"bytes that no request asked for: {bytes(self.buffer[:200])!r}")
        if select.select([self.sock], [], [], 0)[0]:
            try:
                data = self.sock.recv(200)
            except OSError:
                data = b""
            if data:
                raise Broken(f"bytes that no request asked for: {data!r}")
            return False
        return True

    def _fill(self):
        try:
            data = self.sock.recv(262144)
        except socket.timeout:
            raise Torn(self.buffer, "no answer in time") from None
        except OSError as error:
            raise Torn(self.buffer, f"{error}") from None
        if not data:
            raise Torn(self.buffer, "the server closed")
        self.buffer += data

    def _until(self, mark):
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                out = bytes(self.buffer[:at])
                del self.buffer[:at + len(mark)]
                return out
            start = max(0, len(self.buffer) - len(mark))
            self._fill()

    def _exactly(self, n):
        while len(self.buffer) < n:
            self._fill()
        out = bytes(self.buffer[:n])
        del self.buffer[:n]
        return out

    def chunks(self):
        """The chunks of a chunked body as they come."""
        while True:
            size = int(self._until(b"\r\n"), 16)
            data = self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise Broken("chunk without end")
            if size == 0:
                return
            yield data

    def head(self):
        while True:
            text = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            if not text[0].startswith("HTTP/1.1 "):
                raise Broken(f"no status line: {text[0][:200]!r}")
            status = int(text[0][9:12])
            headers = {}
            for line in text[1:]:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if status != 100:
                return status, headers

    def answer(self, no_body=False):
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(self.chunks())
        elif "content-length" in headers:
            body = b"" if no_body else self._exactly(int(headers["content-length"]))
        elif status in (204, 304) or no_body:
            body = b""
        else:
            raise Broken(f"an answer without a length: {status} {headers}")
        self.answers += 1
        return Answer(status, headers, body)

    def rest(self, seconds):
        """Everything until the server closes, or what has come within `seconds`."""
        self.sock.settimeout(seconds)
        try:
            while True:
                self._fill()
        except Torn:
            pass
        out = bytes(self.buffer)
        self.buffer.clear()
        return out

    def close(self, reset=False):
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
