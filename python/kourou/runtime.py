# SPDX-License-Identifier: Apache-2.0
"""Serves a snapshot: the Runner answers the requests that the worker loop hands over.

    runner = load(snapshot, root, deployment)   # imports the pipeline; LoadError says what is wrong
    runner.start()                              # on_init
    status, body, flags = runner.invoke(request_body, run_id)
    runner.stop()                               # on_cleanup

Every method may be called by several threads at a time.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter

from . import forked, lite
from ._loader import import_from
from ._source import load_source, one_line, short_traceback
from .context import AppContext, RunContext, _app, _run, cancelled_runs
from .errors import KourouError, LoadError, OutputError
from .frames import F_OUTPUTS, F_RUN_OK, FD_THRESHOLD
from .lite import arguments
from .options import filled_run_name
from .pipelines import Pipeline
from .plan import compile_plan
from .signature import field_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple, Union

    from ._typing import Answer, AnyPipeline, Buffer, Emit, Headers, Json
    from .asgi import AppRunner
    from .schema import InputTypes, OutputTypes
    from .wire import Wire

    Read = Tuple[Any, Optional[str], bytes]  # parameters, run_name, parameters as JSON; or None, None, body of a 422 answer

_TEXT = lite.encode_basestring
_SCALARS = lite.SCALARS


def _text(value: object) -> str:
    """A string as JSON; "null" for None."""
    return "null" if value is None else _TEXT(str(value))


def find_pipeline(source: str, root: Optional[str] = None) -> AnyPipeline:
    """The pipeline that a source names. LoadError (import, attribute, not_a_pipeline) when there is none."""
    try:
        thing = load_source(source, "pipeline", root)
    except KourouError:
        raise
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
            raise
        from ._source import user_frames

        frames = user_frames(error)
        file, line = frames[-1][:2] if frames else (None, None)
        raise LoadError(f"importing {source.rsplit('.', 1)[0]} failed: {one_line(error)}", kind="import", file=file,
                        line=line, traceback=short_traceback(error, root)) from error
    if not isinstance(thing, Pipeline):
        raise LoadError(_not_a_pipeline(source, thing), kind="not_a_pipeline")
    if thing.importable_name() != source:
        thing = thing.with_source(source)
    return thing


def _not_a_pipeline(source: str, thing: Any) -> str:
    from .steps import Step

    kind = type(thing)
    if kind.__module__.split(".")[0] == "zenml":
        where = getattr(sys.modules.get("zenml"), "__file__", "") or ""
        return (f"{source} is a pipeline of the zenml package in {os.path.dirname(os.path.dirname(where))}, which "
                "stands before Kourou's own; import from kourou, or use an environment without that package")
    if isinstance(thing, Step):
        return f"{source} is a step, not a pipeline; put it into a function with @pipeline"
    if kind.__name__ == "module":
        return f"{source} is a module; name the pipeline in it: {source}.<pipeline>"
    if callable(thing):
        return f"{source} is a {kind.__name__}, not a pipeline; put @pipeline on it"
    return f"{source} is of type {kind.__name__}, not a pipeline"


def load(snapshot: Json, root: str, deployment: Optional[Json] = None) -> Runner:
    """Imports the pipeline of a snapshot and prepares everything that does not depend on a request."""
    root = os.path.abspath(root)
    python = snapshot.get("python") or {}
    import_from(root, python.get("paths") or (), python.get("modules"))
    for name, value in (snapshot.get("environment") or {}).items():
        os.environ.setdefault(name, os.path.expandvars(value))
    pipeline = find_pipeline(snapshot["pipeline"]["source"], root)
    try:
        config = snapshot.get("config")
        if config:
            pipeline = pipeline.with_options(**config)
        return Runner(pipeline, snapshot, root, deployment or {})
    except LoadError:
        raise
    except KourouError as error:
        raise LoadError(error.message, error.kind, error.file, error.line, short_traceback(error, root)) from error
    except Exception as error:
        raise LoadError(one_line(error), "internal", traceback=short_traceback(error, root)) from error


def _call_hook(hook: Any, **kwargs: Any) -> Any:
    from . import hooks

    return hooks.call(hooks.resolve(hook), **kwargs)


class Runner:
    """One pipeline, ready to answer requests. ``routes`` and ``middleware`` are for the worker's READY frame."""

    def __init__(self, pipeline: AnyPipeline, snapshot: Json, root: str, deployment: Json) -> None:
        self.pipeline = pipeline
        self.snapshot = snapshot
        self.root = root
        self.deployment = {key: deployment.get(key) for key in
                           ("id", "name", "snapshot_id", "snapshot_name", "auth_enabled")}
        self.settings = (snapshot.get("settings") or {}).get("deployment") or {}
        self._app = AppContext(pipeline, self.deployment, snapshot)
        self._graph = graph = pipeline.graph
        self._nodes = self._app.nodes = graph.nodes
        self._parameters = pipeline.parameters
        self._lite = lite.readable(self._parameters)
        # where the values of the parameters are kept: places in a tuple, or attributes of a model
        self._fields = ({p.name: at for at, p in enumerate(self._parameters)} if self._lite
                        else field_names(self._parameters))
        self._app.fields = self._fields
        self._plan = compile_plan(graph, self._fields, pipeline.options)
        self._count = 0
        self._name = (snapshot.get("pipeline") or {}).get("name") or pipeline.name
        self._prepare_reading()
        self._prepare_writing()
        self._prepare_frame()
        self._custom: Any = None
        if any(self.settings.get(key) for key in ("custom_endpoints", "custom_middlewares", "app_extensions")):
            from .asgi import App

            self._custom = App(self)

    @property
    def routes(self) -> List[Json]:
        """[{"method", "path", "auth_required"}] of the custom endpoints."""
        return self._custom.routes if self._custom is not None else []

    @property
    def middleware(self) -> bool:
        """Whether invocations have to come through custom(), because the user wraps them."""
        return self._custom is not None and self._custom.wrapped

    @property
    def arguments(self) -> Optional[str]:
        """For the READY frame: what the server needs to know to send arguments instead of bodies, as JSON; None when it
        had better not."""
        parameters = lite.described(self._parameters) if self._lite and not self._template else None
        return parameters and f'{{"run_prefix":{self._run_prefix_text}","parameters":{parameters}}}'

    # -- preparation ------------------------------------------------------------------------------

    def _prepare_reading(self) -> None:
        self._inputs: Optional[InputTypes] = None
        self._write_fields: Any = None
        if self._lite:
            self._read = self._read_first
        else:
            self._input_types()
            self._read = self._read_full

    def _input_types(self) -> InputTypes:
        if self._inputs is None:
            from .schema import InputTypes

            self._inputs = InputTypes(self._parameters, f"pipeline '{self.pipeline.name}'")
        return self._inputs

    def _prepare_writing(self) -> None:
        named = self._graph.outputs
        self._names = [name for name, _ in named]
        types = [ref.output.annotation for _, ref in named]
        self._outputs: Optional[OutputTypes] = None
        self._write_lite = None
        if lite.writable(types):
            self._write_lite = lite.tuple_writer(self._names, types)
        else:
            self._output_types()
        # pydantic writes these without complaint when the value is exactly of the class.
        self._exact = tuple(types) if all(
            t in _SCALARS or (isinstance(t, type) and hasattr(t, "__pydantic_serializer__")) for t in types) else None

    def _output_types(self) -> OutputTypes:
        if self._outputs is None:
            from .schema import OutputTypes

            self._outputs = OutputTypes(self._graph.outputs, f"pipeline '{self.pipeline.name}'")
        return self._outputs

    def _prepare_frame(self) -> None:
        d = self.deployment
        known = (
            '"deployment_id":' + _text(d["id"]) + ',"deployment_name":' + _text(d["name"]) +
            ',"snapshot_id":' + _text(d["snapshot_id"]) + ',"snapshot_name":' + _text(d["snapshot_name"]) +
            ',"pipeline_name":' + _text(self._name)).replace("%", "%%")
        # success, outputs, seconds, run id, run name, parameters, error
        self._answer = (
            '{"success":%b,"outputs":%b,"execution_time":%.6f,"metadata":{' + known +
            ',"run_id":%b,"run_name":%b,"parameters_used":%b},"error":%b}').encode()
        template = self.pipeline.run_name
        self._template = template if template and "{" in template else None
        self._app.run_prefix = (self._name if self._template else template or self._name) + "-"
        self._run_prefix_text = _TEXT(self._app.run_prefix)[:-1]

    # -- life -------------------------------------------------------------------------------------

    def start(self, shared: bool = True, own: bool = True) -> None:
        """Calls startup_hook and on_init, whose result becomes pipeline_state. Raises what they raise.

        ``shared`` is what processes may inherit that are forked afterwards; ``own`` what each has to have itself, the
        endpoints and middleware with their event loop."""
        token = _app.set(self._app)
        try:
            if shared:
                self._start_shared()
            if own and self._custom is not None:
                self._custom.start()
        except Exception as error:
            if not hasattr(error, "traceback"):
                failed: Any = error
                failed.traceback = short_traceback(error, self.root)
            raise
        finally:
            _app.reset(token)

    def _start_shared(self) -> None:
        if self.settings.get("startup_hook"):
            _call_hook(self.settings["startup_hook"], app_runner=self._facade(),
                       **(self.settings.get("startup_hook_kwargs") or {}))
        hook = self.pipeline.options.get("on_init")
        if hook is not None:
            self._app.state = _call_hook(hook, **(self.pipeline.options.get("on_init_kwargs") or {}))

    def stop(self, shared: bool = True, own: bool = True) -> None:
        """Calls on_cleanup and shutdown_hook (``shared``), and ends endpoints (``own``). What they raise is logged."""
        token = _app.set(self._app)
        try:
            if own and self._custom is not None:
                self._clean_up(self._custom.stop)
            if not shared:
                return
            self._clean_up(self.pipeline.options.get("on_cleanup"))
            if self.settings.get("shutdown_hook"):
                self._clean_up(self.settings["shutdown_hook"], app_runner=self._facade(),
                               **(self.settings.get("shutdown_hook_kwargs") or {}))
        finally:
            _app.reset(token)

    def _clean_up(self, hook: Any, **kwargs: Any) -> None:
        if hook is None:
            return
        try:
            _call_hook(hook, **kwargs)
        except Exception as error:  # noqa: BLE001 - the other hook still has to run
            self._log(f"clean-up failed: {one_line(error)}\n{short_traceback(error, self.root)}")

    def _facade(self) -> AppRunner:
        from .asgi import AppRunner

        return self._custom.facade if self._custom is not None else AppRunner(self)

    def _log(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    # -- one request ------------------------------------------------------------------------------

    def invoke(self, body: Buffer, run_id: str) -> Tuple[int, bytes, int]:
        """(HTTP status, body, flags of the RESPONSE frame) of one invocation; flags are 0 when the run did not succeed."""
        started = perf_counter()
        p, run_name, used = self._read(body)
        if p is None:
            return 422, used, 0
        ctx = RunContext(self._app, run_id, p)
        if run_name or self._template:
            ctx.given_name = run_name or filled_run_name(self._template)
        token = _run.set(ctx)
        try:
            out = self._written(self._plan(ctx, p))
        except BaseException as error:
            return 500, self._failed(ctx, used, error, started), 0
        finally:
            _run.reset(token)
        return 200, self._succeeded(ctx, out, used, started), F_RUN_OK

    def invoke_arguments(self, body: Buffer, run_id: str) -> Tuple[int, bytes, int]:
        """The same for arguments that the server has read from the body. It also writes the answer around small outputs."""
        started = perf_counter()
        p = arguments(body)
        ctx = RunContext(self._app, run_id, p)
        token = _run.set(ctx)
        try:
            out = self._written(self._plan(ctx, p))
        except BaseException as error:
            return 500, self._failed(ctx, self._used(p), error, started), 0
        finally:
            _run.reset(token)
        if len(out) < FD_THRESHOLD:
            return 200, out, F_RUN_OK | F_OUTPUTS
        return 200, self._succeeded(ctx, out, self._used(p), started), F_RUN_OK

    def _used(self, p: Any) -> bytes:
        if self._write_fields is None:
            self._write_fields = lite.tuple_writer(list(self._fields), [p.annotation for p in self._parameters])
        return self._write_fields(p) or self._write_used(p)

    def _written(self, values: Tuple[Any, ...]) -> bytes:
        try:
            return self._write_lite and self._write_lite(values) or self._write(values)
        except OutputError:
            raise
        except Exception:  # noqa: BLE001 - whatever it was, this way says which output of which step
            return self._output_types().write(dict(zip(self._names, values)))

    def _succeeded(self, ctx: RunContext, out: bytes, used: bytes, started: float) -> bytes:
        name = ctx.given_name
        text = _TEXT(name) if name else f'{self._run_prefix_text}{ctx.run_id[:8]}"'
        return self._answer % (b"true", out, perf_counter() - started, f'"{ctx.run_id}"'.encode(), text.encode(), used,
                               b"null")

    def _read_first(self, body: Buffer) -> Read:
        """Makes the reader only now: as a rule the server reads the bodies, and a start is waited for."""
        self._read_lite = lite.reader(self._parameters)
        self._read = self._read_small
        return self._read(body)

    def _read_small(self, body: Buffer) -> Read:
        """Like _read_full(), without pydantic as long as everything is exactly of its type."""
        try:
            p, run_name = self._read_lite(body)
            return p, run_name, self._used(p)
        except Exception:  # noqa: BLE001 - whatever it was, pydantic knows better
            return self._read_full(body)

    def _read_full(self, body: Buffer) -> Read:
        """(parameters, run_name, parameters as JSON), or (None, None, body of a 422 answer)."""
        inputs = self._input_types()
        if type(body) is memoryview:
            body = bytes(body)
        try:
            request = inputs.read_request(body).__dict__
            instance = request["parameters"]
            p = instance.__dict__
            if self._lite:
                p = tuple(p[field] for field in inputs.fields.values())
            return p, request["run_name"], inputs.write(instance)
        except Exception as error:
            from .schema import NotJSON, ValidationError, json_bytes, not_json, problems_of

            if isinstance(error, NotJSON):
                return None, None, json_bytes({"detail": [not_json(error)]})

            if isinstance(error, ValidationError):
                return None, None, json_bytes({"detail": problems_of(error, body)})
            raise

    def _write_used(self, p: Any) -> bytes:
        from .schema import json_bytes

        return json_bytes({name: p[field] for name, field in self._fields.items()})

    def _write(self, values: Tuple[Any, ...]) -> bytes:
        types = self._output_types()
        named = dict(zip(self._names, values))
        if self._exact is not None and tuple(map(type, values)) == self._exact:
            return types.write_exact(named)
        return types.write(named)

    def _failed(self, ctx: RunContext, used: bytes, error: BaseException, started: float) -> bytes:
        from .streaming import StreamClosed

        if forked.in_child():
            forked.leave(error)
        if isinstance(error, StreamClosed):
            raise error
        where = f"step '{self._nodes[ctx.index].name}': " if 0 <= ctx.index < len(self._nodes) else ""
        text = f"Failed to execute pipeline: {where}{one_line(error, 2000)}"
        self._log(f"run {ctx.run_id} failed in {where or 'the pipeline: '}\n{short_traceback(error, self.root)}".rstrip())
        return self._frame(False, b"null", ctx, used, text, perf_counter() - started)

    def _frame(self, success: bool, out: bytes, ctx: RunContext, used: bytes, error: Optional[str], seconds: float) -> bytes:
        return self._answer % (b"true" if success else b"false", out, seconds, _text(ctx.run_id).encode(),
                               _text(ctx.run_name).encode(), used, _text(error).encode("utf-8", "replace"))

    # -- streams ----------------------------------------------------------------------------------

    def stream(self, body: Buffer, run_id: str) -> Union[Iterator[bytes], Tuple[int, bytes, bool]]:
        """An iterator of event-stream blocks; (422, body, False) when the request is refused.

        ``run_started``, then a ``user_message`` for everything that a step streams, then ``run_finished`` with
        what invoke() would answer. Closing the iterator ends the run at its next message.
        """
        started = perf_counter()
        p, run_name, used = self._read(body)
        if p is None:
            return 422, used, False
        self._count += 1
        ctx = RunContext(self._app, run_id, p)
        ctx.given_name = run_name or filled_run_name(self._template)
        return self._blocks(ctx, used, started, self._count)

    def _blocks(self, ctx: RunContext, used: bytes, started: float, count: int) -> Iterator[bytes]:
        from .schema import json_bytes
        from .streaming import Relay, event

        yield event("run_started", json_bytes(
            {"run_id": ctx.run_id, "run_name": ctx.run_name, "run_index": count}))
        for last, data in Relay(lambda emit: self._run_streaming(ctx, used, started, emit)).events():
            if last:
                yield event("run_finished", data)
            else:
                yield event("user_message", data)

    def _run_streaming(self, ctx: RunContext, used: bytes, started: float, emit: Emit) -> bytes:
        from .schema import message_bytes

        ctx.emit = lambda data: emit(message_bytes(data if isinstance(data, dict) else {"value": data}))
        token = _run.set(ctx)
        try:
            out = self._written(self._plan(ctx, ctx.parameters))
        except BaseException as error:  # noqa: BLE001 - reported, or raised again by _failed()
            return self._failed(ctx, used, error, started)
        finally:
            _run.reset(token)
        if forked.in_child():
            forked.leave()
        return self._frame(True, out, ctx, used, None, perf_counter() - started)

    # -- batches ----------------------------------------------------------------------------------

    def batch(self, body: Buffer, run_id: str) -> Tuple[int, bytes]:
        """(status, body): a list of invocations (or {"items": [...]}) gives the list of their answers, in order.

        An item that is refused has ``success: false`` and the usual ``detail``. Runs are called
        ``<run_id>-<number>``.
        """
        import json

        from .schema import _bad_json, json_bytes

        try:
            items = json.loads(bytes(body).decode("utf-8"))
        except (ValueError, RecursionError):
            return 422, json_bytes({"detail": [_bad_json(body)]})
        place = ["body"]
        if isinstance(items, dict):
            place.append("items")
            if "items" not in items:
                return 422, json_bytes({"detail": [
                    {"type": "missing", "loc": place, "msg": "Field required", "input": items}]})
            items = items["items"]
        if not isinstance(items, list):
            return 422, json_bytes({"detail": [
                {"type": "list_type", "loc": place, "msg": "Input should be a valid list", "input": items}]})
        answers = []
        for at, item in enumerate(items):
            if run_id in cancelled_runs:  # nobody would read the answers
                break
            status, answer, _ = self.invoke(json.dumps(item).encode(), f"{run_id}-{at}")
            answers.append(self._refused(answer, f"{run_id}-{at}") if status == 422 else answer)
        return 200, b"[" + b",".join(answers) + b"]"

    def _refused(self, answer: bytes, run_id: str) -> bytes:
        ctx = RunContext(self._app, run_id, {})
        whole = self._frame(False, b"null", ctx, b"null", "The request does not fit the input schema", 0.0)
        return whole[:-1] + b"," + answer[1:]

    # -- everything of the user's own ---------------------------------------------------------------

    @property
    def uploads(self) -> Optional[List[str]]:
        """["METHOD path", ...] of the routes whose bodies may still be coming when custom() is called; None when there is
        nothing but invocations."""
        return self._custom.uploads if self._custom is not None else None

    @property
    def on_loop(self) -> List[str]:
        """["METHOD path", ...] of the routes whose requests hold no thread; for those with ``uploads``."""
        routes: List[str] = self._custom.on_loop
        return routes

    def custom(self, method: str, path: str, query: str, headers: Headers, body: Optional[bytes],
               run_id: Optional[str] = None, more: Sequence[str] = (),
               open_wire: Optional[Callable[[], Wire]] = None) -> Optional[Answer]:
        """(status, headers, body) of a custom endpoint, or of any request when there is middleware.

        ``more``: the rest of the head's first line (docs/worker-protocol.md). With ``open_wire`` the answer may come
        through the wire that it gives: the result is None then. ``body`` is None when it comes that way, too.
        """
        if self._custom is None:
            return 404, [(b"content-type", b"application/json")], b'{"detail":"Not Found"}'
        answer: Optional[Answer] = self._custom.handle((method, path, query, *more), headers, body, run_id, open_wire)
        return answer
