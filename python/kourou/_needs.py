# SPDX-License-Identifier: Apache-2.0
"""What a pipeline's code loads and reads while it is imported, so that it can be there where it is served too.

    watch = Watch(root)
    with watch:
        ...                          # imports the user's code
    watch.paths(), watch.modules()   # folders below the root that modules were found in; packages under other names
    watch.needs()                    # {"files": [...], "outside": [...], "packages": [...]}

Files are the modules of the project and what it opens for reading: below the root, in the rest of its repository, in
editable installs. What is installed belongs to the requirements.
"""

from __future__ import annotations

import os
import sys

from ._source import is_own_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

    from ._typing import Json

_MOST = 20000  # files that are remembered
_INSTALLED = ("site-packages", "dist-packages")
_SYSTEM = ("/usr/", "/etc/", "/proc/", "/sys/", "/dev/", "/lib", "/bin/", "/opt/", "/run/", "/var/", "/nix/", "/snap/")
_TOPS = (".git", ".hg")


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_installed(path: str) -> bool:
    return any(f"{os.sep}{name}{os.sep}" in path for name in _INSTALLED)


def _repository(root: str) -> str:
    """The folder of the repository around the root, or the root."""
    folder = root
    while os.path.dirname(folder) != folder:
        if any(os.path.exists(os.path.join(folder, name)) for name in _TOPS):
            return folder
        folder = os.path.dirname(folder)
    return root


class Watch:
    """Remembers the files. Audit hooks cannot be taken away again, so this one only listens within the ``with``."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._real = os.path.realpath(self.root)
        self._repository = _repository(self._real)
        self._system = tuple(os.path.realpath(path) for path in (
            os.path.dirname(os.__file__), sys.prefix, sys.base_prefix) if not _below(self._real, path))
        self._before = frozenset(sys.modules)
        self._listens = False
        self._places: Dict[str, Tuple[Optional[str], str]] = {}  # co_filename: (place, path)
        self._read: Dict[str, Tuple[str, str, Optional[Tuple[str, bool]]]] = {}  # path: (place, by, whether a library opened it)
        self._made: Set[str] = set()
        self._imported: Dict[str, str] = {}  # module: place of the project's line that imported it first
        self.cut = False
        sys.addaudithook(self._hear)

    def __enter__(self) -> Watch:
        self._listens = True
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_error: object) -> None:
        self._listens = False
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """Finds nothing: only the moment is of interest."""
        self._importing(name)

    # -- where a file belongs ---------------------------------------------------------------------

    def place(self, path: str, module: bool = False) -> Tuple[Optional[str], str]:
        """("root", relative path) or ("outside", path) of the project's own files; ("elsewhere", path) of data in
        other places than those of the system; or (None, path). What is no part of Python's installation is own code."""
        full = os.path.abspath(path)
        for root in (self.root, self._real):
            if _below(full, root):
                inner = full[len(root.rstrip(os.sep)) + 1:]
                return (None, full) if _is_installed(os.sep + inner) or is_own_file(full) else ("root", inner)
        real = os.path.realpath(full)
        if real != full and _below(real, self._real):
            return self.place(real, module)
        if _is_installed(full) or is_own_file(full) or is_own_file(real):
            return None, full
        if _below(real, self._repository):
            return "outside", full
        if full.startswith("/usr/" if module else _SYSTEM) or \
                any(_below(p, s) for s in self._system for p in (full, real)):
            return None, full
        return ("outside" if module else "elsewhere"), full

    def _place_of_code(self, name: str) -> Tuple[Optional[str], str]:
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = (None, name) if name.startswith("<") else self.place(name, True)
        return found

    def caller(self, frame: Optional[FrameType]) -> Optional[Tuple[str, bool]]:
        """("file.py:3", whether other code stood between) of the project's line that called; None in an import."""
        between = False
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith("<frozen importlib"):
                return None
            place, path = self._place_of_code(name)
            if place in ("root", "outside"):
                return f"{path}:{frame.f_lineno}", between
            between = between or (not name.startswith("<") and _is_installed(name))
            frame = frame.f_back
        return None

    # -- what is heard ----------------------------------------------------------------------------

    def _hear(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if not self._listens or event not in _HEARD:
            return
        try:
            _HEARD[event](self, *arguments)
        except Exception:  # noqa: BLE001, S110 - what the user's code does must not depend on us
            pass

    def _opened(self, path: Any, mode: Any, flags: int) -> None:
        if isinstance(path, int) or path is None:
            return
        path = os.path.abspath(os.fsdecode(path))
        if isinstance(mode, str):
            reads, creates = "r" in mode, any(letter in mode for letter in "wxa")
        else:
            reads, creates = flags & 3 != os.O_WRONLY, bool(flags & os.O_CREAT)
        if creates and path not in self._read and (not reads or not os.path.exists(path)):
            self._made.add(path)
        elif reads:
            self._heard(path)

    def _connected(self, database: Any, *_rest: object) -> None:
        path = os.fsdecode(database)
        if path.startswith("file:"):
            path = path[5:].split("?")[0]
        if path and not path.startswith(":"):
            self._heard(os.path.abspath(path))

    def _loaded(self, path: Any, *_rest: object) -> None:
        if path and os.sep in os.fsdecode(path):
            self._heard(os.path.abspath(os.fsdecode(path)))

    def _heard(self, path: str) -> None:
        if path in self._read or path in self._made:
            return
        place, inner = self.place(path)
        if place is None or not os.path.exists(path):
            return
        by = self.caller(sys._getframe(3))
        if place == "elsewhere" and by is None:
            return
        if len(self._read) >= _MOST:
            self.cut = True
            return
        self._read[path] = (place, inner, by)

    def _importing(self, name: str) -> None:
        frame: Optional[FrameType] = sys._getframe(2)
        while frame is not None:
            file = frame.f_code.co_filename
            if not file.startswith("<") and f"{os.sep}importlib{os.sep}" not in file:
                place, path = self._place_of_code(file)
                if place in ("root", "outside"):
                    self._imported.setdefault(name, f"{path}:{frame.f_lineno}")
                return
            frame = frame.f_back

    # -- what came of it --------------------------------------------------------------------------

    def _new_modules(self) -> Iterator[Tuple[str, str]]:
        """(name, file) of the project's modules; file of a namespace package is its folder."""
        for name, module in list(sys.modules.items()):
            if name in self._before or name == "__main__":
                continue
            spec = getattr(module, "__spec__", None)
            file = getattr(module, "__file__", None) or getattr(spec, "origin", None)
            if isinstance(file, str) and file not in ("built-in", "frozen", "namespace"):
                yield name, os.path.abspath(file)

    def _roots(self) -> Tuple[Dict[str, None], Dict[str, str]]:
        """{folder: None} below the root that modules were found in; {package: folder or file} for other names."""
        paths: Dict[str, None] = {}
        renamed: Dict[str, str] = {}
        for name, file in self._new_modules():
            place, inner = self.place(file)
            if place != "root":
                continue
            inner = inner[:-len("__init__.py")].rstrip(os.sep) if inner.endswith("__init__.py") else inner
            parts, here = name.split("."), inner.split(os.sep)
            here[-1] = here[-1].split(".")[0] if not inner.endswith(os.sep) else here[-1]
            if len(here) >= len(parts) and here[-len(parts):] == parts:
                folder = os.sep.join(inner.split(os.sep)[:-len(parts)])
                if folder:
                    paths.setdefault(folder)
            elif len(parts) == 1:
                renamed[name] = inner
        return paths, renamed

    def paths(self) -> List[str]:
        """Folders below the root that have to be searched besides it, in the order of sys.path."""
        order: Dict[str, int] = {}
        for at, entry in enumerate(sys.path):
            place, inner = self.place(entry)
            if place == "root":
                order.setdefault(inner, at)
        found, _renamed = self._roots()
        return sorted(found, key=lambda path: (order.get(path, len(sys.path)), path))

    def modules(self) -> Dict[str, str]:
        """{"package": "folder"} of what an editable install finds under another name than its folder's."""
        return self._roots()[1]

    def needs(self) -> Json:
        """Files below the root by relative path, files outside by path; each with who read it, when that is known."""
        inside: Dict[str, Json] = {}
        outside: Dict[str, Json] = {}
        for name, loaded in self._new_modules():
            file = _existing(loaded)
            home, inner = self.place(file, True) if file else (None, "")
            if home == "root":
                inside.setdefault(inner, {"why": "imported", "module": name})
            elif home is not None:
                outside.setdefault(inner, {"why": "imported", "module": name})
        for path, (where, inner, by) in list(self._read.items()):
            place: Optional[str] = where
            source = _source_of(path)
            if source != path:
                place, inner = self.place(source)
            if not os.path.isfile(source):
                continue
            found: Json = {"why": "read"}
            if by is not None:
                found["by"] = by[0]
                found["library"] = by[1]
            elif source.endswith((".py", ".so")):
                found["why"] = "imported"
            (inside if place == "root" else outside).setdefault(inner, dict(found, elsewhere=place == "elsewhere"))
        return {"files": _listed(inside), "outside": _listed(outside), "cut": self.cut,
                "packages": self._packages(inside, outside)}

    def _packages(self, inside: Mapping[str, Json], outside: Mapping[str, Json]) -> List[Json]:
        """Installed packages that these files import."""
        sources = {path: os.path.join(self.root, path) for path in [*inside, *outside] if path.endswith(".py")}
        own = {name.split(".")[0] for name, file in self._new_modules() if self.place(file, True)[0]}
        from ._packages import direct

        return direct(sources, own, self._imported)


def _existing(file: str) -> Optional[str]:
    """The file, or the archive that it lies in."""
    while not os.path.exists(file):
        if os.path.dirname(file) == file:
            return None
        file = os.path.dirname(file)
    return file if os.path.isfile(file) else None


def _source_of(path: str) -> str:
    """The source of what is compiled of it."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) != "__pycache__" or not name.endswith(".pyc"):
        return path
    source = os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")
    return source if os.path.exists(source) else path


def _text(path: str) -> Tuple[str, bool]:
    """A path as JSON can hold it: (text, whether the name is no text)."""
    try:
        path.encode()
        return path, False
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace"), True


def _listed(found: Mapping[str, Json]) -> List[Json]:
    result = []
    for path in sorted(found):
        text, odd = _text(path)
        entry = {key: value if not isinstance(value, str) else _text(value)[0]
                 for key, value in found[path].items() if value}
        result.append(dict(entry, path=text, **({"odd": True} if odd else {})))
    return result


_HEARD: Dict[str, Any] = {
    "open": Watch._opened,
    "sqlite3.connect": Watch._connected,
    "ctypes.dlopen": Watch._loaded,
}
