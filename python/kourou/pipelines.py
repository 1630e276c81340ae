# SPDX-License-Identifier: Apache-2.0
"""Pipelines: functions that put steps together."""

from __future__ import annotations

from _thread import RLock

from . import options as opt
from ._source import code_location, describe_source, source_of, user_location
from .errors import KourouError, ParameterError, PipelineDefinitionError, SettingsError
from .graph import current_tracer, trace
from .signature import MISSING, Parameter, bind, parameters_of, suggestion


class Pipeline:
    """A function as a pipeline. Calling it runs it in this process; ``deploy()`` serves it over HTTP."""

    def __init__(self, entrypoint, name=None, options=None, run_name=None):
        if not callable(entrypoint):
            raise TypeError(f"@pipeline goes on a function, not on {entrypoint!r}")
        self.entrypoint = entrypoint
        self.name = name or entrypoint.__name__
        self.options = options or {}
        self.run_name = run_name
        self.__name__ = self.name
        self.__qualname__ = getattr(entrypoint, "__qualname__", self.name)
        self.__module__ = getattr(entrypoint, "__module__", None)
        self.__doc__ = entrypoint.__doc__
        self._own_source = None
        self._graph = self._local = None
        self._lock = RLock()

    # -- what it is -----------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """Dotted name of the pipeline."""
        return self.importable_name()

    @property
    def parameters(self):
        """The parameters, with defaults from the decorator and from configuration in place of the signature's."""
        found = parameters_of(self.entrypoint, "pipeline")
        given = self.options.get("parameters") or {}
        names = {p.name for p in found}
        for name in given:
            if name not in names:
                raise SettingsError(f"pipeline '{self.name}' has no parameter '{name}'{suggestion(name, names)}")
        return [Parameter(p.name, p.annotation, self._default(p, given[p.name]) if p.name in given else p.default)
                for p in found]

    def _default(self, parameter, value):
        """A configured value in the type of its parameter."""
        if parameter.annotation is MISSING or parameter.annotation is type(value):
            return value
        from .schema import convert

        return convert(value, parameter.annotation, f"pipeline '{self.name}': parameter '{parameter.name}'")

    @property
    def graph(self):
        """The graph of steps. PipelineDefinitionError when the function cannot be put together."""
        with self._lock:
            if self._graph is None:
                try:
                    self._graph = trace(self)
                except KourouError as error:
                    raise error.at(*code_location(self.entrypoint))
                self._check_steps(self._graph)
            return self._graph

    def step_parameters(self, name) -> dict:
        """Parameters that the configuration gives to a step."""
        return ((self.options.get("steps") or {}).get(name) or {}).get("parameters") or {}

    def _check_steps(self, graph):
        configured = self.options.get("steps") or {}
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

    def _where(self):
        return f"pipeline '{self.name}'"

    def _updated(self, values):
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

    def _with_file(self, path, values):
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

    def with_options(self, config_path=None, name=None, **values) -> "Pipeline":
        """A copy with other options; those of a configuration file first, the others over them."""
        try:
            options, run_name = self._updated(self._with_file(config_path, values))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None
        copy = Pipeline(self.entrypoint, name or self.name, options, run_name or self.run_name)
        copy._own_source = self._own_source
        return copy

    def configure(self, config_path=None, **values) -> "Pipeline":
        """Changes the options of this pipeline. Returns it."""
        try:
            self.options, run_name = self._updated(self._with_file(config_path, values))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None
        self.run_name = run_name or self.run_name
        self._graph = self._local = None
        return self

    @property
    def environment(self) -> dict:
        """Variables of the pipeline and of its steps; two steps that disagree are an error."""
        result = {}
        owner = {}
        for node in self.graph.nodes:
            for name, value in (node.step.options.get("environment") or {}).items():
                if result.setdefault(name, value) != value:
                    raise SettingsError(
                        f"steps '{owner[name]}' and '{node.name}' set the environment variable {name} to different "
                        "values, but they run in one process")
                owner.setdefault(name, node.name)
        return {**(self.options.get("environment") or {}), **result}

    @property
    def secrets(self) -> list:
        """Names of the secrets of the pipeline and of its steps."""
        names = list(self.options.get("secrets") or [])
        for node in self.graph.nodes:
            names += node.step.options.get("secrets") or []
        return list(dict.fromkeys(str(name) for name in names))

    # -- running in this process ------------------------------------------------------------------

    def __call__(self, *args, **kwargs):
        if current_tracer() is not None:
            return self._inline(args, kwargs)
        from .local import run_here

        return run_here(self, self._arguments(args, kwargs))

    def _inline(self, args, kwargs):
        bound = bind(parameters_of(self.entrypoint, "pipeline"), args, kwargs, self._where(), PipelineDefinitionError)
        for parameter in self.parameters:
            if parameter.name not in bound and parameter.default is not MISSING:
                bound[parameter.name] = parameter.default
        return self.entrypoint(**bound)

    def _arguments(self, args, kwargs):
        bound = bind(parameters_of(self.entrypoint, "pipeline"), args, kwargs, self._where(), ParameterError)
        given = self.options.get("parameters") or {}
        for name, value in bound.items():
            if name in given and given[name] != value:
                raise ParameterError(f"{self._where()}: '{name}' is {value!r} in the call and {given[name]!r} in the "
                                     "configuration; give it in one place")
        return bound

    # -- serving ----------------------------------------------------------------------------------

    def deploy(self, deployment_name=None, timeout=None, *args, **kwargs):
        """Deploys the pipeline with the ``kourou`` program and the active stack.

        Arguments become the defaults of the pipeline's parameters. Returns the deployment (``url``, ``name``,
        ``status``, ``invoke()``). DeploymentError carries what the program said.
        """
        from .deploy import deploy

        return deploy(self, deployment_name, timeout, self._arguments(args, kwargs))

    def create_snapshot(self, name, description=None, replace=False, tags=None, **kwargs):
        """Stores a snapshot of the pipeline under a name."""
        from .deploy import create_snapshot

        return create_snapshot(self, name, description, replace, tags, self._arguments((), kwargs))

    def register(self) -> "Pipeline":
        """Pipelines are registered when they are deployed; this checks that the pipeline can be compiled."""
        from .compiler import snapshot_of

        snapshot_of(self)
        return self

    def build(self, *_args, **_kwargs) -> None:
        """Images are built by deploy(), from the snapshot and its settings; there is nothing to do before."""
        self.register()

    def write_run_configuration_template(self, path, stack=None) -> None:
        """Writes a configuration file with every parameter and step of the pipeline."""
        from .compiler import configuration_template

        with open(path, "w", encoding="utf-8") as file:
            file.write(configuration_template(self))

    def importable_source(self) -> str:
        """Dotted name, or an error when the pipeline cannot be imported by it."""
        return self._own_source or source_of(self.entrypoint, "pipeline")

    def importable_name(self):
        """Dotted name as far as it is known, without an error."""
        return self._own_source or describe_source(self.entrypoint)

    def with_source(self, source) -> "Pipeline":
        """A copy that is known by another dotted name, for pipelines bound to a name of their own."""
        copy = self.with_options()
        copy._own_source = source
        return copy

    def __repr__(self):
        return f"<pipeline {self.name}>"


def pipeline(_function=None, *, name=None, **values):
    """Makes a pipeline of a function: ``@pipeline`` or ``@pipeline(settings={...}, on_init=load_model)``.

    Options: ``name``, ``settings``, ``parameters``, ``on_init`` (its result is ``pipeline_state``),
    ``on_init_kwargs``, ``on_cleanup``, ``on_success`` and ``on_failure`` (after each step that has none of its
    own), ``retry``, ``environment``, ``secrets``, ``tags``, ``extra``, ``model``, ``steps``. Options that only
    matter to orchestrators, like ``enable_cache``, are accepted.
    """

    def make(function):
        label = name or getattr(function, "__name__", repr(function))
        try:
            return Pipeline(function, name, opt.check(values, opt.PIPELINE, f"@pipeline of '{label}'"))
        except SettingsError as error:
            raise error.at(*user_location(2)) from None

    return make if _function is None else make(_function)
