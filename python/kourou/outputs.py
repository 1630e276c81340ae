# SPDX-License-Identifier: Apache-2.0
"""What a step returns: names and types of its outputs, read from the return annotation."""

from __future__ import annotations

from .errors import PipelineDefinitionError
from .signature import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple

    from .artifacts import ArtifactConfig

_ITERATORS = {"Iterator", "Iterable", "Generator", "AsyncIterator", "AsyncIterable", "AsyncGenerator"}


class Output:
    """An output: name, annotation (MISSING: any type) and its ArtifactConfig, if it has one."""

    __slots__ = ("name", "annotation", "config")

    def __init__(self, name: str, annotation: Any, config: Optional[ArtifactConfig] = None) -> None:
        self.name = name
        self.annotation = annotation
        self.config = config


def split_annotated(annotation: Any) -> Tuple[Any, Optional[str], Optional[ArtifactConfig]]:
    """(type, name or None, ArtifactConfig or None) of ``Annotated[T, "name"]``; other metadata stays."""
    metadata = getattr(annotation, "__metadata__", None)
    if metadata is None:
        return annotation, None, None
    from .artifacts import ArtifactConfig

    name = config = None
    kept: List[Any] = []
    for item in metadata:
        if isinstance(item, ArtifactConfig):
            config, name = item, item.name or name
        elif isinstance(item, str) and name is None:
            name = item
        else:
            kept.append(item)
    inner = annotation.__origin__
    if kept:
        from typing import Annotated

        inner = Annotated[(inner, *kept)]
    return inner, name, config


def is_iterator(annotation: Any) -> bool:
    """Whether the annotation (without names) is Iterator[...], Generator[...] or one of their kin."""
    origin: Any = getattr(annotation, "__origin__", None)
    return getattr(origin, "__module__", "") == "collections.abc" and origin.__name__ in _ITERATORS


def _collected(annotation: Any) -> Any:
    """Type of what an iterator leaves behind: its items as a list, or the generator's return value."""
    from typing import Any, List

    list_of: Any = List

    if annotation is MISSING or not is_iterator(annotation):
        return List[Any]
    args: Tuple[Any, ...] = getattr(annotation, "__args__", None) or (Any,)
    origin = annotation.__origin__.__name__
    if origin == "Generator" and len(args) == 3 and args[2] not in (None, type(None), Any):
        return args[2]
    item = args[0]
    return List[Any] if type(item).__name__ == "TypeVar" else list_of[item]


def returns_value(annotation: Any) -> bool:
    """Whether a generator's own return value is the output rather than the list of its items."""
    annotation = split_annotated(annotation)[0]
    if annotation is MISSING or not is_iterator(annotation):
        return False
    args: Tuple[Any, ...] = getattr(annotation, "__args__", ())
    return annotation.__origin__.__name__ == "Generator" and len(args) == 3 and \
        args[2] not in (None, type(None)) and type(args[2]).__name__ != "TypeVar" and \
        getattr(args[2], "_name", None) != "Any"


def outputs_of(annotation: Any, generator: bool, what: str,
               place: Tuple[Optional[str], Optional[int]] = (None, None)) -> List[Output]:
    """The outputs that a return annotation describes, in order."""
    if annotation is MISSING:
        return [Output("output", _collected(MISSING) if generator else MISSING)]
    if annotation is None or annotation is type(None):
        return [Output("output", _collected(MISSING))] if generator else []
    inner, name, config = split_annotated(annotation)
    if generator or is_iterator(inner):
        return [Output(name or "output", _collected(inner), config)]
    args: Tuple[Any, ...] = getattr(inner, "__args__", ())
    if name is None and config is None and getattr(inner, "__origin__", None) is tuple and args and \
            Ellipsis not in args and args != ((),):
        found: List[Output] = []
        for at, item in enumerate(args):
            item_type, item_name, item_config = split_annotated(item)
            found.append(Output(item_name or f"output_{at}", item_type, item_config))
    else:
        found = [Output(name or "output", inner, config)]
    names = [output.name for output in found]
    for one in names:
        if not one or names.count(one) > 1:
            text = "an output without a name" if not one else f"two outputs named '{one}'"
            raise PipelineDefinitionError(f"{what} has {text}", file=place[0], line=place[1])
    return found
