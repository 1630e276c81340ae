# SPDX-License-Identifier: Apache-2.0
"""Steps: functions that do the work of a pipeline."""

from __future__ import annotations

from . import options as opt
from ._source import code_location, describe_source, user_location
from .errors import KourouError, PipelineDefinitionError, SettingsError
from .graph import current_tracer, has_placeholder
from .outputs import is_iterator, outputs_of, split_annotated
from .signature import (ASYNC_GENERATOR, COROUTINE, GENERATOR, MISSING, P, R, Typed, annotations_of, bind, code_flags,
                        parameters_of)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AsyncIterator, Callable, Coroutine, Dict, Generator, Iterator, List, Optional, TypeVar, overload

    from typing_extensions import Self, Unpack

    from ._typing import AnyFunction, AnyStepDecorator, Options, Path, StepDecorator, StepOptions
    from .graph import Tracer
    from .outputs import Output
    from .signature import Parameter

    Y = TypeVar("Y")
    T = TypeVar("T")


class Step(Typed[P, R]):
    """A function as a step.

    Calling it inside a pipeline adds it to the graph, and the result stands for what the step will return: it can be passed
    to other steps and returned, and has no value yet. Calling it anywhere else runs the function.

    ``Step[[int, str], bool]`` is a step with two parameters; its result is what its pipeline passes on: what a coroutine
    comes to, the items of an iterator as a list, or the return value of a generator that has one.
    """

    def __init__(self, entrypoint: Callable[P, Any], name: Optional[str] = None, options: Optional[Options] = None,
                 origin: Optional[Step[..., Any]] = None, config: object = None) -> None:
        if not callable(entrypoint):
            raise TypeError(f"@step goes on a function, not on {entrypoint!r}")
        if not TYPE_CHECKING:
            self.entrypoint = entrypoint
        self.name = name or str(getattr(entrypoint, "__name__"))
        self.options: Options = options or {}
        self.origin: Step[..., Any] = origin or self
        self.__name__ = self.name
        self.__qualname__ = getattr(entrypoint, "__qualname__", self.name)
        module: Any = getattr(entrypoint, "__module__", None)
        self.__module__ = module
        self.__doc__ = entrypoint.__doc__
        self._parameters: Optional[List[Parameter]] = None
        self._outputs: Optional[List[Output]] = None

    if TYPE_CHECKING:
        def entrypoint(self, *args: Any, **kwargs: Any) -> Any:
            """The function itself."""

    # -- what the signature says ----------------------------------------------------------------

    @property
    def parameters(self) -> List[Parameter]:
        """The function's parameters, in order."""
        if self._parameters is None:
            self._parameters = parameters_of(self.entrypoint, "step")
        return self._parameters

    @property
    def returns(self) -> Any:
        """The return annotation, MISSING when there is none."""
        return annotations_of(self.entrypoint, "step").get("return", MISSING)

    @property
    def generates(self) -> bool:
        """Whether the function is a generator, async or not."""
        return bool(code_flags(self.entrypoint) & (GENERATOR | ASYNC_GENERATOR))

    @property
    def yields(self) -> bool:
        """Whether the step gives its result bit by bit: a generator, or annotated as an iterator."""
        if self.generates:
            return True
        returns = self.returns
        return returns is not MISSING and is_iterator(split_annotated(returns)[0])

    @property
    def outputs(self) -> List[Output]:
        """The outputs, in order."""
        if self._outputs is None:
            self._outputs = outputs_of(self.returns, self.generates, f"step '{self.name}'",
                                       code_location(self.entrypoint))
        return self._outputs

    @property
    def source(self) -> str:
        """Dotted name of the function."""
        return describe_source(self.entrypoint)

    # -- options --------------------------------------------------------------------------------

    def _where(self) -> str:
        return f"step '{self.name}'"

    def _updated(self, values: Dict[str, Any]) -> Options:
        if values.get("config_path") is not None:
            data = opt.read_config(values["config_path"], self._where())
            values = opt.merge(opt.check(data, opt.STEP, self._where()),
                               {k: v for k, v in values.items() if v is not None})
        values.pop("config_path", None)
        return opt.merge(self.options, opt.check(values, opt.STEP, self._where()))

    if TYPE_CHECKING:
        @overload
        def with_options(self, name: Optional[str] = None, *, parameters: None = None, config_path: None = None,
                         **values: Unpack[StepOptions]) -> Step[P, R]: ...
        @overload
        def with_options(self, name: Optional[str] = None, *, parameters: Optional[Dict[str, Any]] = None,
                         config_path: Optional[Path] = None, **values: Unpack[StepOptions]) -> Step[..., R]: ...

    def with_options(self, name: Optional[str] = None, **values: Any) -> Any:
        """A copy of the step with other options, those of ``@step``. ``parameters`` are values for the function's parameters;
        ``config_path`` names a YAML or JSON file with options. SettingsError names what is wrong."""
        try:
            return type(self)._copy(self, name or self.name, self._updated(values))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None

    if TYPE_CHECKING:
        @overload
        def configure(self, name: Optional[str] = None, *, parameters: None = None, config_path: None = None,
                      **values: Unpack[StepOptions]) -> Self: ...
        @overload
        def configure(self, name: Optional[str] = None, *, parameters: Optional[Dict[str, Any]] = None,
                      config_path: Optional[Path] = None, **values: Unpack[StepOptions]) -> Step[..., R]: ...

    def configure(self, name: Optional[str] = None, **values: Any) -> Any:
        """Changes the options of this step, see with_options(). Returns the step."""
        try:
            self.options = self._updated(values)
        except SettingsError as error:
            raise error.at(*user_location(2)) from None
        self.name = name or self.name
        return self

    @classmethod
    def _copy(cls, old: Step[P, R], name: str, options: Options) -> Step[P, R]:
        return Step(old.entrypoint, name, options, origin=old.origin)

    def after(self, *others: object) -> Self:
        """Inside a pipeline: every invocation of this step waits for the given steps."""
        tracer = current_tracer()
        if tracer is None:
            raise PipelineDefinitionError(f"{self._where()}: after() works inside a pipeline")
        tracer.order_step(self, others)
        return self

    # -- calling --------------------------------------------------------------------------------

    if TYPE_CHECKING:
        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
        @overload  # in a pipeline: a name for this invocation, and what it waits for
        def __call__(self, *args: Any, id: str, after: object = None, **kwargs: Any) -> R: ...
        @overload
        def __call__(self, *args: Any, after: object, **kwargs: Any) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tracer = current_tracer()
        names = {p.name for p in self.parameters}
        identity = kwargs.pop("id", None) if "id" not in names else None
        after = kwargs.pop("after", None) if "after" not in names else None
        if tracer is None:
            if has_placeholder(args) or has_placeholder(kwargs):
                raise PipelineDefinitionError(f"{self._where()} was called with values of a pipeline outside of it")
            return self._run(args, kwargs)
        try:
            return tracer.add(self, self._inputs(tracer, args, kwargs), identity, after)
        except KourouError as error:
            raise error.at(*user_location(2))

    def _inputs(self, tracer: Tracer, args: Any, kwargs: Dict[str, Any]) -> Dict[str, Any]:
        bound = bind(self.parameters, args, kwargs, self._where(), PipelineDefinitionError)
        given = dict(self.options.get("parameters") or {})
        given.update(tracer.pipeline.step_parameters(self.name))
        names = {p.name for p in self.parameters}
        for name, value in given.items():
            if name not in names:
                from .signature import suggestion

                raise SettingsError(f"{self._where()} has no parameter '{name}'{suggestion(name, names)}")
            if name in bound and (has_placeholder(bound[name]) or bound[name] != value):
                raise SettingsError(f"{self._where()}: '{name}' is given in the pipeline and, differently, in the "
                                    "configuration")
            bound[name] = value
        for parameter in self.parameters:
            if parameter.name not in bound and parameter.default is MISSING:
                raise PipelineDefinitionError(f"{self._where()} is called without its parameter '{parameter.name}'")
            if parameter.positional_only:
                raise PipelineDefinitionError(
                    f"{self._where()}: parameter '{parameter.name}' is positional-only; remove the '/'")
        return {p.name: bound[p.name] for p in self.parameters if p.name in bound}

    def _run(self, args: Any, kwargs: Dict[str, Any]) -> Any:
        if code_flags(self.entrypoint) & COROUTINE and not _loop_is_running():
            from . import aio

            return aio.run(self.entrypoint(*args, **kwargs))
        return self.entrypoint(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


def _loop_is_running() -> bool:
    """Whether the caller is async itself and will await the result."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class BaseStep(Step[..., "Any"]):
    """A step as a class: derive from it and define ``entrypoint(self, ...)``."""

    def __init__(self, name: Optional[str] = None, **values: Any) -> None:
        entrypoint = type(self).entrypoint.__get__(self)
        where = f"step '{name or type(self).__name__}'"
        super().__init__(_Method(entrypoint, name or type(self).__name__), name or type(self).__name__,
                         opt.check(values, opt.STEP, where))

    def entrypoint(self, *args: Any, **kwargs: Any) -> Any:
        """The work of the step. (``__init__`` replaces it by the bound method.)"""
        raise NotImplementedError(f"{type(self).__name__} has to define entrypoint()")


class _Method:
    """A bound method with a name of its own."""

    def __init__(self, method: Any, name: str) -> None:
        self.__wrapped__ = method
        self.__name__ = name
        self.__qualname__ = type(method.__self__).__qualname__
        self.__module__ = type(method.__self__).__module__
        self.__doc__ = method.__doc__
        self.__annotations__ = getattr(method, "__annotations__", {})
        self.__globals__ = getattr(method.__func__, "__globals__", {})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


if TYPE_CHECKING:
    @overload
    def step(_function: Callable[P, Coroutine[Any, Any, T]], *, name: Optional[str] = None, **values: Unpack[StepOptions]) -> Step[P, T]: ...
    @overload
    def step(_function: Callable[P, Generator[Y, Any, None]], *, name: Optional[str] = None, **values: Unpack[StepOptions]) -> Step[P, List[Y]]: ...
    # A generator is an iterator too: the first that fits counts.
    @overload
    def step(_function: Callable[P, Generator[Any, Any, T]], *, name: Optional[str] = None, **values: Unpack[StepOptions]) -> Step[P, T]: ...  # type: ignore[overload-overlap]
    @overload
    def step(_function: Callable[P, Iterator[Y]], *, name: Optional[str] = None, **values: Unpack[StepOptions]) -> Step[P, List[Y]]: ...
    @overload
    def step(_function: Callable[P, AsyncIterator[Y]], *, name: Optional[str] = None, **values: Unpack[StepOptions]) -> Step[P, List[Y]]: ...
    @overload
    def step(_function: Callable[P, T], *, name: Optional[str] = None, **values: Unpack[StepOptions]) -> Step[P, T]: ...
    @overload
    def step(_function: None = None, *, name: Optional[str] = None, **values: Unpack[StepOptions]) -> StepDecorator: ...
    @overload
    def step(_function: None = None, *, name: Optional[str] = None, parameters: Dict[str, Any],
             **values: Unpack[StepOptions]) -> AnyStepDecorator: ...


def step(_function: Optional[AnyFunction] = None, *, name: Optional[str] = None, **values: Any) -> Any:
    """Makes a step of a function: ``@step`` or ``@step(retry=StepRetryConfig(max_retries=2))``.

    Options: ``name``, ``retry``, ``on_success``, ``on_failure``, ``environment``, ``secrets``, ``settings``,
    ``parameters``, ``extra``, ``model``; ``enable_cache``, ``step_operator``, ``experiment_tracker``,
    ``output_materializers`` and others of the same kind are accepted and have no effect in a deployment. SettingsError names
    an option that does not exist or has a wrong value.
    """

    def make(function: AnyFunction) -> Step[..., Any]:
        if isinstance(function, type):
            raise PipelineDefinitionError("@step goes on a function; for a class derive from BaseStep").at(
                *user_location(2))
        label = name or getattr(function, "__name__", repr(function))
        try:
            return Step(function, name, opt.check(values, opt.STEP, f"@step of '{label}'"))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None

    return make if _function is None else make(_function)
