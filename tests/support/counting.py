# SPDX-License-Identifier: Apache-2.0
"""A line that counts: what clients and a server really say to each other, below all that either of them claims."""

import re
import socket
import threading

REQUEST = re.compile(rb"^(GET|HEAD|POST|PATCH|PUT|DELETE) (\S+) HTTP/1\.1\r$", re.M)


class CountingProxy:
    """Forwards TCP to `port` of this machine. `sent` and `received` count the bytes that clients sent and got;
    requests() lists what was asked for over plain HTTP. Use as a context manager."""

    def __init__(self, port):
        self.upstream, self.lock = port, threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.close()

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

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.upstream))
            stream = bytearray()
            with self.lock:
                self.streams.append(stream)
            for pair in ((client, server, stream), (server, client, None)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, sink, stream):
        try:
            while data := source.recv(1 << 18):
                with self.lock:
                    if stream is None:
                        self.received += len(data)
                    else:
                        self.sent += len(data)
                        stream += data
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
