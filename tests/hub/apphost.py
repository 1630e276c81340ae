# SPDX-License-Identifier: Apache-2.0
"""The public address of a Space's app: who may see it, what stands there meanwhile, and the way to the app."""

import contextlib
import http.client
import socket
import threading
import time

from .http1 import Closed, HttpError, Listener, Response
from .runtime import FAILED, SERVING
from .state import Caller

ERROR_TEXT = "Your space is in error, check its status on hf.co"
WAIT_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><p>{1}</p></body></html>\n"
HOP = (
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
)


class AppHost:
    """One listening port per Space; its address is the Space's domain."""

    def __init__(self, hub, space):
        self.hub, self.space, self.old = hub, space, []
        self.listener = Listener(lambda request: serve(hub, space, request))

    @property
    def domain(self):
        return f"127.0.0.1:{self.listener.port}"

    def renamed(self):
        """A new name is a new address; the old one answers 404 from now on."""
        self._retire()
        self.listener = Listener(lambda request: serve(self.hub, self.space, request))

    def close(self):
        self._retire()

    def _retire(self):
        name = self.space.id
        self.listener.serve = lambda request: self.hub.guarded(request, f"app:{name}", not_found)
        self.old.append(self.listener)


def not_found():
    return Response(
        404, WAIT_PAGE.format("404", "Sorry, we can't find the page you are looking for."), "text/html; charset=utf-8"
    )


def serve_subdomain(hub, request, subdomain):
    for space in list(hub.state.spaces.values()):
        if space.subdomain == subdomain:
            return serve(hub, space, request)
    return hub.guarded(request, f"app:{subdomain}", not_found)


def serve(hub, space, request):
    if request.method == "OPTIONS" and request.headers.get("Access-Control-Request-Method"):
        return hub.guarded(request, f"app:{space.id}", lambda: preflight(request))
    return hub.guarded(request, f"app:{space.id}", lambda: _answer(hub, space, request))


def preflight(request):
    return Response(
        204,
        b"",
        None,
        [
            ("Access-Control-Allow-Origin", request.headers.get("Origin") or "*"),
            ("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"),
            ("Access-Control-Allow-Headers", request.headers.get("Access-Control-Request-Headers") or "*"),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Max-Age", "86400"),
            ("Vary", "Origin"),
        ],
    )


def _answer(hub, space, request):
    response = _gate(hub, space, request) or _proxy(hub, space, request)
    response.space_id = space.id
    origin = request.headers.get("Origin")
    if origin and not response.handover:
        response.headers = [
            pair
            for pair in response.headers
            if pair[0].lower() not in ("access-control-allow-origin", "access-control-allow-credentials")
        ]
        response.headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
    response.headers.append(("Link", f'<{hub.url}/spaces/{space.id}>;rel="canonical"'))
    return response


def _gate(hub, space, request):
    """What is answered instead of the app, or None."""
    if space.private:
        try:
            caller = hub.state.caller(request.headers)
        except HttpError:
            caller = Caller()
        if not hub.state.can_read(space, caller):
            return not_found()
    runtime = space.runtime
    runtime.used()
    if runtime.stage in ("SLEEPING", "STOPPED"):
        runtime.wake()
        if hub.state.settings.wake == "block":
            until = time.monotonic() + hub.state.settings.wake_block_seconds
            while runtime.stage not in (*SERVING, *FAILED, "PAUSED") and time.monotonic() < until:
                runtime.wait_for_change(0.1)
    if space.sdk == "static":
        return _static(space, request)
    if runtime.handle is not None:
        return None
    stage = runtime.stage
    if stage in FAILED or stage == "NO_APP_FILE":
        return Response(503, ERROR_TEXT, "text/plain; charset=utf-8")
    if stage == "DELETING":
        return not_found()
    text = "This Space has been paused by its owner." if stage == "PAUSED" else "Preparing Space"
    return Response(503, WAIT_PAGE.format(space.id, text), "text/html; charset=utf-8")


def _static(space, request):
    path = "/".join(request.segments).strip("/") or "index.html"
    entry = space.repo.files().get(path)
    if entry is None or entry.sha256:
        return not_found()
    kind = "text/html; charset=utf-8" if path.endswith(".html") else "application/octet-stream"
    return Response(200, space.repo.read_object(entry.oid), kind)


def _forwarded(request):
    """The request's headers as the app gets them."""
    rows = [
        (name, value)
        for name, value in request.headers.items()
        if name.lower() not in HOP
        and name.lower() not in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "expect", "content-length")
    ]
    before = request.headers.get("X-Forwarded-For")
    rows.append(("X-Forwarded-For", f"{before}, {request.peer}" if before else request.peer))
    rows += [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", request.headers.get("Host") or "")]
    return rows


def _proxy(hub, space, request):
    handle = space.runtime.handle
    if handle is None:
        return Response(502, "Bad Gateway", "text/plain")
    address = handle.address()
    if address is None:
        return handle.respond(request)
    if (request.headers.get("Upgrade") or "").lower() == "websocket":
        return _tunnel(request, address)
    backend = http.client.HTTPConnection(*address, timeout=600)
    try:
        backend.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in _forwarded(request):
            backend.putheader(name, value)
        if request.chunked:
            backend.putheader("Transfer-Encoding", "chunked")
        elif request.has_length:
            backend.putheader("Content-Length", str(request.length))
        backend.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered already
            for part in request.stream():
                backend.send(b"%x\r\n%s\r\n" % (len(part), part) if request.chunked else part)
            if request.chunked:
                backend.send(b"0\r\n\r\n")
        answer = backend.getresponse()
    except (OSError, http.client.HTTPException):
        backend.close()
        return Response(502, "Bad Gateway", "text/plain; charset=utf-8")
    headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP]
    return Response(answer.status, _relayed(backend, answer), None, headers)


def _relayed(backend, answer):
    try:
        while part := answer.read1(65536):
            yield part
    except (OSError, http.client.HTTPException):
        raise Closed from None
    finally:
        backend.close()


def _tunnel(request, address):
    """Hands both sockets to each other: after the upgrade the edge only passes bytes."""
    try:
        backend = socket.create_connection(address, 10)
    except OSError:
        return Response(502, "Bad Gateway", "text/plain; charset=utf-8")
    rows = [*_forwarded(request), ("Upgrade", request.headers.get("Upgrade")), ("Connection", "Upgrade")]
    head = f"{request.method} {request.target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in rows)
    backend.settimeout(None)
    backend.sendall((head + "\r\n").encode("latin-1"))

    def pump(read, write, end):
        with contextlib.suppress(OSError):
            while part := read(65536):
                write(part)
        for sock in end:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def run(conn):
        ends = (conn.sock, backend)
        threading.Thread(target=pump, args=(backend.recv, conn.sock.sendall, ends), daemon=True).start()
        pump(conn.file.read1, backend.sendall, ends)
        backend.close()

    response = Response(101)
    response.handover = run
    return response
