# SPDX-License-Identifier: Apache-2.0
"""A line between clients and a server, on which a test can listen."""
import socket
import threading


class Relay:
    """A TCP port that leads to wherever `connect()` makes a connection to: one for each client. `streams` has what each
    client sent. Subclasses say in forward() what happens to bytes on their way. Use as a context manager."""

    def __init__(self, connect, address="127.0.0.1"):
        self.connect, self.lock, self.streams = connect, threading.Lock(), []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.server = socket.create_server((address, 0), family=family, backlog=128)
        self.port = self.server.getsockname()[1]
        self.host = f"{address}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.close()

    def forward(self, data, sink, stream):
        """`stream` is that of the client whose bytes these are; None: they are the server's. An OSError ends the
        connection."""
        if stream is not None:
            with self.lock:
                stream += data
        sink.sendall(data)

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            server, stream = self.connect(), bytearray()
            with self.lock:
                self.streams.append(stream)
            for pair in ((client, server, stream), (server, client, None)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source, sink, stream):
        ends, how = (sink,), socket.SHUT_WR
        try:
            while data := source.recv(1 << 18):
                self.forward(data, sink, stream)
        except OSError:
            ends, how = (source, sink), socket.SHUT_RDWR
        for end in ends:
            try:
                end.shutdown(how)
            except OSError:
                pass
