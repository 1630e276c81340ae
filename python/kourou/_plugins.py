# SPDX-License-Identifier: Apache-2.0
"""Answers pydantic's question for plugins without ``importlib.metadata``.

pydantic asks for the entry points of its plugins before it builds the first model. There are none in nearly every
environment, but the module that knows brings e-mail, zip files and sockets along: a seventh of what a worker with
models does until it is ready. So where no installed package names pydantic among its entry points, pydantic is told so
by a stand-in; in every other case, and to everybody else, the stand-in is the real module.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import PathFinder
from _thread import allocate_lock

_METADATA = "importlib.metadata"
LOADER = "pydantic.plugin._loader"  # the module of pydantic that asks


def look_quickly():
    """Puts the stand-in in place, unless the real module is there already."""
    if _METADATA not in sys.modules:
        import importlib

        sys.modules[_METADATA] = importlib.metadata = _StandIn(_METADATA)


def finish():
    """Takes the stand-in away: the next import of the name gets the real module."""
    stand_in = sys.modules.get(_METADATA)
    if type(stand_in) is _StandIn:
        stand_in.step_aside()


class _StandIn(type(sys)):
    """In the place of ``importlib.metadata`` until somebody but pydantic wants something of it."""

    def __init__(self, name):
        super().__init__(name)
        self._lock = allocate_lock()

    def __getattr__(self, name):
        # `import` asks for these of every module; a module of the real name would be loaded by that alone.
        if name in ("__path__", "__file__", "__cached__"):
            raise AttributeError(name)
        if name in ("entry_points", "distributions") and sys._getframe(1).f_globals.get("__name__") == LOADER:
            return getattr(self, f"_{name}")
        return getattr(self._real(), name)

    def step_aside(self):
        """The next import of the name gets the real module."""
        import importlib

        with self._lock:
            if sys.modules.get(_METADATA) is self:
                del sys.modules[_METADATA]
                if getattr(importlib, "metadata", None) is self:
                    del importlib.metadata

    def _real(self):
        import importlib

        self.step_aside()
        return importlib.import_module(_METADATA)

    def _entry_points(self, **wanted):
        return self._real().entry_points(**wanted) if possible() else ()

    def _distributions(self):
        return self._real().distributions() if possible() else ()


def possible() -> bool:
    """Whether an installed package may have a plugin for pydantic: it says that word among its entry points, or there
    are packages in places that are not looked through here."""
    if any(hasattr(finder, "find_distributions") for finder in sys.meta_path if finder is not PathFinder):
        return True
    return any(_mentioned(folder or ".") for folder in sys.path)


def _mentioned(folder) -> bool:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # an archive, which may hold packages
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                with open(f"{folder}/{name}/entry_points.txt", "rb", buffering=0) as file:
                    if b"pydantic" in file.read():
                        return True
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError:
                return True
        elif name.endswith(".egg") or name == "EGG-INFO":
            return True
    return False
