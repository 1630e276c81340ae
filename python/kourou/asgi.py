# SPDX-License-Identifier: Apache-2.0
"""Endpoints and middleware of the user: an ASGI application around the Runner.

A synchronous endpoint without middleware around it is called at once; everything else goes through the shared
event loop, and synchronous code that it leads to goes to threads.
"""

from __future__ import annotations

import json
import re
import uuid
from contextvars import copy_context

from . import aio
from ._source import load_source, one_line, short_traceback
from .context import _app
from .errors import LoadError
from .handlers import Refused, binder
from .http import Request, Response
from .signature import COROUTINE, code_flags

_JSON = [(b"content-type", b"application/json")]


class AppRunner:
    """What builders, extensions and hooks get as ``app_runner``."""

    def __init__(self, runner, app=None):
        self._runner = runner
        self._added = app
        self.pipeline = runner.pipeline
        self.deployment = runner.deployment
        self.snapshot = runner.snapshot
        self.settings = runner.settings

    @property
    def pipeline_state(self):
        """What on_init returned; None before it ran."""
        return self._runner._app.state

    def invoke(self, parameters, run_name=None) -> dict:
        """Runs the pipeline; the result is the body of an invocation's answer."""
        from .schema import json_bytes

        body = json_bytes({"parameters": parameters, "run_name": run_name})
        return json.loads(self._runner.invoke(body, str(uuid.uuid4()))[1])

    def add_endpoint(self, spec) -> None:
        """Adds an EndpointSpec (or a dictionary). Only while the app starts."""
        self._added.add_endpoint(_values(spec))

    def add_middleware(self, spec) -> None:
        """Adds a MiddlewareSpec (or a dictionary). Only while the app starts."""
        self._added.add_middleware(_values(spec))


def _values(spec) -> dict:
    return spec if isinstance(spec, dict) else spec.model_dump()


class Endpoint:
    """One custom endpoint: a method, a path with ``{names}``, and what answers it."""

    def __init__(self, spec, facade):
        self.method = str(getattr(spec["method"], "value", spec["method"])).upper()
        self.path = "/" + spec["path"].strip("/") if spec["path"].strip("/") else "/"
        self.auth_required = spec.get("auth_required", True)
        self._pattern = re.compile(_pattern(self.path))
        self.handler = _handler(spec, facade)
        names = _argument_names(self.handler)
        self.is_asgi = names[:3] == ["scope", "receive", "send"]
        call = self.handler if hasattr(self.handler, "__code__") or not hasattr(self.handler, "__call__") \
            else getattr(self.handler, "__call__")
        self.is_async = bool(code_flags(self.handler) & COROUTINE or code_flags(call) & COROUTINE)
        self.bind = None if self.is_asgi else binder(self.handler, set(self._pattern.groupindex), facade)

    def match(self, method, path):
        """The values of the names in the path, or None."""
        if method != self.method and not (method == "HEAD" and self.method == "GET"):
            return None
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found is not None else None


def _pattern(path) -> str:
    parts = re.split(r"\{(\w+)(:path)?\}", path)
    text = re.escape(parts[0])
    for at in range(1, len(parts), 3):
        text += f"(?P<{parts[at]}>{'.*' if parts[at + 1] else '[^/]+'})" + re.escape(parts[at + 2])
    return text


def _argument_names(thing):
    import inspect

    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []


def _load(source, what):
    return load_source(source, what) if isinstance(source, str) else source


def _handler(spec, facade):
    """The callable that answers: made by a class or a builder where there is one."""
    thing = _load(spec["handler"], "handler of an endpoint")
    kwargs = dict(spec.get("init_kwargs") or {})
    if isinstance(thing, type):
        if "app_runner" in _argument_names(thing):
            kwargs["app_runner"] = facade
        return thing(**kwargs)
    names = _argument_names(thing)
    if kwargs or names[:1] == ["app_runner"]:
        if "app_runner" in names:
            kwargs["app_runner"] = facade
        thing = thing(**kwargs)
        if not callable(thing):
            raise LoadError(f"the builder {spec['handler']} gave {type(thing).__name__}, which cannot be called",
                            kind="config")
    return thing


class App:
    """The custom endpoints, and the middleware around them and around invocations."""

    def __init__(self, runner):
        self.runner = runner
        self.facade = AppRunner(runner, self)
        self.endpoints = []
        self._middlewares = []
        self._application = self._inner
        self._pool = None
        settings = runner.settings
        root, api = settings.get("root_url_path") or "", settings.get("api_url_path") or ""
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
    def routes(self):
        """The custom endpoints, for the front."""
        return [{"method": e.method, "path": e.path, "auth_required": e.auth_required} for e in self.endpoints]

    def add_endpoint(self, spec):
        self.endpoints.append(Endpoint(spec, self.facade))

    def add_middleware(self, spec):
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
        application = self._inner
        for spec in sorted(self._middlewares, key=lambda s: -(s.get("order") or 0)):
            application = self._wrap(application, spec)
        self._application = application

    def _wrap(self, application, spec):
        thing = _load(spec["middleware"], "middleware")
        kwargs = dict(spec.get("init_kwargs") or {})
        names = _argument_names(thing)
        if not isinstance(thing, type) and names[:4] == ["app", "scope", "receive", "send"]:
            async def call(scope, receive, send):
                await thing(application, scope, receive, send, **kwargs)

            return call
        if not isinstance(thing, type) and "app_runner" in names and "app" not in names:
            built = thing(app_runner=self.facade, **kwargs)
            return self._wrap(application, {"middleware": built})
        made = thing(application, **kwargs)
        if not callable(made):
            raise LoadError(f"the middleware {spec['middleware']} gave {type(made).__name__}, which cannot be called",
                            kind="config")
        return made

    # -- requests ---------------------------------------------------------------------------------

    def handle(self, method, path, query, headers, body, run_id=None):
        """(status, headers, body) of one request."""
        token = _app.set(self.runner._app)
        try:
            if not self._middlewares:
                found = self._find(method, path)
                if found is None:
                    return 404, _JSON, b'{"detail":"Not Found"}'
                if not found[0].is_asgi and not found[0].is_async:
                    return self._call_sync(*found, _scope(method, path, query, headers), body)
            return aio.run(self._exchange(_scope(method, path, query, headers), body, run_id))
        finally:
            _app.reset(token)

    def _find(self, method, path):
        for prefix in self._prefixes + [""]:
            if path.startswith(prefix):
                rest = path[len(prefix):] or "/"
                for endpoint in self.endpoints:
                    values = endpoint.match(method, rest)
                    if values is not None:
                        return endpoint, values
        return None

    def _own_kind(self, method, path):
        for prefix in self._prefixes + [""]:
            if method == "POST" and path.startswith(prefix):
                kind = self._own.get(_join(path[len(prefix):]))
                if kind is not None:
                    return kind
        return None

    async def _exchange(self, scope, body, run_id):
        scope["kourou.run_id"] = run_id
        messages = []

        async def send(message):
            messages.append(message)

        try:
            await self._application(scope, _receiver(body), send)
        except Exception as error:  # noqa: BLE001 - becomes the answer
            if not messages:
                return self._failure(error)
            raise
        status, headers, parts = 500, [], []
        for message in messages:
            if message["type"] == "http.response.start":
                status, headers = message["status"], [(bytes(k), bytes(v)) for k, v in message.get("headers", [])]
            elif message["type"] == "http.response.body":
                parts.append(bytes(message.get("body", b"")))
        headers = [(k, v) for k, v in headers if k.lower() not in (b"content-length", b"transfer-encoding",
                                                                   b"connection")]
        return status, headers, b"".join(parts)

    async def _inner(self, scope, receive, send):
        method, path = scope["method"], scope["path"]
        found = self._find(method, path)
        if found is not None and found[0].is_asgi:
            scope["path_params"] = found[1]
            await found[0].handler(scope, receive, send)
            return
        body = await _read(receive)
        if found is not None:
            answer = await self._call_async(*found, scope, body, send)
        else:
            answer = await self._in_thread(self._answer_own, method, path, body, scope.get("kourou.run_id"))
        if answer is not None:
            status, headers, content = answer
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    def _answer_own(self, method, path, body, run_id):
        kind = self._own_kind(method, path)
        run_id = run_id or str(uuid.uuid4())
        if kind == "invoke":
            status, content, _ = self.runner.invoke(body, run_id)
        elif kind == "batch":
            status, content = self.runner.batch(body, run_id)
        elif kind == "stream":
            blocks = self.runner.stream(body, run_id)
            if not isinstance(blocks, tuple):
                return 200, [(b"content-type", b"text/event-stream")], b"".join(blocks)
            status, content = blocks[:2]
        else:
            return 404, _JSON, b'{"detail":"Not Found"}'
        return status, _JSON, content

    async def _in_thread(self, function, *args):
        import asyncio

        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(int(self.runner.settings.get("thread_pool_size") or 40),
                                            thread_name_prefix="kourou-sync")
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, function, *args)

    def _call_sync(self, endpoint, values, scope, body):
        try:
            return _answer(endpoint.handler(**endpoint.bind(Request(scope, body, values))))
        except Exception as error:  # noqa: BLE001 - becomes the answer
            return self._failure(error)

    async def _call_async(self, endpoint, values, scope, body, send):
        try:
            arguments = endpoint.bind(Request(scope, body, values))
            if endpoint.is_async:
                result = await endpoint.handler(**arguments)
            else:
                result = await self._in_thread(lambda: endpoint.handler(**arguments))
            if callable(result) and hasattr(result, "raw_headers") and not isinstance(result, Response):
                await result(scope, _receiver(body), send)  # a response of another framework
                return None
            return _answer(result)
        except Exception as error:  # noqa: BLE001 - becomes the answer
            return self._failure(error)

    def _failure(self, error):
        from .schema import json_bytes

        if isinstance(error, Refused):
            return 422, _JSON, json_bytes({"detail": error.problems})
        status, detail = getattr(error, "status_code", None), getattr(error, "detail", None)
        if isinstance(status, int) and detail is not None:
            headers = [(str(k).lower().encode(), str(v).encode())
                       for k, v in (getattr(error, "headers", None) or {}).items()]
            return status, _JSON + headers, json_bytes({"detail": detail})
        self.runner._log(f"custom endpoint failed\n{short_traceback(error, self.runner.root)}".rstrip())
        return 500, _JSON, json_bytes({"detail": one_line(error)})


def _join(*parts) -> str:
    text = "/".join(part.strip("/") for part in parts if part and part.strip("/"))
    return "/" + text if text else ""


def _scope(method, path, query, headers) -> dict:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode("latin-1", "replace"), "root_path": "",
        "query_string": query.encode("latin-1", "replace"), "headers": list(headers), "client": None, "server": None,
        "state": {},
    }


def _receiver(body):
    sent = []

    async def receive():
        if sent:
            return {"type": "http.disconnect"}
        sent.append(True)
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _read(receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _answer(result):
    """What a handler returned, as an answer."""
    if isinstance(result, Response):
        return result.status_code, result.raw_headers(), result.body
    if hasattr(result, "raw_headers") and hasattr(result, "body"):
        return result.status_code, list(result.raw_headers), bytes(result.body)
    media_type = getattr(result, "media_type", None)
    if isinstance(result, str) and media_type:
        return 200, [(b"content-type", f"{media_type}; charset=utf-8".encode())], result.encode()
    if isinstance(result, (bytes, bytearray)):
        return 200, [(b"content-type", b"application/octet-stream")], bytes(result)
    from .schema import json_bytes

    return 200, _JSON, json_bytes(result)
