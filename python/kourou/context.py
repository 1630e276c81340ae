# SPDX-License-Identifier: Apache-2.0
"""What a step or hook can ask about the run it is part of."""

from __future__ import annotations

from _contextvars import ContextVar

from .errors import ContextError

_run: ContextVar = ContextVar("kourou_run", default=None)
_app: ContextVar = ContextVar("kourou_app", default=None)
cancelled_runs = set()  # ids of runs that go on although nobody waits for them any more


class AppContext:
    """One pipeline, ready to run: what all its runs share."""

    def __init__(self, pipeline, deployment=None, snapshot=None):
        self.pipeline = pipeline
        self.deployment = deployment
        self.snapshot = snapshot
        self.state = None
        self.nodes = []  # steps of the graph
        self.fields = {}  # parameter: key in RunContext.parameters
        self.run_prefix = ""  # what comes before the run id in the name of a run


class RunContext:
    """One run. ``index`` is the number of the step that is being executed, -1 outside of steps."""

    # Most runs use none of these: they are not set for each of them.
    given_name = metadata = emit = inputs = tags = None
    index = -1

    def __init__(self, app, run_id, parameters):
        self.app = app
        self.run_id = run_id
        self.parameters = parameters

    @property
    def run_name(self):
        return self.given_name or self.app.run_prefix + self.run_id[:8]


class PipelineRun:
    """Identity of a run."""

    def __init__(self, run):
        self.id = run.run_id
        self.name = run.run_name
        fields = run.app.fields
        self.parameters = {name: run.parameters[field] for name, field in fields.items()}
        self.metadata = run.metadata or {}

    def __repr__(self):
        return f"PipelineRun(id={self.id!r}, name={self.name!r})"


class PipelineContext:
    """The pipeline as seen from inside of it: ``name``, ``pipeline``, ``pipeline_state``, ``extra``, ..."""

    def __init__(self, app):
        self._app = app

    @property
    def pipeline_state(self):
        """What ``on_init`` returned; None without such a hook."""
        return self._app.state

    @property
    def pipeline(self):
        """The pipeline object."""
        return self._app.pipeline

    @property
    def name(self):
        return self._app.pipeline.name

    @property
    def deployment(self):
        """Dictionary with id and name of the deployment, or None when it runs in this process."""
        return self._app.deployment

    @property
    def extra(self):
        return self._app.pipeline.options.get("extra") or {}

    @property
    def model(self):
        return self._app.pipeline.options.get("model")


class StepContext(PipelineContext):
    """The step that is being executed and the run it belongs to."""

    def __init__(self, run):
        super().__init__(run.app)
        self._run = run
        self._index = run.index

    @property
    def _node(self):
        return self._run.app.nodes[self._index] if self._index >= 0 else None

    @property
    def step_name(self) -> str:
        """Name of this invocation of the step (``greet``, ``greet_2``)."""
        node = self._node
        return node.name if node is not None else ""

    @property
    def step_run(self):
        """The invocation: name, step, inputs."""
        return self._node

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this run any more: its time is over, or the caller has gone. Long loops may ask and end."""
        return self._run.run_id in cancelled_runs

    @property
    def pipeline_run(self):
        """Id, name and parameters of the run."""
        return PipelineRun(self._run)

    @property
    def inputs(self) -> dict:
        """{parameter: value} of this step."""
        if self._run.inputs is None:
            raise ContextError("the inputs were not kept; import get_step_context in the step's own module")
        return self._run.inputs

    @property
    def outputs(self) -> list:
        """Names of the outputs that this step is going to give."""
        node = self._node
        return [output.name for output in node.step.outputs] if node is not None else []

    def add_output_metadata(self, metadata, output_name=None):
        """Notes metadata about an output of this step."""
        _note(self._run, metadata, output_name)

    def add_output_tags(self, tags, output_name=None):
        """Tags an output of this step."""
        if self._run.tags is None:
            self._run.tags = {}
        self._run.tags.setdefault(output_name or "", []).extend(tags)


def _note(run, metadata, artifact_name=None):
    if run.metadata is None:
        run.metadata = {}
    nodes = run.app.nodes
    place = nodes[run.index].name if 0 <= run.index < len(nodes) else ""
    key = f"{place}.{artifact_name}" if artifact_name else place
    run.metadata.setdefault(key, {}).update(metadata)
    if run.app.deployment is not None:
        from .logger import get_logger

        get_logger("kourou.metadata").info("run %s, %s: %s", run.run_id, key or "pipeline", metadata)


def current_run():
    """The run of the calling thread or task, or None."""
    return _run.get()


def get_step_context() -> StepContext:
    """The context of the step that calls. Only inside a step or a hook of one."""
    run = _run.get()
    if run is None or run.index < 0:
        raise ContextError("get_step_context() works inside a step, while its pipeline runs")
    return StepContext(run)


def get_pipeline_context() -> PipelineContext:
    """The context of the pipeline whose step, hook or body calls."""
    run = _run.get()
    app = run.app if run is not None else _app.get()
    if app is None:
        raise ContextError("get_pipeline_context() works inside a pipeline, its steps and its hooks")
    return PipelineContext(app)


def _is_here(run, step_name, run_id_name_or_prefix):
    """Whether these name the running step and its run, or nothing."""
    if run is None:
        return step_name is None and run_id_name_or_prefix is None
    here = run.app.nodes[run.index].name if 0 <= run.index < len(run.app.nodes) else ""
    wanted = str(run_id_name_or_prefix or run.run_id)
    return step_name in (None, here) and (run.run_id.startswith(wanted) or wanted == run.run_name)


def log_metadata(metadata, artifact_name=None, infer_artifact=False, *, step_name=None, run_id_name_or_prefix=None,
                 model_name=None, model_version=None, infer_model=False, step_id=None, artifact_version=None,
                 artifact_version_id=None):
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
