# SPDX-License-Identifier: Apache-2.0
"""Single HTTP calls exactly as written: no redirects, no repeats, no headers of its own."""

import http.client
import json
import urllib.parse


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def call(url, method="GET", token=None, json_body=None, body=None, headers=None, timeout=30):
    """One call; ConnectionError or http.client exceptions when the connection is cut."""
    parts = urllib.parse.urlsplit(url)
    headers = dict(headers or {})
    if token:
        headers["authorization"] = f"Bearer {token}"
    if json_body is not None:
        body = json.dumps(json_body).encode()
        headers.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def ndjson(*rows):
    """A commit body from (key, value) pairs."""
    return b"".join(json.dumps({"key": key, "value": value}).encode() + b"\n" for key, value in rows)
