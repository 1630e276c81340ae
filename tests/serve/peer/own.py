# SPDX-License-Identifier: Apache-2.0
"""Pipelines of test_asgi.py: middleware around invocations, endpoints of every form, applications that fail."""
import asyncio
import os
import pathlib
import time
from typing import Any, Iterator

import starlette.requests
from fastapi import APIRouter, FastAPI
from kourou import DeploymentSettings, EndpointSpec, MiddlewareSpec, Response, pipeline, step, stream
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

HERE = pathlib.Path(__file__).parent
RAISED = {kind.__name__: kind for kind in (
    KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, StopIteration, StopAsyncIteration,
    BaseException, ValueError)}


def wait_for_file(name):
    end = time.monotonic() + 60
    while not (HERE / name).exists() and time.monotonic() < end:
        time.sleep(0.005)


@step
def work(x: int, gate: str = "") -> Iterator[int]:
    for i in range(x):
        if i and gate:
            wait_for_file(f"{gate}-{i}")
        yield i


@step
def raises(kind: str, asynchronous: bool) -> int:
    stream("before")
    if asynchronous:
        return 0
    raise RAISED[kind]


@step
async def raises_async(kind: str, asynchronous: bool, before: int) -> int:
    await asyncio.sleep(0)
    raise RAISED[kind]


@step
async def leaves_a_task(kind: str) -> int:
    async def alone():
        raise RAISED[kind]

    asyncio.get_running_loop().create_task(alone())
    await asyncio.sleep(0.01)
    return os.getpid()


ODD = {"lambda": lambda: 1, "nested": [{"a": lambda: 1}], "module": os, "lock": asyncio.Lock(), "huge": 10 ** 5000,
       "surrogate": "\ud800"}


@step
def odd(which: str) -> Any:
    return ODD[which]


@step
def odd_int(which: str) -> int:
    return ODD[which]


class Appends:
    """Appends to the very list that it is given, in place."""

    def __init__(self, app, name):
        self.app, self.name, self.n = app, name, 0

    async def __call__(self, scope, receive, send):
        async def appended(message):
            if message["type"] == "http.response.start":
                self.n += 1
                message["headers"].append((b"x-" + self.name.encode(), str(self.n).encode()))
            await send(message)

        scope["headers"].append((b"x-seen", b"1"))
        scope["state"]["seen"] = scope["state"].get("seen", 0) + 1
        await self.app(scope, receive, appended)


async def dispatched(request, call_next):
    response = await call_next(request)
    response.headers["x-dispatched"] = str(len(request.headers.getlist("x-seen")))
    return response


class Guard:
    """Takes part in the lifespan."""

    def __init__(self, app):
        self.app, self.ready = app, False

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            async def noted():
                message = await receive()
                if message["type"] == "lifespan.startup":
                    self.ready = True
                else:
                    (HERE / "guard-shut-down").touch()
                return message

            await self.app(scope, noted, send)
        else:
            assert self.ready
            await self.app(scope, receive, send)


@pipeline(settings={"deployment": DeploymentSettings(custom_middlewares=[
    MiddlewareSpec(middleware=Appends, init_kwargs={"name": "outer"}, order=1),
    MiddlewareSpec(middleware=dispatched, native=True, order=2),
    MiddlewareSpec(middleware=Guard, order=3),
    MiddlewareSpec(middleware=Appends, init_kwargs={"name": "inner"}, order=4)])})
def wrapped(x: int = 1, gate: str = ""):
    return work(x, gate)


@pipeline(settings={"deployment": DeploymentSettings(custom_middlewares=[
    MiddlewareSpec(middleware=GZipMiddleware, extra_kwargs={"minimum_size": 10})])})
def compressed(x: int = 1, gate: str = ""):
    return work(x, gate)


@pipeline
def raising(kind: str, asynchronous: bool = False):
    return raises_async(kind, asynchronous, raises(kind, asynchronous))


@pipeline
def tasks(kind: str):
    return leaves_a_task(kind)


@pipeline
def oddities(which: str):
    return odd(which)


@pipeline
def odd_integers(which: str):
    return odd_int(which)


# -- endpoints ------------------------------------------------------------------------------------------

def status_of(value: str):
    values = {"text": "200", "none": None, "true": True, "float": 200.5, "teapot": 418}
    return Response(b"ok", values.get(value) if value in values else int(value))


async def status_of_async(value: str):
    return status_of(value)


def header_of(name: str, value: str):
    return Response(b"ok", 200, {name: value})


def ends(kind: str):
    raise RAISED[kind]


async def ends_async(kind: str):
    await asyncio.sleep(0)
    raise RAISED[kind]


async def reads_request(request: starlette.requests.Request):
    """A foreign request, read in parts."""
    total = 0
    async for part in request.stream():
        total += len(part)
    return JSONResponse({"total": total, "path": request.url.path})


def sync_response(n: int):
    def parts():
        for i in range(n):
            yield f"{i};"

    return StreamingResponse(parts(), media_type="text/plain", background=BackgroundTask((HERE / "sync-ran").touch))


def sync_plain():
    return PlainTextResponse("plain", headers={"x-plain": "1"})


def tells(how: str):
    secret = os.environ["OWN_SECRET"]
    if how == "raise":
        raise ValueError(f"wrong password {secret}")
    return Response({"password": secret}, 500 if how == "answer" else 200)


async def tells_async(how: str):
    return tells(how)


def pid():
    return os.getpid()


def shown(name: str):
    return {"name": name}


def secret():
    return "secret"


def secret_below(name: str):
    return "below"


def anything(rest: str):
    return {"rest": rest}


waiting = []


async def meets(n: int):
    """Answers when so many requests are in here at once."""
    waiting.append(asyncio.Event())
    if len(waiting) >= n:
        for one in waiting:
            one.set()
    await waiting[-1].wait()
    return len(waiting)


produced = {"bytes": 0}


async def floods(scope, receive, send):
    """Sends without end, as fast as it may."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while produced["bytes"] < 1 << 30:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        produced["bytes"] += 65536
        await asyncio.sleep(0)


def how_much():
    return produced["bytes"]


async def never_reads(scope, receive, send):
    while not (HERE / "read-it").exists():
        await asyncio.sleep(0.01)
    n = 0
    while True:
        message = await receive()
        n += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(n).encode()})


async def reports(scope, receive, send):
    """What it was given, when the first part of the body has come, and once more in the end."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    message = {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        await send({"type": "http.response.body", "body": b"%d;" % len(message.get("body", b"")), "more_body": True})
    await send({"type": "http.response.body", "body": b"pid %d" % os.getpid()})


async def scope_of(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    import json

    await send({"type": "http.response.body", "body": json.dumps(
        {"scheme": scope["scheme"], "client": scope["client"], "root_path": scope["root_path"], "path": scope["path"],
         "params": scope["path_params"]}).encode()})


async def slow_to_end(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    while not (HERE / "end-it").exists():
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"ended"})


class SystemExits(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


async def exits(scope, receive, send):
    raise SystemExit(3)


exiting = SystemExits(exits)
router = APIRouter()


@router.get("/routed")
async def routed():
    return {"routed": True}


class Made(FastAPI):
    """A class as handler: an application of its own for each worker."""

    def __init__(self, title):
        super().__init__(title=title)
        self.add_api_route("/title", lambda: self.title)


whole = FastAPI()
whole.add_api_route("/whole", lambda: "whole path")
whole.add_api_route("/whole/below", lambda: "below")


def E(path, handler, method="GET", key=False, **more):
    return EndpointSpec(path=path, method=method, handler=handler, auth_required=key, **more)


@pipeline(settings={"deployment": DeploymentSettings(thread_pool_size=4, custom_endpoints=[
    E("/status/{value}", status_of), E("/status-async/{value}", status_of_async), E("/header", header_of),
    E("/ends/{kind}", ends), E("/ends-async/{kind}", ends_async), E("/reads", reads_request, "POST"),
    E("/sync/{n}", sync_response), E("/plain", sync_plain), E("/tells/{how}", tells), E("/tells-async/{how}", tells_async), E("/pid", pid), E("/shown/{name}", shown),
    E("/secret", secret, key=True), E("/secret/{name}", secret_below, key=True), E("/open/{rest:path}", anything),
    E("/{name}/open", shown), E("/meets/{n}", meets), E("/floods", floods), E("/how-much", how_much),
    E("/never-reads", never_reads, "POST"), E("/reports", reports, "POST"), E("/scope/{rest:path}", scope_of),
    E("/slow", slow_to_end), E("/exits", exiting), E("/router", router, native=True),
    E("/made", Made, init_kwargs={"title": "mine"}), E("/whole", whole)])})
def endpoints(x: int = 1):
    return work(x)


# -- applications that cannot start -------------------------------------------------------------------------

async def fails_to_start(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the weights are missing"})


async def raises_at_start(scope, receive, send):
    raise RuntimeError("I know no lifespan")


async def asks_twice(scope, receive, send):
    """Takes the lifespan for a request, and would wait for ever."""
    if scope["type"] == "never":
        scope["lifespan"] = None
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", scope["type"] != "http"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def ended(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        (HERE / "shut-down").touch()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"up"})


@pipeline(settings={"deployment": DeploymentSettings(custom_endpoints=[E("/bad", fails_to_start)])})
def bad_start(x: int = 1):
    return work(x)


@pipeline(settings={"deployment": DeploymentSettings(custom_endpoints=[
    E("/raises", raises_at_start), E("/twice", asks_twice, "POST"), E("/ended", ended)])})
def good_start(x: int = 1):
    return work(x)
