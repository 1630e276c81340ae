# SPDX-License-Identifier: Apache-2.0
"""Parameters and annotations of the user's functions.

Plain functions are read from their code object: the modules ``inspect`` and ``typing`` take longer to
import than a small pipeline takes to start.
"""

from __future__ import annotations

from ._source import code_location, unwrap
from .errors import PipelineDefinitionError

TYPE_CHECKING = False  # not of typing, see above
if TYPE_CHECKING:
    from typing import Any, Dict, Generic, Iterable, List, Mapping, Sequence, Type

    from typing_extensions import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R", covariant=True)

    class Typed(Generic[P, R]):
        """Made of a function with these parameters and this result."""
else:
    P = R = None

    class Typed:
        """A class that is generic to checkers; typing.Generic takes long to import."""

        def __class_getitem__(cls, _arguments):
            return cls

GENERATOR, COROUTINE, ASYNC_GENERATOR = 0x20, 0x80, 0x200
_VARARGS, _VARKEYWORDS = 0x04, 0x08
_SIMPLE = {"str": str, "int": int, "float": float, "bool": bool, "bytes": bytes, "None": None,
           "dict": dict, "list": list}


class Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Parameter:
    """A parameter: name, annotation (MISSING when there is none), default (MISSING when required)."""

    __slots__ = ("name", "annotation", "default", "positional_only", "keyword_only")

    def __init__(self, name: str, annotation: Any = MISSING, default: Any = MISSING, positional_only: bool = False,
                 keyword_only: bool = False) -> None:
        self.name = name
        self.annotation = annotation
        self.default = default
        self.positional_only = positional_only
        self.keyword_only = keyword_only


def code_flags(function: Any) -> int:
    """Flags of the function's code (GENERATOR, COROUTINE, ...), 0 when it has none."""
    code = getattr(unwrap(function), "__code__", None)
    return code.co_flags if code is not None else 0


def _fail(function: Any, what: str, text: str) -> PipelineDefinitionError:
    file, line = code_location(function)
    return PipelineDefinitionError(f"{what} '{getattr(function, '__name__', '?')}' {text}", file=file, line=line)


def annotations_of(function: Any, what: str = "step") -> Dict[str, Any]:
    """The function's annotations with strings evaluated."""
    raw: Dict[str, Any] = getattr(function, "__annotations__", None) or {}
    plain = unwrap(function)
    names = getattr(plain, "__globals__", {})
    if all(not isinstance(a, str) for a in raw.values()):
        return dict(raw)
    if all(not isinstance(a, str) or (a in _SIMPLE and a not in names) for a in raw.values()):
        return {k: _SIMPLE[a] if isinstance(a, str) else a for k, a in raw.items()}
    import typing

    try:
        return typing.get_type_hints(plain, include_extras=True)
    except NameError as error:
        name = getattr(error, "name", None) or str(error).split("'")[1]
        raise _fail(function, what, f"has an annotation with the name '{name}', which its module does not "
                                    "define at the top level") from None
    except TypeError as error:
        if "|" in str(error):
            raise _fail(function, what, "uses X | Y in an annotation, which this version of Python does not "
                                        "know; write Optional[X] or Union[X, Y]") from None
        raise _fail(function, what, f"has an annotation that cannot be evaluated: {error}") from None


def parameters_of(function: Any, what: str = "step", skip_first: bool = False) -> List[Parameter]:
    """The parameters of a function, in order. Variable arguments are an error."""
    if type(function).__name__ == "function" and not hasattr(function, "__wrapped__"):
        found = _from_code(function, what)
    else:
        found = _from_inspect(function, what)
        skip_first = False
    return found[1:] if skip_first else found


def _from_code(function: Any, what: str) -> List[Parameter]:
    code = function.__code__
    if code.co_flags & (_VARARGS | _VARKEYWORDS):
        star = "*args" if code.co_flags & _VARARGS else "**kwargs"
        raise _fail(function, what, f"takes {star}; every parameter needs a name")
    hints = annotations_of(function, what)
    names = code.co_varnames
    count, keywords = code.co_argcount, code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    keyword_defaults: Dict[str, Any] = function.__kwdefaults__ or {}
    result: List[Parameter] = []
    for at, name in enumerate(names[: count + keywords]):
        if at < count:
            index = at - (count - len(defaults))
            default = defaults[index] if index >= 0 else MISSING
        else:
            default = keyword_defaults.get(name, MISSING)
        result.append(Parameter(name, hints.get(name, MISSING), default,
                                at < code.co_posonlyargcount, at >= count))
    return result


def _from_inspect(function: Any, what: str) -> List[Parameter]:
    import inspect

    hints = annotations_of(function, what)
    result: List[Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*args" if parameter.kind == parameter.VAR_POSITIONAL else "**kwargs"
            raise _fail(function, what, f"takes {star}; every parameter needs a name")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        result.append(Parameter(parameter.name, hints.get(parameter.name, MISSING), default,
                                parameter.kind == parameter.POSITIONAL_ONLY,
                                parameter.kind == parameter.KEYWORD_ONLY))
    return result


def field_names(parameters: Iterable[Parameter]) -> Dict[str, str]:
    """{name of a parameter: key under which its value is kept}. The keys cannot collide with names that
    pydantic uses, nor with those that a request may have."""
    return {p.name: f"parameter_{at}__" for at, p in enumerate(parameters)}


def bind(parameters: Sequence[Parameter], args: Sequence[Any], kwargs: Mapping[str, Any], what: str,
         error: Type[Exception] = TypeError) -> Dict[str, Any]:
    """{name: value} of the arguments that were passed; wrong ones are an error. Missing ones are not."""
    bound: Dict[str, Any] = {}
    places = [p for p in parameters if not p.keyword_only]
    if len(args) > len(places):
        raise error(f"{what} takes {len(places)} positional arguments, {len(args)} were given")
    for parameter, value in zip(places, args):
        bound[parameter.name] = value
    names = {p.name for p in parameters}
    for name, value in kwargs.items():
        if name not in names:
            raise error(f"{what} has no parameter '{name}'{suggestion(name, names)}")
        if name in bound:
            raise error(f"{what} was given '{name}' twice")
        bound[name] = value
    return bound


def suggestion(name: object, names: Iterable[object]) -> str:
    """``; did you mean 'x'?`` for the nearest name, or the list of names, or nothing."""
    import difflib

    names = sorted(str(n) for n in names)
    near = difflib.get_close_matches(str(name), names, 1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""


def accepts_argument(function: Any) -> bool:
    """Whether a function can be called with one positional argument."""
    plain = unwrap(function)
    code = getattr(plain, "__code__", None)
    if code is None:
        call: Any = getattr(type(plain), "__call__", None)
        code = getattr(call, "__code__", None)
        return code is not None and code.co_argcount > 1
    bound = 1 if getattr(function, "__self__", None) is not None else 0
    return code.co_argcount - bound > 0 or bool(code.co_flags & _VARARGS)
