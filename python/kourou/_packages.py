# SPDX-License-Identifier: Apache-2.0
"""Installed packages: which of them the project's own files import, and what a list of requirements brings along.

    direct(sources, loaded)      packages that project files import themselves
    python _boot.py provides     stdin {"requirements": [...], "wanted": [...]}, stdout {"missing": [...], "unknown": [...]}
    python _boot.py add          stdin {"text": pyproject.toml, "lines": [...]}, stdout {"text": ...} or {"error": ...}

What an installed package imports is its own matter: it states what it requires, and the rest it can do without.
"""

from __future__ import annotations

import json
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import AbstractSet, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

    from ._typing import Json

    Import = Tuple[str, List[str], int, bool, bool]  # name, names in it, line, lazy, optional
    Evaluate = Callable[[str, str], bool]

_IMPORT = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([^\n#;]+)", re.MULTILINE)
_INSTALLED = ("site-packages", "dist-packages")
_OURS = frozenset(("kourou", "zenml", "pydantic", "__future__", "__main__"))


def normal(name: str) -> str:
    """A project's name in its normal form."""
    return re.sub(r"[-_.]+", "-", name).lower()


# -- what a file imports -----------------------------------------------------------------------------

def _is_standard(top: str) -> bool:
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return top in names
    if top in sys.builtin_module_names:
        return True
    folder = os.path.dirname(os.__file__)
    return any(os.path.exists(os.path.join(folder, top + end)) for end in ("", ".py")) or \
        os.path.exists(os.path.join(folder, "lib-dynload")) and \
        any(name.startswith(top + ".") for name in os.listdir(os.path.join(folder, "lib-dynload")))


def _may_import_others(data: bytes, own: AbstractSet[str]) -> bool:
    """A quick look: whether a source names anything but Python's, ours and its own modules."""
    for found in _IMPORT.finditer(data):
        for part in found.group(1).replace(b"(", b" ").split(b","):
            top = part.strip().split(b" ")[0].split(b".")[0].decode("latin-1")
            if top and top not in own and top not in _OURS and not _is_standard(top):
                return True
    return False


def _catches(handlers: List[ast.ExceptHandler]) -> bool:
    import ast

    for handler in handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for kind in kinds:
            if kind is None or getattr(kind, "id", getattr(kind, "attr", None)) in (
                    "ImportError", "ModuleNotFoundError", "Exception", "BaseException"):
                return True
    return False


def _imports(tree: ast.Module) -> Iterator[Import]:
    """(name, names that may be modules in it, line, lazy, optional) of every absolute import."""
    import ast

    def walk(nodes: Iterable[ast.AST], lazy: bool, optional: bool) -> Iterator[Import]:
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, [], node.lineno, lazy, optional
            elif isinstance(node, ast.ImportFrom):
                if not node.level and node.module:
                    yield node.module, [alias.name for alias in node.names], node.lineno, lazy, optional
            elif isinstance(node, ast.Try):
                guarded = optional or _catches(node.handlers)
                yield from walk(node.body, lazy, guarded)
                for handler in node.handlers:
                    yield from walk(handler.body, lazy, guarded)
                yield from walk(node.orelse + node.finalbody, lazy, guarded)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                yield from walk(node.orelse, lazy, optional)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                yield from walk(ast.iter_child_nodes(node), True, optional)
            else:
                yield from walk(ast.iter_child_nodes(node), lazy, optional)

    return walk(tree.body, False, False)


# -- which package a module belongs to -----------------------------------------------------------------

class Packages:
    """The packages installed in the folders of sys.path."""

    def __init__(self) -> None:
        self._folders: Dict[str, List[str]] = {}
        self._known: Dict[str, Dict[str, List[str]]] = {}

    def _infos(self, folder: str) -> List[str]:
        if folder not in self._folders:
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []
            self._folders[folder] = [os.path.join(folder, name) for name in names
                                     if name.endswith((".dist-info", ".egg-info"))]
        return self._folders[folder]

    def all(self) -> Dict[str, str]:
        """{normal name: folder with the metadata}; the first in sys.path wins, as for imports."""
        found: Dict[str, str] = {}
        for folder in sys.path:
            for info in self._infos(folder):
                found.setdefault(normal(self.about(info)["Name"][0]), info)
        return found

    def about(self, info: str) -> Dict[str, List[str]]:
        """{"Name": [...], "Version": [...], "Requires-Dist": [...]} of a package."""
        if info not in self._known:
            name = os.path.basename(info).rsplit(".", 1)[0]
            about = {"Name": [name.split("-")[0]], "Version": [(name.split("-") + [""])[1]]}
            text = _read(info if os.path.isfile(info) else os.path.join(info, "METADATA")) or \
                _read(os.path.join(info, "PKG-INFO"))
            said: Dict[str, List[str]] = {}
            for line in text.decode("utf-8", "replace").splitlines():
                if not line.strip():
                    break
                key, colon, value = line.partition(":")
                if colon and key in ("Name", "Version", "Requires-Dist", "Provides-Extra"):
                    said.setdefault(key, []).append(value.strip())
            said.setdefault("Requires-Dist", _older_requires(os.path.join(info, "requires.txt")))
            self._known[info] = {**about, **said}
        return self._known[info]

    def owner(self, file: str, top: str) -> Optional[str]:
        """Folder with the metadata of the package that a file belongs to, or None."""
        folder = next((file[:file.index(f"{os.sep}{name}{os.sep}") + len(name) + 1]
                       for name in _INSTALLED if f"{os.sep}{name}{os.sep}" in file), None)
        if folder is None:
            return None
        infos = self._infos(folder)
        inner = file[len(folder) + 1:].replace(os.sep, "/")
        likely = normal(top)
        for info in sorted(infos, key=lambda i: normal(os.path.basename(i).split("-")[0].split(".")[0]) != likely):
            listed = _read(os.path.join(info, "RECORD")) or b""
            if b"\n" + listed and (b"\n" + listed.replace(b'"', b"")).find(b"\n" + inner.encode() + b",") >= 0:
                return info
            named = _read(os.path.join(info, "top_level.txt")) if not listed else b""
            if top in named.decode("utf-8", "replace").split():
                return info
        return None

    def line(self, info: str) -> str:
        """The requirement that installs the same."""
        about = self.about(info)
        name, version = about["Name"][0], about["Version"][0].split("+")[0]
        try:
            origin = json.loads(_read(os.path.join(info, "direct_url.json")) or b"{}")
            vcs, url = origin.get("vcs_info"), origin.get("url", "")
            if vcs and url:
                return f"{name} @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
            if url.startswith(("http://", "https://")):
                return f"{name} @ {url}"
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        return f"{name}=={version}" if version else name


def _older_requires(path: str) -> List[str]:
    """The requirements of an .egg-info: sections `[extra]`, `[extra:marker]`, `[:marker]`."""
    found, extra, marker = [], "", ""
    for line in _read(path).decode("utf-8", "replace").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
        elif line and not line.startswith("#"):
            limits = [part for part in (f"({marker})" if marker else "", f'extra == "{extra}"' if extra else "") if part]
            found.append(f"{line}; {' and '.join(limits)}" if limits else line)
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _file_of(name: str, names: Iterable[str]) -> Tuple[Optional[str], bool]:
    """A file of the module that an import means, and whether it is loaded; (None, False): there is none."""
    for wanted in [*(f"{name}.{inner}" for inner in names), name]:
        module = sys.modules.get(wanted)
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            return file, True
    top = name.split(".")[0]
    if top in sys.modules:
        return None, True
    from importlib.machinery import PathFinder

    try:
        spec = PathFinder.find_spec(top)
    except (ImportError, ValueError):
        return None, False
    return getattr(spec, "origin", None), False


def direct(sources: Mapping[str, str], own: AbstractSet[str], heard: Mapping[str, str]) -> List[Json]:
    """Packages that project files import. sources: {path as shown: file}; own: names of the project's modules; heard:
    {module: "file.py:3"} of imports that were seen while they happened.

    [{"name", "version", "line", "module", "by", "lazy": only in a function, "optional": guarded against ImportError}]
    """
    found: Dict[str, Json] = {}
    packages = Packages()

    def add(name: str, names: Iterable[str], by: str, lazy: bool, optional: bool) -> None:
        file, loaded = _file_of(name, names)
        if file is None or not any(f"{os.sep}{part}{os.sep}" in file for part in _INSTALLED):
            return
        info = packages.owner(file, name.split(".")[0])
        if info is None or normal(packages.about(info)["Name"][0]) in _OURS:
            return
        entry: Json = {"name": packages.about(info)["Name"][0], "version": packages.about(info)["Version"][0],
                 "line": packages.line(info), "module": name, "by": by, "lazy": lazy or not loaded, "optional": optional}
        known = found.get(entry["name"])
        if known is None or (known["lazy"], known["optional"]) > (entry["lazy"], entry["optional"]):
            found[entry["name"]] = entry

    guarded = set()
    for shown, path in sources.items():
        data = _read(path)
        if not _may_import_others(data, own):
            continue
        import ast

        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError):
            continue
        for name, names, line, lazy, optional in _imports(tree):
            top = name.split(".")[0]
            if top not in own and top not in _OURS and not _is_standard(top):
                add(name, names, f"{shown}:{line}", lazy, optional)
                if optional or lazy:
                    guarded.add(f"{shown}:{line}")
    for name, by in heard.items():
        top = name.split(".")[0]
        if by not in guarded and top not in own and top not in _OURS and not _is_standard(top):
            add(name, [], by, False, False)
    return [found[name] for name in sorted(found)]


# -- what requirements bring along ---------------------------------------------------------------------

def _parse(line: str) -> Tuple[Optional[str], Set[str], str]:
    """(name, extras, marker) of a requirement; (None, ...) of options and addresses without a name."""
    line = re.sub(r"\s--(hash|config-settings|global-option)\b.*", "", line.strip())
    egg = re.search(r"[#&]egg=([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?", line)
    match = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?\s*(.*)$", line)
    if egg is not None:
        return normal(egg.group(1)), _extras(egg.group(2)), ""
    if match is None or line.startswith("-") or re.match(r"[a-z+]+:", line):
        return None, set(), ""
    rest = match.group(3)
    marker = rest.split(" ;", 1)[1] if rest.startswith("@") and " ;" in rest else \
        rest.split(";", 1)[1] if not rest.startswith("@") and ";" in rest else ""
    return normal(match.group(1)), _extras(match.group(2)), marker.strip()


def _extras(text: Optional[str]) -> Set[str]:
    return {normal(part.strip()) for part in (text or "").split(",") if part.strip()}


def _evaluator() -> Evaluate:
    """A function that says whether a marker holds for Linux; without a library for it, all do but those of extras."""
    for home in ("packaging.markers", "pip._vendor.packaging.markers", "setuptools._vendor.packaging.markers"):
        try:
            Marker = __import__(home, fromlist=["Marker"]).Marker
        except Exception:  # noqa: BLE001, S112 - the next one, or none
            continue
        return lambda text, extra: Marker(text).evaluate({"extra": extra})
    return lambda text, extra: "extra" not in text or bool(re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", text))


def _holds(evaluate: Evaluate, marker: str, extras: AbstractSet[str]) -> bool:
    if not marker:
        return True
    try:
        return any(evaluate(marker, extra) for extra in (extras or {""}) | {""})
    except Exception:  # noqa: BLE001 - a marker that nobody can read counts
        return True


def provides(requirements: Iterable[str], wanted: Iterable[str]) -> Dict[str, List[str]]:
    """What the requirements, and all that they require, leave missing of wanted; unknown: what of them is not installed
    here, so that nobody knows what it brings."""
    packages, evaluate = Packages(), _evaluator()
    installed = packages.all()
    todo = []
    unknown = []
    seen: Set[Tuple[str, str]] = set()
    for line in requirements:
        name, extras, marker = _parse(line)
        if name is None:
            if not line.startswith("-"):
                unknown.append(line)
        elif _holds(evaluate, marker, set()):
            todo.append((name, extras))
            if name not in installed:
                unknown.append(line)
    while todo:
        name, extras = todo.pop()
        new = {(name, extra) for extra in extras | {""}} - seen
        seen |= new
        info = installed.get(name)
        if not new or info is None:
            continue
        for line in packages.about(info).get("Requires-Dist", ()):
            inner, more, marker = _parse(line)
            if inner and _holds(evaluate, marker, extras):
                todo.append((inner, more))
    have = {name for name, _extra in seen}
    return {"missing": [name for name in wanted if normal(name) not in have], "unknown": unknown}


# -- pyproject.toml ------------------------------------------------------------------------------------

def _toml() -> Any:
    try:
        import tomllib as toml
    except ImportError:
        toml = __import__("pip._vendor.tomli", fromlist=["loads"])
    return toml


def add_to_project(text: str, lines: List[str]) -> str:
    """The text of a pyproject.toml with more dependencies; ValueError when they cannot be added safely."""
    toml = _toml()
    before = toml.loads(text)
    if not isinstance(before.get("project"), dict):
        raise ValueError("it has no [project] table")
    start = re.search(r"^\[project\][ \t]*(#.*)?$", text, re.MULTILINE)
    if start is None:
        raise ValueError("its [project] table is not written as one")
    entries = "".join(f"    {json.dumps(line)},\n" for line in lines)
    tried = []
    for array in re.finditer(r"^dependencies[ \t]*=[ \t]*\[", text[start.end():], re.MULTILINE):
        at = start.end() + array.end()
        tried.append(text[:at] + "\n" + entries + text[at:].lstrip("\n"))
    if "dependencies" not in before["project"]:
        tried.append(text[:start.end()] + f"\ndependencies = [\n{entries}]" + text[start.end():])
    wanted = {**before, "project": {**before["project"],
                                    "dependencies": [*lines, *before["project"].get("dependencies", [])]}}
    for candidate in tried:
        try:
            if toml.loads(candidate) == wanted:
                return candidate
        except ValueError:
            continue
    raise ValueError("its dependencies are not written as a plain list")


def main(command: str) -> int:
    """The commands ``provides`` and ``add``."""
    question = json.load(sys.stdin)
    answer: Json
    if command == "provides":
        answer = provides(question["requirements"], question["wanted"])
    else:
        try:
            answer = {"text": add_to_project(question["text"], question["lines"])}
        except ValueError as error:
            answer = {"error": str(error)}
    json.dump(answer, sys.stdout)
    return 0
