# SPDX-License-Identifier: Apache-2.0
"""Where things come from: names of objects, places in the user's code, short tracebacks."""

from __future__ import annotations

import os
import sys

from .errors import KourouError, LoadError, SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any, Dict, List, Optional, Tuple

_OWN = tuple(
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), name) + os.sep
    for name in ("kourou", "zenml")
)


def is_own_file(path: str) -> bool:
    """Whether a file belongs to Kourou itself."""
    return os.path.abspath(path).startswith(_OWN)


def user_location(depth: int = 1) -> Tuple[Optional[str], Optional[int]]:
    """(file, line) of the nearest caller outside of Kourou."""
    frame: Optional[FrameType] = sys._getframe(depth)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith("<") and not is_own_file(name):
            return name, frame.f_lineno
        frame = frame.f_back
    return None, None


def code_location(function: Any) -> Tuple[Optional[str], Optional[int]]:
    """(file, line) of a function's definition, or (None, None)."""
    code = getattr(unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else (None, None)


def unwrap(function: Any) -> Any:
    """The plain function behind functools.wraps, partials and bound methods."""
    seen = 0
    while seen < 50:
        seen += 1
        if hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "func") and hasattr(function, "keywords"):
            function = function.func
        elif hasattr(function, "__func__"):
            function = function.__func__
        else:
            break
    return function


_MARKS = (os.path.join(".kourou", "config.yaml"), ".zen")  # what `kourou init` and `zenml init` leave


def source_root() -> str:
    """The folder that is deployed when a script deploys itself.

    The nearest folder above the script that `init` has marked; else the current one, if Python imports from there; else
    the folder of the script, from where Python imports when it runs `python folder/script.py`.
    """
    main = sys.modules.get("__main__")
    path: Optional[str] = getattr(main, "__file__", None)
    here = os.getcwd()
    if path is None or getattr(main, "__spec__", None) is not None:
        return here
    folder = os.path.dirname(os.path.abspath(path))
    at = folder
    while True:
        if any(os.path.exists(os.path.join(at, mark)) for mark in _MARKS):
            return at
        above = os.path.dirname(at)
        if above == at:
            break
        at = above
    inside = (folder + os.sep).startswith(here.rstrip(os.sep) + os.sep)
    return here if inside and any(os.path.realpath(p or here) == os.path.realpath(here) for p in sys.path) else folder


def main_module_name() -> str:
    """Importable name of the script that runs as ``__main__``, relative to the source root."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        name = str(spec.name)
        return name[: -len(".__main__")] if name.endswith(".__main__") else name
    path = getattr(main, "__file__", None)
    if path is None:
        return "__main__"
    return os.path.splitext(os.path.relpath(os.path.abspath(path), source_root()))[0].replace(os.sep, ".")


def source_of(thing: Any, what: str = "object") -> str:
    """``pkg.module.attr`` of a function or class; an error when it cannot be imported by that name."""
    if isinstance(thing, str):
        return thing
    module: Optional[str] = getattr(thing, "__module__", None)
    name: Optional[str] = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if module is None or name is None:
        return _source_of_object(thing, what)
    if "<" in name:
        file, line = code_location(thing)
        raise SettingsError(
            f"{what}: {name.rsplit('.', 1)[-1]} is a lambda or is defined inside a function, so it cannot be imported "
            "by name; define it at the top level of its module", file=file, line=line)
    if module == "__main__":
        module = main_module_name()
    return f"{module}.{name}"


def _source_of_object(thing: Any, what: str) -> str:
    """The name of the module's variable that holds an object, like an application of a web framework."""
    found: List[Tuple[bool, bool, int, str, str]] = []
    for key, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) or ""
        for name, value in list((getattr(module, "__dict__", None) or {}).items()) if path else ():
            if value is thing and name.isidentifier():
                found.append(("-packages" in path, key != getattr(thing, "__module__", None), len(found), key, name))
    if not found:
        raise SettingsError(f"{what}: an object of {type(thing).__name__} is imported by the name of its variable, and "
                            "no module has one; define it at the top level of a module")
    home, name = min(found)[3:]
    return f"{main_module_name() if home == '__main__' else home}.{name}"


def describe_source(thing: Any) -> str:
    """Like source_of(), but never fails."""
    try:
        return source_of(thing)
    except KourouError:
        return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', '?')}"


def find_module(source: str) -> Tuple[ModuleType, List[str]]:
    """(module, rest of the attribute path) of a dotted source. Raises what the import raises."""
    parts = source.split(".")
    for at in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:at])
        try:
            __import__(name)  # the package importlib costs more time than a small module
            return sys.modules[name], parts[at:]
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if not (name == missing or name.startswith(missing + ".")):
                raise
            if at == 1:
                raise
    raise ModuleNotFoundError(f"No module named {source!r}", name=source)


# What these modules import and as good as never use.
LIGHT_IMPORTS = {"pydantic.plugin._loader": "importlib.metadata", "pydantic.types": "secrets", "uuid": "platform"}


class Loading:
    """``with Loading():`` around what imports the user's code: pydantic takes less time there (_light_imports.py)."""

    def __enter__(self) -> None:
        self._light = False
        sys.meta_path.insert(0, self)

    def __exit__(self, *_error: object) -> None:
        sys.meta_path.remove(self)
        if self._light:
            from ._light_imports import finish

            finish()

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """Finds nothing: only the moment is of interest."""
        if name in LIGHT_IMPORTS:
            from ._light_imports import stand_in

            self._light = True
            stand_in(LIGHT_IMPORTS[name])


def load_source(source: str, what: str = "object", root: Optional[str] = None) -> Any:
    """The object that a dotted source names. LoadError (kind import or attribute) when there is none; what the
    module raises while it is imported comes through."""
    if not all(part.isidentifier() for part in source.split(".")) or "." not in source:
        raise LoadError(f"{what} '{source}' is not like module.name", kind="import")
    # The command line tool puts the pipeline's source in front of every message about it.
    label = "" if what == "pipeline" else f"{what} {source}: "
    try:
        thing, rest = find_module(source)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not (source + ".").startswith(missing + "."):
            raise
        raise LoadError(f"{label}there is no module '{missing}'{f' in {root}' if root else ''}",
                        kind="import") from error
    for name in rest:
        try:
            thing = getattr(thing, name)
        except AttributeError:
            where = getattr(thing, "__name__", type(thing).__name__)
            raise LoadError(f"{label}{where} has no attribute '{name}'{_near(thing, name)}",
                            kind="attribute", file=getattr(thing, "__file__", None)) from None
    return thing


def define(name: str, text: str, names: Dict[str, Any]) -> Any:
    """The function ``name`` that our own source text defines; it sees ``names``.

    Not by compile(), whose first call makes all classes of ``ast``: that takes longer than all of this module.
    """
    exec(text, names)  # noqa: S102 - our own text, names only
    function = names[name]
    function.__code__ = function.__code__.replace(co_filename=f"<kourou {name}>")
    return function


def _near(thing: object, name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, [n for n in dir(thing) if not n.startswith("__")], 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _hidden(name: str) -> bool:
    return name.startswith(("<frozen", "<kourou")) or (not name.startswith("<") and is_own_file(name)) or \
        f"{os.sep}importlib{os.sep}" in name


def user_frames(error: BaseException) -> List[Tuple[str, int, str, str]]:
    """[(file, line, function, text)] of an exception, without frames of Kourou and of the importer."""
    import linecache

    frames: List[Tuple[str, int, str, str]] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not _hidden(code.co_filename):
            text = linecache.getline(code.co_filename, trace.tb_lineno).strip()
            frames.append((code.co_filename, trace.tb_lineno, code.co_name, text))
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno or 0, "", (error.text or "").strip()))
    return frames


def short_path(path: str, root: Optional[str] = None) -> str:
    """The path relative to the source root when it is below it."""
    root = os.path.realpath(root or os.getcwd()) + os.sep
    full = os.path.realpath(path)
    return full[len(root):] if full.startswith(root) else path


def one_line(error: BaseException, limit: int = 500) -> str:
    """``ValueError: text`` on one line."""
    if isinstance(error, KourouError):
        text = error.message
    elif isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {error.msg}"
    else:
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - an exception whose text cannot be made still has a type
            text = ""
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def short_traceback(error: BaseException, root: Optional[str] = None, limit: int = 12) -> str:
    """The user's frames of an exception, its causes first, and its last line."""
    parts = []
    cause = error.__cause__
    if cause is not None and cause is not error and not isinstance(error, KourouError):
        parts.append(short_traceback(cause, root, limit))
    frames: List[Optional[Tuple[str, int, str, str]]] = [*user_frames(error)]
    if len(frames) > limit:
        frames = frames[: limit // 2] + [None] + frames[-(limit - limit // 2):]
    lines = []
    for frame in frames:
        if frame is None:
            lines.append("  ...\n")
            continue
        file, line, name, text = frame
        lines.append(f"  {short_path(file, root)}:{line}{' in ' + name if name else ''}\n")
        if text:
            lines.append(f"    {text}\n")
    parts.append("".join(lines) + one_line(error) + "\n")
    return "".join(parts)
