# SPDX-License-Identifier: Apache-2.0
"""What each setting of the service does, seen from outside: with it and without it."""
import json
from pathlib import Path

import pytest

from tests.serve.serve_harness import make_snapshot, wait_for

PYTHON = Path(__file__).resolve().parents[2] / "python"
TITLES = {"app_title": "title", "app_description": "description", "app_version": "version"}


@pytest.mark.parametrize("name", TITLES)
def test_titles(start, tmp_path, name):
    server = start({name: "9.8.7 said here"})
    assert server.get("/openapi.json").json()["info"][TITLES[name]] == "9.8.7 said here"
    server.close(), server.stop()
    assert start().get("/openapi.json").json()["info"][TITLES[name]] != "9.8.7 said here"


PATHS = {"docs_url_path": "/docs", "redoc_url_path": "/redoc", "info_url_path": "/info", "metrics_url_path": "/metrics",
         "health_url_path": "/health", "invoke_url_path": "/invoke", "stream_invoke_url_path": "/invoke/stream"}
POSTED = ("invoke_url_path", "stream_invoke_url_path")


def answer(server, name, path):
    return server.post(path, {"parameters": {"op": "echo"}}) if name in POSTED else server.get(path)


@pytest.mark.parametrize("name", PATHS)
def test_each_path_is_moved(start, name):
    server = start({name: "/moved"}, check=False, ready=False)  # which looks at the usual path of health
    wait_for(lambda: server.get("/moved" if name == "health_url_path" else "/health").status == 200, "a ready worker")
    assert answer(server, name, "/moved").status == 200 and answer(server, name, PATHS[name]).status in (404, 405)


@pytest.mark.parametrize("name, url", [("root_url_path", "/front"), ("api_url_path", "/api")])
def test_prefixes(start, name, url):
    server = start({name: url}, prefix=url, check=False)
    assert server.get(f"{url}/info").status == 200 and server.get("/info").status == 404


@pytest.mark.parametrize("word, path", [("docs", "/docs"), ("redoc", "/redoc"), ("info", "/info"), ("invoke", "/invoke"),
                                        ("dashboard", "/")])
def test_endpoints_that_are_included(start, word, path):
    """include_default_endpoints: one alone, and not the others."""
    server = start({"include_default_endpoints": [word, "health", "metrics"]}, check=False)
    name = "invoke_url_path" if word == "invoke" else word
    assert answer(server, name, path).status == 200
    server.close(), server.stop(None)
    assert answer(start({"include_default_endpoints": ["health", "metrics"]}, check=False), name, path).status == 404


@pytest.mark.parametrize("word, header", [("cors", "access-control-allow-origin"), ("secure_headers", "x-content-type-options")])
def test_middleware_that_is_included(start, word, header):
    """include_default_middleware: one alone, and none."""
    ask = {"Origin": "https://a.example"}
    settings = {"cors": {"allow_origins": ["*"]}}
    assert header in start({**settings, "include_default_middleware": [word]}).get("/health", ask).headers
    assert header not in start({**settings, "include_default_middleware": []}).get("/health", ask).headers


HEADERS = {"server": "server", "hsts": "strict-transport-security", "xfo": "x-frame-options", "content": "x-content-type-options",
           "csp": "content-security-policy", "referrer": "referrer-policy", "cache": "cache-control",
           "permissions": "permissions-policy"}


@pytest.mark.parametrize("name", HEADERS)
def test_each_secure_header(start, name):
    """A text is sent as it is, true is the usual value, false none."""
    assert start({"secure_headers": {name: "said-here"}}).get("/health").headers[HEADERS[name]] == "said-here"
    assert start({"secure_headers": {name: True}}).get("/health").headers[HEADERS[name]] != "said-here"
    assert HEADERS[name] not in start({"secure_headers": {name: False}}).get("/health").headers


@pytest.mark.parametrize("name, value, header, shown", [
    ("allow_origins", ["https://a.example"], "access-control-allow-origin", "https://a.example"),
    ("allow_methods", ["PATCH", "POST"], "access-control-allow-methods", "PATCH, POST"),
    ("allow_headers", ["x-said"], "access-control-allow-headers", "x-said"),
    ("allow_credentials", True, "access-control-allow-credentials", "true")])
def test_each_part_of_cors(start, name, value, header, shown):
    """In the answer to what a browser asks before it calls."""
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    plain = {"allow_origins": ["*"]}
    assert start({"cors": {**plain, name: value}}).request("OPTIONS", "/invoke", headers=ask).headers[header] == shown
    assert start({"cors": plain}).request("OPTIONS", "/invoke", headers=ask).headers.get(header) != shown


MODULE = """
import json
from kourou import pipeline, step

NOTES = NOTES_FILE

def up(app_runner, **words):
    open(NOTES, "a").write(json.dumps(["up", words]) + "\\n")

def down(app_runner, **words):
    open(NOTES, "a").write(json.dumps(["down", words]) + "\\n")

def own():
    return {"own": True}

def variable():
    import os
    print("said by the app:", os.environ.get("SAID"))
    return {"said": os.environ.get("SAID"), "file": os.environ.get("KOUROU_ENV_FILE")}

try:
    from fastapi import APIRouter
    routes = APIRouter()
    routes.add_api_route("/item", own)
except ImportError:
    routes = None

def build(app_runner, word):
    return lambda: {"word": word}

class Mark:
    def __init__(self, app, name="x-mark", value="plain"):
        self.app, self.name, self.value = app, name, value

    async def __call__(self, scope, receive, send):
        async def marked(message):
            if message["type"] == "http.response.start":
                others = [pair for pair in message["headers"] if pair[0] != self.name.encode()]
                message["headers"] = [*others, (self.name.encode(), self.value.encode())]
            await send(message)
        await self.app(scope, receive, marked if scope["type"] == "http" else send)

def extend(app_runner, **words):
    open(NOTES, "a").write(json.dumps(["extend", words]) + "\\n")

@step
def say() -> int:
    return 1

@pipeline
def p() -> int:
    return say()
"""


@pytest.fixture
def service(start, tmp_path):
    """service(settings) is a server whose worker is the real one; its functions note that they were called."""
    def run(env=None, **deployment):
        (tmp_path / "own_mod.py").write_text(MODULE.replace("NOTES_FILE", repr(str(tmp_path / "notes"))))
        snapshot = make_snapshot()
        more = {"pipeline": {"name": "p", "source": "own_mod.p", "kind": "python"},
                "input_schema": {"type": "object", "properties": {}}, "streams": False, "parameters": {}, "hooks": {},
                "output_schema": snapshot["output_schema"], "environment": {}, "secrets": []}
        return start(deployment, args=["--python-path", str(PYTHON)], check=False, env=env, **more)
    run.notes = lambda: [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
    return run


def test_hooks_and_their_arguments(service):
    server = service(startup_hook="own_mod.up", startup_hook_kwargs={"a": 1}, shutdown_hook="own_mod.down",
                     shutdown_hook_kwargs={"b": 2})
    assert service.notes() == [["up", {"a": 1}]]
    server.close(), server.stop(None)
    assert service.notes() == [["up", {"a": 1}], ["down", {"b": 2}]]


def test_endpoints_of_ones_own(service):
    """custom_endpoints: path, method, handler, auth_required, init_kwargs."""
    server = service(custom_endpoints=[
        {"path": "/own", "method": "GET", "handler": "own_mod.own"},
        {"path": "/built", "method": "POST", "handler": "own_mod.build", "init_kwargs": {"word": "w"}, "auth_required": False}])
    assert server.get("/own").json() == {"own": True} and server.post("/own", {}).status == 405
    assert server.post("/built", {}).json() == {"word": "w"}


def test_routers_of_fastapi(service):
    """extra_kwargs of an endpoint: they go to include_router()."""
    pytest.importorskip("fastapi")
    spec = {"path": "/api", "method": "GET", "handler": "own_mod.routes"}
    for more, path in (({}, "/api/item"), ({"extra_kwargs": {"prefix": "/v2"}}, "/api/v2/item")):
        server = service(custom_endpoints=[{**spec, **more}])
        assert server.get(path).json() == {"own": True}
        server.close(), server.stop(None)


def test_variables_from_a_file(service, tmp_path):
    """KOUROU_ENV_FILE: further variables, which are secrets, of a file that the app does not see."""
    (tmp_path / "env.json").write_text('{"SAID": "in-the-file-alone"}')
    server = service(env={"KOUROU_ENV_FILE": str(tmp_path / "env.json")},
                     custom_endpoints=[{"path": "/v", "method": "GET", "handler": "own_mod.variable"}])
    assert server.get("/v").json() == {"said": "in-the-file-alone", "file": None}
    server.close(), server.stop(None)
    assert "said by the app:" in server.log() and "in-the-file-alone" not in server.log()


def test_middleware_of_ones_own(service):
    """custom_middlewares: middleware, init_kwargs, extra_kwargs, order: the lower one is outside, and has the last word."""
    server = service(
        custom_endpoints=[{"path": "/own", "method": "GET", "handler": "own_mod.own"}],
        custom_middlewares=[{"middleware": "own_mod.Mark", "order": 1, "init_kwargs": {"value": "outer"}},
                            {"middleware": "own_mod.Mark", "order": 2, "extra_kwargs": {"value": "inner"}}])
    assert server.get("/own").headers["x-mark"] == "outer"
    server.close(), server.stop(None)
    server = service(
        custom_endpoints=[{"path": "/own", "method": "GET", "handler": "own_mod.own"}],
        custom_middlewares=[{"middleware": "own_mod.Mark", "order": 3, "init_kwargs": {"value": "outer"}},
                            {"middleware": "own_mod.Mark", "order": 2, "extra_kwargs": {"value": "inner"}}])
    assert server.get("/own").headers["x-mark"] == "inner"


def test_extensions(service):
    """app_extensions: extension, extension_kwargs."""
    service(app_extensions=[{"extension": "own_mod.extend", "extension_kwargs": {"c": 3}}])
    assert service.notes() == [["extend", {"c": 3}]]


def test_public_url(start):
    assert start(args=["--public-url", "https://a.example"]).get("/info").json()["deployment"]["url"] == "https://a.example"
    assert start().get("/info").json()["deployment"].get("url") is None
