# SPDX-License-Identifier: Apache-2.0
"""One request of an ASGI application: what it receives, what it sends, and what becomes of its mistakes.

The rules are those of ASGI 3.0 (HTTP, version 2.3 of its message format), with what the usual servers do where it leaves
something open.
"""

from __future__ import annotations

import asyncio

from .http import checked_headers, checked_status
from .wire import PIECE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Tuple, Union

    from ._typing import Answer, Application, Headers, Message, Scope
    from .wire import Collector, Wire

class Exchange:
    """Made and used on the event loop. ``failure(error)`` gives (status, headers, body) for an exception; ``log(text)``."""

    def __init__(self, scope: Scope, wire: Union[Wire, Collector], failure: Callable[[BaseException], Answer],
                 log: Callable[[BaseException], None]) -> None:
        self.scope = scope
        self.endpoint: Optional[Tuple[Tuple[str, str], str]] = None  # (endpoint, path) that the server has chosen
        self.run_id: Optional[str] = None
        self.ok: Optional[bool] = None  # whether a run succeeded, when the application was one
        self._wire = wire
        self._failure = failure
        self._log = log
        self._event = asyncio.Event()
        self._asked = self._read = False
        self._started = self._complete = False
        self._status = 0
        self._head: Optional[Headers] = None  # headers that were not sent yet
        self._left: Optional[int] = None  # bytes that the body still has to have
        self._bodiless = False
        one = asyncio.get_running_loop()
        wire.wake = lambda: one.call_soon_threadsafe(self._event.set)

    # -- what the application calls -----------------------------------------------------------------

    async def receive(self) -> Message:
        """The next part of the body; after the last, waits until the client has gone or the answer is complete."""
        wire = self._wire
        while not (self._complete or wire.left):
            if not self._read:
                whole, data = wire.whole, wire.take()
                if whole or data:
                    self._read = whole
                    if data:
                        wire.taken(len(data))
                    return {"type": "http.request", "body": data, "more_body": not whole}
                if not self._asked:
                    self._asked = True
                    wire.taken(0)
            await self._wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Takes a message; waits while the client is slow. Does nothing when the client has gone."""
        wire = self._wire
        while wire.paused and not wire.gone:
            await self._wait()
        if wire.gone:
            return
        kind = message["type"]
        if self._complete:
            raise RuntimeError(f"unexpected ASGI message '{kind}': the answer is complete")
        if self._started:
            await self._body(kind, message)
        else:
            self._start(kind, message)

    def held(self, seconds: float) -> None:
        """The request has held a thread so long."""
        self._wire.seconds += seconds

    async def _wait(self) -> None:
        self._event.clear()
        await self._event.wait()

    # -- the answer ---------------------------------------------------------------------------------

    def _start(self, kind: str, message: Message) -> None:
        if kind != "http.response.start":
            raise RuntimeError(f"expected ASGI message 'http.response.start', but got '{kind}'")
        if message.get("trailers"):
            raise RuntimeError("trailing headers of an answer are not supported")
        status = checked_status(message["status"])
        head, length = checked_headers(message.get("headers") or ())
        self._status, self._head, self._length, self._left = status, head, length, length
        self._bodiless = self.scope["method"] == "HEAD" or status in (204, 304)
        self._started = True
        # What answers at once has sent its body by then, and all of it goes in one piece.
        asyncio.get_running_loop().call_soon(self._send_head)

    def _send_head(self, data: bytes = b"") -> None:
        if self._head is None or self._wire.gone:
            return
        head, self._head = self._head, None
        if self._length is not None:
            head.append((b"content-length", str(self._length).encode()))
        self._wire.head(self._status, head, data)

    async def _body(self, kind: str, message: Message) -> None:
        if kind != "http.response.body":
            raise RuntimeError(f"expected ASGI message 'http.response.body', but got '{kind}'")
        data, more = message.get("body", b""), bool(message.get("more_body", False))
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"the body of an answer is bytes, not {type(data).__name__}")
        data = bytes(data)
        if not more and self._head is not None and self._length == len(data) and self._status not in (204, 304):
            self._finish()
            head, self._head = self._head, None
            self._wire.answer(self._status, head, data, self._succeeded())
            return
        if self._bodiless:
            data = b""
        elif self._left is not None:
            if len(data) > self._left:
                raise RuntimeError("the body of the answer is longer than its Content-Length")
            self._left -= len(data)
        await self._pieces(data)
        if not more:
            if self._left and not self._bodiless:
                raise RuntimeError("the body of the answer is shorter than its Content-Length")
            self._finish()
            self._wire.end(self._status, self._succeeded(), False)

    async def _pieces(self, data: bytes) -> None:
        wire = self._wire
        if self._head is not None:
            self._send_head(data[:PIECE])
            data = data[PIECE:]
        for at in range(0, len(data), PIECE):
            while wire.paused and not wire.gone:
                await self._wait()
            if not wire.gone:
                wire.data(data[at : at + PIECE])

    def _finish(self) -> None:
        self._complete = True
        self._event.set()

    def _succeeded(self) -> bool:
        return self._status < 400 if self.ok is None else self.ok

    # -- the application ----------------------------------------------------------------------------

    async def run(self, application: Application) -> None:
        """Calls the application. Never raises."""
        try:
            await application(self.scope, self.receive, self.send)
            if not self._complete and not self._wire.gone:
                self._incomplete(RuntimeError("the application ended without "
                                              + ("the rest of its answer" if self._started else "an answer")))
        except BaseException as error:  # noqa: BLE001 - also what would end the event loop
            self._incomplete(error)
        finally:
            self._wire.wake = None  # it refers to this object
            self._wire.done()

    def _incomplete(self, error: BaseException) -> None:
        wire = self._wire
        if self._started or wire.gone:
            self._log(error)
        if self._complete:
            return
        self._complete = True
        if not self._started:
            status, head, body = self._failure(error)
            wire.answer(status, head, body, False)
        else:
            self._send_head()
            wire.end(self._status, False, True)
