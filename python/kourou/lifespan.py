# SPDX-License-Identifier: Apache-2.0
"""The lifespan of ASGI applications: what they do before the first request and after the last."""

from __future__ import annotations

import asyncio
import traceback

from ._source import one_line
from .errors import LoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, Dict, Iterator, Optional

    from ._typing import Application, Message, Receive, Scope, Send


class _Unsupported(Exception):
    """The application takes the lifespan for something else."""


class Lifespan:
    """Of one application. ``state`` is what it leaves for its requests; several may share it."""

    def __init__(self, application: Application, what: str, state: Dict[str, Any]) -> None:
        self._application = application
        self._what = what
        self._state = state
        self._error: Optional[BaseException] = None

    async def startup(self) -> None:
        """LoadError when the application says that it cannot start. One that does not know lifespans has none."""
        self._started, self._ending, self._ended = (asyncio.Event() for _ in range(3))
        self._asked = 0
        self._failed: Optional[str] = None
        self._task = asyncio.get_running_loop().create_task(self._main())
        await self._started.wait()
        if self._failed is not None:
            await asyncio.wait([self._task], timeout=5)  # it raises what was wrong, as a rule
            self._raise()

    def _raise(self) -> None:
        error = self._error
        said = [line for line in str(self._failed).strip().splitlines() if line.strip()]
        reason = one_line(error) if error is not None else said[-1].strip() if said else "no reason was given"
        failure = LoadError(f"{self._what} did not start: {reason}", kind="init")
        failure.traceback = ("".join(traceback.format_exception(type(error), error, error.__traceback__))
                             if error is not None else str(self._failed))
        raise failure

    async def shutdown(self) -> Optional[str]:
        """Waits for the end of the application. The result is what went wrong, or None."""
        if self._task.done():
            return None
        self._ending.set()
        await self._ended.wait()
        return self._failed and (one_line(self._error) if self._error is not None else str(self._failed))

    async def _main(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._application(scope, self._receive, self._send)
        except BaseException as error:  # noqa: BLE001 - without a word before, it just knows no lifespan
            self._error = error
            if self._ending.is_set():
                self._failed = self._failed or "it failed"
        finally:
            self._started.set()
            self._ended.set()

    async def _receive(self) -> Message:
        self._asked += 1
        if self._asked == 1:
            return {"type": "lifespan.startup"}
        if not self._started.is_set():
            raise _Unsupported("the application waits for more than the lifespan's start")
        await self._ending.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        phase, event = ("startup", self._started) if not self._started.is_set() else ("shutdown", self._ended)
        if kind not in (f"lifespan.{phase}.complete", f"lifespan.{phase}.failed"):
            raise _Unsupported(f"unexpected ASGI message '{kind}'")
        if kind.endswith("failed"):
            self._failed = message.get("message") or "no reason was given"
        event.set()


async def pass_through(scope: Scope, receive: Receive, send: Send) -> None:
    """The innermost application of middleware that takes part in the lifespan."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def _codes(thing: Any) -> Iterator[CodeType]:
    """The code of a function, or of the methods of an object's class."""
    seen = []
    function = getattr(thing, "__func__", thing)
    if hasattr(function, "__code__"):
        seen.append(function.__code__)
    else:
        cls = thing if isinstance(thing, type) else type(thing)
        for one in cls.__mro__[:-1]:
            seen += [value.__code__ for value in vars(one).values() if hasattr(value, "__code__")]
    while seen:
        code = seen.pop()
        yield code
        seen += [c for c in code.co_consts if hasattr(c, "co_consts")]


def takes_part(thing: Any) -> bool:
    """Whether the code of a function or of an object mentions the lifespan."""
    return any(isinstance(text, str) and text.startswith("lifespan") for code in _codes(thing)
               for const in code.co_consts for text in (const if isinstance(const, (tuple, frozenset)) else (const,)))
