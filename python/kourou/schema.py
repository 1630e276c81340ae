# SPDX-License-Identifier: Apache-2.0
"""Types of parameters and outputs: validation, JSON Schema and JSON. The only user of pydantic at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Dict, List, Literal, NoReturn, Optional, Tuple

from .errors import KourouError, LoadError, ParameterError, SchemaError
from .signature import MISSING, field_names

try:
    import pydantic
    from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import to_json, to_jsonable_python
    from typing_extensions import TypedDict
except ImportError as error:
    raise LoadError(f"this Python has no pydantic 2 ({error}); install it: python -m pip install 'pydantic>=2'",
                    kind="python") from None

if TYPE_CHECKING:
    from ._typing import Buffer, Json, Place
    from .graph import OutputRef
    from .signature import Parameter

if pydantic.VERSION.startswith("1."):
    raise LoadError(f"this Python has pydantic {pydantic.VERSION}, but version 2 is needed; "
                    "install it: python -m pip install 'pydantic>=2'", kind="python")

RUN_NAME_MAX = 255
_BYTES: ConfigDict = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}
__all__ = ["BaseModel", "ConfigDict", "TypeAdapter", "ValidationError"]  # for the other modules, beside what is defined here


def plain(value: Any) -> Any:
    """A last resort for values that JSON does not know: what ``tolist`` or ``item`` of arrays and scalars give."""
    for name in ("tolist", "item"):
        method = getattr(value, name, None)
        if callable(method):
            return method()
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} cannot be written as JSON")


def json_bytes(value: Any) -> bytes:
    """Any ordinary value as JSON."""
    return to_json(value, bytes_mode="base64", inf_nan_mode="null", fallback=plain)


def finite(value: Any, depth: int = 60) -> bool:
    """Whether there is no NaN and no infinity in it, which JSON cannot say."""
    if isinstance(value, float):
        return value - value == 0
    if value is None or isinstance(value, (str, bytes, int)) or depth == 0:
        return True
    if isinstance(value, dict):
        return all(finite(item, depth - 1) for item in value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(finite(item, depth - 1) for item in value)
    if callable(getattr(value, "tolist", None)):
        return finite(value.tolist(), depth - 1)
    inner = getattr(value, "__dict__", None)
    return not isinstance(inner, dict) or all(finite(item, depth - 1) for item in inner.values())


_NOT_FINITE = "NaN or an infinity, which JSON cannot say; return None or text in its place"


def message_bytes(value: Any) -> bytes:
    """What a step streams, as JSON. ValueError for a number that JSON does not have."""
    text = json_bytes(value)
    if b"null" in text and not finite(value):
        raise ValueError(f"a streamed message holds {_NOT_FINITE}")
    return text


def canonical(value: Any) -> Any:
    """The value as plain JSON types; sets are sorted, so that equal values give equal text."""
    if isinstance(value, (set, frozenset)):
        import json

        return sorted((canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, dict) and type(value) is dict:
        return {str(canonical(key)) if not isinstance(key, str) else key: canonical(item)
                for key, item in value.items()}
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return [canonical(item) for item in value]
    return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="null", fallback=plain)


class _Schema(GenerateJsonSchema):
    """JSON Schema whose defaults do not depend on the order of sets."""

    def encode_default(self, dft: Any) -> Any:
        try:
            return canonical(dft)
        except Exception:  # noqa: BLE001 - pydantic then reports the default that it cannot write
            return super().encode_default(dft)


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, type):
        module = annotation.__module__
        return annotation.__qualname__ if module == "builtins" else f"{module}.{annotation.__qualname__}"
    return str(annotation).replace("typing.", "")


def _any(annotation: Any) -> Any:
    return Any if annotation is MISSING else annotation


def _no_schema(what: str, annotation: Any, error: BaseException, place: Place) -> SchemaError:
    text = str(error).strip().split("\n", 1)[0]
    hint = "" if isinstance(error, NameError) else "; use builtin types, a dataclass or a pydantic model"
    if "Unable to generate" in text or "is-instance" in text or "CoreSchema" in text or \
            "isinstance" in text:
        text = "has no JSON schema"
    else:
        text = f"has no JSON schema ({text})"
    return SchemaError(f"{what} has the type {_type_name(annotation)}, which {text}{hint}", file=place[0],
                       line=place[1])


def _check_one(what: str, annotation: Any, mode: Literal["validation", "serialization"], place: Place) -> None:
    try:
        adapter = TypeAdapter(_any(annotation), config=None if _has_own_config(annotation) else _BYTES)
        adapter.json_schema(mode=mode, schema_generator=_Schema)
    except KourouError:
        raise
    except Exception as error:
        raise _no_schema(what, annotation, error, place) from error


def _has_own_config(annotation: Any) -> bool:
    origin = getattr(annotation, "__origin__", annotation)
    return isinstance(origin, type) and (
        issubclass(origin, BaseModel) or hasattr(origin, "__dataclass_fields__") or
        (issubclass(origin, dict) and origin is not dict and hasattr(origin, "__total__")))


def _title(name: str) -> str:
    return name.replace("_", " ").title().strip()


def convert(value: Any, annotation: Any, what: str) -> Any:
    """The value in the given type. ParameterError when it does not fit."""
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ParameterError(f"{what}: {problem['msg']}, not {value!r}", [dict(one) for one in error.errors(include_url=False)]) from None
    except KourouError:
        raise
    except Exception as error:
        raise _no_schema(what, annotation, error, (None, None)) from error


class NotJSON(ValueError):
    """A body with NaN or Infinity as numbers."""


def _refuse_constant(text: str) -> NoReturn:
    raise NotJSON(text)


class InputTypes:
    """The parameters of a pipeline as a model, whose fields are called as field_names() says."""

    def __init__(self, parameters: List[Parameter], what: str = "pipeline", place: Place = (None, None)) -> None:
        self.parameters = parameters
        self.fields = field_names(parameters)
        fields: Dict[str, Any] = {}
        for p in parameters:
            default = ... if p.default is MISSING else p.default
            fields[self.fields[p.name]] = (Annotated[_any(p.annotation), Field(alias=p.name)], default)
        make: Any = create_model
        try:
            self.model = make(
                "PipelineInput", __config__={**_BYTES, "extra": "forbid", "allow_inf_nan": False}, **fields)
            self.request = make(
                "InvokeRequest", __config__=ConfigDict(title="InvokeRequest"),
                parameters=(self.model, ...),
                run_name=(Optional[Annotated[str, Field(max_length=RUN_NAME_MAX, pattern=r"^[^\x00]*$")]], None),
                timeout=(Optional[Annotated[float, Field(strict=True)]], None),
                skip_artifact_materialization=(Annotated[bool, Field(strict=True)], False))
        except Exception as error:
            self._explain(what, place)
            raise _no_schema(f"{what}: its parameters", "(unknown)", error, place) from error
        self._read_request = self.request.__pydantic_validator__.validate_json
        self._write = self.model.__pydantic_serializer__.to_json

    def read_request(self, body: Buffer) -> Any:
        """The request in a body. ValidationError says what is wrong; NotJSON: NaN and Infinity, which pydantic reads."""
        if b"NaN" in body or b"Infinity" in body:
            import json

            try:
                json.loads(bytes(body), parse_constant=_refuse_constant)
            except NotJSON:
                raise
            except (ValueError, RecursionError):
                pass  # pydantic says better what is wrong
        return self._read_request(body)

    def _explain(self, what: str, place: Place) -> None:
        for p in self.parameters:
            _check_one(f"parameter '{p.name}' of {what}", p.annotation, "validation", place)

    def json_schema(self, what: str = "pipeline", place: Place = (None, None)) -> Json:
        """JSON Schema 2020-12 of the parameters."""
        try:
            schema: Json = self.model.model_json_schema(by_alias=True, mode="validation", schema_generator=_Schema)
        except Exception as error:
            self._explain(what, place)
            raise _no_schema(f"{what}: its parameters", "(unknown)", error, place) from error
        for name, field in self.fields.items():
            found = schema.get("properties", {}).get(name)
            if found is not None and found.get("title") == _title(field):
                found["title"] = _title(name)
        schema.setdefault("properties", {})
        return schema

    def write(self, instance: BaseModel) -> bytes:
        """The parameters of one request as JSON, defaults included."""
        text: bytes = self._write(instance, by_alias=True, fallback=plain)
        return text

    def check(self, values: Json) -> BaseModel:
        """An instance for values that came from Python. ParameterError lists what is wrong."""
        try:
            instance: BaseModel = self.model.model_validate(values)
            return instance
        except ValidationError as error:
            problems = error.errors(include_url=False)
            text = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'parameters'}: {p['msg']}" for p in problems)
            raise ParameterError(f"wrong parameters: {text}", [dict(one) for one in problems]) from None

    def defaults(self) -> Json:
        """{name: default as plain JSON types} of the parameters that have one."""
        import json

        result: Json = {}
        for p in self.parameters:
            default = p.default
            if default is MISSING:
                continue
            if not finite(default):
                raise SchemaError(f"default of parameter '{p.name}' is {_NOT_FINITE.replace('return', 'use')}")
            info = self.model.model_fields[self.fields[p.name]]
            if info.is_required():
                continue
            try:
                result[p.name] = json.loads(TypeAdapter(_any(p.annotation), config=None if _has_own_config(
                    p.annotation) else _BYTES).dump_json(info.get_default(call_default_factory=True),
                                                                      warnings=False, fallback=plain))
                if isinstance(info.default, (set, frozenset)):
                    result[p.name] = canonical(info.default)
            except Exception as error:
                raise SchemaError(f"default of parameter '{p.name}' cannot be written as JSON: "
                                  f"{str(error).splitlines()[0]}") from error
        return result


def _accepts_none(annotation: Any) -> bool:
    try:
        TypeAdapter(_any(annotation)).validate_python(None)
    except Exception:  # noqa: BLE001 - a type without a schema is reported elsewhere
        return False
    return True


class OutputTypes:
    """The outputs of a pipeline: their schema, and how they are written."""

    def __init__(self, named: List[Tuple[str, OutputRef]], what: str = "pipeline") -> None:
        self.what = what
        self.named = named
        make: Any = TypedDict
        types: Any = make("PipelineOutput", {name: _any(ref.output.annotation) for name, ref in named})
        types.__pydantic_config__ = _BYTES
        try:
            self._adapter = TypeAdapter(types)
        except Exception as error:
            self._explain()
            raise _no_schema(f"{what}: its outputs", "(unknown)", error, (None, None)) from error
        self._serialize = self._adapter.serializer.to_json
        # pydantic writes None for a value of any type without complaint.
        self._never_none = [name for name, ref in named if not _accepts_none(ref.output.annotation)]

    def _explain(self) -> None:
        for _, ref in self.named:
            from ._source import code_location

            _check_one(f"output '{ref.output.name}' of step '{ref.node.step.name}'", ref.output.annotation,
                       "serialization", code_location(ref.node.step.entrypoint))

    def json_schema(self) -> Json:
        """JSON Schema 2020-12 of the outputs."""
        try:
            schema = self._adapter.json_schema(mode="serialization", schema_generator=_Schema)
        except Exception as error:
            self._explain()
            raise _no_schema(f"{self.what}: its outputs", "(unknown)", error, (None, None)) from error
        schema.setdefault("properties", {})
        schema["title"] = "PipelineOutput"
        return schema

    def write_exact(self, values: Json) -> bytes:
        """JSON of values whose types were checked already."""
        return self._checked(self._serialize(values, fallback=plain), values)

    def _checked(self, text: bytes, values: Json) -> bytes:
        """pydantic writes null for numbers that JSON does not have."""
        if b"null" in text:
            for name, ref in self.named:
                if not finite(values[name]):
                    from .errors import OutputError

                    raise OutputError(f"step '{ref.node.name}' returned for its output '{ref.output.name}' {_NOT_FINITE}")
        return text

    def write(self, values: Json) -> bytes:
        """JSON of the values. OutputError when one is not what its annotation says."""
        try:
            if any(values[name] is None for name in self._never_none):
                raise ValueError
            text = self._serialize(values, warnings="error", fallback=plain)
        except Exception:  # noqa: BLE001 - looked at one by one below
            import json

            text = b"{" + b",".join(
                json.dumps(name).encode() + b":" + self._write_one(name, ref, values[name])
                for name, ref in self.named) + b"}"
        return self._checked(text, values)

    def _write_one(self, name: str, ref: OutputRef, value: Any) -> bytes:
        from .errors import OutputError

        annotation = _any(ref.output.annotation)
        adapter = TypeAdapter(annotation, config=None if _has_own_config(annotation) else _BYTES)
        try:
            if value is not None:
                return adapter.serializer.to_json(value, warnings="error", fallback=plain)
        except Exception:  # noqa: BLE001 - perhaps it only has to be converted
            pass
        try:
            simple = plain(value) if hasattr(value, "tolist") or hasattr(value, "item") else value
            checked = adapter.validate_python(simple)
            return adapter.serializer.to_json(checked, fallback=plain)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise OutputError(
                f"step '{ref.node.name}' returned {_type_name(type(value))} for its output '{ref.output.name}' of "
                f"type {_type_name(annotation)}: {where + ': ' if where else ''}{problem['msg']}") from None
        except Exception as error:
            raise OutputError(f"output '{ref.output.name}' of step '{ref.node.name}' cannot be written as JSON: "
                              f"{(str(error).splitlines() or [type(error).__name__])[0]}") from None


# -- refused requests ---------------------------------------------------------------------------

def problems_of(error: ValidationError, body: Buffer) -> List[Json]:
    """The list of a 422 answer: type, loc, msg, input and, where there is one, ctx of every problem."""
    found = error.errors(include_url=False)
    if len(found) == 1 and found[0]["type"] == "json_invalid":
        return [_bad_json(body)]
    result = []
    for one in found:
        kind, message = one["type"], one["msg"]
        if kind == "model_type":
            kind, message = "model_attributes_type", \
                "Input should be a valid dictionary or object to extract fields from"
        entry = {"type": kind, "loc": ["body", *one["loc"]], "msg": message, "input": one["input"]}
        if one.get("ctx") and kind != "model_attributes_type":
            entry["ctx"] = {key: str(value) if isinstance(value, BaseException) else value
                            for key, value in one["ctx"].items()}
        result.append(entry)
    return result


def not_json(error: Exception) -> Json:
    """The problem of a body that has NaN or Infinity among its values."""
    return {"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error", "input": {},
            "ctx": {"error": f"{error} is no JSON"}}


def _bad_json(body: Buffer) -> Json:
    if not bytes(body).strip():
        return {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
    import json

    position, text = 0, "Expecting value"
    try:
        json.loads(bytes(body).decode("utf-8"))
    except UnicodeDecodeError as error:
        position, text = error.start, "Invalid UTF-8"
    except RecursionError:
        text = "Too deeply nested"
    except ValueError as error:
        position, text = getattr(error, "pos", 0), getattr(error, "msg", str(error))
    return {"type": "json_invalid", "loc": ["body", position], "msg": "JSON decode error", "input": {},
            "ctx": {"error": text}}
