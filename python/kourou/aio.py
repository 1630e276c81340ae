# SPDX-License-Identifier: Apache-2.0
"""One event loop for everything asynchronous in the user's code, on a thread of its own.

All of it shares one loop, so a client that ``on_init`` opened can be used by async steps and endpoints.
"""

from __future__ import annotations

import threading

_lock = threading.Lock()
_loop = None
_thread = None


def loop():
    """The running event loop."""
    global _loop, _thread
    with _lock:
        if _loop is None:
            import asyncio

            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="kourou-async", daemon=True)
            _thread.start()
        return _loop


def run(coroutine):
    """Waits for a coroutine; its context is that of the caller."""
    import asyncio

    if threading.current_thread() is _thread:
        coroutine.close()
        raise RuntimeError("an async step cannot be waited for inside the event loop; await it instead")
    return asyncio.run_coroutine_threadsafe(coroutine, loop()).result()


def iterate(generator):
    """The items of an async generator, one after the other."""
    try:
        while True:
            try:
                yield run(generator.__anext__())
            except StopAsyncIteration:
                return
    finally:
        run(_close(generator))


async def _close(generator):
    close = getattr(generator, "aclose", None)
    if close is not None:
        await close()
