# SPDX-License-Identifier: Apache-2.0
"""Endpoints and middleware of the user: an ASGI application around the Runner.

A synchronous endpoint without middleware around it is called at once; everything else goes through the shared
event loop (exchange.py), and synchronous code that it leads to goes to threads.
"""

from __future__ import annotations

import json
import re
import uuid
from contextvars import ContextVar, copy_context
from time import perf_counter
from urllib.parse import unquote

from . import aio
from ._source import load_source, one_line, short_traceback
from .context import _app
from .errors import LoadError
from .handlers import Refused, binder
from .http import Request, Response, checked_headers, checked_status
from .proxies import Proxies
from .signature import COROUTINE, code_flags
from .wire import Collector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

    from ._typing import AnyFunction, Answer, Application, Headers, Json, Message, Receive, Scope, Send
    from .config import EndpointSpec, MiddlewareSpec, Settings
    from .exchange import Exchange
    from .lifespan import Lifespan
    from .runtime import Runner
    from .wire import Wire

_exchange: ContextVar[Optional[Exchange]] = ContextVar("kourou_exchange", default=None)


def _json_type() -> Headers:
    """Headers of an answer: a list of its own for each, since middleware may change it."""
    return [(b"content-type", b"application/json")]


class AppRunner:
    """What builders, extensions and hooks get as ``app_runner``."""

    def __init__(self, runner: Runner, app: Optional[App] = None) -> None:
        self._runner = runner
        self._added: Any = app
        self.pipeline = runner.pipeline
        self.deployment = runner.deployment
        self.snapshot = runner.snapshot
        self.settings = runner.settings

    @property
    def pipeline_state(self) -> Any:
        """What on_init returned; None before it ran."""
        return self._runner._app.state

    def invoke(self, parameters: Mapping[str, Any], run_name: Optional[str] = None) -> Json:
        """Runs the pipeline; the result is the body of an invocation's answer."""
        from .schema import json_bytes

        body = json_bytes({"parameters": parameters, "run_name": run_name})
        answer: Json = json.loads(self._runner.invoke(body, str(uuid.uuid4()))[1])
        return answer

    def add_endpoint(self, spec: Union[EndpointSpec, Json]) -> None:
        """Adds an EndpointSpec (or a dictionary). Only while the app starts."""
        self._added.add_endpoint(_values(spec))

    def add_middleware(self, spec: Union[MiddlewareSpec, Json]) -> None:
        """Adds a MiddlewareSpec (or a dictionary). Only while the app starts."""
        self._added.add_middleware(_values(spec))


def _values(spec: Union[Settings, Json]) -> Json:
    return spec if isinstance(spec, dict) else spec.model_dump()


class Endpoint:
    """One custom endpoint: a method, a path with ``{names}``, and what answers it.

    An application with routes of its own is mounted: it answers all methods at the path and below it.
    """

    def __init__(self, spec: Json, facade: AppRunner) -> None:
        self.method = str(getattr(spec["method"], "value", spec["method"])).upper()
        self.path = "/" + spec["path"].strip("/") if spec["path"].strip("/") else "/"
        self.auth_required = spec.get("auth_required", True)
        self.handler, given = _handler(spec, facade)
        names = _argument_names(self.handler)
        self.is_asgi = names[:3] == ["scope", "receive", "send"]
        self.mounted = self.is_asgi and _is_application(self.handler)
        self.lifespan = self.is_asgi and (self.mounted or given or _takes_part(self.handler))
        if self.mounted:
            self.method = "*"
            self.path = re.sub(r"/\{\w+:path\}$", "", self.path) or "/"
        base = self.path if self.path != "/" or not self.mounted else ""
        self._pattern = re.compile(_pattern(base) + ("(?P<_below>(?:/.*)?)" if self.mounted else ""), re.DOTALL)
        # An application that has a route for the whole path is asked with the whole path.
        self.whole_path = self.mounted and any(getattr(r, "path", None) == self.path
                                               for r in getattr(self.handler, "routes", None) or ())
        call = self.handler if hasattr(self.handler, "__code__") or not hasattr(self.handler, "__call__") \
            else getattr(self.handler, "__call__")
        self.is_async = bool(code_flags(self.handler) & COROUTINE or code_flags(call) & COROUTINE)
        self.bind: Any = None
        self.streams = self.is_asgi
        if not self.is_asgi:
            self.bind, reads = binder(self.handler, set(self._pattern.groupindex), facade)
            self.streams = self.is_async and not reads

    @property
    def routes(self) -> List[Tuple[str, str]]:
        """What the server has to know: (method, path) of each of its routes."""
        if not self.mounted:
            return [(self.method, self.path)]
        below = f"{self.path.rstrip('/')}/{{path:path}}"
        return [(self.method, self.path), (self.method, below)]

    def match(self, method: str, path: str) -> Optional[Dict[str, str]]:
        """The values of the names in the path, or None."""
        if self.method not in (method, "*") and not (method == "HEAD" and self.method == "GET"):
            return None
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found is not None else None


def _is_application(thing: Any) -> bool:
    """Whether it is an application of a framework rather than a function or an object of the user's that answers."""
    if hasattr(thing, "__code__") or hasattr(thing, "__func__"):
        return False
    module = __import__("sys").modules.get(type(thing).__module__)
    place = (getattr(module, "__file__", None) or "").replace("\\", "/")
    return hasattr(thing, "routes") or "/site-packages/" in place or "/dist-packages/" in place


def _takes_part(thing: Any) -> bool:
    from .lifespan import takes_part

    return takes_part(thing)


def _pattern(path: str) -> str:
    parts = re.split(r"\{(\w+)(:path)?\}", path)
    text = re.escape(parts[0])
    for at in range(1, len(parts), 3):
        text += f"(?P<{parts[at]}>{'.*' if parts[at + 1] else '[^/]+'})" + re.escape(parts[at + 2])
    return text


def _argument_names(thing: Any) -> List[str]:
    import inspect

    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []


def _load(source: Any, what: str) -> Any:
    return load_source(source, what) if isinstance(source, str) else source


def _handler(spec: Json, facade: AppRunner) -> Tuple[Any, bool]:
    """(the callable that answers, whether it was there): made by a class or a builder where there is one."""
    thing = _load(spec["handler"], "handler of an endpoint")
    given = not isinstance(thing, type) and not hasattr(thing, "__code__")
    kwargs = dict(spec.get("init_kwargs") or {})
    if isinstance(thing, type):
        if "app_runner" in _argument_names(thing):
            kwargs["app_runner"] = facade
        return thing(**kwargs), False
    names = _argument_names(thing)
    if kwargs or names[:1] == ["app_runner"]:
        if "app_runner" in names:
            kwargs["app_runner"] = facade
        thing = thing(**kwargs)
        if not callable(thing):
            raise LoadError(f"the builder {spec['handler']} gave {type(thing).__name__}, which cannot be called",
                            kind="config")
        given = False
    if hasattr(thing, "include_router") and not hasattr(thing, "openapi"):  # FastAPI's, which needs an application
        from fastapi import FastAPI

        application = FastAPI()
        application.include_router(thing, **(spec.get("extra_kwargs") or {}))
        return application, False
    return thing, given


class App:
    """The custom endpoints, and the middleware around them and around invocations."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.facade = AppRunner(runner, self)
        self.endpoints: List[Endpoint] = []
        self._middlewares: List[Json] = []
        self._application: Application = self._inner
        self._pool: Any = None
        self._by_route: Dict[Tuple[str, str], Endpoint] = {}
        self._lifespans: List[Lifespan] = []
        self._state: Dict[str, Any] = {}
        self._proxies = Proxies()
        settings = runner.settings
        root, api = settings.get("root_url_path") or "", settings.get("api_url_path") or ""
        self._root = _join(root)
        self._prefixes = [p for p in dict.fromkeys((_join(root, api), _join(api))) if p]
        invoke = _join(settings.get("invoke_url_path") or "/invoke")
        stream = settings.get("stream_invoke_url_path")
        self._own = {invoke: "invoke", invoke + "/batch": "batch",
                     _join(stream) if stream else invoke + "/stream": "stream"}

    @property
    def wrapped(self) -> bool:
        """Whether there is middleware."""
        return bool(self._middlewares)

    @property
    def routes(self) -> List[Json]:
        """The custom endpoints, for the front."""
        return [{"method": method, "path": path, "auth_required": e.auth_required,
                 **({"mounted": True} if e.mounted else {})} for e in self.endpoints for method, path in e.routes]

    @property
    def uploads(self) -> List[str]:
        """Of these, ["METHOD path", ...]: they take bodies that are still coming."""
        return [f"{method} {path}" for e in self.endpoints if e.streams for method, path in e.routes]

    @property
    def on_loop(self) -> List[str]:
        """Those whose requests hold no thread."""
        return [f"{method} {path}" for e in self.endpoints if e.is_asgi or e.is_async for method, path in e.routes]

    def add_endpoint(self, spec: Json) -> None:
        endpoint = Endpoint(spec, self.facade)
        self.endpoints.append(endpoint)
        for route in endpoint.routes:
            self._by_route.setdefault(route, endpoint)

    def add_middleware(self, spec: Json) -> None:
        self._middlewares.append(spec)

    def start(self) -> None:
        """Builds everything; called after on_init."""
        settings = self.runner.settings
        for spec in settings.get("app_extensions") or []:
            extension = _load(spec["extension"], "extension")
            extension = extension() if isinstance(extension, type) else extension
            getattr(extension, "install", extension)(self.facade, **(spec.get("extension_kwargs") or {}))
        for spec in settings.get("custom_endpoints") or []:
            self.add_endpoint(spec)
        for spec in settings.get("custom_middlewares") or []:
            self.add_middleware(spec)
        application: Application = self._inner
        taking_part = False
        for spec in sorted(self._middlewares, key=lambda s: -(s.get("order") or 0)):
            application, one = self._wrap(application, spec)
            taking_part = taking_part or one
        self._application = application
        self._begin_lifespans(taking_part)

    def _begin_lifespans(self, middleware: bool) -> None:
        parts: List[Tuple[Any, str]] = []
        seen: List[Any] = []
        for endpoint in self.endpoints:
            if endpoint.lifespan and not any(endpoint.handler is one for one in seen):
                seen.append(endpoint.handler)
                parts.append((endpoint.handler, f"the application at {endpoint.path}"))
        if middleware:
            parts.append((self._application, "the middleware"))
        if not parts:
            return
        from .lifespan import Lifespan

        for application, what in parts:
            one = Lifespan(application, what, self._state)
            aio.run(one.startup())
            self._lifespans.append(one)

    def stop(self) -> None:
        """Ends what start() began; the last first."""
        while self._lifespans:
            problem = aio.run(self._lifespans.pop().shutdown())
            if problem:
                self.runner._log(f"clean-up failed: {problem}")

    def _wrap(self, application: Application, spec: Json) -> Tuple[Application, bool]:
        """(the application with the middleware around it, whether the middleware takes part in the lifespan)."""
        thing = _load(spec["middleware"], "middleware")
        kwargs = {**(spec.get("init_kwargs") or {}), **(spec.get("extra_kwargs") or {})}
        names = _argument_names(thing)
        if not isinstance(thing, type) and names[:4] == ["app", "scope", "receive", "send"]:
            async def made(scope: Scope, receive: Receive, send: Send) -> None:
                result = thing(application, scope, receive, send, **kwargs)
                if hasattr(result, "__await__"):
                    await result
        elif not isinstance(thing, type) and names[:2] == ["request", "call_next"]:
            from starlette.middleware.base import BaseHTTPMiddleware

            made = BaseHTTPMiddleware(application, dispatch=thing)
        elif not isinstance(thing, type) and "app_runner" in names and "app" not in names:
            built = thing(app_runner=self.facade, **kwargs)
            return self._wrap(application, {"middleware": built})
        else:
            made = thing(application, **kwargs)
        if not callable(made):
            raise LoadError(f"the middleware {spec['middleware']} gave {type(made).__name__}, which cannot be called",
                            kind="config")
        if _takes_part(thing):
            return made, True

        def around(scope: Scope, receive: Receive, send: Send) -> Awaitable[Any]:
            return (application if scope["type"] == "lifespan" else made)(scope, receive, send)

        return around, False

    # -- requests ---------------------------------------------------------------------------------

    def handle(self, head: Sequence[str], headers: Headers, body: Optional[bytes], run_id: Optional[str] = None,
               open_wire: Optional[Callable[[], Wire]] = None) -> Optional[Answer]:
        """(status, headers, body) of one request; None when the answer goes through the wire that ``open_wire`` gave.

        ``head`` is the first line of the request's head, see docs/worker-protocol.md. ``body`` is None when it comes
        through the wire.
        """
        token = _app.set(self.runner._app)
        try:
            scope = self._scope(head, headers)
            chosen = (head[9], head[10]) if len(head) > 10 else None
            application = self._application
            if not self._middlewares and body is not None:
                found = self._find(scope, chosen)
                if found is None:
                    return 404, _json_type(), b'{"detail":"Not Found"}'
                if not found[0].is_asgi and not found[0].is_async:
                    direct: Any = self._call_sync(*found, scope, body)
                    if type(direct) is tuple:
                        return direct
                    application = direct  # a response of another framework
            wire: Any = open_wire() if open_wire is not None else Collector(body or b"")
            task = self._serve(application, scope, wire, chosen, run_id)
            if open_wire is not None:
                aio.spawn(task)
                return None
            aio.run(task)
            answer: Optional[Answer] = wire.result
            return answer
        finally:
            _app.reset(token)

    async def _serve(self, application: Application, scope: Scope, wire: Union[Wire, Collector],
                     chosen: Optional[Tuple[str, str]], run_id: Optional[str]) -> None:
        from .exchange import Exchange

        exchange = Exchange(scope, wire, self._failure, self._log)
        exchange.endpoint = chosen and (chosen, scope["path"])
        exchange.run_id = run_id
        _exchange.set(exchange)
        await exchange.run(application)

    def _scope(self, head: Sequence[str], headers: Headers) -> Scope:
        method, target, query = head[:3]
        scope: Scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": unquote(target) if "%" in target else target,
            "raw_path": target.encode("latin-1", "replace"), "root_path": self._root,
            "query_string": query.encode("latin-1", "replace"), "headers": list(headers), "client": None, "server": None,
            "state": self._state.copy(),
        }
        if len(head) > 8:
            scheme, version, client, client_port, server, server_port = head[3:9]
            scope["scheme"], scope["http_version"] = scheme, version
            scope["client"] = (client, int(client_port)) if client else None
            scope["server"] = (server, int(server_port)) if server else None
            self._proxies.apply(scope)
        return scope

    def _find(self, scope: Scope, chosen: Optional[Tuple[str, str]] = None) -> Optional[Tuple[Endpoint, Dict[str, str]]]:
        """(endpoint, values) of a request: what the server chose, or else the first that fits."""
        method, path = scope["method"], scope["path"]
        endpoints = self.endpoints
        if chosen is not None:
            one = self._by_route.get(chosen)
            endpoints = [one] if one is not None else []
        for prefix in self._prefixes + [""]:
            if path.startswith(prefix):
                rest = path[len(prefix):] or "/"
                for endpoint in endpoints:
                    values = endpoint.match(method, rest)
                    if values is not None:
                        return endpoint, values
        return None

    def _own_kind(self, method: str, path: str) -> Optional[str]:
        for prefix in self._prefixes + [""]:
            if method == "POST" and path.startswith(prefix):
                kind = self._own.get(_join(path[len(prefix):]))
                if kind is not None:
                    return kind
        return None

    async def _inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            from .lifespan import pass_through

            await pass_through(scope, receive, send)
            return
        exchange = _exchange.get()
        chosen = None
        if exchange is not None and exchange.endpoint and exchange.endpoint[1] == scope["path"]:
            chosen = exchange.endpoint[0]
        found = self._find(scope, chosen)
        if found is not None and found[0].is_asgi:
            await self._call_asgi(*found, scope, receive, send)
        elif found is not None:
            await self._call_async(*found, scope, receive, send)
        else:
            await self._call_own(exchange, scope, receive, send)

    def _call_asgi(self, endpoint: Endpoint, values: Dict[str, str], scope: Scope, receive: Receive,
                   send: Send) -> Awaitable[Any]:
        scope = dict(scope)
        if endpoint.mounted:
            below = values.pop("_below") or ""
            if not endpoint.whole_path:
                scope["app_root_path"] = scope.get("app_root_path", scope["root_path"])
                scope["root_path"] = scope["path"][: len(scope["path"]) - len(below)]
        scope["path_params"] = {**scope.get("path_params", {}), **values}
        answering: Awaitable[Any] = endpoint.handler(scope, receive, send)
        return answering

    # -- what Kourou itself answers behind middleware ---------------------------------------------------

    async def _call_own(self, exchange: Optional[Exchange], scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            return
        run_id = exchange and exchange.run_id or str(uuid.uuid4())
        kind = self._own_kind(scope["method"], scope["path"])
        if kind == "stream":
            await self._stream_own(exchange, body, run_id, receive, send)
        else:
            await _respond(send, await self._in_thread(self._answer_own, exchange, kind, body, run_id))

    def _answer_own(self, exchange: Optional[Exchange], kind: Optional[str], body: bytes, run_id: str) -> Answer:
        if kind == "invoke":
            status, content, flags = self.runner.invoke(body, run_id)
            if exchange is not None:
                exchange.ok = bool(flags)
        elif kind == "batch":
            status, content = self.runner.batch(body, run_id)
        else:
            status, content = 404, b'{"detail":"Not Found"}'
        return status, _json_type(), content

    async def _stream_own(self, exchange: Optional[Exchange], body: bytes, run_id: str, receive: Receive,
                          send: Send) -> None:
        """Each block goes out when it has come; a client that has gone ends the run at its next block."""
        import asyncio

        blocks = await self._in_thread(self.runner.stream, body, run_id)
        if isinstance(blocks, tuple):
            await _respond(send, (blocks[0], _json_type(), blocks[1]))
            return
        left = asyncio.ensure_future(_disconnected(receive))
        block = last = None
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [
                (b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]})
            while not left.done():
                block = await self._in_thread(next, blocks, None)
                if block is None:
                    break
                last = block
                await send({"type": "http.response.body", "body": block, "more_body": True})
            if exchange is not None:
                exchange.ok = block is None and last is not None and b'"success":true' in last
            if block is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            left.cancel()
            blocks.close()

    # -- typed handlers -------------------------------------------------------------------------------

    async def _in_thread(self, function: AnyFunction, *args: Any) -> Any:
        import asyncio

        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(int(self.runner.settings.get("thread_pool_size") or 40),
                                            thread_name_prefix="kourou-sync")
        begun = perf_counter()
        fine, result = await asyncio.get_running_loop().run_in_executor(self._pool, copy_context().run, _outcome,
                                                                        function, args)
        exchange = _exchange.get()
        if exchange is not None:
            exchange.held(perf_counter() - begun)
        if not fine:
            raise result
        return result

    def _call_sync(self, endpoint: Endpoint, values: Dict[str, str], scope: Scope, body: bytes) -> Any:
        """An answer, or a response of another framework that is an application."""
        try:
            result = endpoint.handler(**endpoint.bind(Request(scope, body, values)))
            return result if _is_response(result) else _answer(result)
        except BaseException as error:  # noqa: BLE001 - becomes the answer
            return self._failure(error)

    async def _call_async(self, endpoint: Endpoint, values: Dict[str, str], scope: Scope, receive: Receive,
                          send: Send) -> None:
        body = b""
        if not endpoint.streams:
            whole = await _read(receive)
            if whole is None:
                return
            body = whole
            receive = _replay(body, receive)
        try:
            arguments = endpoint.bind(Request(scope, body, values), receive)
            if endpoint.is_async:
                result = await endpoint.handler(**arguments)
            else:
                result = await self._in_thread(lambda: endpoint.handler(**arguments))
            answer: Any = result if _is_response(result) else _answer(result)
        except Exception as error:  # noqa: BLE001 - becomes the answer
            answer = self._failure(error)
        if type(answer) is tuple:
            await _respond(send, answer)
        else:
            await answer(scope, receive, send)

    def _log(self, error: BaseException) -> None:
        self.runner._log(f"custom endpoint failed\n{short_traceback(error, self.runner.root)}".rstrip())

    def _failure(self, error: BaseException) -> Answer:
        from .schema import json_bytes

        if isinstance(error, Refused):
            return 422, _json_type(), json_bytes({"detail": error.problems})
        status, detail = getattr(error, "status_code", None), getattr(error, "detail", None)
        if type(status) is int and 200 <= status <= 599 and detail is not None:
            try:
                headers = [(str(k).lower().encode(), str(v).encode())
                           for k, v in (getattr(error, "headers", None) or {}).items()]
                return status, _json_type() + headers, json_bytes({"detail": detail})
            except Exception as other:  # noqa: BLE001 - of what the exception carries
                error = other
        self._log(error)
        return 500, _json_type(), json_bytes({"detail": one_line(error)})


def _outcome(function: AnyFunction, args: Tuple[Any, ...]) -> Tuple[bool, Any]:
    """(True, result) or (False, exception): futures cannot carry all of them."""
    try:
        return True, function(*args)
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        return False, error


def _join(*parts: str) -> str:
    text = "/".join(part.strip("/") for part in parts if part and part.strip("/"))
    return "/" + text if text else ""


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, then goes on as ``receive`` does."""
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


async def _read(receive: Receive) -> Optional[bytes]:
    """The whole body; None when the client left before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(send: Send, answer: Answer) -> None:
    status, headers, content = answer
    headers = [*headers, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _is_response(result: Any) -> bool:
    """Whether a handler returned a response of another framework that has to answer by itself: in pieces, say, or with
    something to do afterwards."""
    if not callable(result) or not hasattr(result, "raw_headers"):
        return False
    return (not isinstance(getattr(result, "body", None), bytes) or getattr(result, "background", None) is not None
            or getattr(type(result).__call__, "__qualname__", "") != "Response.__call__")


def _answer(result: Any) -> Answer:
    """What a handler returned, as an answer."""
    if isinstance(result, Response):
        return checked_status(result.status_code), checked_headers(result.raw_headers())[0], result.body
    if hasattr(result, "raw_headers") and hasattr(result, "body"):
        return checked_status(result.status_code), checked_headers(result.raw_headers)[0], bytes(result.body)
    media_type = getattr(result, "media_type", None)
    if isinstance(result, str) and media_type:
        return 200, [(b"content-type", f"{media_type}; charset=utf-8".encode())], result.encode()
    if isinstance(result, (bytes, bytearray)):
        return 200, [(b"content-type", b"application/octet-stream")], bytes(result)
    from .schema import json_bytes

    return 200, _json_type(), json_bytes(result)
