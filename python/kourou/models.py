# SPDX-License-Identifier: Apache-2.0
"""Descriptions that pipelines may carry. They are kept and shown, and change nothing about how a pipeline runs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from typing import Any, ClassVar, List, Optional, Tuple, Union

    from typing_extensions import dataclass_transform
else:
    def dataclass_transform(**_how):
        """For checkers: the fields are parameters of the class."""
        return lambda cls: cls


@dataclass_transform()
class _Record:
    _fields: ClassVar[Tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__dict__["__annotations__"])

    if not TYPE_CHECKING:
        def __init__(self, *args, **values):
            values.update(zip(self._fields, args))
            for name in self._fields:
                setattr(self, name, values.pop(name, None))
            for name, value in values.items():
                setattr(self, name, value)

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if v is not None)
        return f"{type(self).__name__}({inner})"


class Model(_Record):
    """A model that a pipeline makes or uses. Kourou keeps no versions of models: a pipeline whose model names an existing
    version (a number, or a stage like ``production``) is a SettingsError."""

    name: Optional[str] = None
    version: Union[str, int, None] = None
    license: Optional[str] = None
    description: Optional[str] = None
    audience: Optional[str] = None
    use_cases: Optional[str] = None
    limitations: Optional[str] = None
    trade_offs: Optional[str] = None
    ethics: Optional[str] = None
    tags: Optional[List[str]] = None


class Tag(_Record):
    """A tag with attributes."""

    name: Optional[str] = None
    color: Optional[str] = None
    exclusive: Optional[bool] = None
    cascade: Optional[bool] = None

    def __str__(self) -> str:
        return str(self.name)


class Schedule(_Record):
    """When a pipeline should run. Deployments run when they are called: a pipeline that is given one is refused."""

    name: Optional[str] = None
    cron_expression: Optional[str] = None
    start_time: Optional[datetime.datetime] = None
    end_time: Optional[datetime.datetime] = None
    interval_second: Optional[datetime.timedelta] = None
    catchup: Optional[bool] = None
    run_once_start_time: Optional[datetime.datetime] = None


class CachePolicy(_Record):
    """What makes a step's result reusable. Deployments always run every step."""

    include_step_code: Optional[bool] = None
    include_step_parameters: Optional[bool] = None
    include_artifact_values: Optional[bool] = None
    include_artifact_ids: Optional[bool] = None
    file_dependencies: Optional[List[str]] = None
    source_dependencies: Optional[List[Any]] = None
    cache_func: Optional[Any] = None
    expires_after: Optional[int] = None
