# SPDX-License-Identifier: Apache-2.0
"""A small HTTP client that also sends what a proper one would not."""
import http.client
import json
import socket
import time


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Client:
    """Requests to one port. Each goes through a connection of its own unless `keep` is used."""

    def __init__(self, port):
        self.port = port
        self._kept = None

    def connection(self, timeout=30):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, connection=None, timeout=30):
        own = connection is None
        connection = connection or self.connection(timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            if own:
                connection.close()

    def get(self, path, headers=None, **more):
        return self.request("GET", path, None, headers, **more)

    def post(self, path, value, headers=None, **more):
        headers = {"Content-Type": "application/json", **(headers or {})}
        data = value if isinstance(value, (bytes, str)) else json.dumps(value)
        return self.request("POST", path, data, headers, **more)

    def invoke(self, op="echo", _headers=None, _request=None, _connection=None, _timeout=60, **parameters):
        return self.post("/invoke", {"parameters": {"op": op, **parameters}, **(_request or {})}, _headers,
                         connection=_connection, timeout=_timeout)

    def raw(self, data, timeout=30.0, shut=False):
        """Sends bytes; the result is all that comes back until the server closes or nothing comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as sock:
            if data:
                sock.sendall(data)
            if shut:
                sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def trickle(self, first, more, seconds):
        """Sends bytes, and then `more` again and again while nothing comes back. (seconds until the server closed, all that came)"""
        began, data = time.monotonic(), b""
        with self.socket(0.05) as sock:
            sock.sendall(first)
            while time.monotonic() - began < seconds:
                try:
                    part = sock.recv(65536)
                    if not part:
                        break
                    data += part
                except socket.timeout:
                    try:
                        sock.sendall(more)
                    except OSError:
                        break
                except ConnectionResetError:  # what was sent crossed the end
                    break
        return time.monotonic() - began, data

    def socket(self, timeout=30.0):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def close(self):
        self._kept = None


def read_all(sock):
    parts = []
    try:
        while True:
            part = sock.recv(65536)
            if not part:
                break
            parts.append(part)
    except (TimeoutError, socket.timeout, ConnectionResetError):
        pass
    return b"".join(parts)


def statuses(data):
    """The status codes of a series of answers."""
    found = []
    at = 0
    while True:
        at = data.find(b"HTTP/1.1 ", at)
        if at < 0:
            return found
        found.append(int(data[at + 9 : at + 12]))
        at += 9


def head(method="POST", path="/invoke", *lines, host=True):
    out = [f"{method} {path} HTTP/1.1"]
    if host:
        out.append("Host: test")
    out += lines
    return ("\r\n".join(out) + "\r\n\r\n").encode()
