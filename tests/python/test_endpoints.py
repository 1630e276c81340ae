# SPDX-License-Identifier: Apache-2.0
"""Custom endpoints, middleware and extensions: sync, async and ASGI."""
import json

import pytest

from kourou.errors import LoadError

CODE = """
import asyncio, time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional
from pydantic import BaseModel
from kourou import (AppExtensionSpec, DeploymentSettings, EndpointSpec, HTMLString, MiddlewareSpec, Request, Response,
                    get_pipeline_context, pipeline, step)

class Item(BaseModel):
    name: str
    price: float = 1.0

def sync_get(q: int, note: Optional[str] = None): return {"q": q, "note": note}
async def async_get(name: str, limit: int = 5):
    await asyncio.sleep(0)
    return [name, limit]
def post(item: Item, dry: bool = False) -> Item:
    return Item(name=item.name.upper(), price=item.price * 2)
async def two_bodies(item: Item, tags: List[str]): return [item.name, tags]
async def raw(request: Request):
    data = await request.json()
    return Response({"got": data, "bytes": len(await request.body()), "head": request.headers["x-mine"],
                     "path": request.path_params, "state": request.state}, 201, {"X-Out": "1"})
def page(): return HTMLString("<h1>")
def state(): return get_pipeline_context().pipeline_state
def boom(): raise ValueError("no luck")
class Coded(Exception):
    status_code, detail, headers = 418, {"why": "teapot"}, {"X-Tea": "yes"}
async def coded(): raise Coded
class Adder:
    def __init__(self, base): self.base = base
    async def __call__(self, x: int): return self.base + x
def build(app_runner, word):
    def handler(): return [word, app_runner.pipeline.name, app_runner.invoke({"x": 1})["outputs"]]
    return handler
async def asgi(scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 202, "headers": [(b"x-asgi", scope["query_string"]),
                                                                        (b"content-length", b"5")]})
    for part in (message["body"], b"!"):
        await send({"type": "http.response.body", "body": part, "more_body": part != b"!"})

calls = []
class Timing:
    def __init__(self, app, label): self.app, self.label = app, label
    async def __call__(self, scope, receive, send):
        calls.append(self.label + " in")
        async def wrapped(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-" + self.label.encode(), b"1")]
            await send(message)
        await self.app(scope, receive, wrapped)
        calls.append(self.label + " out")
async def blocker(app, scope, receive, send):
    if dict(scope["headers"]).get(b"x-block"):
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"blocked"})
    else:
        await app(scope, receive, send)
def extend(app_runner, path):
    app_runner.add_endpoint(EndpointSpec(path=path, method="GET", handler=state))
class Extension:
    def install(self, app_runner): calls.append("installed")

def E(path, handler, method="GET", **more): return EndpointSpec(path=path, method=method, handler=handler, **more)
ENDPOINTS = [E("/sync", sync_get), E("/async/{name}", async_get), E("/post", post, "POST"),
             E("/two", two_bodies, "PUT"), E("/raw/{a}/{rest:path}", raw, "POST"), E("/page", page), E("/state", state),
             E("/boom", boom), E("/coded", coded), E("/adder", Adder, init_kwargs={"base": 10}),
             E("/built", build, init_kwargs={"word": "w"}), E("/asgi", asgi, "POST", auth_required=False)]

@step
def s(x: int) -> int:
    if x < 0: raise ValueError("negative")
    return x
def begin(): return {"k": 1}
@pipeline(on_init=begin, settings={"deployment": DeploymentSettings(custom_endpoints=ENDPOINTS)})
def p(x: int): return s(x)

WRAPPED = p.with_options(settings={"deployment": DeploymentSettings(api_url_path="/api",
    custom_middlewares=[MiddlewareSpec(middleware=Timing, order=5, init_kwargs={"label": "inner"}),
                        MiddlewareSpec(middleware=blocker, order=3),
                        MiddlewareSpec(middleware=Timing, order=1, init_kwargs={"label": "outer"})],
    app_extensions=[AppExtensionSpec(extension=extend, extension_kwargs={"path": "/more"}),
                    AppExtensionSpec(extension=Extension)])})
"""


@pytest.fixture(params=["p", "WRAPPED"])
def ask(project, request):
    project.write(CODE)
    return project.runner(source=f"mod.{request.param}")


def test_routes(project):
    project.write(CODE)
    ask = project.runner(source="mod.p")
    assert ask.runner.middleware is False
    assert {"method": "GET", "path": "/sync", "auth_required": True} in ask.runner.routes
    assert {"method": "POST", "path": "/asgi", "auth_required": False} in ask.runner.routes
    assert len(ask.runner.routes) == 12
    plain = project.runner("from kourou import pipeline, step\n@step\ndef s() -> int: return 1\n"
                           "@pipeline\ndef p(): return s()\n", source="plain.p")
    assert plain.runner.routes == [] and plain.runner.middleware is False
    assert plain.http("GET", "/x")[0] == 404


@pytest.mark.parametrize("method, path, query, body, status, answer", [
    ("GET", "/sync", "q=4&note=a%20b", b"", 200, {"q": 4, "note": "a b"}),
    ("HEAD", "/sync", "q=4", b"", 200, {"q": 4, "note": None}),
    ("GET", "/async/ada", "limit=2", b"", 200, ["ada", 2]),
    ("GET", "/api/async/ada", "", b"", 404, {"detail": "Not Found"}),
    ("POST", "/post", "", b'{"name": "a", "price": 2}', 200, {"name": "A", "price": 4.0}),
    ("PUT", "/two", "", b'{"item": {"name": "a"}, "tags": ["x"]}', 200, ["a", ["x"]]),
    ("GET", "/state", "", b"", 200, {"k": 1}),
    ("GET", "/boom", "", b"", 500, {"detail": "ValueError: no luck"}),
    ("GET", "/coded", "", b"", 418, {"detail": {"why": "teapot"}}),
    ("GET", "/adder", "x=5", b"", 200, 15),
    ("GET", "/built", "", b"", 200, ["w", "p", {"output": 1}]),
    ("GET", "/nothing", "", b"", 404, {"detail": "Not Found"}),
    ("DELETE", "/sync", "q=1", b"", 404, {"detail": "Not Found"}),
])
def test_answers(ask, method, path, query, body, status, answer):
    if ask.runner.middleware and path.startswith("/api"):  # that is its api_url_path
        status, answer = 200, ["ada", 5]
    found, headers, content = ask.http(method, path, body, query)
    assert (found, json.loads(content)) == (status, answer)
    assert headers[b"content-type"] == b"application/json"


def test_requests_that_do_not_fit(project):
    project.write(CODE)
    ask = project.runner(source="mod.p")
    for method, path, query, body, detail in [
        ("GET", "/sync", "", b"", [{"type": "missing", "loc": ["query", "q"], "msg": "Field required", "input": None}]),
        ("GET", "/sync", "q=x", b"", [{"type": "int_parsing", "loc": ["query", "q"], "input": "x",
                                       "msg": "Input should be a valid integer, unable to parse string as an integer"}]),
        ("POST", "/post", "", b'{"price": 1}', [{"type": "missing", "loc": ["body", "name"], "msg": "Field required",
                                                 "input": {"price": 1}}]),
        ("POST", "/post", "", b"", [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]),
    ]:
        status, _, content = ask.http(method, path, body, query)
        assert (status, json.loads(content)) == (422, {"detail": detail})
    status, _, content = ask.http("POST", "/post", b"{")
    assert status == 422 and json.loads(content)["detail"][0]["type"] == "json_invalid"


def test_requests_and_responses(project):
    project.write(CODE)
    ask = project.runner(source="mod.p")
    status, headers, content = ask.http("POST", "/raw/x/y/z", b'{"a": 1}', headers=[(b"x-mine", b"h")])
    assert (status, headers[b"x-out"]) == (201, b"1")
    assert json.loads(content) == {"got": {"a": 1}, "bytes": 8, "head": "h", "path": {"a": "x", "rest": "y/z"},
                                   "state": {"k": 1}}
    assert ask.http("GET", "/page")[1:] == ({b"content-type": b"text/html; charset=utf-8"}, b"<h1>")
    status, headers, content = ask.http("POST", "/asgi", b"body", "a=b")
    assert (status, headers, content) == (202, {b"x-asgi": b"a=b"}, b"body!")


def test_middleware_wraps_invocations(project):
    project.write(CODE)
    ask = project.runner(source="mod.WRAPPED")
    assert ask.runner.middleware is True
    calls = __import__("mod").calls
    assert calls == ["installed"]
    calls.clear()
    status, headers, content = ask.http("POST", "/api/invoke", b'{"parameters": {"x": 4}}')
    document = json.loads(content)
    assert status == 200 and document["outputs"] == {"output": 4} and len(document["metadata"]["run_id"]) == 36
    assert headers[b"x-inner"] == headers[b"x-outer"] == b"1"
    assert calls == ["outer in", "inner in", "inner out", "outer out"]
    assert ask.http("POST", "/api/invoke", b'{"parameters": {"x": -4}}')[0] == 500
    assert ask.http("POST", "/api/invoke", b'{"parameters": {}}')[0] == 422
    assert ask.http("GET", "/api/invoke")[0] == 404
    assert json.loads(ask.http("POST", "/api/invoke/batch", b'[{"parameters": {"x": 1}}]')[2])[0]["success"] is True
    status, headers, content = ask.http("POST", "/api/invoke/stream", b'{"parameters": {"x": 1}}')
    assert headers[b"content-type"] == b"text/event-stream" and content.count(b"event: ") == 2
    status, headers, content = ask.http("POST", "/api/invoke", b"{}", headers=[(b"x-block", b"1")])
    assert (status, content) == (403, b"blocked") and b"x-outer" in headers and b"x-inner" not in headers
    assert json.loads(ask.http("GET", "/api/more")[2]) == {"k": 1}
    run = ask.runner.custom("POST", "/api/invoke", "", [], b'{"parameters": {"x": 4}}', run_id="given")
    assert json.loads(run[2])["metadata"]["run_id"] == "given"


@pytest.mark.parametrize("spec, words", [
    ("EndpointSpec(path='/', method='GET', handler='mod.nothing')", "mod has no attribute 'nothing'"),
    ("EndpointSpec(path='/', method='GET', handler=build, init_kwargs={'a': 1})", "gave int, which cannot be called"),
])
def test_handlers_that_cannot_work(project, spec, words):
    project.write(f"""
from kourou import pipeline, step, DeploymentSettings, EndpointSpec
def build(a): return 5
@step
def s() -> int: return 1
@pipeline(settings={{"deployment": DeploymentSettings(custom_endpoints=[{spec}])}})
def p(): return s()
""")
    ask = project.runner(start=False)
    with pytest.raises(LoadError) as caught:
        ask.runner.start()
    assert words in caught.value.message


def test_hooks_of_the_service(project):
    project.write("""
from kourou import pipeline, step, DeploymentSettings
events = []
async def up(app_runner, word): events.append([word, app_runner.deployment["name"], app_runner.pipeline_state])
def down(app_runner): events.append(["down", app_runner.pipeline_state])
@step
def s() -> int: return 1
@pipeline(on_init=lambda: 7, settings={"deployment": DeploymentSettings(startup_hook=up,
          startup_hook_kwargs={"word": "w"}, shutdown_hook=down)})
def p(): return s()
""")
    ask = project.runner()
    ask.runner.stop()
    assert __import__("mod").events == [["w", "dep", None], ["down", 7]]
