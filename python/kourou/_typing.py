# SPDX-License-Identifier: Apache-2.0
"""Types that checkers and editors read. Nothing imports this module at run time: that would cost a start its time."""

from __future__ import annotations

import os
from typing import (AbstractSet, Any, Awaitable, Callable, Coroutine, Dict, Generator, Iterator, AsyncIterator, List, Mapping,
                    MutableMapping, Optional, Protocol, Tuple, TypeVar, Union, overload)

from typing_extensions import Literal, ParamSpec, TypedDict

from ._settings import Settings
from .models import CachePolicy, Model, Tag
from .options import StepRetryConfig
from .pipelines import Pipeline
from .signature import Missing
from .steps import Step

P = ParamSpec("P")
R = TypeVar("R")
Y = TypeVar("Y")

AnyFunction = Callable[..., Any]
AnyStep = Step[..., Any]
AnyPipeline = Pipeline[..., Any]

Path = Union[str, "os.PathLike[str]"]
Names = Union[List[str], Tuple[str, ...], AbstractSet[str]]
Environment = Mapping[str, Union[str, int, float, None]]

# A hook is a function, sync or async, or the dotted name of one.
InitHook = Union[Callable[..., object], str]
PlainHook = Union[Callable[[], object], str]
FailureHook = Union[Callable[[Exception], object], Callable[[], object], str]

# {"docker": DockerSettings(...), "deployer.huggingface": {"private": True}}
SettingsMap = Mapping[str, Union[Settings, Mapping[str, Any]]]


class RetryOptions(TypedDict, total=False):
    """A StepRetryConfig as a dictionary."""

    max_retries: int
    delay: float
    backoff: float


class _CommonOptions(TypedDict, total=False):
    enable_cache: Optional[bool]
    enable_artifact_metadata: Optional[bool]
    enable_artifact_visualization: Optional[bool]
    enable_step_logs: Optional[bool]
    environment: Optional[Environment]
    secrets: Optional[Names]
    settings: Optional[SettingsMap]
    extra: Optional[Dict[str, Any]]
    on_failure: Optional[FailureHook]
    on_success: Optional[PlainHook]
    model: Optional[Model]
    retry: Union[StepRetryConfig, RetryOptions, int, None]
    substitutions: Optional[Dict[str, str]]
    cache_policy: Union[CachePolicy, str, None]


class StepOptions(_CommonOptions, total=False):
    """Options of ``@step`` and ``with_options()``, but for ``name`` and ``parameters``."""

    output_materializers: object
    runtime: object
    heartbeat_healthy_threshold: Optional[int]
    group: object
    template: Optional[str]
    experiment_tracker: Optional[Literal[False]]
    step_operator: Optional[Literal[False]]


class PipelineOptions(_CommonOptions, total=False):
    """Options of ``@pipeline`` and ``with_options()``, but for ``name`` and ``parameters``."""

    depends_on: Union[List[Any], Tuple[Any, ...], None]
    enable_pipeline_logs: Optional[bool]
    enable_heartbeat: Optional[bool]
    tags: Union[List[Union[str, Tag]], Tuple[Union[str, Tag], ...], AbstractSet[str], None]
    on_init: Optional[InitHook]
    on_init_kwargs: Optional[Dict[str, Any]]
    on_cleanup: Optional[PlainHook]
    execution_mode: object
    steps: Optional[Dict[str, Any]]
    step_configurations: Optional[Dict[str, Any]]
    dynamic: Optional[Literal[False]]


class PipelineChanges(PipelineOptions, total=False):
    """Options of ``with_options()`` and ``configure()`` that no decorator has."""

    run_name: Optional[str]
    prevent_build_reuse: Optional[bool]
    unlisted: Optional[bool]
    schedule: None
    build: Optional[Literal[False]]


class StepDecorator(Protocol):
    """What ``step(...)`` gives. The result of a step is what its pipeline passes on: what a coroutine comes to, the
    items of an iterator as a list, the return value of a generator that has one."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Generator[Y, Any, None]], /) -> Step[P, List[Y]]: ...
    # A generator is an iterator too: the first that fits counts.
    @overload
    def __call__(self, function: Callable[P, Generator[Any, Any, R]], /) -> Step[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, Iterator[Y]], /) -> Step[P, List[Y]]: ...
    @overload
    def __call__(self, function: Callable[P, AsyncIterator[Y]], /) -> Step[P, List[Y]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


class AnyStepDecorator(Protocol):
    """What ``step(parameters=...)`` gives: some of the function's parameters need no value any more."""

    def __call__(self, function: AnyFunction, /) -> Step[..., Any]: ...


class PipelineDecorator(Protocol):
    """What ``pipeline(...)`` gives."""

    def __call__(self, function: Callable[P, R], /) -> Pipeline[P, R]: ...


class AnyPipelineDecorator(Protocol):
    """What ``pipeline(parameters=...)`` gives: some of the function's parameters need no value any more."""

    def __call__(self, function: Callable[..., R], /) -> Pipeline[..., R]: ...


# -- inside of the package ----------------------------------------------------------------------------

Place = Tuple[Optional[str], Optional[int]]  # file and line
Json = Dict[str, Any]
Options = Dict[str, Any]  # as options.check() gives them
Emit = Callable[[Any], None]
Buffer = Union[bytes, bytearray, memoryview]
Headers = List[Tuple[bytes, bytes]]
Answer = Tuple[int, Headers, bytes]  # status, headers, body

# ASGI
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[Any]]

Default = Union[Missing, Any]
