# SPDX-License-Identifier: Apache-2.0
"""Runs a pipeline in this process, for tests and for training."""

from __future__ import annotations

import os
import uuid

from . import hooks
from .artifacts import keep_outputs
from .context import AppContext, RunContext, _app, _run
from .graph import NodeRef, OutputRef, ParameterRef
from .options import filled_run_name
from .plan import compile_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Tuple

    from ._typing import AnyPipeline


class Local:
    """What all runs of one pipeline in this process share."""

    def __init__(self, pipeline: AnyPipeline) -> None:
        from .schema import InputTypes

        self.app = AppContext(pipeline)
        self.graph = pipeline.graph
        self.inputs = InputTypes(pipeline.parameters, f"pipeline '{pipeline.name}'")
        self.app.fields = self.inputs.fields
        self.plan = compile_plan(self.graph, self.inputs.fields, pipeline.options, everything=True)
        self.environment = pipeline.environment


def run_here(pipeline: AnyPipeline, arguments: Dict[str, Any]) -> Any:
    """Runs the pipeline: on_init, its steps, on_cleanup. Gives what its function returned, with values in place
    of placeholders. Errors of steps come through unchanged."""
    with pipeline._lock:
        if pipeline._local is None:
            pipeline._local = Local(pipeline)
    local = pipeline._local
    p = local.inputs.check(arguments).__dict__
    app = AppContext(pipeline)
    app.fields = local.app.fields
    run_id = str(uuid.uuid4())
    app.nodes = local.graph.nodes
    app.run_prefix = f"{pipeline.name}-"
    ctx = RunContext(app, run_id, p)
    ctx.given_name = filled_run_name(pipeline.run_name) or pipeline.run_name
    before = {name: os.environ.get(name) for name in local.environment}
    os.environ.update({name: os.path.expandvars(value) for name, value in local.environment.items()})
    app_token = _app.set(app)
    try:
        return _run_once(pipeline, local, app, ctx, p)
    finally:
        _app.reset(app_token)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _run_once(pipeline: AnyPipeline, local: Local, app: AppContext, ctx: RunContext, p: Dict[str, Any]) -> Any:
    options = pipeline.options
    if options.get("on_init") is not None:
        app.state = hooks.call(hooks.resolve(options["on_init"]), **(options.get("on_init_kwargs") or {}))
    try:
        token = _run.set(ctx)
        try:
            values = local.plan(ctx, p)
        finally:
            _run.reset(token)
        keep_outputs(ctx, local.graph, values)
        return _filled(local.graph.returned, values, {n: p[f] for n, f in app.fields.items()})
    finally:
        if options.get("on_cleanup") is not None:
            hooks.call(hooks.resolve(options["on_cleanup"]))


def _filled(returned: Any, values: Mapping[Tuple[str, int], Any], parameters: Mapping[str, Any]) -> Any:
    if isinstance(returned, OutputRef):
        return values[(returned.node.name, returned.index)]
    if isinstance(returned, ParameterRef):
        return parameters[returned.name]
    if isinstance(returned, NodeRef):
        return None
    if isinstance(returned, (list, tuple)):
        return type(returned)([_filled(item, values, parameters) for item in returned])
    if isinstance(returned, dict):
        return {key: _filled(item, values, parameters) for key, item in returned.items()}
    return returned
