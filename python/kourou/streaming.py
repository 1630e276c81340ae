# SPDX-License-Identifier: Apache-2.0
"""Streams: what a step sends out while it is still working, as Server-Sent Events."""

from __future__ import annotations

from contextvars import copy_context

from . import forked
from .context import _run
from ._source import unwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import queue
    from typing import Any, Callable, Iterator, Tuple

LIMIT = 256  # events that wait for a slow reader before the step has to wait


class StreamClosed(BaseException):
    """Nobody reads this stream any more; ends the run. Not an Exception, so steps do not swallow it."""


def stream(data: object) -> None:
    """Sends ``data`` to whoever invoked the pipeline as a stream; does nothing for other invocations.

    Dictionaries go out as they are, everything else as ``{"value": data}``.
    """
    run = _run.get()
    if run is not None and run.emit is not None:
        run.emit(data)


publish = stream


def uses_stream(function: Any) -> bool:
    """Whether a step's code mentions stream() or publish()."""
    function = unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    names = getattr(function, "__globals__", {})
    pending = [code]
    while pending:
        one = pending.pop()
        for name in one.co_names + one.co_freevars:
            if names.get(name) is stream:
                return True
            if name in ("stream", "publish") and any(
                    getattr(names.get(other), "__name__", "") in ("kourou", "zenml", "kourou.streaming",
                                                                   "zenml.streaming")
                    for other in one.co_names):
                return True
        pending.extend(c for c in one.co_consts if hasattr(c, "co_names"))
    return False


def event(name: str, data: bytes) -> bytes:
    """One block of an event stream."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


class Relay:
    """Runs ``work(emit)`` on a thread of its own; iterating gives what it emitted and, last, its result."""

    def __init__(self, work: Callable[[Callable[[Any], None]], Any]) -> None:
        import queue
        import threading

        self._full = queue.Full
        self._queue: queue.Queue[Tuple[int, Any]] = queue.Queue(LIMIT)
        self._closed = threading.Event()
        self._work = work
        context = copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._main,), name="kourou-stream", daemon=True)

    def _put(self, item: Tuple[int, Any]) -> None:
        if forked.in_child():  # nobody reads what a child of a step emits, and its queue may be held for ever
            return
        while True:
            if self._closed.is_set():
                raise StreamClosed
            try:
                self._queue.put(item, timeout=0.2)
                return
            except self._full:
                continue

    def _main(self) -> None:
        try:
            result = self._work(lambda data: self._put((0, data)))
            self._put((1, result))
        except StreamClosed:
            pass
        except BaseException as error:  # noqa: BLE001 - carried over to the reader
            try:
                self._put((2, error))
            except StreamClosed:
                pass

    def events(self) -> Iterator[Tuple[bool, Any]]:
        """Yields (False, data) for each message and (True, result) at the end."""
        self._thread.start()
        try:
            while True:
                kind, item = self._queue.get()
                if kind == 2:
                    raise item
                yield kind == 1, item
                if kind == 1:
                    return
        finally:
            self._closed.set()
