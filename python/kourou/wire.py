# SPDX-License-Identifier: Apache-2.0
"""What goes back and forth for one request that is answered on the event loop (docs/worker-protocol.md).

The channel's reader and the event loop use a Wire at the same time: each field is written by one of them, and what
the reader changes is told by ``wake``. A Collector has the same face and no channel.
"""

from __future__ import annotations


from .frames import F_CUT, F_HEAD, F_RUN_OK, FD_THRESHOLD, T_RESPONSE, T_TAKEN, U32, head_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from typing import Any, Callable, List, Optional, Tuple

    from ._typing import Headers
    from .worker import Channel
else:
    from _collections import deque

PIECE = 128 * 1024  # bytes of one CHUNK: the reader of the answer is asked between them


class Body:
    """The body of a request: the parts that have come and were not taken yet."""

    coming = False  # more of it is sent while the request runs
    left = False  # the client has gone, or at least will send nothing more
    gone = False  # nobody takes an answer any more
    paused = False  # the client is slow in taking the answer
    wake: Optional[Callable[[], Any]] = None
    seconds = 0.0  # for which the request held a thread

    def __init__(self, body: Optional[bytes] = None) -> None:
        self._parts: deque[bytes] = deque()
        self.whole = body is not None
        if body:
            self._parts.append(body)

    def take(self) -> bytes:
        """What has come since the last time. Ask ``whole`` before, not afterwards."""
        parts = []
        while self._parts:
            parts.append(self._parts.popleft())
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Wire(Body):
    """One request of a channel. ``done`` is called when nothing more of it runs."""

    def __init__(self, channel: Channel, rid: int, body: Optional[bytes] = None, head: bytes = b"") -> None:
        super().__init__(body)
        self.coming = body is None
        self.first = head  # the head of a request whose body is still coming
        self.on_done: Optional[Callable[[], Any]] = None
        self.run_id: Optional[str] = None  # once it is started
        self._channel = channel
        self._rid = rid
        self._ended = False

    # -- the reader's side ------------------------------------------------------------------------

    def put(self, data: bytes, last: bool) -> None:
        if data:
            self._parts.append(data)
        if last:
            self.whole = True
        self._tell()

    def pause(self, paused: bool) -> None:
        self.paused = paused
        self._tell()

    def leave(self, answers_taken: bool) -> None:
        self.left = True
        self.gone = self.gone or not answers_taken
        self._tell()

    def _tell(self) -> None:
        wake = self.wake
        if wake is not None:
            wake()

    # -- the event loop's side --------------------------------------------------------------------

    def taken(self, n: int) -> None:
        """The application has taken so many bytes of the body; 0: it waits for the first."""
        if self.coming and not self._ended:
            self._channel.send(T_TAKEN, self._rid, U32.pack(n))

    def head(self, status: int, headers: Headers, data: bytes) -> None:
        """Begins an answer that comes in pieces."""
        head = head_lines(headers)
        self._channel.send_chunk(self._rid, b"".join((U32.pack(len(head)), head, data)), status, F_HEAD)

    def data(self, data: bytes) -> None:
        self._channel.send_chunk(self._rid, data)

    def end(self, status: int, ok: bool, cut: bool) -> None:
        """Ends such an answer; cut: it must not look whole."""
        self._finish(status, (F_RUN_OK if ok else 0) | (F_CUT if cut else 0), ())

    def answer(self, status: int, headers: Headers, data: bytes, ok: bool) -> None:
        """The whole answer at once."""
        head = head_lines(headers)
        self._finish(status, F_HEAD | (F_RUN_OK if ok else 0), (U32.pack(len(head)), head, data))

    def _finish(self, status: int, flags: int, parts: Tuple[bytes, ...]) -> None:
        if self._ended:
            return
        self._ended = True
        channel, run_us = self._channel, min(int(self.seconds * 1e6), 0xFFFFFFFF)
        channel.wires.pop(self._rid, None)
        if sum(map(len, parts)) > FD_THRESHOLD:
            channel.send_large(self._rid, status, flags, run_us, parts)
        else:
            channel.send(T_RESPONSE, self._rid, b"".join((U32.pack(run_us), *parts)), status, flags)
        channel.wire_ended()

    def done(self) -> None:
        """Nothing of the request runs any more."""
        if not self._ended:
            self.end(499, False, True)
        if self.on_done is not None:
            self.on_done()


class Collector(Body):
    """Keeps the answer: ``result`` is (status, headers, body), without the declared length."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.result: Any = None
        self._data: List[bytes] = []

    def taken(self, n: int) -> None:
        pass

    def head(self, status: int, headers: Headers, data: bytes) -> None:
        self.result = status, [pair for pair in headers if pair[0] != b"content-length"]
        self._data.append(data)

    def data(self, data: bytes) -> None:
        self._data.append(data)

    def end(self, status: int, ok: bool, cut: bool) -> None:
        if self.result is not None and len(self.result) == 2:
            self.result = (*self.result, b"".join(self._data))

    def answer(self, status: int, headers: Headers, data: bytes, ok: bool) -> None:
        self.result = status, headers, data

    def done(self) -> None:
        pass
