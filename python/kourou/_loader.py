# SPDX-License-Identifier: Apache-2.0
"""Imports the user's modules as their sources are now.

Python takes a compiled file for current when the source has the size and the second of change that it had then. A
source that is changed twice within a second, or restored with its time, would run as it was. Below the source root
compiled files are therefore told apart by the digest of the source, in the form that every Python reads and checks
(PEP 552).
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys

import _frozen_importlib_external as _importer  # importlib.machinery costs more time than a module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping, Optional

_UNCHECKED = _importer.MAGIC_NUMBER + b"\1\0\0\0"  # to other Pythons; here its digest counts all the same
_CHECKED = _importer.MAGIC_NUMBER + b"\3\0\0\0"
_INSTALLED = ("site-packages", "dist-packages")
_KEY = int.from_bytes(_importer.MAGIC_NUMBER, "little")


class _Loader(_importer.SourceFileLoader):
    """Loads a source, or what was compiled of exactly this text."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        digest = _imp.source_hash(_KEY, source)
        try:
            cache = _importer.cache_from_source(path)
            data = self.get_data(cache)
            if data[:8] in (_CHECKED, _UNCHECKED) and data[8:16] == digest:
                return getattr(_importer, "_compile_bytecode")(memoryview(data)[16:], fullname, cache, path)
        except NotImplementedError:
            cache = None
        except (OSError, ImportError, EOFError, ValueError, TypeError):
            pass  # there is none, or it is damaged
        code = self.source_to_code(source, path)
        if cache is not None and not sys.dont_write_bytecode:
            getattr(self, "_cache_bytecode")(path, cache, _CHECKED + digest + marshal.dumps(code))
        return code


class _Renamed:
    """Finds packages whose folders have another name, as some editable installs do."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        place = self._places.get(name)
        if place is None:
            return None
        if os.path.isdir(place):
            file = os.path.join(place, "__init__.py")
            return _importer.spec_from_file_location(name, file, loader=_Loader(name, file),
                                                     submodule_search_locations=[place])
        return _importer.spec_from_file_location(name, place, loader=_Loader(name, place))


def import_from(root: str, paths: Iterable[str] = (), modules: Optional[Mapping[str, str]] = None) -> None:
    """Puts the source root first in the search path, folders below it behind it. Its modules come by _Loader, what
    is installed below it not. ``modules``: folders or files below it of packages that have another name."""
    root = os.path.abspath(root)
    here = root.rstrip(os.sep) + os.sep
    library = os.path.dirname(os.__file__) + os.sep
    make = _importer.FileFinder.path_hook(
        (_importer.ExtensionFileLoader, _imp.extension_suffixes()), (_Loader, _importer.SOURCE_SUFFIXES),
        (_importer.SourcelessFileLoader, _importer.BYTECODE_SUFFIXES))

    def hook(path: str) -> Any:
        full = path + os.sep
        if not full.startswith(here) or full.startswith(library) or os.path.isfile(path) or \
                any(f"{os.sep}{name}{os.sep}" in full[len(here) - 1:] for name in _INSTALLED):
            raise ImportError("no folder of the user's code", path=path)
        return make(path)

    sys.path_hooks.insert(0, hook)
    for path in list(sys.path_importer_cache):
        if (path + os.sep).startswith(here):
            del sys.path_importer_cache[path]
    folders = [root, *(os.path.join(root, path) for path in paths)]
    sys.path[:] = folders + [path for path in sys.path if path not in folders]
    if modules:
        sys.meta_path.insert(0, _Renamed({name: os.path.join(root, place) for name, place in modules.items()}))
