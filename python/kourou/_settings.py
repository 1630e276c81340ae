# SPDX-License-Identifier: Apache-2.0
"""Base of the settings classes: fields are annotations with defaults, checked when they are set.

Not pydantic models, because the user's module creates settings when it is imported, also in workers that need no
pydantic.
"""

from __future__ import annotations

from copy import deepcopy
from enum import Enum, Flag
from .errors import SettingsError
from .signature import suggestion

TYPE_CHECKING = False  # not of typing, whose import takes longer than all of this
if TYPE_CHECKING:
    from typing import (AbstractSet, Any, Callable, ClassVar, Dict, List, Mapping, Optional, Set, Tuple, Type,
                        TypeVar, Union)

    from typing_extensions import Self, dataclass_transform

    Source = Union[Callable[..., Any], str]  # a function, a class or the dotted name of one
    Check = Callable[[Any], Optional[str]]  # what was expected instead, or None
    SourceOf = Callable[[Any, str], str]
    S = TypeVar("S", bound="Settings")
    E = TypeVar("E", bound=Type[Enum])
else:
    def dataclass_transform(**_how):
        """For checkers: the fields are parameters of the class, by name."""
        return lambda cls: cls


def integer(low: Optional[int] = None, high: Optional[int] = None) -> Check:
    """A check for whole numbers in a range."""

    def check(value: Any) -> Optional[str]:
        if low is not None and value < low or high is not None and value > high:
            return f"between {low} and {high}" if high is not None else f"{low} or more"
        return None

    return check


def positive(value: Any) -> Optional[str]:
    """A check for numbers above 0."""
    return None if value > 0 else "a number above 0"


def _split(text: str) -> List[str]:
    """Arguments of ``X[a, b[c, d]]``."""
    inner = text[text.index("[") + 1: -1]
    parts, depth, start = [], 0, 0
    for at, char in enumerate(inner):
        depth += (char == "[") - (char == "]")
        if char == "," and depth == 0:
            parts.append(inner[start:at].strip())
            start = at + 1
    return parts + [inner[start:].strip()]


_WORDS = {"str": "text", "bool": "True or False", "int": "a whole number", "float": "a number", "Any": "anything",
          "Source": "a function, a class or the dotted name of one", "None": "None"}


def _describe(kind: str) -> str:
    if kind.startswith("Optional["):
        return _describe(_split(kind)[0])
    if kind.startswith("Union["):
        parts = [k for k in _split(kind) if k != "None"]
        words = any(k.startswith("Literal[") for k in parts)  # they say it without their enumeration
        return " or ".join(_describe(k) for k in parts if not (words and _is_enum(k)))
    if kind.startswith("Literal["):
        return "one of " + ", ".join({word.lower(): word for word in reversed(_words(kind))}[word.lower()]
                                     for word in dict.fromkeys(w.lower() for w in _words(kind)))
    if kind.startswith("List["):
        inner = _split(kind)[0]
        return "a list of texts" if inner == "str" else "a list of " + (inner if inner in _registry else "dictionaries")
    if kind.startswith("Tuple["):
        return "two numbers"
    if kind.startswith("Dict["):
        return "a dictionary"
    return _WORDS.get(kind, kind)


_registry: Dict[str, Type[Any]] = {}


def _is_enum(kind: str) -> bool:
    return kind in _registry and issubclass(_registry[kind], Enum)


def _words(kind: str) -> List[str]:
    """Words of ``Literal["a", "b"]``."""
    return [word.strip("'\"") for word in _split(kind)]


def _word(kind: str, value: Any) -> str:
    """The word that a text or a member of an enumeration means, small or large."""
    text = value.value if isinstance(value, Enum) else value
    for word in _words(kind):
        if isinstance(text, str) and word.lower() == text.lower():
            return word
    raise TypeError


def _convert(kind: str, value: Any) -> Any:
    """The value as its field keeps it. TypeError when it is of another type."""
    if kind.startswith("Optional["):
        return None if value is None else _convert(_split(kind)[0], value)
    if kind.startswith("Union["):
        for one in _split(kind):
            try:
                return _convert(one, value)
            except TypeError:
                continue
        raise TypeError
    if kind.startswith("Literal["):
        return _word(kind, value)
    if kind.startswith("List["):
        if isinstance(value, (list, tuple)):
            return [_convert(_split(kind)[0], item) for item in value]
        raise TypeError
    if kind.startswith("Tuple["):
        parts = _split(kind)
        if isinstance(value, (list, tuple)) and len(value) == len(parts):
            return [_convert(one, item) for one, item in zip(parts, value)]
        raise TypeError
    if kind.startswith("Dict["):
        if not isinstance(value, dict):
            raise TypeError
        inner = _split(kind)[1]
        # os.getenv() of what is not there: not set
        return {_convert("str", key): _convert(inner, item) for key, item in value.items()
                if item is not None or inner != "str"}
    return _convert_plain(kind, value)


def _convert_plain(kind: str, value: Any) -> Any:
    if kind == "Any":
        return value
    if kind == "None":
        if value is None:
            return None
    elif kind == "str":
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str):
            return value
        if hasattr(value, "__fspath__"):
            return value.__fspath__()
    elif kind == "bool":
        if isinstance(value, bool):
            return value
    elif kind == "int":
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif kind == "float":
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    elif kind == "Source":
        if callable(value) or (isinstance(value, str) and "." in value):
            return value
    elif kind in _registry:
        cls = _registry[kind]
        if isinstance(value, cls):
            return value
        if issubclass(cls, Enum):
            try:
                return cls(value.upper() if isinstance(value, str) else value)
            except ValueError:
                raise TypeError from None
        if isinstance(value, dict):
            return make(cls, value)
    raise TypeError


@dataclass_transform(kw_only_default=True)
class Settings:
    """Named values with defaults. Unknown names and wrong values are a SettingsError, which is a ValueError.

    A value is converted as far as that is safe (a tuple to a list, a path to text, a dictionary to the class of its field),
    and is the object's own afterwards. None counts as not set where it is no value of the field.
    """

    _fields: ClassVar[Dict[str, Tuple[str, Any]]] = {}
    _checks: ClassVar[Mapping[str, Check]] = {}
    _not_here: ClassVar[Mapping[str, str]] = {}
    _sensitive: ClassVar[AbstractSet[str]] = frozenset()
    _given_always: ClassVar[Tuple[str, ...]] = ()  # fields whose default counts as given
    _frozen: ClassVar[bool] = False
    if TYPE_CHECKING:
        _set: Dict[str, Any]
        _touched: Dict[str, Any]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own = {name: kind for name, kind in cls.__dict__.get("__annotations__", {}).items()
               if not name.startswith("_")}
        cls._fields = {**cls._fields, **{name: (kind, cls.__dict__.get(name, Settings)) for name, kind in own.items()}}
        cls._checks = {**getattr(cls.__mro__[1], "_checks"), **cls.__dict__.get("_checks", {})}
        _registry[cls.__name__] = cls

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "_set", {name: deepcopy(self._fields[name][1]) for name in self._given_always})
        object.__setattr__(self, "_touched", {})
        for name, value in values.items():
            self._put(name, value)
        for name, (_, default) in self._fields.items():
            if default is Settings and name not in self._set:
                raise SettingsError(f"{type(self).__name__}: {name} is missing")
        self._check_all()

    def _check_all(self) -> None:
        """Checks that concern several fields."""

    def _put(self, name: str, value: Any) -> None:
        owner = type(self).__name__
        if name not in self._fields:
            if name in self._not_here:
                raise SettingsError(f"{owner} has no field '{name}': {self._not_here[name]}")
            raise SettingsError(f"{owner} has no field '{name}'{suggestion(name, self._fields)}")
        kind = self._fields[name][0]
        if value is None and not kind.startswith("Optional[") and kind != "Any" and "None" not in kind:
            self._set.pop(name, None)  # not set, as when os.getenv() found nothing
            return
        try:
            value = _convert(kind, value)
        except TypeError:
            raise SettingsError(f"{owner}: {name} is {value!r}, expected {_describe(kind)}") from None
        check = self._checks.get(name)
        problem = check(value) if check is not None and value is not None else None
        if problem:
            raise SettingsError(f"{owner}: {name} is {value!r}, expected {problem}")
        self._set[name] = value

    if not TYPE_CHECKING:  # else every name would be an attribute
        def __getattribute__(self, name):
            if name[:1] != "_":
                values = object.__getattribute__(self, "_set")
                if name in values:
                    return values[name]
                default = object.__getattribute__(self, name)
                if type(default) in (dict, list) or isinstance(default, Settings):
                    # The caller may fill it; then it counts as set.
                    touched = object.__getattribute__(self, "_touched")
                    return touched.setdefault(name, deepcopy(default))
                return default
            return object.__getattribute__(self, name)

        def __setattr__(self, name, value):
            if self._frozen:
                raise SettingsError(f"{type(self).__name__} cannot be changed; make a copy: "
                                    f"settings.model_copy(update={{'{name}': ...}})")
            self._put(name, value)

    @property
    def _given(self) -> Dict[str, Any]:
        """The values that were set, or filled in place."""
        changed = {name: value for name, value in self._touched.items()
                   if name not in self._set and value != self._fields[name][1]}
        return {**changed, **self._set}

    @classmethod
    def field_names(cls) -> Set[str]:
        """Names of all fields."""
        return set(cls._fields)

    @property
    def model_fields_set(self) -> Set[str]:
        """Names of the fields that were set explicitly."""
        return set(self._given)

    def model_copy(self, update: Optional[Mapping[str, Any]] = None) -> Self:
        """A copy with other values."""
        return type(self)(**{**self._given, **(update or {})})

    def model_dump(self, exclude_unset: bool = False, **_more: Any) -> Dict[str, Any]:
        """The values as a dictionary."""
        names = self._given if exclude_unset else self._fields
        return {name: getattr(self, name) for name in names}

    dict = model_dump
    copy = model_copy

    def as_json(self, source_of: SourceOf) -> Dict[str, Any]:
        """The explicitly set values as plain JSON types; ``source_of`` names functions and classes."""
        return {name: _json(value, source_of, f"{type(self).__name__}.{name}")
                for name, value in self._given.items()}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    if not TYPE_CHECKING:
        __hash__ = None

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={'***' if name in self._sensitive and value else repr(value)}"
                          for name, value in self._set.items())
        return f"{type(self).__name__}({inner})"


def _json(value: Any, source_of: SourceOf, what: str) -> Any:
    if isinstance(value, Settings):
        return value.as_json(source_of)
    if isinstance(value, Flag):
        members = [m for m in type(value) if m.value and m.value & (m.value - 1) == 0]
        return [str(m.name).lower() for m in members if value & m]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _json(item, source_of, what) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item, source_of, what) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_json(item, source_of, what) for item in value), key=str)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if callable(value):
        return source_of(value, what)
    if hasattr(value, "model_dump"):
        return _json(value.model_dump(mode="json"), source_of, what)
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise SettingsError(f"{what}: {value!r} cannot be written as JSON")


def make(cls: Type[S], values: Mapping[str, Any]) -> S:
    """An instance from a dictionary."""
    try:
        return cls(**values)
    except TypeError:
        raise SettingsError(f"{cls.__name__}: keys have to be texts") from None


_registry["Settings"] = Settings


def register_enum(cls: E) -> E:
    """Lets an enumeration be the type of a field."""
    _registry[cls.__name__] = cls
    return cls
