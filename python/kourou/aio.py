# SPDX-License-Identifier: Apache-2.0
"""One event loop for everything asynchronous in the user's code, on a thread of its own.

All of it shares one loop, so a client that ``on_init`` opened can be used by async steps and endpoints. The loop lives
as long as the worker: what ends a program when it is raised (SystemExit, KeyboardInterrupt) ends one coroutine here.
"""

from __future__ import annotations

import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any, AsyncIterator, Coroutine, Generator, Optional, Set, Tuple

_lock = threading.Lock()
_loop: Optional[asyncio.AbstractEventLoop] = None
_thread: Optional[threading.Thread] = None
_tasks: Set[asyncio.Task[Any]] = set()  # the loop itself refers to tasks weakly


def loop() -> asyncio.AbstractEventLoop:
    """The running event loop."""
    global _loop, _thread
    with _lock:
        if _loop is None:
            import asyncio

            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_run_forever, args=(_loop,), name="kourou-async", daemon=True)
            _thread.start()
        return _loop


def _run_forever(one: asyncio.AbstractEventLoop) -> None:
    while not one.is_closed():
        try:
            one.run_forever()
        except BaseException as error:  # noqa: BLE001 - of a task of the user's own: the others go on
            print(f"a task of the event loop ended with {type(error).__name__}: {error}", file=sys.stderr, flush=True)


async def _outcome(coroutine: Coroutine[Any, Any, Any]) -> Tuple[bool, Any]:
    """(True, result) or (False, exception): the event loop would end by some of them."""
    try:
        return True, await coroutine
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        return False, error


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Waits for a coroutine; its context is that of the caller."""
    import asyncio

    if threading.current_thread() is _thread:
        coroutine.close()
        raise RuntimeError("an async step cannot be waited for inside the event loop; await it instead")
    fine, result = asyncio.run_coroutine_threadsafe(_outcome(coroutine), loop()).result()
    if not fine:
        raise result
    return result


def spawn(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Lets a coroutine run by itself, in the context of the caller. It reports its own errors."""
    one = loop()
    one.call_soon_threadsafe(_begin, one, _outcome(coroutine))


def _begin(one: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> None:
    task = one.create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def iterate(generator: AsyncIterator[Any]) -> Generator[Any, None, None]:
    """The items of an async generator, one after the other."""
    try:
        while True:
            try:
                item: Any = generator.__anext__()
                yield run(item)
            except StopAsyncIteration:
                return
    finally:
        run(_close(generator))


async def _close(generator: AsyncIterator[Any]) -> None:
    close = getattr(generator, "aclose", None)
    if close is not None:
        await close()
