# SPDX-License-Identifier: Apache-2.0
"""Turns a graph into one Python function, so that a run costs nothing but the steps themselves."""

from __future__ import annotations

import time

from ._source import define
from .context import get_step_context, _run
from .errors import OutputError
from .outputs import returns_value
from .signature import ASYNC_GENERATOR, COROUTINE, GENERATOR, code_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Tuple

    from ._typing import AnyFunction, Options
    from .context import RunContext
    from .graph import Feed, Graph, Node
    from .options import StepRetryConfig

_ATOMS = (str, int, float, bool, bytes, type(None), complex)


def make_call(node: Node, pipeline_options: Options) -> AnyFunction:
    """A function that runs one step: waits for coroutines, collects generators, repeats, calls hooks."""
    step = node.step
    function = step.entrypoint
    flags = code_flags(function)
    call = function
    if flags & COROUTINE:
        call = _awaiting(function)
    elif flags & (GENERATOR | ASYNC_GENERATOR):
        call = _collecting(function, bool(flags & ASYNC_GENERATOR), returns_value(step.returns))
    elif step.yields:
        call = _iterating(function)
    retry = step.options.get("retry") or pipeline_options.get("retry")
    if retry is not None and retry.max_retries > 0:
        call = _repeating(call, node.name, retry)
    success = step.options.get("on_success") or pipeline_options.get("on_success")
    failure = step.options.get("on_failure") or pipeline_options.get("on_failure")
    if success is not None or failure is not None:
        call = _hooked(call, success, failure)
    return call


def _awaiting(function: AnyFunction) -> AnyFunction:
    from . import aio

    def call(**kwargs: Any) -> Any:
        return aio.run(function(**kwargs))

    return call


def _collecting(function: AnyFunction, is_async: bool, own_result: bool) -> AnyFunction:
    from . import aio

    def call(**kwargs: Any) -> Any:
        run = _run.get()
        emit = run.emit if run is not None else None
        generator = function(**kwargs)
        items = aio.iterate(generator) if is_async else generator
        kept: List[Any] = []
        try:
            while True:
                try:
                    item = next(items)
                except StopIteration as stop:
                    return stop.value if own_result else kept
                if not own_result:
                    kept.append(item)
                if emit is not None:
                    emit(item)
        finally:
            items.close()

    return call


def _iterating(function: AnyFunction) -> AnyFunction:
    """For a step that is no generator itself but returns an iterator."""

    def call(**kwargs: Any) -> Any:
        run = _run.get()
        emit = run.emit if run is not None else None
        result = function(**kwargs)
        if hasattr(result, "__anext__"):
            from . import aio

            result = aio.iterate(result)
        kept = []
        for item in result:
            kept.append(item)
            if emit is not None:
                emit(item)
        return kept

    return call


def _repeating(call: AnyFunction, name: str, retry: StepRetryConfig) -> AnyFunction:
    def repeat(**kwargs: Any) -> Any:
        delay = retry.delay
        for left in range(retry.max_retries, -1, -1):
            try:
                return call(**kwargs)
            except Exception as error:
                if left == 0:
                    raise
                from .logger import get_logger

                get_logger("kourou").warning("step %s failed (%s: %s), %d more attempts", name,
                                             type(error).__name__, error, left)
            if delay > 0:
                time.sleep(delay)
            delay *= retry.backoff
        return None

    return repeat


def _hooked(call: AnyFunction, success: Any, failure: Any) -> AnyFunction:
    from .hooks import after_step

    def hooked(**kwargs: Any) -> Any:
        try:
            result = call(**kwargs)
        except Exception as error:
            after_step(failure, error)
            raise
        after_step(success)
        return result

    return hooked


def _unpacker(node: Node) -> AnyFunction:
    names = [output.name for output in node.step.outputs]
    count = len(names)

    def unpack(value: Any) -> Tuple[Any, ...]:
        if type(value) is tuple and len(value) == count:
            return value
        if isinstance(value, (tuple, list)) and len(value) == count:
            return tuple(value)
        given = f"{len(value)} values" if isinstance(value, (tuple, list)) else type(value).__name__
        raise OutputError(f"step '{node.name}' has to return {count} values ({', '.join(names)}), "
                          f"but returned {given}")

    return unpack


def _wants_inputs(function: Any) -> bool:
    """Whether the step's module uses get_step_context(), through which inputs can be asked for."""
    names = getattr(function, "__globals__", {})
    if any(value is get_step_context for value in names.values()):
        return True
    return any(getattr(value, "__name__", "") in ("kourou", "zenml") for value in names.values()
               if type(value).__name__ == "module")


class _Writer:
    def __init__(self, graph: Graph, options: Options) -> None:
        self.graph = graph
        self.options = options
        self.names: Dict[str, Any] = {}
        self.number = {id(node): at for at, node in enumerate(graph.nodes)}
        self.lines: List[str] = []

    def constant(self, value: Any, hint: str) -> str:
        name = f"{hint}{len(self.names)}"
        self.names[name] = value
        return name

    def variable(self, node: Node, index: int) -> str:
        at = self.number[id(node)]
        return f"v{at}" if len(node.step.outputs) == 1 else f"v{at}_{index}"

    def expression(self, feed: Feed, fields: Mapping[str, Any]) -> str:
        if feed[0] == "parameter":
            return f"p[{fields[feed[1]]!r}]"
        if feed[0] == "step":
            return self.variable(feed[1], feed[2])
        if feed[0] == "list":
            items = "".join(self.expression(item, fields) + ", " for item in feed[2])
            return f"({items})" if feed[1] is tuple else f"[{items}]"
        name = self.constant(feed[1], "c")
        if isinstance(feed[1], _ATOMS):
            return name
        from copy import deepcopy

        self.names["deepcopy"] = deepcopy
        return f"deepcopy({name})"

    def node(self, node: Node, fields: Mapping[str, Any]) -> None:
        at = self.number[id(node)]
        call = self.constant(make_call(node, self.options), "f")
        inputs = {name: self.expression(feed, fields) for name, feed in node.inputs.items()}
        self.lines.append(f"    ctx.index = {at}")
        if _wants_inputs(node.step.entrypoint):
            kept = ", ".join(f"{name!r}: {value}" for name, value in inputs.items())
            self.lines.append(f"    ctx.inputs = i{at} = {{{kept}}}")
            inputs = {name: f"i{at}[{name!r}]" for name in inputs}
        code = f"{call}({', '.join(f'{name}={value}' for name, value in inputs.items())})"
        outputs = node.step.outputs
        if not outputs:
            self.lines.append(f"    {code}")
        elif len(outputs) == 1:
            self.lines.append(f"    v{at} = {code}")
        else:
            targets = ", ".join(f"v{at}_{index}" for index in range(len(outputs)))
            self.lines.append(f"    {targets} = {self.constant(_unpacker(node), 'u')}({code})")


def compile_plan(graph: Graph, fields: Mapping[str, Any], options: Options,
                 everything: bool = False) -> Callable[[RunContext, Any], Any]:
    """``run(ctx, p)``: runs the steps and gives the pipeline's outputs as a tuple, in their order.

    ``fields`` maps the pipeline's parameters to keys of ``p``. With ``everything`` the result is a dictionary
    {(name of the step, index of the output): value}.
    """
    writer = _Writer(graph, options)
    for node in graph.nodes:
        writer.node(node, fields)
    if everything:
        items = [(node, index) for node in graph.nodes for index in range(len(node.step.outputs))]
        result = "{" + ", ".join(f"({n.name!r}, {i}): {writer.variable(n, i)}" for n, i in items) + "}"
    else:
        result = "(" + "".join(writer.variable(ref.node, ref.index) + ", " for _, ref in graph.outputs) + ")"
    text = "def run(ctx, p):\n" + "\n".join(writer.lines) + f"\n    ctx.index = -1\n    return {result}\n"
    run: Callable[[RunContext, Any], Any] = define("run", text, writer.names)
    return run
