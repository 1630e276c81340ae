# SPDX-License-Identifier: Apache-2.0
"""Fast readers and writers for pipelines whose parameters and outputs are text, numbers and truth values.

They need no pydantic, so such a pipeline starts in a fraction of the time and memory. Whatever is not exactly
what the signature says goes through pydantic after all, which converts it or says what is wrong.
"""

from __future__ import annotations

from marshal import loads as arguments  # what docs/worker-protocol.md calls the arguments of an invocation

from ._source import define
from .signature import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from json.encoder import encode_basestring
    from json.scanner import make_scanner
    from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple

    from ._typing import Buffer
    from .signature import Parameter
else:
    try:  # the C parts alone: `json` itself costs more to import than the rest of a worker's start
        from _json import encode_basestring, make_scanner
    except ImportError:
        from json.encoder import encode_basestring
        from json.scanner import make_scanner

__all__ = ["arguments", "encode_basestring"]  # for the other modules, beside what is defined here
SCALARS = (str, int, float, bool)
LONG = 16384  # characters from which on a text is worth the import of a faster encoder


class _Context:
    """What a scanner asks of a JSONDecoder."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def _make_scan() -> Callable[[str, int], Tuple[Any, int]]:
    context: Any = _Context()
    scan: Callable[[str, int], Tuple[Any, int]]
    if make_scanner.__module__ == "_json":
        scan = make_scanner(context)
        return scan
    from json.decoder import JSONDecoder

    decoder: Any = JSONDecoder()
    scan = decoder.scan_once
    return scan


_scan = _make_scan()


def parse(text: str) -> Any:
    """One JSON document."""
    return _scan(text.strip(), 0)[0]


class _NotLite(Exception):
    """Internal: this body needs the full validator."""


def readable(parameters: Iterable[Parameter]) -> bool:
    """Whether reader() can be used for these parameters."""
    return all(p.annotation in SCALARS and (p.default is MISSING or p.default is None or type(p.default) in SCALARS)
               for p in parameters)


def writable(annotations: Iterable[Any]) -> bool:
    """Whether writer() can be used for values of these types."""
    return all(annotation in SCALARS for annotation in annotations)


_READER = """\
def read(body):
    text = str(body, "utf-8")
    request, end = scan(text, 0)
    if type(request) is not dict or end != len(text):
        raise NotLite
    q = request["parameters"]
    if type(q) is not dict:
        raise NotLite
    run_name = None
    if len(request) > 1:
        run_name = request.get("run_name")
        if run_name is not None and (type(run_name) is not str or len(run_name.encode()) > 255 or "\\0" in run_name):
            raise NotLite
        if type(request.get("timeout")) not in numbers or \\
                type(request.get("skip_artifact_materialization", False)) is not bool:
            raise NotLite
    take = q.pop
{fields}
    if q:
        raise NotLite
    return ({result}), run_name
"""


def reader(parameters: Iterable[Parameter]) -> Callable[[Buffer], Tuple[Tuple[Any, ...], Optional[str]]]:
    """``read(body)``: (a tuple of the parameters, run_name). Raises anything when the body needs pydantic."""
    names = {"scan": _scan, "NotLite": _NotLite, "MISSING": MISSING, "inf": float("inf"),
             "numbers": (type(None), int, float)}
    lines, result = [], []
    for at, p in enumerate(parameters):
        field = f"v{at}"
        names[f"t_{field}"] = p.annotation
        if p.default is MISSING:
            lines.append(f"    {field} = take({p.name!r})")
            indent = "    "
        else:
            names[f"d_{field}"] = p.default
            lines += [f"    {field} = take({p.name!r}, MISSING)", f"    if {field} is MISSING:",
                      f"        {field} = d_{field}"]
            indent = "    el"
        if p.annotation is float:
            lines.append(f"{indent}if type({field}) is not float or not -inf < {field} < inf:")
            lines += [f"        if type({field}) is not int or not -9007199254740992 <= {field} <= 9007199254740992:",
                      "            raise NotLite", f"        {field} = float({field})"]
        else:
            lines += [f"{indent}if type({field}) is not t_{field}:", "        raise NotLite"]
        result.append(field + ", ")
    text = _READER.format(fields="\n".join(lines), result="".join(result))
    read: Callable[[Buffer], Tuple[Tuple[Any, ...], Optional[str]]] = define("read", text, names)
    return read


def _long_text(text: str) -> str:
    """A long text as JSON. pydantic's encoder takes a tenth of the time, but is an import that short texts never need."""
    try:
        from pydantic_core import to_json

        return to_json(text).decode()
    except Exception:  # noqa: BLE001 - not installed, or not text that UTF-8 can say: the other one knows better
        return encode_basestring(text)


def _expression(value: str, annotation: Any) -> str:
    if annotation is str:
        return "{es(%s) if len(%s) < %d else long_text(%s)}" % (value, value, LONG, value)
    if annotation is bool:
        return "{'true' if %s else 'false'}" % value
    return "{%s!r}" % value


def _condition(value: str, annotation: Any) -> str:
    if annotation is float:
        return f"type({value}) is float and -inf < {value} < inf"
    return f"type({value}) is {annotation.__name__}"


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _source(names_and_values: List[Tuple[str, str, Any]], condition: bool) -> str:
    """Text of a function body that gives the JSON object, or None when a value is not of its exact type."""
    parts = [f"{_braces(encode_basestring(name))}:{_expression(value, annotation)}"
             for name, value, annotation in names_and_values]
    literal = "{{" + ",".join(parts) + "}}"
    lines = [f"    return f{_quoted(literal)}.encode()"]
    if condition:
        checks = " and ".join(_condition(v, a) for _, v, a in names_and_values)
        if checks:
            lines = [f"    if {checks}:", "    " + lines[0], "    return None"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "'''" + text.replace("\\", "\\\\").replace("'''", "\\'\\'\\'") + "'''"


def tuple_writer(names: Sequence[str], annotations: Iterable[Any]) -> Callable[[Tuple[Any, ...]], Optional[bytes]]:
    """``write(values)``: a tuple of values as the JSON of an object with these names; None when one of them is
    not exactly of its type, as a default may be."""
    targets = [f"v{at}" for at in range(len(names))]
    body = _source(list(zip(names, targets, annotations)), True)
    text = f"def write(values):\n    {''.join(t + ', ' for t in targets) or '()'} = values\n{body}\n"
    return _compile(text)


def _default_text(value: Any) -> Optional[str]:
    """A default as JSON, or None when the server cannot read it as what it is."""
    if value is None:
        return "null"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return repr(value) if -(1 << 63) <= value < 1 << 63 else None
    if type(value) is float:
        return repr(value) if value - value == 0 else None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return encode_basestring(value)


_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
# What the server sends, and what this Python has to make of it.
_SAMPLE = (b"(\5\0\0\0u\2\0\0\0\xc3\xa9i\xfe\xff\xff\xffl\xfd\xff\xff\xff\0\0\0\0\0\4g\0\0\0\0\0\0\xe0?T",
           ("\u00e9", -2, -(1 << 40), 0.5, True))


def described(parameters: Iterable[Parameter]) -> Optional[str]:
    """The parameters as JSON for the server, which then sends them as arguments(); None when it had better send the
    bodies as they are."""
    items = []
    for p in parameters:
        item = f'{{"name":{encode_basestring(p.name)},"type":"{_TYPES[p.annotation]}"'
        if p.default is not MISSING:
            text = _default_text(p.default)
            if text is None:
                return None
            item += f',"default":{text}'
        items.append(item + "}")
    return f"[{','.join(items)}]" if arguments(_SAMPLE[0]) == _SAMPLE[1] else None


def _compile(text: str) -> Callable[[Tuple[Any, ...]], Optional[bytes]]:
    names = {"es": encode_basestring, "long_text": _long_text, "inf": float("inf")}
    write: Callable[[Tuple[Any, ...]], Optional[bytes]] = define("write", text, names)
    return write
