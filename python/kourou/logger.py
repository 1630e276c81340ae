# SPDX-License-Identifier: Apache-2.0
"""Logging: ordinary loggers that write lines to stderr, where the log of a deployment is made of."""

from __future__ import annotations

import logging
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    _Handler = logging.StreamHandler[TextIO]
else:
    _Handler = logging.StreamHandler

_ready = False


class _Stderr(_Handler):
    """Writes to whatever sys.stderr is at the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # nothing sets it
        return sys.stderr


def get_logger(name: str = "kourou") -> logging.Logger:
    """A logger that shows messages from the level in KOUROU_LOG_LEVEL on, INFO unless set."""
    global _ready
    if not _ready:
        _ready = True
        root = logging.getLogger()
        if not root.handlers:
            handler = _Stderr()
            handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
            root.addHandler(handler)
            level = os.environ.get("KOUROU_LOG_LEVEL") or os.environ.get("ZENML_LOGGING_VERBOSITY") or "INFO"
            known = logging.getLevelName(level.upper())
            root.setLevel(known if isinstance(known, int) else logging.INFO)
    return logging.getLogger(name)
