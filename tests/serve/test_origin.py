# SPDX-License-Identifier: Apache-2.0
"""Other web sites and a deployment without a key on this machine: told apart by the request, and by a real browser."""
import http.server
import json
import threading

import pytest
from tests.local.test_pages import driver  # noqa: F401  (a fixture)
from tests.serve.serve_client import head, statuses
from tests.serve.serve_harness import wait_for

BODY = b'{"parameters":{"op":"echo","value":1}}'
J = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(BODY)}"
ROUTES = [{"method": "GET", "path": "/own", "auth_required": False},
          {"method": "POST", "path": "/own", "auth_required": False}]
PATHS = [("POST", "/invoke"), ("POST", "/invoke/stream"), ("POST", "/invoke/batch"), ("GET", "/runs"), ("GET", "/own"),
         ("POST", "/own")]


def ask(server, method, path, *lines, host=None):
    lines = (f"Host: {host or f'127.0.0.1:{server.port}'}", "Connection: close", *lines)
    more = (J, LENGTH) if method == "POST" else ()
    data = server.raw(head(method, path, *lines, *more, host=False) + (BODY if method == "POST" else b""))
    return statuses(data)[0], data


FOREIGN = {
    "another site": ["Origin: https://evil.example"],
    "another site, as the browser says": ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"],
    "a page without an origin": ["Origin: null"],
    "a sandboxed frame": ["Origin: null", "Sec-Fetch-Site: cross-site"],
    "an image": ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"],
    "a link": ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"],
    "another port": ["Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"],
    "another port, an old browser": ["Origin: http://127.0.0.1:1"],
    "another name of this machine": ["Origin: http://localhost:{port}"],
    "a name that begins alike": ["Origin: http://127.0.0.1:{port}.evil.example"],
    "a user of that name": ["Origin: http://127.0.0.1:{port}@evil.example"],
    "an extension": ["Origin: chrome-extension://abcdef"],
    "nothing": ["Origin: "],
    "a word that is not known": ["Sec-Fetch-Site: odd"],
    "two words": ["Sec-Fetch-Site: same-origin, cross-site"],
}


def test_pages_of_other_sites_are_refused(start):
    server = start(tiny_routes=ROUTES)
    for name, lines in FOREIGN.items():
        lines = [line.replace("{port}", str(server.port)) for line in lines]
        for method, path in PATHS:
            status, data = ask(server, method, path, *lines)
            assert status == 403 and b"access-control-allow-origin" not in data, (name, method, path, data)
            detail = json.loads(data.split(b"\r\n\r\n", 1)[1])["detail"]
            assert detail.startswith("Refused: this deployment has no key") and "allow_origins" in detail
    assert server.metric("kourou_executions_total") == 0
    for twice in ("Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"):
        lines = [twice.replace("{port}", str(server.port)), FOREIGN["another site, as the browser says"][0], "Sec-Fetch-Site: cross-site"]
        assert ask(server, "POST", "/invoke", *lines)[0] == 400


@pytest.mark.parametrize("type_line", ["", "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded",
                                       "Content-Type: multipart/form-data; boundary=x", "Content-Type: ",
                                       "Content-Type: text/plain; application/json"])
def test_only_json_is_taken(server, type_line):
    """What a form or a plain page can send without being asked first."""
    lines = [line for line in (type_line, LENGTH, "Connection: close") if line]
    assert statuses(server.raw(head("POST", "/invoke", *lines) + BODY)) == [415]
    two = head("POST", "/invoke", J, "Content-Type: text/plain", LENGTH) + BODY
    assert statuses(server.raw(two)) == [400]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.nip.io:{port}", "localhost.evil.example",
                                  "LOCALHOST.evil.example:80", "127.0.0.1.evil.example", "127.1.evil", "evil.example.",
                                  "sub.evil.example:{port}", "xn--bcher-kva.example", "a.internal.evil.example"])
def test_names_that_somebody_else_can_own(start, host):
    server = start(tiny_routes=ROUTES)
    host = host.replace("{port}", str(server.port))
    for method, path in [*PATHS, ("GET", "/info"), ("GET", "/"), ("GET", "/openapi.json"), ("GET", "/metrics")]:
        for lines in ([], [f"Origin: http://{host}"], [f"Origin: http://{host}", "Sec-Fetch-Site: same-origin"]):
            status, data = ask(server, method, path, *lines, host=host)
            assert status == 403 and b"does not answer to the name" in data, (method, path, data)
    assert ask(server, "GET", "/health", host=host)[0] == 200  # says nothing of anybody
    assert server.metric("kourou_executions_total") == 0


def test_programs_and_its_own_pages_are_answered(start):
    server = start(tiny_routes=ROUTES)
    port = server.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}", f"[::1]:{port}", "localhost", f"app.localhost:{port}",
                 f"172.17.0.2:{port}", f"host.docker.internal:{port}", f"my-container:{port}", f"localhost.:{port}"):
        for lines in ([], [f"Origin: http://{host}"], ["Sec-Fetch-Site: same-origin"], ["Sec-Fetch-Site: none"],
                      [f"Origin: http://{host}", "Sec-Fetch-Site: same-origin"]):
            for method, path in PATHS:
                status, data = ask(server, method, path, *lines, host=host)
                assert status in (200, 201, 422), (host, lines, path, data)
    assert ask(server, "GET", "/runs", "Origin: http://localhost", host="localhost:80")[0] == 200
    assert ask(server, "GET", "/runs", "Origin: https://localhost", host="localhost:443")[0] == 200
    old = b"POST /invoke HTTP/1.0\r\n" + f"{J}\r\n{LENGTH}\r\n\r\n".encode() + BODY
    assert statuses(server.raw(old)) == [200]


@pytest.mark.parametrize("args, env", [(["--host", "127.0.0.1"], {}), (["--host", "localhost"], {}), (["--host", "::ffff:127.0.0.1"], {}),
                                       (["--host", "0.0.0.0", "--local-only"], {}),
                                       (["--host", "0.0.0.0"], {"KOUROU_SERVE_LOCAL_ONLY": "1"})])
def test_where_it_holds(start, args, env):
    server = start(args=args, env=env)
    assert ask(server, "POST", "/invoke", "Origin: https://evil.example")[0] == 403
    assert ask(server, "POST", "/invoke", host="evil.example")[0] == 403


@pytest.mark.parametrize("more", [{"env": {"KOUROU_AUTH_KEY": "right-key"}}, {"args": ["--space"]},
                                  {"args": ["--host", "0.0.0.0"]}, {"deployment": {"cors": {"allow_origins": ["*"]}}}])
def test_where_it_does_not(start, more):
    server = start(**more)
    lines = ["Origin: https://good.example", "Sec-Fetch-Site: cross-site", "X-API-Key: right-key"]
    status, data = ask(server, "POST", "/invoke", *lines, host="good.example")
    assert status == 200 and b"access-control-allow-origin: *" in data


def test_sites_that_are_named_may_call(start):
    server = start({"cors": {"allow_origins": ["https://good.example", "http://app.good.example:3000"]}})
    for origin in ("https://good.example", "http://app.good.example:3000"):
        for lines in ([f"Origin: {origin}"], [f"Origin: {origin}", "Sec-Fetch-Site: cross-site"]):
            status, data = ask(server, "POST", "/invoke", *lines)
            assert status == 200 and f"access-control-allow-origin: {origin}".encode() in data
    assert ask(server, "POST", "/invoke", host="good.example")[0] == 200  # a proxy that keeps the name
    for origin in ("http://good.example", "https://good.example:8443", "https://evil.example", "http://app.good.example"):
        assert ask(server, "POST", "/invoke", f"Origin: {origin}")[0] == 403, origin
    assert ask(server, "POST", "/invoke", host="evil.example")[0] == 403


def test_preflights_and_reading(start):
    server = start()
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "content-type"}
    for path in ("/invoke", "/runs", "/info"):
        answer = server.request("OPTIONS", path, headers=asked)
        assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    for path in ("/info", "/metrics", "/openapi.json", "/health", "/"):
        assert "access-control-allow-origin" not in server.get(path, {"Origin": "https://evil.example"}).headers


# -- a real browser -----------------------------------------------------------------------------------------------------

BRIEF = ["--idle-timeout", "1"]  # the browser would keep its connections
ATTACK = """
const url = arguments[0], done = arguments[arguments.length - 1], seen = {};
const body = JSON.stringify({parameters: {op: "echo", value: 1}});
const tries = {
  json: () => fetch(url + "/invoke", {method: "POST", body, headers: {"Content-Type": "application/json"}}).then(r => r.text()),
  text: () => fetch(url + "/invoke", {method: "POST", body}).then(r => r.text()),
  blind: () => fetch(url + "/invoke", {method: "POST", body, mode: "no-cors"}).then(r => r.type),
  untyped: () => fetch(url + "/invoke", {method: "POST", body: new Blob([body]), mode: "no-cors"}).then(r => r.type),
  typed: () => fetch(url + "/invoke", {method: "POST", body: new Blob([body], {type: "text/plain"})}).then(r => r.text()),
  batch: () => fetch(url + "/invoke/batch", {method: "POST", body: "[" + body + "]", mode: "no-cors"}).then(r => r.type),
  runs: () => fetch(url + "/runs").then(r => r.text()),
  info: () => fetch(url + "/info").then(r => r.text()),
  own: () => fetch(url + "/own", {mode: "no-cors"}).then(r => r.type),
  beacon: async () => navigator.sendBeacon(url + "/own", body) ? "opaque" : "",
  image: () => new Promise((yes, no) => { const i = new Image(); i.onload = yes; i.onerror = () => no("error"); i.src = url + "/own"; }),
  form: async () => { const f = document.createElement("form"); f.method = "post"; f.enctype = "text/plain"; f.target = "frame";
    f.action = url + "/own"; document.body.append(f); f.submit(); return "opaque"; },
};
(async () => {
  for (const name of Object.keys(tries)) {
    try { seen[name] = await tries[name](); } catch (error) { seen[name] = "error"; }
  }
  done(seen);
})();
"""


class Site:
    """Another web site on this machine, with a page of its own."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page = b"<!doctype html><title>site</title><h1>site</h1><iframe name=frame></iframe>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.close()


def custom_answers(server):
    """How many requests the pipeline's own endpoint has answered itself."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in server.get("/metrics").body.decode().splitlines()
               if line.startswith('kourou_requests_total{path="/own",status="201"}'))


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "rebound.example"])
def test_a_page_of_another_site_neither_calls_nor_reads(start, driver, site, name):  # noqa: F811
    server = start(args=BRIEF, tiny_routes=ROUTES)
    driver.get(f"http://{name}:{site.port}/")
    seen = driver.execute_async_script(ATTACK, f"http://127.0.0.1:{server.port}")
    assert set(seen) == {"json", "text", "blind", "untyped", "typed", "batch", "runs", "info", "own", "beacon", "image", "form"}
    assert set(seen.values()) <= {"error", "opaque"}, seen
    wait_for(lambda: 'path="/own",status="403"' in server.get("/metrics").body.decode(), "its attempts have come")
    assert server.metric("kourou_executions_total") == 0 and custom_answers(server) == 0


def test_a_page_whose_name_comes_to_mean_this_machine(start, driver):  # noqa: F811
    """DNS rebinding: the page's own name and port are the deployment's."""
    server = start(args=BRIEF, tiny_routes=ROUTES)
    driver.get(f"http://rebound.example:{server.port}/health")
    seen = driver.execute_async_script(ATTACK, f"http://rebound.example:{server.port}")
    for name in ("json", "text", "typed", "runs", "info"):
        assert "does not answer to the name" in seen[name], (name, seen)
    assert server.metric("kourou_executions_total") == 0 and custom_answers(server) == 0


def test_a_page_of_a_site_that_is_named_does_both(start, driver, site):  # noqa: F811
    server = start({"cors": {"allow_origins": [f"http://localhost:{site.port}"]}}, args=BRIEF, tiny_routes=ROUTES)
    driver.get(f"http://localhost:{site.port}/")
    seen = driver.execute_async_script(ATTACK, f"http://127.0.0.1:{server.port}")
    assert json.loads(seen["json"])["outputs"] == {"output": 1} and "items" in json.loads(seen["runs"])
    assert json.loads(seen["info"])["pipeline"]["name"] == "tiny"
    assert server.metric("kourou_executions_total") == 1  # the one that said it is JSON


def test_its_own_page_does_both(start, driver):  # noqa: F811
    server = start(args=BRIEF, tiny_routes=ROUTES)
    driver.get(f"http://localhost:{server.port}/")
    seen = driver.execute_async_script(ATTACK, f"http://localhost:{server.port}")
    assert json.loads(seen["json"])["outputs"] == {"output": 1} and "items" in json.loads(seen["runs"])
