# SPDX-License-Identifier: Apache-2.0
"""Parts of the ASGI side by themselves: proxies as uvicorn sees them, lifespans, sources of objects, checked heads."""
import asyncio
import itertools

import pytest
from kourou import aio
from kourou.errors import LoadError, SettingsError
from kourou.http import checked_headers, checked_status
from kourou.lifespan import Lifespan, takes_part
from kourou.proxies import Proxies
from kourou._source import source_of
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

TRUSTED = ["127.0.0.1", "*", "10.0.0.0/8,192.168.1.1", "unix,::1", "", "10.0.0.0/8, ::1/128"]
CLIENTS = [("127.0.0.1", 1), ("10.1.2.3", 2), ("192.168.1.1", 3), ("8.8.8.8", 4), ("::1", 5), None]
HEADERS = [
    [], [(b"x-forwarded-proto", b"https")], [(b"x-forwarded-proto", b"gopher")],
    [(b"x-forwarded-proto", b"https"), (b"x-forwarded-proto", b"http")],
    [(b"x-forwarded-for", b"1.2.3.4")], [(b"x-forwarded-for", b"1.2.3.4:99")], [(b"x-forwarded-for", b"[::2]:99")],
    [(b"x-forwarded-for", b"[::2]")], [(b"x-forwarded-for", b"::2")], [(b"x-forwarded-for", b"")],
    [(b"x-forwarded-for", b"evil, 1.2.3.4, 10.9.9.9, 127.0.0.1")], [(b"x-forwarded-for", b"10.1.1.1, 127.0.0.1")],
    [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2, 10.0.0.1")],
    [(b"x-forwarded-for", b"host:port"), (b"x-forwarded-proto", b" https ")], [(b"x-forwarded-for", b"\xff\xfe")],
]


@pytest.mark.parametrize("trusted", TRUSTED)
def test_proxies_are_trusted_as_uvicorn_trusts_them(trusted):
    ours = Proxies(trusted)
    for client, headers in itertools.product(CLIENTS, HEADERS):
        scope = {"type": "http", "scheme": "http", "client": client, "headers": headers}
        seen = {}

        async def app(theirs, _receive, _send):
            seen.update(theirs)

        asyncio.run(ProxyHeadersMiddleware(app, trusted)(dict(scope), None, None))
        mine = dict(scope)
        ours.apply(mine)
        assert (mine["scheme"], mine["client"]) == (seen["scheme"], seen["client"]), (client, headers)


@pytest.mark.parametrize("status", [-1, 0, 100, 199, 600, 99999, "200", None, 200.0, True, b"200"])
def test_statuses_that_are_none(status):
    with pytest.raises(ValueError, match="a number from 200 to 599"):
        checked_status(status)


def test_heads_that_are_fine_and_heads_that_are_not():
    import http

    assert checked_status(http.HTTPStatus.CREATED) == 201 and type(checked_status(http.HTTPStatus.CREATED)) is int
    assert checked_headers([(b"X-A", b" 1 "), ["x-b", "é"]]) == ([(b"x-a", b"1"), (b"x-b", b"\xe9")], None)
    assert checked_headers(iter([(b"Content-Length", b"5"), (b"content-length", b"5")])) == ([], 5)
    assert checked_headers([(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]) == ([], None)
    for bad in ([(b"", b"")], [(b"a b", b"")], [(b"a:", b"")], [(b"a", b"\r\nb: c")], [(b"a\n", b"")], [(b"a", b"\0")],
                [(b"content-length", b"-1")], [(b"content-length", b"5"), (b"content-length", b"6")],
                [(b"content-length", b"1" * 40)]):
        with pytest.raises(ValueError):
            checked_headers(bad)


def life(application):
    state = {}
    one = Lifespan(application, "the application", state)
    aio.run(one.startup())
    return one, state


def test_a_lifespan_with_state():
    events = []

    async def app(scope, receive, send):
        assert scope["type"] == "lifespan" and scope["asgi"]["version"] == "3.0"
        assert (await receive()) == {"type": "lifespan.startup"}
        scope["state"]["made"] = asyncio.get_running_loop()
        await send({"type": "lifespan.startup.complete"})
        events.append("up")
        assert (await receive()) == {"type": "lifespan.shutdown"}
        events.append("down")
        await send({"type": "lifespan.shutdown.complete"})

    one, state = life(app)
    assert state["made"] is aio.loop()
    assert aio.run(one.shutdown()) is None and events == ["up", "down"]


def test_applications_that_know_no_lifespan():
    async def raises(scope, receive, send):
        raise KeyError("path")

    async def exits(scope, receive, send):
        raise SystemExit(3)

    async def returns(scope, receive, send):
        pass

    async def answers(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def reads_on(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    for app in (raises, exits, returns, answers, reads_on):
        one, state = life(app)
        assert state == {} and aio.run(one.shutdown()) is None, app


def test_applications_that_cannot_start_or_end():
    async def says(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback ...\n  line\nValueError: no weights\n"})

    async def says_and_raises(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed"})
        raise OSError("no disk")

    async def fails_in_the_end(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise OSError("still open")

    with pytest.raises(LoadError, match="the application did not start: ValueError: no weights") as caught:
        life(says)
    assert caught.value.kind == "init"
    with pytest.raises(LoadError, match="did not start: OSError: no disk") as caught:
        life(says_and_raises)
    assert "says_and_raises" in caught.value.traceback
    one, _ = life(fails_in_the_end)
    assert aio.run(one.shutdown()) == "OSError: still open"


def test_who_takes_part_in_a_lifespan():
    async def plain(app, scope, receive, send):
        await app(scope, receive, send)

    async def aware(app, scope, receive, send):
        if scope["type"] in ("http", "lifespan"):
            await app(scope, receive, send)

    class Aware:
        async def helper(self, message):
            return message["type"] == "lifespan.startup"

    class Below(Aware):
        pass

    assert not takes_part(plain) and takes_part(aware) and takes_part(Aware) and takes_part(Below())
    assert not takes_part(object()) and not takes_part(print)


def test_objects_have_the_name_of_their_variable(project):
    module = project.load("class App: pass\napp = App()\nhidden = [App()]\n", "objects")
    assert source_of(module.app, "handler") == "objects.app"
    with pytest.raises(SettingsError, match="an object of App is imported by the name of its variable"):
        source_of(module.hidden[0], "handler")


# -- forms of endpoints and middleware that ZenML documents -------------------------------------------------------------

ZENML = """
from zenml import pipeline, step
from zenml.config import DeploymentSettings, EndpointSpec, MiddlewareSpec, AppExtensionSpec
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.base import BaseHTTPMiddleware
import pathlib

def direct(name: str): return {"hello": name}
class Built:
    def __init__(self, app_runner, greeting): self.greeting = greeting
    async def __call__(self, name: str): return {self.greeting: name}
def builder(app_runner, word):
    def endpoint(): return {"word": word, "pipeline": app_runner.pipeline.name}
    return endpoint
router = APIRouter(prefix="/v1")
@router.get("/things/{n}")
async def things(n: int): return {"n": n}
site = StaticFiles(directory=pathlib.Path(__file__).parent / "site", check_dir=False)
async def native(request, call_next):
    response = await call_next(request)
    response.headers["x-native"] = "1"
    return response
async def function(app, scope, receive, send, label="none"):
    async def labelled(message):
        if message["type"] == "http.response.start":
            message["headers"].append((b"x-label", label.encode()))
        await send(message)
    await app(scope, receive, labelled)
class Based(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-based"] = "1"
        return response
def extension(app_runner, path):
    app_runner.add_endpoint(EndpointSpec(path=path, method="GET", handler=direct, auth_required=False))

def E(path, handler, **more): return EndpointSpec(path=path, method="GET", handler=handler, auth_required=False, **more)

@step
def s(x: int) -> int: return x
@pipeline(settings={"deployment": DeploymentSettings(
    custom_endpoints=[E("/direct", direct), E("/built", Built, init_kwargs={"greeting": "hi"}),
                      E("/builder", "zen.builder", init_kwargs={"word": "w"}), E("/router", router, native=True),
                      E("/site", site, native=True)],
    custom_middlewares=[MiddlewareSpec(middleware=native, native=True, order=1),
                        MiddlewareSpec(middleware=function, order=2, init_kwargs={"label": "l"}),
                        MiddlewareSpec(middleware="zen.Based", order=3)],
    app_extensions=[AppExtensionSpec(extension=extension, extension_kwargs={"path": "/extended"})])})
def p(x: int): return s(x)
"""


def test_forms_that_zenml_documents(project):
    project.write(ZENML, "zen")
    (project.root / "site").mkdir()
    (project.root / "site" / "a.txt").write_text("a file")
    ask = project.runner(source="zen.p")
    for path, query, body in (("/direct", "name=you", b'{"hello":"you"}'), ("/built", "name=you", b'{"hi":"you"}'),
                              ("/builder", "", b'{"word":"w","pipeline":"p"}'), ("/router/v1/things/4", "", b'{"n":4}'),
                              ("/site/a.txt", "", b"a file"), ("/extended", "name=me", b'{"hello":"me"}')):
        status, headers, found = ask.http("GET", path, query=query)
        assert (status, found) == (200, body), path
        assert headers[b"x-native"] == headers[b"x-based"] == b"1" and headers[b"x-label"] == b"l"
    assert ask.http("GET", "/site/none.txt")[0] == 404 and ask.http("GET", "/router/v1/things/x")[0] == 422
    ask.runner.stop()
