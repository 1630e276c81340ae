# SPDX-License-Identifier: Apache-2.0
"""Pipelines: functions that put steps together."""

from __future__ import annotations

from _thread import RLock

from . import options as opt
from ._source import code_location, describe_source, source_of, user_location
from .errors import KourouError, ParameterError, PipelineDefinitionError, SettingsError
from .graph import current_tracer, trace
from .signature import MISSING, P, Parameter, R, Typed, bind, parameters_of, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar, overload

    from typing_extensions import Self, Unpack

    from ._typing import (AnyFunction, AnyPipelineDecorator, Options, Path, PipelineChanges, PipelineDecorator,
                          PipelineOptions)
    from .deploy import Deployment
    from .graph import Graph
    from .local import Local

    T = TypeVar("T")


class Pipeline(Typed[P, R]):
    """A function as a pipeline. Calling it runs it in this process; ``deploy()`` serves it over HTTP.

    A call gives what the function returns, with values in the place of what its steps return. Arguments are checked and
    converted as those of a request are: a ParameterError lists what does not fit. Errors of steps come through unchanged.
    """

    def __init__(self, entrypoint: Callable[P, Any], name: Optional[str] = None, options: Optional[Options] = None,
                 run_name: Optional[str] = None) -> None:
        if not callable(entrypoint):
            raise TypeError(f"@pipeline goes on a function, not on {entrypoint!r}")
        self.entrypoint: Callable[..., Any] = entrypoint
        self.name = name or str(getattr(entrypoint, "__name__"))
        self.options: Options = options or {}
        self.run_name = run_name
        self.__name__ = self.name
        self.__qualname__ = getattr(entrypoint, "__qualname__", self.name)
        module: Any = getattr(entrypoint, "__module__", None)
        self.__module__ = module
        self.__doc__ = entrypoint.__doc__
        self._own_source: Optional[str] = None
        self._graph: Optional[Graph] = None
        self._local: Optional[Local] = None
        self._lock = RLock()

    # -- what it is -----------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """Dotted name of the pipeline."""
        return self.importable_name()

    @property
    def parameters(self) -> List[Parameter]:
        """The parameters, with defaults from the decorator and from configuration in place of the signature's."""
        found = parameters_of(self.entrypoint, "pipeline")
        given: Dict[str, Any] = self.options.get("parameters") or {}
        names = {p.name for p in found}
        for name in given:
            if name not in names:
                raise SettingsError(f"pipeline '{self.name}' has no parameter '{name}'{suggestion(name, names)}")
        return [Parameter(p.name, p.annotation, self._default(p, given[p.name]) if p.name in given else p.default)
                for p in found]

    def _default(self, parameter: Parameter, value: Any) -> Any:
        """A configured value in the type of its parameter."""
        if parameter.annotation is MISSING or parameter.annotation is type(value):
            return value
        from .schema import convert

        return convert(value, parameter.annotation, f"pipeline '{self.name}': parameter '{parameter.name}'")

    @property
    def graph(self) -> Graph:
        """The graph of steps. PipelineDefinitionError when the function cannot be put together."""
        with self._lock:
            if self._graph is None:
                try:
                    self._graph = trace(self)
                except KourouError as error:
                    raise error.at(*code_location(self.entrypoint))
                self._check_steps(self._graph)
            return self._graph

    def step_parameters(self, name: str) -> Dict[str, Any]:
        """Parameters that the configuration gives to a step."""
        steps: Dict[str, Any] = self.options.get("steps") or {}
        step: Dict[str, Any] = steps.get(name) or {}
        return step.get("parameters") or {}

    def _check_steps(self, graph: Graph) -> None:
        configured: Dict[str, Dict[str, Any]] = self.options.get("steps") or {}
        names = {node.name for node in graph.nodes} | {node.step.name for node in graph.nodes}
        for name in configured:
            if name not in names:
                raise SettingsError(f"pipeline '{self.name}' has no step '{name}'{suggestion(name, names)}")
        for node in graph.nodes:
            extra = dict(configured.get(node.step.name) or {})
            if node.name != node.step.name:
                extra = opt.merge(extra, configured.get(node.name) or {})
            for key in ("parameters", "name", "outputs", "config_path"):
                extra.pop(key, None)
            if extra:
                node.step = node.step.with_options(**extra)

    # -- options --------------------------------------------------------------------------------

    def _where(self) -> str:
        return f"pipeline '{self.name}'"

    def _updated(self, values: Mapping[str, Any]) -> Tuple[Options, Optional[str]]:
        values = dict(values)
        run_name = values.pop("run_name", None)
        if run_name is not None:
            opt.check_run_name(run_name, self._where())
        opt.refuse_absent(values, self._where())
        if values.pop("prevent_build_reuse", False):
            values["settings"] = opt.merge(values.get("settings") or {}, {"docker": {"prevent_build_reuse": True}})
        for key in ("schedule", "build", "unlisted"):  # None and False, or about lists of runs
            values.pop(key, None)
        return opt.merge(self.options, opt.check(values, opt.PIPELINE, self._where())), run_name

    def _with_file(self, path: Optional[Path], values: Dict[str, Any]) -> Dict[str, Any]:
        if path is None:
            return values
        data = opt.read_config(path, f"{self._where()}")
        checked = opt.check_file(data, f"{path}")
        merged = opt.merge(checked, {k: v for k, v in values.items() if v is not None})
        if "settings" in checked and values.get("settings"):
            from .config import check_settings

            merged["settings"] = opt.merge(checked["settings"], check_settings(values["settings"], self._where()))
        if data.get("run_name") and values.get("run_name") is None:
            merged["run_name"] = data["run_name"]
        return merged

    if TYPE_CHECKING:
        @overload
        def with_options(self, config_path: None = None, name: Optional[str] = None, *, parameters: None = None,
                         **values: Unpack[PipelineChanges]) -> Pipeline[P, R]: ...
        @overload
        def with_options(self, config_path: Optional[Path] = None, name: Optional[str] = None, *,
                         parameters: Optional[Dict[str, Any]] = None, **values: Unpack[PipelineChanges]) -> Pipeline[..., R]: ...

    def with_options(self, config_path: Optional[Path] = None, name: Optional[str] = None,
                     **values: Any) -> Pipeline[..., R]:
        """A copy with other options, those of ``@pipeline``; those of a configuration file (YAML or JSON) first, the others
        over them. ``parameters`` are values for the pipeline's parameters, ``run_name`` names its runs, with ``{date}`` and
        ``{time}``. SettingsError names what is wrong."""
        try:
            options, run_name = self._updated(self._with_file(config_path, values))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None
        copy: Pipeline[..., Any] = Pipeline(self.entrypoint, name or self.name, options, run_name or self.run_name)
        copy._own_source = self._own_source
        return copy

    if TYPE_CHECKING:
        @overload
        def configure(self, config_path: None = None, *, parameters: None = None,
                      **values: Unpack[PipelineChanges]) -> Pipeline[P, R]: ...
        @overload
        def configure(self, config_path: Optional[Path] = None, *, parameters: Optional[Dict[str, Any]] = None,
                      **values: Unpack[PipelineChanges]) -> Pipeline[..., R]: ...

    def configure(self, config_path: Optional[Path] = None, **values: Any) -> Any:
        """Changes the options of this pipeline, see with_options(). Returns it."""
        try:
            self.options, run_name = self._updated(self._with_file(config_path, values))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None
        self.run_name = run_name or self.run_name
        self._graph = self._local = None
        return self

    @property
    def environment(self) -> Dict[str, str]:
        """Variables of the pipeline and of its steps; two steps that disagree are an error."""
        result: Dict[str, str] = {}
        owner: Dict[str, str] = {}
        for node in self.graph.nodes:
            own: Dict[str, str] = node.step.options.get("environment") or {}
            for name, value in own.items():
                if result.setdefault(name, value) != value:
                    raise SettingsError(
                        f"steps '{owner[name]}' and '{node.name}' set the environment variable {name} to different "
                        "values, but they run in one process")
                owner.setdefault(name, node.name)
        return {**(self.options.get("environment") or {}), **result}

    @property
    def secrets(self) -> List[str]:
        """Names of the secrets of the pipeline and of its steps."""
        names = list(self.options.get("secrets") or [])
        for node in self.graph.nodes:
            names += node.step.options.get("secrets") or []
        return list(dict.fromkeys(str(name) for name in names))

    # -- running in this process ------------------------------------------------------------------

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R
        if current_tracer() is not None:
            result = self._inline(args, kwargs)
            return result
        from .local import run_here

        result = run_here(self, self._arguments(args, kwargs))
        return result

    def _inline(self, args: Any, kwargs: Dict[str, Any]) -> Any:
        bound = bind(parameters_of(self.entrypoint, "pipeline"), args, kwargs, self._where(), PipelineDefinitionError)
        for parameter in self.parameters:
            if parameter.name not in bound and parameter.default is not MISSING:
                bound[parameter.name] = parameter.default
        return self.entrypoint(**bound)

    def _arguments(self, args: Any, kwargs: Dict[str, Any]) -> Dict[str, Any]:
        bound = bind(parameters_of(self.entrypoint, "pipeline"), args, kwargs, self._where(), ParameterError)
        given: Dict[str, Any] = self.options.get("parameters") or {}
        for name, value in bound.items():
            if name in given and given[name] != value:
                raise ParameterError(f"{self._where()}: '{name}' is {value!r} in the call and {given[name]!r} in the "
                                     "configuration; give it in one place")
        return bound

    # -- serving ----------------------------------------------------------------------------------

    def deploy(self, deployment_name: Optional[str] = None, timeout: Optional[float] = None, *args: Any,
               **kwargs: Any) -> Deployment:
        """Deploys the pipeline with the ``kourou`` program and the active stack.

        Arguments become the defaults of the pipeline's parameters; ``timeout`` is in seconds. Returns the deployment (``url``, ``name``,
        ``status``, ``invoke()``). DeploymentError carries what the program said.
        """
        from .deploy import deploy

        return deploy(self, deployment_name, timeout, self._arguments(args, kwargs))

    def create_snapshot(self, name: str, description: Optional[str] = None, replace: bool = False,
                        tags: Optional[List[str]] = None, **kwargs: Any) -> str:
        """Stores a snapshot of the pipeline under a name, which is returned. ``replace``: in the place of one of that name.
        DeploymentError carries what the program said."""
        from .deploy import create_snapshot

        return create_snapshot(self, name, description, replace, tags, self._arguments((), kwargs))

    def register(self) -> Self:
        """Pipelines are registered when they are deployed; this checks that the pipeline can be compiled."""
        from .compiler import snapshot_of

        snapshot_of(self)
        return self

    def build(self, *_args: object, **_kwargs: object) -> None:
        """Images are built by deploy(), from the snapshot and its settings; there is nothing to do before."""
        self.register()

    def write_run_configuration_template(self, path: Path, stack: object = None) -> None:
        """Writes a configuration file with every parameter and step of the pipeline."""
        from .compiler import configuration_template

        with open(path, "w", encoding="utf-8") as file:
            file.write(configuration_template(self))

    def importable_source(self) -> str:
        """Dotted name, or an error when the pipeline cannot be imported by it."""
        return self._own_source or source_of(self.entrypoint, "pipeline")

    def importable_name(self) -> str:
        """Dotted name as far as it is known, without an error."""
        return self._own_source or describe_source(self.entrypoint)

    def with_source(self, source: str) -> Pipeline[P, R]:
        """A copy that is known by another dotted name, for pipelines bound to a name of their own."""
        copy = self.with_options()
        copy._own_source = source
        return copy

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


if TYPE_CHECKING:
    @overload
    def pipeline(_function: Callable[P, T], *, name: Optional[str] = None,
                 **values: Unpack[PipelineOptions]) -> Pipeline[P, T]: ...
    @overload
    def pipeline(_function: None = None, *, name: Optional[str] = None,
                 **values: Unpack[PipelineOptions]) -> PipelineDecorator: ...
    @overload
    def pipeline(_function: None = None, *, name: Optional[str] = None, parameters: Dict[str, Any],
                 **values: Unpack[PipelineOptions]) -> AnyPipelineDecorator: ...


def pipeline(_function: Optional[AnyFunction] = None, *, name: Optional[str] = None, **values: Any) -> Any:
    """Makes a pipeline of a function: ``@pipeline`` or ``@pipeline(settings={...}, on_init=load_model)``.

    Options: ``name``, ``settings``, ``parameters``, ``on_init`` (its result is ``pipeline_state``),
    ``on_init_kwargs``, ``on_cleanup``, ``on_success`` and ``on_failure`` (after each step that has none of its
    own), ``retry``, ``environment``, ``secrets``, ``tags``, ``extra``, ``model``, ``steps``. Options that only
    matter to orchestrators, like ``enable_cache``, are accepted. SettingsError names an option that does not exist or has a
    wrong value.
    """

    def make(function: AnyFunction) -> Pipeline[..., Any]:
        label = name or getattr(function, "__name__", repr(function))
        try:
            return Pipeline(function, name, opt.check(values, opt.PIPELINE, f"@pipeline of '{label}'"))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None

    return make if _function is None else make(_function)
