# SPDX-License-Identifier: Apache-2.0
"""Arguments of endpoint handlers: from the path, the query and the body, by name and type."""

from __future__ import annotations

import inspect
import json

from .http import Request
from .schema import BaseModel, ConfigDict, TypeAdapter, ValidationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import AbstractSet, Any, Callable, Dict, List, Optional, Tuple

    from ._typing import AnyFunction, Json, Message, Receive
    from .asgi import AppRunner

    Bind = Callable[..., Dict[str, Any]]

_SCALARS = (str, int, float, bool)


class Refused(Exception):
    """The request does not fit the handler's signature; ``problems`` is the detail of the 422 answer."""

    def __init__(self, problems: List[Json]) -> None:
        super().__init__("the request does not fit")
        self.problems = problems


def _hints(function: Any) -> Dict[str, Any]:
    import typing

    target = function if inspect.isfunction(function) or inspect.ismethod(function) else type(function).__call__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError):
        return getattr(target, "__annotations__", {})


def _is_body(annotation: Any) -> bool:
    """Whether a parameter of this type is read from the body rather than the query, as FastAPI does."""
    origin = getattr(annotation, "__origin__", annotation)
    if origin in (dict, list, set, tuple, frozenset):
        return True
    if isinstance(origin, type) and (issubclass(origin, BaseModel) or hasattr(origin, "__dataclass_fields__")):
        return True
    return any(_is_body(arg) for arg in getattr(annotation, "__args__", ()) if arg is not type(None))


class _Argument:
    def __init__(self, parameter: inspect.Parameter, annotation: Any, place: str) -> None:
        self.name = parameter.name
        self.place = place
        self.default = parameter.default
        self.adapter: Any = None
        if place in ("path", "query", "body"):
            self.adapter = TypeAdapter(annotation if annotation is not inspect.Parameter.empty else
                                       (str if place != "body" else object),
                                       config=None if place == "body" and _is_body(annotation) else ConfigDict())

    def check(self, value: Any, loc: List[Any]) -> Any:
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            raise Refused([{**{k: v for k, v in p.items() if k in ("type", "msg", "input")},
                            "loc": [*loc, *p["loc"]]} for p in error.errors(include_url=False)]) from None


def _foreign_request(annotation: Any) -> bool:
    return isinstance(annotation, type) and annotation.__name__ == "Request" and not issubclass(annotation, Request)


def _receiver(body: bytes) -> Receive:
    """For a request whose handler is not on the event loop."""
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return first.pop() if first else {"type": "http.disconnect"}

    return receive


def binder(function: AnyFunction, path_names: AbstractSet[str], facade: AppRunner) -> Tuple[Bind, bool]:
    """(bind, reads): ``bind(request, receive)`` gives the keyword arguments of the function for one request, Refused when
    they do not fit; ``reads`` is whether it wants the body to be there."""
    hints = _hints(function)
    arguments = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        annotation = hints.get(parameter.name, parameter.annotation)
        if annotation is Request or (parameter.name == "request" and annotation is inspect.Parameter.empty):
            place = "request"
        elif _foreign_request(annotation):
            place = "foreign"
        elif parameter.name == "app_runner":
            place = "runner"
        elif parameter.name in path_names:
            place = "path"
        else:
            place = "body" if _is_body(annotation) else "query"
        arguments.append((_Argument(parameter, annotation, place), annotation))
    alone = sum(1 for a, _ in arguments if a.place == "body") == 1
    places = {argument.place for argument, _ in arguments}
    reads = "foreign" not in places or bool(places & {"body", "request"})

    def bind(request: Request, receive: Optional[Receive] = None) -> Dict[str, Any]:
        result, body = {}, None
        for argument, annotation in arguments:
            if argument.place == "body" and body is None:
                body = [_parse(request._body)]
            value = _find(argument, annotation, request, receive, facade, body, alone)
            if value is not inspect.Parameter.empty:
                result[argument.name] = value
        return result

    return bind, reads


def _parse(body: bytes) -> Any:
    if not body.strip():
        return inspect.Parameter.empty
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refused([{"type": "json_invalid", "loc": ["body", getattr(error, "pos", 0)],
                        "msg": "JSON decode error", "input": {}, "ctx": {"error": str(error)}}]) from None


def _find(argument: _Argument, annotation: Any, request: Request, receive: Optional[Receive], facade: AppRunner,
          body: Any, alone: bool) -> Any:
    name, place, empty = argument.name, argument.place, inspect.Parameter.empty
    if place == "request":
        return request
    if place == "runner":
        return facade
    if place == "foreign":
        return annotation(request.scope, receive or _receiver(request._body))
    loc = [place] if place == "body" and alone else [place, name]
    if place == "path":
        return argument.check(request.path_params[name], loc)
    if place == "query":
        value = request.query_params.get(name, empty)
    else:
        value = body[0]
        if value is not empty and not alone:
            value = value.get(name, empty) if isinstance(value, dict) else empty
    if value is empty:
        if argument.default is empty:
            raise Refused([{"type": "missing", "loc": loc, "msg": "Field required", "input": None}])
        return empty
    return argument.check(value, loc)
