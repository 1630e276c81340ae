# SPDX-License-Identifier: Apache-2.0
"""The applications that test_asgi_peer.py runs under uvicorn and under Kourou: a Starlette and a FastAPI one.

Nothing in them knows who runs them. Gates are events that a test opens by a request, so that nobody sleeps; what
an application saw is asked for by another request.
"""
import asyncio
import contextlib
import pathlib

from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, Header, HTTPException, Query, UploadFile
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException as StarletteError
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response,
                                 StreamingResponse)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

gates, seen = {}, {}
folder = pathlib.Path(__file__).parent / "files"


def gate(name):
    return gates.setdefault(name, asyncio.Event())


def note(key, value):
    seen.setdefault(key, []).append(value)


async def open_gate(request):
    gate(request.path_params["name"]).set()
    return PlainTextResponse("open")


async def what_was_seen(request):
    """Answers when there are so many notes."""
    key, n = request.path_params["key"], int(request.query_params.get("n", "1"))
    for _ in range(3000):
        if len(seen.get(key, [])) >= n:
            break
        await asyncio.sleep(0.01)
    return JSONResponse(seen.get(key))


def shown(scope):
    """What of a scope can be compared."""
    kept = {key: scope.get(key) for key in ("type", "http_version", "method", "scheme", "path", "root_path")}
    for key in ("raw_path", "query_string"):
        kept[key] = scope[key].decode("latin-1")
    kept["asgi"] = scope["asgi"]["version"]
    kept["headers"] = [[k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"] if k != b"host"]
    kept["client"] = scope["client"][0]
    kept["port"] = type(scope["client"][1]).__name__
    kept["server"] = scope["server"][0]
    kept["state"] = {k: v for k, v in scope["state"].items() if isinstance(v, str)}
    kept["types"] = {k: type(scope[k]).__name__ for k in ("headers", "raw_path", "query_string", "state", "path")}
    return kept


async def scope_of(request):
    return JSONResponse(shown(request.scope))


# -- answers --------------------------------------------------------------------------------------------

async def plain(request):
    return PlainTextResponse("hello")


async def html(request):
    return HTMLResponse("<p>é</p>", headers={"X-One": "1"})


async def cookies(request):
    response = JSONResponse({"cookies": request.cookies})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True, max_age=60)
    response.set_cookie("old", "", max_age=0, expires="Thu, 01 Jan 1970 00:00:00 GMT")
    return response


async def sizes(request):
    return Response(b"x" * int(request.query_params["n"]), media_type="application/octet-stream")


async def status(request):
    return Response(b"", int(request.path_params["code"]))


async def counted(n, size, name=None):
    for i in range(n):
        if name is not None and i:
            await gate(f"{name}-{i}").wait()
        yield (f"{i:04}" * (size // 4)).encode()


async def streamed(request):
    return StreamingResponse(counted(int(request.query_params.get("n", "5")), 100), media_type="text/plain")


def sync_parts():
    for i in range(6):
        yield f"part {i};"


async def streamed_sync(request):
    return StreamingResponse(sync_parts())


async def streamed_with_length(request):
    return StreamingResponse(counted(5, 100), headers={"content-length": "500"})


async def gated(request):
    return StreamingResponse(counted(3, 40, request.path_params["name"]), media_type="text/plain")


async def events(request):
    async def lines():
        for i in range(4):
            if i == 2:
                await gate(request.path_params["name"]).wait()
            yield f"id: {i}\ndata: {{\"n\": {i}}}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def late_head(request):
    """The head before the first byte of the body: a gate is between them."""
    async def parts():
        await gate(request.path_params["name"]).wait()
        yield b"after"

    return StreamingResponse(parts())


async def file(request):
    return FileResponse(folder / request.path_params["name"], filename="näme.txt")


async def background(request):
    name = request.path_params["name"]

    async def later():
        await gate(name).wait()
        note(name, "ran")

    return PlainTextResponse("answered", background=BackgroundTask(later))


async def fails(request):
    raise ValueError("before")


async def fails_in_stream(request):
    async def parts():
        yield b"first"
        raise ValueError("in between")

    return StreamingResponse(parts())


async def fails_in_length(request):
    async def parts():
        yield b"first"
        raise ValueError("in between")

    return StreamingResponse(parts(), headers={"content-length": "100"})


async def refuses(request):
    raise StarletteError(418, "short and stout", headers={"X-Tea": "yes"})


async def redirect(request):
    return RedirectResponse("/plain?a=b c", status_code=int(request.query_params.get("code", "307")))


# -- requests -------------------------------------------------------------------------------------------

async def echo(request):
    body = await request.body()
    return Response(body, media_type=request.headers.get("content-type"))


class EchoParts:
    """Gives back each part when it has come. (StreamingResponse would take the parts away from it: it listens, too.)"""

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            if message.get("body"):
                await send({"type": "http.response.body", "body": b"<" + message["body"] + b">", "more_body": True})
        await send({"type": "http.response.body", "body": b""})


echo_parts = EchoParts()


async def count_upload(request):
    total = 0
    async for part in request.stream():
        total += len(part)
    return JSONResponse({"total": total})


async def form(request):
    async with request.form() as data:
        found = []
        for key, value in data.multi_items():
            found.append([key, value if isinstance(value, str) else
                          [value.filename, value.content_type, (await value.read()).decode("latin-1")]])
    return JSONResponse(found)


async def query(request):
    return JSONResponse([request.query_params.multi_items(), str(request.url.query), request.url.path])


async def ignores_body(request):
    return PlainTextResponse("not read", status_code=403)


async def headers(request):
    return JSONResponse([[k, v] for k, v in request.headers.items() if k != "host"])


async def urls(request):
    return JSONResponse([str(request.url_for("plain").path), request.url.scheme, request.base_url.path,
                         request.client.host])


async def state(request):
    request.state.mine = "changed by a request"
    return JSONResponse({"made": request.state.made, "same_loop": request.state.lock_loop is asyncio.get_running_loop(),
                         "other": getattr(request.state, "left", None)})


async def leave_state(request):
    request.state.left = "by somebody else"
    request.scope["path"] = "/elsewhere"
    request.scope["headers"].append((b"x-left", b"1"))
    return PlainTextResponse("left")


async def waits_for_leave(request):
    """Until the client has gone: says so in the notes."""
    name = request.path_params["name"]
    note(name + "-begun", True)
    while not await request.is_disconnected():
        await asyncio.sleep(0.005)
    note(name, "disconnected")
    return PlainTextResponse("nobody hears this")


async def cut_upload(request):
    name = request.path_params["name"]
    try:
        async for part in request.stream():
            note(name + "-begun", len(part))
    except ClientDisconnect:
        note(name, "ClientDisconnect")
    return PlainTextResponse("nobody hears this")


async def endless(request):
    name = request.path_params["name"]

    async def parts():
        try:
            for i in range(10 ** 9):
                yield b"tick "
                await asyncio.sleep(0.002)
        finally:
            note(name, "ended")

    return StreamingResponse(parts())


class Methods(HTTPEndpoint):
    async def get(self, request):
        return PlainTextResponse("got")

    async def delete(self, request):
        return Response(status_code=204)


# -- applications without a framework ---------------------------------------------------------------------

async def raw(scope, receive, send):
    """What frameworks do not do: chosen by the last part of the path."""
    which = scope["path"].rsplit("/", 1)[-1]

    async def start(status=200, *pairs):
        await send({"type": "http.response.start", "status": status, "headers": list(pairs)})

    async def body(data=b"", more=False):
        await send({"type": "http.response.body", "body": data, "more_body": more})

    if which == "bare":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
    elif which == "repeated":
        await start(200, (b"X-Same", b"1"), (b"x-same", b"2"), (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"),
                    (b"link", b"<a>"), (b"Link", b"<b>"))
        await body(b"repeated")
    elif which == "too-short":
        await start(200, (b"content-length", b"100"))
        await body(b"only this")
    elif which == "too-long":
        await start(200, (b"content-length", b"4"))
        await body(b"much more than that")
    elif which == "too-long-later":
        await start(200, (b"content-length", b"4"))
        await body(b"four", True)
        await body(b"more")
    elif which == "no-end":
        await start()
        await body(b"begun", True)
    elif which == "no-answer":
        return
    elif which == "chunked-by-itself":
        await start(200, (b"transfer-encoding", b"chunked"))
        await body(b"in ", True)
        await body(b"parts")
    elif which == "empty-parts":
        await start(200, (b"x-empty", b""))
        for part in (b"", b"a", b"", b"", b"b", b""):
            await body(part, True)
        await body()
    elif which == "twice":
        await start(200, (b"content-length", b"2"))
        await body(b"ok")
        try:
            await body(b"again")
        except Exception as error:  # noqa: BLE001 - that there is one is what is noted
            note("twice", isinstance(error, RuntimeError))
    elif which == "start-twice":
        await start()
        try:
            await start()
        except Exception as error:  # noqa: BLE001
            note("start-twice", isinstance(error, RuntimeError))
        await body(b"one")
    elif which == "body-first":
        try:
            await body(b"too early")
        except Exception as error:  # noqa: BLE001
            note("body-first", isinstance(error, RuntimeError))
        await start(200, (b"content-length", b"2"))
        await body(b"ok")
    elif which.startswith("status-"):
        value = {"text": "200", "none": None, "true": True, "1.5": 1.5}.get(which[7:], which[7:])
        await start(int(value) if isinstance(value, str) and value != "200" else value)
        await body(b"ok")
    elif which == "close":
        await start(200, (b"connection", b"close"), (b"content-length", b"4"))
        await body(b"done")
    elif which == "304":
        await start(304, (b"etag", b'"x"'), (b"content-length", b"500"))
        await body()
    elif which == "received":
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        total = b"".join(m["body"] for m in messages)
        await start(200, (b"content-type", b"text/plain"))
        await body(repr([sorted(messages[0]), len(total), messages[-1]["more_body"],
                         type(messages[0]["body"]).__name__]).encode())
        note("received-after", (await receive())["type"])
    else:
        await start(404)
        await body(b"no such thing")


class Stamp:
    """Pure ASGI; appends to the list of headers that it is given."""

    def __init__(self, app, name):
        self.app, self.name = app, name

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def stamped(message):
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                message["headers"].append((b"x-stamp", self.name))
            await send(message)

        await self.app(scope, receive, stamped)


class Based(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-based"] = request.url.path
        return response


@contextlib.asynccontextmanager
async def lifespan(app):
    folder.mkdir(exist_ok=True)
    yield {"made": "at the start", "lock_loop": asyncio.get_running_loop()}


wrapped = Starlette(routes=[
    Route("/plain", plain), Route("/streamed", streamed), Route("/gated/{name}", gated), Route("/echo", echo,
                                                                                              methods=["POST"]),
    Route("/fails", fails), Route("/big", sizes), Route("/parts", echo_parts, methods=["POST"]),
], middleware=[Middleware(Stamp, name=b"outer"), Middleware(Based), Middleware(GZipMiddleware, minimum_size=200),
               Middleware(Stamp, name=b"inner")])

star = Starlette(lifespan=lifespan, routes=[
    Route("/gate/{name}", open_gate, methods=["POST"]), Route("/seen/{key}", what_was_seen), Route("/plain", plain),
    Route("/html", html), Route("/cookies", cookies), Route("/sizes", sizes), Route("/status/{code:int}", status),
    Route("/streamed", streamed), Route("/streamed-sync", streamed_sync), Route("/with-length", streamed_with_length),
    Route("/gated/{name}", gated), Route("/events/{name}", events), Route("/late/{name}", late_head),
    Route("/file/{name}", file), Route("/background/{name}", background), Route("/fails", fails),
    Route("/fails-in-stream", fails_in_stream), Route("/fails-in-length", fails_in_length), Route("/refuses", refuses),
    Route("/redirect", redirect), Route("/echo", echo, methods=["POST", "PUT", "PATCH"]),
    Route("/parts", echo_parts, methods=["POST"]), Route("/count", count_upload, methods=["POST"]),
    Route("/form", form, methods=["POST"]), Route("/query", query), Route("/ignores", ignores_body, methods=["POST"]),
    Route("/headers", headers), Route("/urls", urls), Route("/state", state), Route("/leave", leave_state),
    Route("/waits/{name}", waits_for_leave), Route("/cut/{name}", cut_upload, methods=["POST"]),
    Route("/endless/{name}", endless), Route("/methods", Methods), Route("/slash/", plain),
    Route("/scope/{rest:path}", scope_of, methods=["GET", "POST"]), Route("/café/{who}", scope_of),
    Mount("/raw", raw), Mount("/wrapped", wrapped), Mount("/files", StaticFiles(directory=folder, check_dir=False)),
])


# -- FastAPI ----------------------------------------------------------------------------------------------

class Item(BaseModel):
    name: str
    price: float = 1.0


fast_log = []


@contextlib.asynccontextmanager
async def fast_lifespan(app):
    app.state.model = "loaded"
    yield


fast = FastAPI(lifespan=fast_lifespan)


async def user(x_user: str = Header("nobody")):
    return x_user


@fast.get("/items/{number}")
async def read_item(number: int, q: str = Query(None, max_length=5)):
    return {"number": number, "q": q}


@fast.post("/items", status_code=201)
async def make_item(item: Item, who: str = Depends(user)):
    return {"item": item, "who": who}


@fast.get("/sync")
def sync_route():
    return {"sync": True, "model": fast.state.model}


@fast.post("/upload")
async def upload(note: str = Form(), file: UploadFile = File()):
    return {"note": note, "name": file.filename, "size": len(await file.read())}


@fast.get("/tasks/{name}")
async def tasks(name: str, background: BackgroundTasks):
    background.add_task(fast_log.append, name)
    return {"queued": name}


@fast.get("/log/{name}")
async def log(name: str):
    for _ in range(3000):
        if name in fast_log:
            break
        await asyncio.sleep(0.01)
    return name in fast_log


@fast.get("/refuse")
async def refuse():
    raise HTTPException(403, {"why": "no"}, headers={"X-Why": "no"})


@fast.get("/boom")
async def boom():
    raise RuntimeError("boom")


@fast.get("/stream")
async def stream():
    return StreamingResponse(counted(8, 40), media_type="application/jsonl")


@fast.middleware("http")
async def timed(request: Request, call_next):
    response = await call_next(request)
    response.headers["X-Timed"] = "yes"
    return response
