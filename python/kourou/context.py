# SPDX-License-Identifier: Apache-2.0
"""What a step or hook can ask about the run it is part of."""

from __future__ import annotations

from _contextvars import ContextVar

from .errors import ContextError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Set

    from ._typing import AnyPipeline, Json
    from .graph import Node
    from .models import Model

_run: ContextVar[Optional[RunContext]] = ContextVar("kourou_run", default=None)
_app: ContextVar[Optional[AppContext]] = ContextVar("kourou_app", default=None)
cancelled_runs: Set[str] = set()  # ids of runs that go on although nobody waits for them any more


class AppContext:
    """One pipeline, ready to run: what all its runs share."""

    def __init__(self, pipeline: AnyPipeline, deployment: Optional[Json] = None, snapshot: Optional[Json] = None) -> None:
        self.pipeline = pipeline
        self.deployment = deployment
        self.snapshot = snapshot
        self.state: Any = None
        self.nodes: List[Node] = []  # steps of the graph
        self.fields: Mapping[str, Any] = {}  # parameter: key in RunContext.parameters
        self.run_prefix = ""  # what comes before the run id in the name of a run


class RunContext:
    """One run. ``index`` is the number of the step that is being executed, -1 outside of steps."""

    # Most runs use none of these: they are not set for each of them.
    given_name: Optional[str] = None
    metadata: Optional[Dict[str, Dict[str, Any]]] = None
    emit: Optional[Callable[[Any], None]] = None
    inputs: Optional[Dict[str, Any]] = None
    tags: Optional[Dict[str, List[str]]] = None
    index = -1

    def __init__(self, app: AppContext, run_id: str, parameters: Any) -> None:
        self.app = app
        self.run_id = run_id
        self.parameters = parameters

    @property
    def run_name(self) -> str:
        return self.given_name or self.app.run_prefix + self.run_id[:8]


class PipelineRun:
    """Identity of a run: ``id`` (a UUID in text), ``name``, ``parameters`` by name, and ``metadata`` as log_metadata() noted
    them: facts by name of the step, or ``step.output``."""

    def __init__(self, run: RunContext) -> None:
        self.id = run.run_id
        self.name = run.run_name
        fields = run.app.fields
        self.parameters = {name: run.parameters[field] for name, field in fields.items()}
        self.metadata = run.metadata or {}

    def __repr__(self) -> str:
        return f"PipelineRun(id={self.id!r}, name={self.name!r})"


class PipelineContext:
    """The pipeline as seen from inside of it."""

    def __init__(self, app: AppContext) -> None:
        self._app = app

    @property
    def pipeline_state(self) -> Any:
        """What ``on_init`` returned; None without such a hook. All requests of a worker share it, on several threads at a time."""
        return self._app.state

    @property
    def pipeline(self) -> AnyPipeline:
        """The pipeline object."""
        return self._app.pipeline

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self._app.pipeline.name

    @property
    def deployment(self) -> Optional[Json]:
        """Dictionary with id and name of the deployment, or None when it runs in this process."""
        return self._app.deployment

    @property
    def extra(self) -> Dict[str, Any]:
        """The option ``extra`` of the pipeline; empty without one."""
        return self._app.pipeline.options.get("extra") or {}

    @property
    def model(self) -> Optional[Model]:
        """The Model of the pipeline, or None."""
        return self._app.pipeline.options.get("model")


class StepContext(PipelineContext):
    """The step that is being executed and the run it belongs to."""

    def __init__(self, run: RunContext) -> None:
        super().__init__(run.app)
        self._run = run
        self._index = run.index

    @property
    def _node(self) -> Optional[Node]:
        return self._run.app.nodes[self._index] if self._index >= 0 else None

    @property
    def step_name(self) -> str:
        """Name of this invocation of the step (``greet``, ``greet_2``)."""
        node = self._node
        return node.name if node is not None else ""

    @property
    def step_run(self) -> Optional[Node]:
        """The invocation: name, step, inputs."""
        return self._node

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this run any more: its time is over, or the caller has gone. Long loops may ask and end."""
        return self._run.run_id in cancelled_runs

    @property
    def pipeline_run(self) -> PipelineRun:
        """Id, name and parameters of the run."""
        return PipelineRun(self._run)

    @property
    def inputs(self) -> Dict[str, Any]:
        """{parameter: value} of this step. ContextError when its module does not import get_step_context by name."""
        if self._run.inputs is None:
            raise ContextError("the inputs were not kept; import get_step_context in the step's own module")
        return self._run.inputs

    @property
    def outputs(self) -> List[str]:
        """Names of the outputs that this step is going to give."""
        node = self._node
        return [output.name for output in node.step.outputs] if node is not None else []

    def add_output_metadata(self, metadata: Mapping[str, Any], output_name: Optional[str] = None) -> None:
        """Notes metadata about an output of this step."""
        _note(self._run, metadata, output_name)

    def add_output_tags(self, tags: Iterable[str], output_name: Optional[str] = None) -> None:
        """Tags an output of this step."""
        if self._run.tags is None:
            self._run.tags = {}
        self._run.tags.setdefault(output_name or "", []).extend(tags)


def _note(run: RunContext, metadata: Mapping[str, Any], artifact_name: Optional[str] = None) -> None:
    if run.metadata is None:
        run.metadata = {}
    nodes = run.app.nodes
    place = nodes[run.index].name if 0 <= run.index < len(nodes) else ""
    key = f"{place}.{artifact_name}" if artifact_name else place
    run.metadata.setdefault(key, {}).update(metadata)
    if run.app.deployment is not None:
        from .logger import get_logger

        get_logger("kourou.metadata").info("run %s, %s: %s", run.run_id, key or "pipeline", metadata)


def current_run() -> Optional[RunContext]:
    """The run of the calling thread or task, or None."""
    return _run.get()


def get_step_context() -> StepContext:
    """The context of the step that calls. ContextError outside of a step and its hooks."""
    run = _run.get()
    if run is None or run.index < 0:
        raise ContextError("get_step_context() works inside a step, while its pipeline runs")
    return StepContext(run)


def get_pipeline_context() -> PipelineContext:
    """The context of the pipeline whose step, hook or body calls. ContextError elsewhere."""
    run = _run.get()
    app = run.app if run is not None else _app.get()
    if app is None:
        raise ContextError("get_pipeline_context() works inside a pipeline, its steps and its hooks")
    return PipelineContext(app)


def _is_here(run: Optional[RunContext], step_name: Optional[str], run_id_name_or_prefix: Optional[str]) -> bool:
    """Whether these name the running step and its run, or nothing."""
    if run is None:
        return step_name is None and run_id_name_or_prefix is None
    here = run.app.nodes[run.index].name if 0 <= run.index < len(run.app.nodes) else ""
    wanted = str(run_id_name_or_prefix or run.run_id)
    return step_name in (None, here) and (run.run_id.startswith(wanted) or wanted == run.run_name)


def log_metadata(metadata: Dict[str, Any], artifact_name: Optional[str] = None, infer_artifact: bool = False, *,
                 step_name: Optional[str] = None, run_id_name_or_prefix: Optional[str] = None, model_name: None = None,
                 model_version: None = None, infer_model: bool = False, step_id: None = None,
                 artifact_version: None = None, artifact_version_id: None = None) -> None:
    """Notes a dictionary of facts about the running step, or about one of its outputs.

    Inside a deployment they go to the log; for a run in this process they can be read with
    ``get_step_context().pipeline_run.metadata``. Outside of runs this does nothing. Facts about anything else (models,
    other runs, steps and artifacts of before) are a ContextError: there is nothing that would keep them.
    """
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata has to be a dictionary, not {type(metadata).__name__}")
    run = _run.get()
    if model_name is not None or model_version is not None or infer_model:
        raise ContextError(f"log_metadata: Kourou keeps no models ({model_name or 'infer_model'}); without model arguments the "
                           "facts are noted about the step")
    if step_id or artifact_version or artifact_version_id or not _is_here(run, step_name, run_id_name_or_prefix):
        raise ContextError("log_metadata: only the running step and its outputs can be noted about, not other steps, runs or "
                           "artifacts of before")
    if run is None:
        return
    if infer_artifact and artifact_name is None and run.index >= 0:
        outputs = run.app.nodes[run.index].step.outputs
        artifact_name = outputs[0].name if outputs else None
    _note(run, metadata, artifact_name)
