# SPDX-License-Identifier: Apache-2.0
"""Hooks: functions of the user that are called at the start, at the end, and after steps."""

from __future__ import annotations

from ._source import load_source, one_line, short_traceback
from .signature import COROUTINE, accepts_argument, code_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Awaitable, Optional


def resolve(hook: Any) -> Any:
    """The function behind a hook: itself, or the object that a dotted source names."""
    return load_source(hook, "hook") if isinstance(hook, str) else hook


def call(hook: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls a hook, async or not, and gives its result."""
    result = hook(*args, **kwargs)
    if code_flags(hook) & COROUTINE or hasattr(result, "__await__"):
        from . import aio

        return aio.run(_await(result))
    return result


async def _await(thing: Awaitable[Any]) -> Any:
    return await thing


def after_step(hook: Any, error: Optional[Exception] = None) -> None:
    """Calls on_success or on_failure. What goes wrong inside is logged and does not change the run."""
    if hook is None:
        return
    try:
        hook = resolve(hook)
        if error is not None and accepts_argument(hook):
            call(hook, error)
        else:
            call(hook)
    except Exception as problem:  # noqa: BLE001 - a hook must not decide about the run
        from .logger import get_logger

        get_logger("kourou").error("hook %s failed: %s\n%s", getattr(hook, "__name__", hook), one_line(problem),
                                   short_traceback(problem))
