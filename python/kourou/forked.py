# SPDX-License-Identifier: Apache-2.0
"""Children that a step forks: they run what the step gives them to do, and never become a second worker.

A child of ``os.fork()`` that returns from its step, or leaves it by an exception, ends there. What it shares with the worker is
closed in it at once.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional, Tuple

_worker = 0  # the process that may answer requests; 0: none may, this is no worker
_shared: Tuple[int, ...] = ()  # descriptors that are the worker's alone


def is_worker_now(*descriptors: int) -> None:
    """This process is the worker; its children lose these descriptors."""
    global _worker, _shared
    if _worker == 0:
        os.register_at_fork(after_in_child=_after_fork)
    _worker, _shared = os.getpid(), descriptors


def _after_fork() -> None:
    global _shared
    for fd in _shared:
        try:
            os.close(fd)
        except OSError:
            pass
    _shared = ()
    import _signal  # type: ignore[import-not-found,unused-ignore]  # a part of signal in C, which no stubs describe

    try:  # a child that is told to end ends, and does not clean up for its parent
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
    except ValueError:
        pass


def in_child() -> bool:
    return _worker != 0 and os.getpid() != _worker


def leave(error: Optional[BaseException] = None) -> NoReturn:
    """Ends a child as Python ends a program that this exception leaves."""
    status: Any = 0
    if isinstance(error, SystemExit):
        status = error.code
        if status is not None and not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    elif error is not None:
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os._exit((status or 0) & 0xFF)
