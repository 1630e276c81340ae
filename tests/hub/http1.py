# SPDX-License-Identifier: Apache-2.0
"""A small threaded HTTP/1.1 server whose connections can be cut, slowed and handed over at any point."""

import contextlib
import email.parser
import io
import json
import socket
import struct
import threading
import time
import urllib.parse

REASONS = {
    100: "Continue",
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    204: "No Content",
    206: "Partial Content",
    302: "Found",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
MAX_HEAD = 256 * 1024


class Closed(Exception):
    """The peer went away, or the connection is to be cut without an answer."""


class HttpError(Exception):
    """An answer that is not the normal one: status, the text of `error`, optional X-Error-Code."""

    def __init__(self, status, message, code=None, body=None, headers=(), message_header=None):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.body = {"error": message} if body is None else body
        self.headers = list(headers)
        self.message_header = code is not None if message_header is None else message_header

    def response(self):
        extra = list(self.headers)
        if self.code:
            extra.append(("X-Error-Code", self.code))
        if self.message_header:
            extra.append(("X-Error-Message", str(self.message).split("\n")[0]))
        if isinstance(self.body, (dict, list)):
            return Response.json(self.body, self.status, extra)
        return Response(self.status, self.body, "text/plain; charset=utf-8", extra)


class Response:
    """Status, headers and a body that is bytes, or an iterator of bytes sent in chunks."""

    def __init__(self, status=200, body=b"", content_type=None, headers=()):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = list(headers)
        if content_type:
            self.headers.insert(0, ("Content-Type", content_type))
        self.handover = None  # called with the socket instead of sending anything

    @classmethod
    def json(cls, value, status=200, headers=()):
        return cls(status, json.dumps(value, ensure_ascii=False).encode(), "application/json; charset=utf-8", headers)

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default


class Request:
    """One request; the body is read when it is asked for."""

    def __init__(self, conn, method, target, version, headers):
        self.conn, self.method, self.target, self.version, self.headers = conn, method, target, version, headers
        raw_path, _, self.raw_query = target.partition("?")
        self.raw_path = raw_path
        self.segments = [urllib.parse.unquote(part) for part in raw_path.split("/")[1:]]
        self.query = urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True)
        self.peer = conn.peer
        self._body = None
        self.body_read = False
        self.chunked = "chunked" in (headers.get("Transfer-Encoding") or "").lower()
        length = headers.get("Content-Length")
        self.length = int(length) if length and length.strip().isdigit() else 0
        self.has_length = length is not None

    def arg(self, name, default=None):
        for key, value in self.query:
            if key == name:
                return value
        return default

    def args(self, *names):
        return [value for key, value in self.query if key in names]

    def body(self):
        if self._body is None:
            out = io.BytesIO()
            for part in self.stream():
                out.write(part)
            self._body = out.getvalue()
        return self._body

    def stream(self):
        """Yields the body as it arrives; afterwards the connection stands at the next request."""
        if self.body_read:
            return
        self.body_read = True
        if (self.headers.get("Expect") or "").lower() == "100-continue" and (self.length or self.chunked):
            self.conn.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.chunked:
            while True:
                size = int(self.conn.readline().split(b";")[0].strip() or b"0", 16)
                if size == 0:
                    while self.conn.readline() not in (b"\r\n", b"\n"):
                        pass
                    return
                yield from self.conn.read_exact(size)
                self.conn.readline()
        else:
            yield from self.conn.read_exact(self.length)

    def drain(self):
        for _ in self.stream():
            pass

    def json(self):
        try:
            value = json.loads(self.body() or b"{}")
        except ValueError as wrong:
            raise HttpError(400, f"Invalid JSON: {wrong}") from None
        if not isinstance(value, dict):
            raise HttpError(400, "Invalid JSON: an object is expected")
        return value


class Connection:
    def __init__(self, sock, peer):
        self.sock, self.peer = sock, peer[0] if isinstance(peer, tuple) else str(peer)
        self.file = sock.makefile("rb", 65536)

    def readline(self):
        try:
            line = self.file.readline(MAX_HEAD)
        except OSError:
            raise Closed from None
        if not line:
            raise Closed
        return line

    def read_exact(self, size):
        while size:
            try:
                part = self.file.read1(min(size, 1 << 20))
            except OSError:
                raise Closed from None
            if not part:
                raise Closed
            size -= len(part)
            yield part

    def write(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Closed from None

    def read_request(self):
        line = self.readline()
        while line in (b"\r\n", b"\n"):
            line = self.readline()
        words = line.decode("latin-1").split()
        if len(words) != 3:
            raise Closed
        head = bytearray()
        while True:
            line = self.readline()
            if line in (b"\r\n", b"\n"):
                break
            head += line
            if len(head) > MAX_HEAD:
                raise Closed
        headers = email.parser.Parser().parsestr(head.decode("latin-1"), headersonly=True)
        target = words[1]
        if "://" in target.split("?")[0]:
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        return Request(self, words[0], target, words[2], headers)

    def reset(self):
        """Cuts the connection with a TCP reset."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, ValueError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.sock.close()


class Listener:
    """One listening port; `serve(request)` gives a Response. It can be closed and opened again."""

    def __init__(self, serve, port=0, host="127.0.0.1"):
        self.serve, self.host = serve, host
        self.sock, self.port, self.lock = None, port, threading.Lock()
        self.connections = set()
        self.open()

    def open(self):
        with self.lock:
            if self.sock is not None:
                return
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
            sock.listen(256)
            self.port = sock.getsockname()[1]
            self.sock = sock
        threading.Thread(target=self._accept, args=(sock,), daemon=True).start()

    def close(self, spare=None):
        """Stops listening: new connections are refused until open() is called. Open ones end, but for `spare`."""
        with self.lock:
            sock, self.sock = self.sock, None
            current = list(self.connections)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for conn in current:
            if conn is not spare:
                conn.close()

    def _accept(self, sock):
        while True:
            try:
                client, peer = sock.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._connection, args=(client, peer), daemon=True).start()

    def _connection(self, client, peer):
        conn = Connection(client, peer)
        with self.lock:
            self.connections.add(conn)
        try:
            while self._one(conn):
                pass
        except (Closed, OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.connections.discard(conn)
            conn.close()

    def _one(self, conn):
        request = conn.read_request()
        response = self.serve(request)
        if response is None:  # the handler cut the connection
            return False
        if response.handover:
            response.handover(conn)
            return False
        request.drain()
        keep = (request.headers.get("Connection") or "").lower() != "close" and request.version != "HTTP/1.0"
        keep = keep and (response.header("Connection") or "").lower() != "close"
        send(conn, request, response, keep)
        return keep


def send(conn, request, response, keep=True):
    """Writes the answer. An iterator goes out in chunks, each as soon as it is there."""
    body = response.body
    streamed = not isinstance(body, (bytes, bytearray))
    lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Status')}"]
    names = {name.lower() for name, _ in response.headers}
    lines += [f"{name}: {value}" for name, value in response.headers]
    if "date" not in names:
        lines.append(time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()))
    bodyless = request.method == "HEAD" or response.status in (204, 304)
    if "content-length" not in names and response.status not in (204, 304):
        lines.append("Transfer-Encoding: chunked" if streamed else f"Content-Length: {len(body)}")
    if "connection" not in names:
        lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    if bodyless:
        conn.write(head)
        return
    if not streamed:
        conn.write(head + bytes(body))
        return
    conn.write(head)
    counted = "content-length" in names
    try:
        for part in body:
            if part:
                conn.write(part if counted else b"%x\r\n%s\r\n" % (len(part), part))
        if not counted:
            conn.write(b"0\r\n\r\n")
    finally:
        if hasattr(body, "close"):
            body.close()
