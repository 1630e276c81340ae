# SPDX-License-Identifier: Apache-2.0
"""The graph of a pipeline, found by calling its function with placeholders."""

from __future__ import annotations

from _contextvars import ContextVar

from ._source import code_location, user_location
from .errors import PipelineDefinitionError
from .signature import ASYNC_GENERATOR, COROUTINE, GENERATOR, code_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Literal, NoReturn, Optional, Tuple, Union

    from ._typing import AnyPipeline, AnyStep, Place
    from .outputs import Output

    Feed = Union[Tuple[Literal["parameter"], str], Tuple[Literal["step"], "Node", int], Tuple[Literal["value"], Any],
                 Tuple[Literal["list"], type, List["Feed"]]]

_tracer: ContextVar[Optional[Tracer]] = ContextVar("kourou_tracer", default=None)


def current_tracer() -> Optional[Tracer]:
    """The tracer of the pipeline that is being put together, or None."""
    return _tracer.get()


def _refuse(action: str) -> Callable[..., Any]:
    def method(self: Placeholder, *_args: object, **_kwargs: object) -> NoReturn:
        file, line = user_location(2)
        raise PipelineDefinitionError(
            f"{self!r} is not known yet while the pipeline is put together, so the pipeline's body cannot {action}; "
            "do that inside a step", file=file, line=line)

    return method


class Placeholder:
    """Stands for a value that exists only while the pipeline runs."""

    __slots__ = ()

    __bool__ = _refuse("test it")
    __iter__ = _refuse("loop over it")
    __len__ = _refuse("take its length")
    __getitem__ = _refuse("index it")
    __call__ = _refuse("call it")
    __contains__ = _refuse("look into it")
    __format__ = _refuse("put it into a string")
    __int__ = __float__ = __index__ = _refuse("convert it")
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse("compare it")
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = \
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __neg__ = __and__ = __or__ = \
        _refuse("calculate with it")
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _refuse(f"read its attribute '{name}'")(self)


class ParameterRef(Placeholder):
    """A parameter of the pipeline."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"the parameter '{self.name}'"


class NodeRef(Placeholder):
    """An invocation of a step that gives nothing; good for ``after``."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    def after(self, *others: object) -> NodeRef:
        """Makes this invocation wait for others."""
        tracer = _tracer.get()
        if tracer is None:
            raise PipelineDefinitionError(f"{self!r}: after() works inside a pipeline")
        tracer.order([self.node], others)
        return self

    def __repr__(self) -> str:
        return f"the step '{self.node.name}'"


class OutputRef(NodeRef):
    """One output of an invocation."""

    __slots__ = ("index",)

    def __init__(self, node: Node, index: int) -> None:
        super().__init__(node)
        self.index = index

    @property
    def output(self) -> Output:
        return self.node.step.outputs[self.index]

    def __repr__(self) -> str:
        return f"the output '{self.output.name}' of step '{self.node.name}'"


class Node:
    """One invocation of a step. ``inputs`` maps its parameters to what feeds them:
    ``("parameter", name)``, ``("step", node, output index)``, ``("value", value)`` or ``("list", type, feeds)``."""

    __slots__ = ("name", "step", "inputs", "after", "place")

    def __init__(self, name: str, step: AnyStep, inputs: Dict[str, Feed], place: Place) -> None:
        self.name = name
        self.step = step
        self.inputs = inputs
        self.after: List[Node] = []
        self.place = place

    def upstream(self) -> List[Node]:
        """The nodes that have to run before this one."""
        found = list(self.after)
        for feed in self.inputs.values():
            _collect_nodes(feed, found)
        return found


def _collect_nodes(feed: Feed, found: List[Node]) -> None:
    if feed[0] == "step":
        found.append(feed[1])
    elif feed[0] == "list":
        for item in feed[2]:
            _collect_nodes(item, found)


def has_placeholder(value: object, depth: int = 4) -> bool:
    """Whether a container holds a placeholder somewhere."""
    if isinstance(value, Placeholder):
        return True
    if depth == 0:
        return False
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(has_placeholder(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return any(has_placeholder(item, depth - 1) for item in value.values())
    return False


class Graph:
    """The nodes in order of execution and what the pipeline's function returned."""

    def __init__(self, nodes: List[Node], returned: Any) -> None:
        self.nodes = nodes
        self.returned = returned
        self.outputs = _named_outputs(returned)

    def edges(self) -> List[Tuple[str, str]]:
        """Pairs of names, sorted: the first runs before the second."""
        return sorted({(up.name, node.name) for node in self.nodes for up in node.upstream()})


def _returned_refs(returned: Any) -> List[OutputRef]:
    if isinstance(returned, (list, tuple)):
        return [item for item in returned if isinstance(item, OutputRef)]
    return [returned] if isinstance(returned, OutputRef) else []


def _named_outputs(returned: Any) -> List[Tuple[str, OutputRef]]:
    """[(key of the response, OutputRef)]: the artifact's name, with the step's in front when two are equal."""
    if isinstance(returned, dict):
        return [(str(k), ref) for k, ref in returned.items() if isinstance(ref, OutputRef)]
    refs, seen = [], set()
    for ref in _returned_refs(returned):
        if (ref.node.name, ref.index) not in seen:
            seen.add((ref.node.name, ref.index))
            refs.append(ref)
    names = [ref.output.name for ref in refs]
    return [(name if names.count(name) == 1 else f"{ref.node.name}.{name}", ref)
            for name, ref in zip(names, refs)]


class Tracer:
    """Records the steps that the pipeline's function calls."""

    def __init__(self, pipeline: AnyPipeline) -> None:
        self.pipeline = pipeline
        self.nodes: List[Node] = []
        self._names: Dict[str, Node] = {}
        self._later: List[Tuple[Any, List[Any]]] = []  # (step, [others]): for every invocation of the step, known or to come

    def add(self, step: AnyStep, inputs: Dict[str, Any], name: Optional[str], after: Any) -> Any:
        """Records an invocation; the result stands for its outputs."""
        place = user_location(2)
        if name is not None and name in self._names:
            raise PipelineDefinitionError(f"two steps have the id '{name}'", file=place[0], line=place[1])
        if name is None:
            name, count = step.name, 1
            while name in self._names:
                count += 1
                name = f"{step.name}_{count}"
        node = Node(name, step, {k: self._feed(k, v, step, place) for k, v in inputs.items()}, place)
        self._names[name] = node
        self.nodes.append(node)
        if after is not None:
            self.order([node], after if isinstance(after, (list, tuple, set)) else [after])
        outputs = step.outputs
        if not outputs:
            return NodeRef(node)
        refs = tuple(OutputRef(node, at) for at in range(len(outputs)))
        return refs[0] if len(refs) == 1 else refs

    def _feed(self, key: str, value: Any, step: AnyStep, place: Place) -> Feed:
        if isinstance(value, ParameterRef):
            return ("parameter", value.name)
        if isinstance(value, OutputRef):
            return ("step", value.node, value.index)
        if isinstance(value, NodeRef):
            raise PipelineDefinitionError(
                f"step '{step.name}' takes '{key}' from {value!r}, which gives nothing", file=place[0], line=place[1])
        if isinstance(value, (list, tuple)) and has_placeholder(value):
            if value and all(isinstance(v, OutputRef) for v in value) and isinstance(value, tuple) and \
                    len({id(v.node) for v in value}) == 1 and len(value) == len(value[0].node.step.outputs) > 1:
                raise PipelineDefinitionError(
                    f"step '{step.name}' takes '{key}' from all outputs of step '{value[0].node.name}' at once; "
                    f"unpack them: a, b = {value[0].node.step.name}(...)", file=place[0], line=place[1])
            return ("list", type(value), [self._feed(key, item, step, place) for item in value])
        if has_placeholder(value):
            raise PipelineDefinitionError(
                f"step '{step.name}' takes '{key}' from a {type(value).__name__} with step outputs or pipeline "
                "parameters in it; pass them one by one or in a list", file=place[0], line=place[1])
        if type(value).__name__ == "ExternalArtifact":
            value = value.load()
        return ("value", value)

    def order(self, nodes: List[Node], others: Iterable[Any]) -> None:
        """Makes nodes wait for others: placeholders, steps or names of invocations."""
        self._later.append((nodes, list(others)))

    def order_step(self, step: AnyStep, others: Iterable[Any]) -> None:
        """Makes every invocation of a step wait for others."""
        self._later.append((step, list(others)))

    def _resolve(self, other: Any) -> List[Node]:
        if isinstance(other, NodeRef):
            return [other.node]
        if isinstance(other, tuple):
            return [ref.node for ref in other if isinstance(ref, NodeRef)]
        if isinstance(other, str):
            if other not in self._names:
                from .signature import suggestion

                raise PipelineDefinitionError(f"after: there is no step '{other}'{suggestion(other, self._names)}")
            return [self._names[other]]
        return [node for node in self.nodes if node.step is other or node.step.origin is other]

    def finish(self, returned: Any) -> Graph:
        """The graph; orders that form a circle are an error."""
        for target, others in self._later:
            if not isinstance(target, list):
                target = [node for node in self.nodes if node.step is target or node.step.origin is target]
            for other in others:
                for node in target:
                    node.after.extend(self._resolve(other))
        return Graph(self._sorted(), returned)

    def _sorted(self) -> List[Node]:
        done, result, waiting = set(), [], list(self.nodes)
        while waiting:
            for node in waiting:
                if all(id(up) in done for up in node.upstream()):
                    break
            else:
                names = ", ".join(node.name for node in waiting)
                raise PipelineDefinitionError(f"these steps wait for each other: {names}")
            waiting.remove(node)
            done.add(id(node))
            result.append(node)
        return result


def trace(pipeline: AnyPipeline) -> Graph:
    """Calls the pipeline's function with placeholders and gives its graph."""
    tracer = Tracer(pipeline)
    token = _tracer.set(tracer)
    try:
        returned = pipeline.entrypoint(**{p.name: ParameterRef(p.name) for p in pipeline.parameters})
    finally:
        _tracer.reset(token)
    if code_flags(pipeline.entrypoint) & (GENERATOR | COROUTINE | ASYNC_GENERATOR):
        if hasattr(returned, "close"):
            returned.close()
        file, line = code_location(pipeline.entrypoint)
        raise PipelineDefinitionError(
            f"pipeline '{pipeline.name}' is an async or generator function; only its steps can be", file=file, line=line)
    graph = tracer.finish(returned)
    if not graph.nodes:
        file, line = code_location(pipeline.entrypoint)
        raise PipelineDefinitionError(f"pipeline '{pipeline.name}' calls no step", file=file, line=line)
    return graph
