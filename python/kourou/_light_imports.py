# SPDX-License-Identifier: Apache-2.0
"""Keeps modules out of a worker's start that pydantic, or what it imports, imports but as good as never uses.

- ``importlib.metadata``: pydantic looks for plugins among the installed packages before it builds the first model. There
  are none in nearly every environment, but the module brings e-mail, zip files and sockets along. So where no package
  names pydantic among its entry points, pydantic is told so without that module.
- ``secrets``: brings OpenSSL along, to compare secrets of the user's.
- ``platform``: ``uuid`` asks it for the name of the system.

Together they are a sixth of what a worker with models does until it is ready. Whoever wants anything else of a stand-in
gets it of the real module, which is imported then.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import PathFinder
from _thread import allocate_lock

from ._source import LIGHT_IMPORTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    _Module = ModuleType
else:
    _Module = type(sys)

_LOADER = "pydantic.plugin._loader"


def stand_in(name: str) -> None:
    """Puts a stand-in in place of the module, unless the module is there already."""
    if name not in sys.modules:
        module = sys.modules[name] = _KINDS.get(name, _StandIn)(name)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(__import__(parent), last, module)


def finish() -> None:
    """Takes all stand-ins away: the next import of such a name gets the real module."""
    for name in LIGHT_IMPORTS.values():
        module = sys.modules.get(name)
        if isinstance(module, _StandIn):
            module.step_aside()


class _StandIn(_Module):
    """In the place of a module until somebody wants something of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._lock = allocate_lock()

    def __getattr__(self, name: str) -> Any:
        # `import` asks for these of every module; a module of the real name would be loaded by that alone.
        if name in ("__path__", "__file__", "__cached__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def step_aside(self) -> None:
        with self._lock:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
                parent, _, last = self.__name__.rpartition(".")
                if parent and getattr(sys.modules[parent], last, None) is self:
                    delattr(sys.modules[parent], last)

    def _real(self) -> ModuleType:
        import importlib

        self.step_aside()
        return importlib.import_module(self.__name__)


class _Metadata(_StandIn):
    """Answers the two questions of pydantic's loader of plugins, by newer and by older versions of it."""

    def __getattr__(self, name: str) -> Any:
        if name in ("entry_points", "distributions") and sys._getframe(1).f_globals.get("__name__") == _LOADER:
            return lambda **wanted: getattr(self._real(), name)(**wanted) if plugins_possible() else ()
        return super().__getattr__(name)


class _Platform(_StandIn):
    def __getattr__(self, name: str) -> Any:
        if name == "system" and hasattr(os, "uname") and sys._getframe(1).f_globals.get("__name__") == "uuid":
            return lambda: os.uname().sysname
        return super().__getattr__(name)


_KINDS = {"importlib.metadata": _Metadata, "platform": _Platform}


def plugins_possible() -> bool:
    """Whether an installed package may have a plugin for pydantic: it says that word among its entry points, or there
    are packages in places that are not looked through here."""
    if any(hasattr(finder, "find_distributions") for finder in sys.meta_path if finder is not PathFinder):
        return True
    return any(_mentioned(folder or ".") for folder in sys.path)


def _mentioned(folder: str) -> bool:
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
