# SPDX-License-Identifier: Apache-2.0
"""Routing and everything that happens around a route: identity, limits, faults, log, common headers."""

import secrets
import threading
import time
import traceback
import urllib.parse
import uuid

from . import faults as faults_module
from .http1 import Closed, HttpError, Listener, Response, send
from .state import ANONYMOUS_TEXT, Caller, State

EXPOSED = (
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,"
    "Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash"
)
ROUTES = []
HTML = "<!DOCTYPE html><html><head><title>{0} {1}</title></head><body><h1>{0} {1}</h1></body></html>\n"


def route(methods, path, origin="hub"):
    """Declares a route; `{x}` takes one path segment, a last `{x*}` the rest."""

    def declare(function):
        for method in methods.split("|"):
            ROUTES.append((origin, method, path.split("/")[1:], function))
        return function

    return declare


def match(pattern, segments):
    """The captured parts, or None. A part may have a fixed end, as in `{name}.git`."""
    found = {}
    for number, part in enumerate(pattern):
        if part.endswith("*}"):
            found[part[1:-2]] = "/".join(segments[number:])
            return found if len(segments) > number or number == len(segments) else None
        if number >= len(segments):
            return None
        if part.startswith("{"):
            name, _, tail = part[1:].partition("}")
            if not segments[number].endswith(tail) or len(segments[number]) <= len(tail):
                return None
            found[name] = segments[number][: len(segments[number]) - len(tail)] if tail else segments[number]
        elif part != segments[number]:
            return None
    return found if len(pattern) == len(segments) else None


class Context:
    """A request on its way through a route."""

    def __init__(self, hub, request, origin, caller=None):
        self.hub, self.request, self.origin = hub, request, origin
        self.state, self.settings = hub.state, hub.state.settings
        self.caller = caller or Caller()
        self.space_id = None

    @property
    def base(self):
        return self.hub.url

    def need_token(self):
        if self.caller.user is None:
            raise HttpError(401, ANONYMOUS_TEXT, message_header=True)

    def space(self, ns, name, need="read"):
        """The Space of the path, if the caller may `read` or `write` it; otherwise the fitting error."""
        wanted = f"{ns}/{name}"
        with self.state.lock:
            space = self.state.spaces.get(wanted)
            if space is None and self.request.method in ("GET", "HEAD"):
                self._redirect(wanted)
        if space is None or not self.state.can_read(space, self.caller):
            self.missing()
        self.space_id = space.id
        if need == "write":
            self.need_token()
            reason = self.state.why_not_write(space, self.caller)
            if reason:
                raise HttpError(403, reason)
        return space

    def missing(self):
        self.need_token()
        raise HttpError(404, "Repository not found", "RepoNotFound")

    def _redirect(self, wanted):
        """307 to the name the Space has now, for another spelling or after a rename."""
        low = wanted.lower()
        canonical = next((key for key in self.state.spaces if key.lower() == low), None)
        canonical = canonical or self.state.moved.get(low)
        hops = 0
        while canonical and canonical not in self.state.spaces and hops < 10:
            canonical, hops = self.state.moved.get(canonical.lower()), hops + 1
        space = self.state.spaces.get(canonical) if canonical else None
        if space is None or not self.state.can_read(space, self.caller):
            return
        target = self.request.target.replace(f"/{wanted}", f"/{space.id}", 1)
        raise HttpError(
            307, "moved", body=f"Temporary Redirect. Redirecting to {target}", headers=[("Location", target)]
        )


class Hub:
    """The whole: state, listeners, faults and log."""

    def __init__(self, data, engine, options=None):
        self.data, self.engine, self.options = data, engine, options or {}
        self.state, self.faults, self.log = State(), faults_module.Faults(), faults_module.RequestLog()
        self.stopping = threading.Event()
        self.hub_listener = Listener(self._serve("hub"), self.options.get("port", 0))
        self.lfs_listener = Listener(self._serve("lfs"))
        self.cdn_listener = Listener(self._serve("cdn"))
        self.control_listener = Listener(self._serve("control"))
        self.url = f"http://127.0.0.1:{self.hub_listener.port}"
        self.lfs_url = f"http://127.0.0.1:{self.lfs_listener.port}"
        self.cdn_url = f"http://127.0.0.1:{self.cdn_listener.port}"
        self.control_url = f"http://127.0.0.1:{self.control_listener.port}"
        self.uploads, self.scripts = {}, {}
        ROUTES.sort(key=lambda item: [part.startswith("{") for part in item[2]])
        (data / "lfs").mkdir(parents=True, exist_ok=True)
        (data / "repos").mkdir(parents=True, exist_ok=True)

    def script(self, space):
        """What tests told about this Space, over what they told about all."""
        return {**self.scripts.get("*", {}), **self.scripts.get(space.id, {})}

    def addresses(self):
        return {"url": self.url, "lfs": self.lfs_url, "cdn": self.cdn_url, "control": self.control_url}

    def lfs_path(self, sha256):
        return self.data / "lfs" / sha256

    def close(self):
        self.stopping.set()
        for listener in (self.hub_listener, self.lfs_listener, self.cdn_listener, self.control_listener):
            listener.close()
        for space in list(self.state.spaces.values()):
            space.runtime.shutdown()
        self.engine.close()

    # -- one request

    def _serve(self, origin):
        def serve(request):
            if origin == "hub" and request.raw_path.startswith("/_test/"):
                return self._control(request)
            if origin == "control":
                return self._control(request)
            if origin == "hub":
                host = (request.headers.get("Host") or "").split(":")[0]
                if host.endswith(".hf.space"):
                    return self._app_by_host(request, host)
            return self.guarded(request, origin, lambda: self._route(request, origin))

        return serve

    def _app_by_host(self, request, host):
        from . import apphost

        return apphost.serve_subdomain(self, request, host.removesuffix(".hf.space"))

    def _control(self, request):
        try:
            return self._dispatch(Context(self, request, "control"), "control")
        except HttpError as error:
            return error.response()
        except Closed:
            raise
        except Exception as error:  # a wrong call of a test must say what was wrong with it
            return Response.json({"error": f"{type(error).__name__}: {error}"}, 400)

    def guarded(self, request, origin, work):
        """Runs `work` between the faults that hit this request, and logs what happened."""
        started = time.time()
        hit = self.faults.take(origin, request.method, request.raw_path)
        scheme, token = self.state.describe_auth(request.headers)
        entry = {
            "origin": origin,
            "method": request.method,
            "path": self._masked(request.raw_path),
            "query": self._masked(request.raw_query),
            "auth": scheme,
            "token": token,
            "leaks": self._leaks(request),
            "faults": [fault.kind for fault in hit],
            "user_agent": request.headers.get("User-Agent"),
            "status": None,
            "space": None,
        }
        cut = None
        try:
            response = self._before(request, hit)
            if response is None:
                response = work()
            entry["space"] = getattr(response, "space_id", None)
            response = self._after(request, hit, response)
            entry["status"] = response.status if response is not None else None
        except Closed:
            cut, response = True, None
        entry["seconds"] = round(time.time() - started, 4)
        entry["body_bytes"] = len(request._body) if request._body is not None else request.length
        if cut and not hit:
            entry["faults"] = ["peer closed"]
        self.log.add(**entry)
        if origin == "hub":
            self._shut(request, response)
        if response is None:
            request.conn.reset()
        return response

    def _masked(self, text):
        for value, token in list(self.state.tokens.items()):
            if value in text:
                text = text.replace(value, f"<token {token.name}>")
        return text

    def _leaks(self, request):
        """Names of tokens found anywhere else than in Authorization."""
        text = (
            request.target
            + "\n"
            + "\n".join(
                f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "authorization"
            )
        )
        return [token.name for value, token in list(self.state.tokens.items()) if value in text]

    def _before(self, request, hit):
        for fault in hit:
            kind = fault.kind
            if kind == "cut_before":
                raise Closed
            if kind == "cut_during":
                left = max(1, request.length // 2)
                for part in request.stream():
                    left -= len(part)
                    if left <= 0:
                        break
                raise Closed
            if kind == "slow":
                self.stopping.wait(fault.seconds)
            elif kind == "stall":
                self.stopping.wait(fault.seconds)
                raise Closed
            elif kind == "status":
                return self.decorate(request, self._fault_answer(fault))
            elif kind in ("rate_limit", "action_quota"):
                return self._limited(request, fault)
            elif kind == "create_conflict":
                return self.decorate(
                    request,
                    HttpError(409, "Cannot create repo: another conflicting operation is in progress").response(),
                )
            elif kind == "race_412":
                from .commits import stale

                return self.decorate(request, stale(self.state.settings).response())
            elif kind == "race_commit":
                self._foreign_commit(request)
            elif kind == "garbage":
                return self.decorate(request, Response(200, '{"broken": [1, 2', "application/json"))
        return None

    def _fault_answer(self, fault):
        headers = [
            (name, value.replace("{cdn}", self.cdn_url).replace("{lfs}", self.lfs_url).replace("{hub}", self.url))
            for name, value in fault.headers.items()
        ]
        reason = {
            500: "Internal Error",
            502: "Bad Gateway",
            503: "Service Unavailable",
            504: "Gateway Timeout",
            408: "Request Timeout",
        }.get(fault.status, "Error")
        if fault.html:
            return Response(fault.status, fault.body or HTML.format(fault.status, reason), "text/html", headers)
        if fault.body is not None:
            return Response(fault.status, fault.body, "application/json", headers)
        text = "Internal Error - We're working hard to fix this as soon as possible!" if fault.status == 500 else reason
        return Response.json({"error": text}, fault.status, headers)

    def _limited(self, request, fault):
        whole = fault.kind == "rate_limit"
        text = (
            "We had to rate limit you, you hit the quota of 1000 api requests per 5 minutes period. Upgrade to a "
            "PRO user or Team/Enterprise organization account (https://hf.co/pricing) to get higher limits. See "
            "https://huggingface.co/docs/hub/rate-limits"
            if whole
            else "You have exceeded our hourly quotas for action: commit. We invite you to retry later."
        )
        left, reset = (0, int(fault.seconds)) if whole else (321, 200)
        answer = Response.json(
            {"error": text},
            429,
            [("RateLimit", f'"api";r={left};t={reset}'), ("RateLimit-Policy", '"fixed window";"api";q=1000;w=300')],
        )
        return self.decorate(request, answer)

    def _foreign_commit(self, request):
        parts = request.segments
        if len(parts) < 4 or parts[0] != "api":
            return
        space = self.state.spaces.get(f"{parts[2]}/{parts[3]}")
        if space is not None:
            from .commits import commit_files

            with space.lock:
                name = f"foreign-{len(space.repo.commits)}.txt"
                commit_files(self, space, {name: b"somebody else's change\n"}, "A change by somebody else", "mallory")

    def _after(self, request, hit, response):
        for fault in hit:
            kind = fault.kind
            if kind in ("cut_after", "stall_after"):
                request.drain()
                if kind == "stall_after":
                    self.stopping.wait(fault.seconds)
                raise Closed
            if kind == "status_after":
                request.drain()
                response = self.decorate(request, self._fault_answer(fault))
            elif kind in ("cut_mid", "cut_stream", "slow_body"):
                request.drain()
                if isinstance(response.body, (bytes, bytearray)) and response.header("Content-Length") is None:
                    response.headers.append(("Content-Length", str(len(response.body))))
                response.body = self._bent(fault, response, request, response.body)
        return response

    def _bent(self, fault, response, request, body):
        """The body of the answer, broken off or slowed down."""
        if isinstance(body, (bytes, bytearray)):
            size = max(1, len(body) // 20)
            body = iter([body[at : at + size] for at in range(0, len(body), size)])
            total = 20
        else:
            total = None
        sent = 0
        for part in body:
            if fault.kind == "slow_body":
                self.stopping.wait(fault.seconds / (total or 20))
            yield part
            sent += 1
            if (
                fault.kind == "cut_mid"
                and sent >= (total or 2) // 2
                or fault.kind == "cut_stream"
                and sent >= fault.count
            ):
                request.conn.reset()
                raise Closed

    def _route(self, request, origin):
        context = Context(self, request, origin)
        try:
            response = self._dispatch(context, origin)
        except HttpError as error:
            response = error.response()
        except Closed:
            raise
        except Exception:
            traceback.print_exc()
            response = Response.json({"error": "Internal Error: the test Hub failed, see its log"}, 500)
        response = self.decorate(request, response, context) if origin == "hub" else response
        response.space_id = context.space_id
        return response

    def _dispatch(self, context, origin):
        request = context.request
        found, others = None, False
        for place, method, pattern, function in ROUTES:
            if place != origin:
                continue
            captured = match(pattern, request.segments)
            if captured is None:
                continue
            if method == request.method or (method == "GET" and request.method == "HEAD"):
                found = (function, captured)
                break
            others = True
        if origin == "hub":
            git_path = ".git/" in request.raw_path or "/info/lfs/" in request.raw_path
            refused = self._limit(context, git_path)
            if found and not getattr(found[0], "no_auth", False):
                context.caller = self.state.caller(request.headers, basic=git_path)
            if refused:
                raise refused
        if found is None:
            if others:
                raise HttpError(405, "Method Not Allowed", body="Method Not Allowed")
            raise HttpError(404, "Sorry, we can't find the page you are looking for.")
        return found[0](context, **found[1])

    def _limit(self, context, git_path):
        """Counts the call against its window; gives the 429 when the window is used up."""
        request = context.request
        path = request.raw_path
        bucket = "api" if path.startswith("/api/") or git_path else "resolvers" if "/resolve/" in path else "pages"
        _, token = self.state.describe_auth(request.headers)
        known = next((item for item in self.state.tokens.values() if item.name == token), None)
        plan = self.state.accounts[known.user].plan if known and known.user in self.state.accounts else "anonymous"
        left, reset, quota, refused = self.state.take(bucket, token or request.peer, plan)
        request.rate = (bucket, left, reset, quota, self.state.settings.rate_window)
        if refused:
            return HttpError(
                429,
                f"We had to rate limit you, you hit the quota of {quota} {bucket} requests per 5 "
                "minutes period. Upgrade to a PRO user or Team/Enterprise organization account "
                "(https://hf.co/pricing) to get higher limits.",
            )
        return None

    def decorate(self, request, response, context=None):
        """The headers that stand on every answer of the Hub itself."""
        trace = request.headers.get("X-Amzn-Trace-Id") or str(uuid.uuid4())
        head = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        bucket, left, reset, quota, window = getattr(request, "rate", ("api", 499, 300, 500, 300))
        extra = [
            ("X-Powered-By", "huggingface-moon"),
            ("X-Request-Id", f"{head};{trace}"),
            ("RateLimit", f'"{bucket}";r={left};t={reset}'),
            ("RateLimit-Policy", f'"fixed window";"{bucket}";q={quota};w={window}'),
            ("Access-Control-Allow-Origin", request.headers.get("Origin") or self.url),
            ("Vary", "Origin"),
            ("Access-Control-Expose-Headers", EXPOSED),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ]
        have = {name.lower() for name, _ in response.headers}
        response.headers += [pair for pair in extra if pair[0].lower() not in have]
        return response

    def _shut(self, request, response):
        """A fault may shut the door for a while, before the answer of this call goes out."""
        fault = self.faults.refuses(self.log.calls())
        if fault is None:
            return
        self.hub_listener.close(spare=request.conn)
        if response is not None:
            response.headers.append(("Connection", "close"))

        def reopen():
            self.stopping.wait(fault.seconds)
            if not self.stopping.is_set():
                self.hub_listener.open()

        threading.Thread(target=reopen, daemon=True).start()


def no_auth(function):
    """Marks a route that does not look at Authorization."""
    function.no_auth = True
    return function


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe)


__all__ = ["Context", "Hub", "HttpError", "Response", "no_auth", "quote", "route", "send"]
