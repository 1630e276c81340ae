# SPDX-License-Identifier: Apache-2.0
"""A line that counts: what clients and a server really say to each other, below all that either of them claims."""

import re
import socket

from tests.support.relay import Relay

REQUEST = re.compile(rb"^(GET|HEAD|POST|PATCH|PUT|DELETE) (\S+) HTTP/1\.1\r$", re.M)


class CountingProxy(Relay):
    """Leads to `port` of this machine. `sent` and `received` count the bytes that clients sent and got; requests()
    lists what was asked for over plain HTTP."""

    def __init__(self, port):
        self.sent = self.received = 0
        super().__init__(lambda: socket.create_connection(("127.0.0.1", port)))

    def reset(self):
        """Counts from zero. Nobody may be speaking meanwhile."""
        with self.lock:
            self.sent = self.received = 0
            self.streams = []

    def requests(self):
        """[(method, path with query)], in the order of each connection."""
        with self.lock:
            return [(method.decode(), path.decode()) for stream in self.streams
                    for method, path in REQUEST.findall(bytes(stream))]

    def forward(self, data, sink, stream):
        with self.lock:
            if stream is None:
                self.received += len(data)
            else:
                self.sent += len(data)
        super().forward(data, sink, stream)
