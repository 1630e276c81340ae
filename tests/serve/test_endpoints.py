# SPDX-License-Identifier: Apache-2.0
"""Every endpoint, its settings, and the headers that go with all of them."""
import json
import os
import socket
import time

import pytest

from tests.serve.serve_client import head, read_all, statuses
from tests.serve.serve_harness import Server, make_snapshot, wait_for


def test_invoke_and_its_body(server):
    answer = server.post("/invoke", {"parameters": {"op": "echo", "value": [1, "ä"]}, "run_name": "my run"})
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["success"] is True and body["outputs"] == {"output": [1, "ä"]}
    assert body["metadata"]["run_name"] == "my run" and len(body["metadata"]["run_id"]) == 36
    assert server.post("/invoke", "{nonsense").status == 422


def test_timeout_is_found_at_the_top_level_only(server):
    parameters = {"op": "sleep", "seconds": 0.4, "timeout": 0.01, "text": '"timeout": 0.01, \\"'}
    assert server.post("/invoke", {"parameters": parameters}).status == 200
    raw = '{"a":{"timeout":0.01},"parameters":{"op":"sleep","seconds":3},\n "timeout" : 2e-1}'
    assert server.post("/invoke", raw).status == 504
    assert server.post("/invoke", '{"timeout":null,"parameters":{"op":"echo"}}').status == 200


def test_batch(server):
    items = [{"parameters": {"op": "echo", "value": i}} for i in range(5)] + [{"parameters": {"op": "raise"}}]
    answer = server.post("/invoke/batch", items)
    assert answer.status == 200
    assert [r["success"] for r in answer.json()] == [True] * 5 + [False]
    assert [r["outputs"]["output"] for r in answer.json()[:5]] == list(range(5))


def test_stream_of_events(server):
    answer = server.post("/invoke/stream", {"parameters": {"count": 3}})
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream")
    names = [line[7:] for line in answer.body.decode().splitlines() if line.startswith("event: ")]
    assert names == ["run_started"] + ["user_message"] * 3 + ["run_finished"]


def test_stream_events_arrive_while_the_run_goes_on(server, tmp_path):
    body = json.dumps({"parameters": {"count": 4, "gate": str(tmp_path / "go")}}).encode()
    with server.socket() as sock:
        sock.sendall(head("POST", "/invoke/stream", "Content-Type: application/json",
                          f"Content-Length: {len(body)}", "Connection: close") + body)
        data = b""
        while b'"value":0' not in data:
            data += sock.recv(4096)
        assert b'"value":1' not in data
        (tmp_path / "go").touch()
        assert b"run_finished" in read_all(sock)


def test_stream_in_http_1_0_ends_with_the_connection(server):
    body = b'{"parameters":{"count":2}}'
    data = server.raw(b"POST /invoke/stream HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                      % len(body) + body)
    assert b"transfer-encoding" not in data and data.endswith(b'data: {"success":true}\n\n')


def test_streams_run_beside_each_other_and_beside_invocations(server, tmp_path):
    """All eight have begun, and none can go on, when the others are asked for."""
    socks = []
    body = json.dumps({"parameters": {"count": 20, "gate": str(tmp_path / "go")}}).encode()
    for _ in range(8):
        sock = server.socket()
        sock.sendall(head("POST", "/invoke/stream", "Content-Type: application/json",
                          f"Content-Length: {len(body)}", "Connection: close") + body)
        socks.append(sock)
    heard = [b""] * 8
    for n, sock in enumerate(socks):
        while b"user_message" not in heard[n]:
            heard[n] += sock.recv(4096)
    assert server.invoke("echo", value=1).status == 200
    (tmp_path / "go").touch()
    for n, sock in enumerate(socks):
        assert (heard[n] + read_all(sock)).count(b"user_message") == 20
        sock.close()


def test_slow_reader_of_a_stream_holds_the_worker_back(server):
    """60 MB of events; the front must not collect them."""
    body = b'{"parameters":{"count":600,"pad":100000}}'
    with server.socket(20) as sock:
        sock.sendall(head("POST", "/invoke/stream", "Content-Type: application/json",
                          f"Content-Length: {len(body)}", "Connection: close") + body)
        time.sleep(0.7)
        assert server.metric('kourou_memory_bytes{process="front"}') < 60e6
        assert server.invoke("echo", value=1).status == 200
        assert read_all(sock).count(b"user_message") == 600


def test_client_that_leaves_a_stream_ends_it(server):
    body = b'{"parameters":{"count":10000,"pause":0.01}}'
    sock = server.socket()
    sock.sendall(head("POST", "/invoke/stream", "Content-Type: application/json",
                      f"Content-Length: {len(body)}") + body)
    data = b""
    while b"run_started" not in data:
        data += sock.recv(65536)
    sock.close()
    wait_for(lambda: server.metric("kourou_in_flight") == 0, "the run has ended")
    assert server.metric("kourou_worker_restarts_total") == 0


def test_worker_that_dies_in_a_stream(server):
    answer = server.post("/invoke/stream", {"parameters": {"count": 5, "exit_at": 2}})
    text = answer.body.decode()
    assert answer.status == 200 and text.count("user_message") == 2
    error = json.loads(text.split("event: error\ndata: ", 1)[1].split("\n")[0])
    assert error["retryable"] is False and "exit status 9" in error["detail"]
    assert error["success"] is False and error["outputs"] is None and error["error"] == error["detail"]


def test_stream_that_passes_its_timeout(server):
    answer = server.post("/invoke/stream", {"parameters": {"count": 600, "pause": 0.1}, "timeout": 0.35})
    assert "event: error" in answer.body.decode() and "timeout" in answer.body.decode()


def test_pipeline_without_streams_has_no_stream_endpoint(start):
    server = start(streams=False)
    assert server.post("/invoke/stream", {}).status == 404
    assert "/invoke/stream" not in server.get("/openapi.json").json()["paths"]


def test_key(start):
    server = start(env={"KOUROU_AUTH_KEY": "right-key"})
    answer = server.invoke("echo", value=1)
    assert (answer.status, answer.json()) == (401, {"detail": "Authorization header required"})
    assert answer.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": "Basic right-key"},
                    {"X-API-Key": "right-ke"}, {"X-API-Key": "right-keyy"}, {"Authorization": "Bearer "}):
        answer = server.invoke("echo", value=1, _headers=headers)
        assert (answer.status, answer.json()) == (401, {"detail": "Invalid authentication token"}), headers
    for headers in ({"Authorization": "Bearer right-key"}, {"authorization": "bearer right-key"},
                    {"X-API-Key": "right-key"},
                    {"Authorization": "Bearer hub-token", "X-API-Key": "right-key"}):
        assert server.invoke("echo", value=1, _headers=headers).status == 200, headers
    assert server.get("/runs").status == 401
    for path in ("/health", "/info", "/metrics", "/docs", "/openapi.json", "/"):
        assert server.get(path).status == 200, path
    assert server.get("/info").json()["deployment"]["auth_enabled"] is True
    assert server.get("/openapi.json").json()["paths"]["/invoke"]["post"]["security"]


def test_key_from_a_file(start, tmp_path):
    (tmp_path / "key").write_text("file-key-1\n")
    server = start(env={"KOUROU_AUTH_KEY_FILE": str(tmp_path / "key")})
    assert server.invoke("echo", value=1, _headers={"X-API-Key": "file-key-1"}).status == 200
    assert server.invoke("echo", value=1).status == 401


def test_refused_upload_is_not_read(start):
    server = start(env={"KOUROU_AUTH_KEY": "right-key"})
    data = server.raw(head("POST", "/invoke", "Content-Type: application/json", "Content-Length: 200000000"))
    assert statuses(data) == [401] and b"connection: close" in data


def test_info_and_metrics(start):
    server = start(args=["--deployment-id", "d-1", "--deployment-name", "dep", "--snapshot-id", "s-1",
                         "--snapshot-name", "snap"])
    server.invoke("echo", value=1)
    info = server.get("/info").json()
    assert info["deployment"]["id"] == "d-1" and info["deployment"]["name"] == "dep"
    assert info["snapshot"] == {"id": "s-1", "name": "snap"}
    assert info["pipeline"]["name"] == "tiny" and info["pipeline"]["input_schema"]["type"] == "object"
    assert info["app"]["invoke_url_path"] == "/invoke" and info["status"] == "healthy"
    assert info["total_executions"] == 1 and info["last_execution_time"].endswith("Z")
    page = server.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = page.body.decode()
    assert 'kourou_requests_total{path="/invoke",status="200"} 1' in text
    assert 'kourou_request_duration_seconds_bucket{path="/invoke",le="+Inf"} 1' in text
    assert server.metric('kourou_workers{state="ready"}') == 1
    assert server.metric('kourou_memory_bytes{process="worker-0"}') > 1e6
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    as_json = server.get("/metrics", {"Accept": "application/json"})
    assert as_json.json()["total_executions"] == 1
    assert server.get("/health").headers["server"] == "d-1"


def test_runs_are_recorded_and_paged(server):
    for i in range(25):
        server.post("/invoke", {"parameters": {"op": "echo"}, "run_name": f"r{i}"})
    server.invoke("raise")
    server.invoke("exit")
    server.post("/invoke/batch", [])
    page = server.get("/runs?size=10").json()
    assert page["total"] == 28 and page["total_pages"] == 3 and len(page["items"]) == 10
    assert [r["status"] for r in page["items"][:3]] == ["completed", "crashed", "failed"]
    assert page["items"][0]["kind"] == "batch" and page["items"][1]["http_status"] == 502
    last = server.get("/runs?size=10&page=3").json()["items"]
    assert [r["name"] for r in last] == [f"r{i}" for i in range(7, -1, -1)]
    failed = server.get("/runs?status=failed").json()
    assert failed["total"] == 1 and failed["items"][0]["http_status"] == 500
    assert server.get("/runs?page=99").json()["items"] == []
    for query in ("page=0", "size=501", "page=x", "status=odd"):
        answer = server.get("/runs?" + query)
        assert answer.status == 422 and answer.json()["detail"][0]["loc"][0] == "query", query


def test_journal_is_bounded_and_survives(start, tmp_path):
    args = ["--data-dir", str(tmp_path / "data"), "--runs-kept", "20"]
    server = start(args=args)
    connection = server.connection()
    for i in range(70):
        server.post("/invoke", {"parameters": {"op": "echo"}, "run_name": f"r{i}"}, connection=connection)
    connection.close()
    page = server.get("/runs?size=100").json()
    assert [r["name"] for r in page["items"]] == [f"r{i}" for i in range(69, 49, -1)]
    server.check_clean()
    server.stop()
    again = start(args=args[:-1] + ["30"])
    assert again.get("/info").json()["total_executions"] == 70
    page = again.get("/runs?size=100").json()
    assert [r["name"] for r in page["items"]] == [f"r{i}" for i in range(69, 49, -1)]
    again.post("/invoke", {"parameters": {"op": "echo"}, "run_name": "new"})
    assert again.get("/runs").json()["items"][0]["name"] == "new"
    assert (tmp_path / "data" / "runs.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", [1, 3, 8, 9])
def test_journal_keeps_the_newest_of_a_crowd(start, kept):
    """Runs are written many at a time, also more of them than are kept."""
    server = start(args=["--runs-kept", str(kept)])
    connection = server.connection()
    for i in range(60):
        server.post("/invoke", {"parameters": {"op": "echo"}, "run_name": f"r{i}"}, connection=connection)
    connection.close()
    page = server.get("/runs?size=100").json()
    assert [r["name"] for r in page["items"]] == [f"r{i}" for i in range(59, 59 - kept, -1)]
    assert server.get("/info").json()["total_executions"] == 60


def test_damaged_journal_does_not_stop_the_service(start, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "runs.db").write_bytes(b"this is no database" * 500)
    server = start(args=["--data-dir", str(tmp_path / "data")])
    assert server.invoke("echo", value=1).status == 200
    assert server.get("/runs").status == 404
    wait_for(lambda: "runs are not recorded" in server.log(), "the line in the log")


@pytest.mark.parametrize("deployment, more", [
    ({}, {"env": {"KOUROU_AUTH_KEY": "right-key"}}), ({}, {"args": ["--space"]}),
    ({}, {"args": ["--host", "0.0.0.0"]}), ({"cors": {"allow_origins": ["*"]}}, {})])
def test_cors(start, deployment, more):
    """Where a key or the Hub decides, and where somebody has set it, all other sites may read."""
    server = start(deployment, **more)
    answer = server.get("/health", {"Origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "content-type, x-api-key"}
    answer = server.request("OPTIONS", "/invoke", headers=ask)
    assert answer.status == 204 and "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type, x-api-key"
    assert server.request("OPTIONS", "/invoke", headers={**ask, "Access-Control-Request-Method": "PUT"}).status == 400
    assert server.request("OPTIONS", "/invoke").status == 405


def test_cors_with_a_list(start):
    server = start({"cors": {"allow_origins": ["https://a.example"], "allow_credentials": True,
                             "allow_methods": ["POST"], "allow_headers": ["x-a"]}})
    answer = server.get("/health", {"Origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in server.get("/health", {"Origin": "https://b.example"}).headers
    refused = server.request("OPTIONS", "/invoke", headers={"Origin": "https://b.example",
                                                            "Access-Control-Request-Method": "POST"})
    assert refused.status == 400


def test_secure_headers(start):
    headers = start().get("/health").headers
    for name in ("strict-transport-security", "x-frame-options", "x-content-type-options",
                 "content-security-policy", "referrer-policy", "cache-control", "permissions-policy"):
        assert headers[name], name


def test_secure_headers_can_be_changed(start):
    server = start({"secure_headers": {"xfo": False, "csp": "default-src 'self'", "server": "me", "hsts": True,
                                       "cache": "a\r\nb: c"}})
    headers = server.get("/health").headers
    assert "x-frame-options" not in headers and headers["server"] == "me"
    assert headers["content-security-policy"] == "default-src 'self'" and "strict-transport-security" in headers
    assert "b" not in headers and "cache-control" not in headers


def test_space_may_frame_the_page(start):
    headers = start(args=["--space"]).get("/").headers
    assert "https://huggingface.co" in headers["content-security-policy"] and "x-frame-options" not in headers


def test_paths_can_be_moved(start):
    server = start({"root_url_path": "/root", "api_url_path": "/api", "invoke_url_path": "/go",
                    "health_url_path": "alive", "docs_url_path": "/d"}, prefix="/root/api")
    assert server.get("/health").status == 404
    info = server.get("/root/api/info").json()["app"]
    assert info["invoke_url_path"] == "/root/api/go" and info["health_url_path"] == "/root/api/alive"
    assert server.post("/root/api/go", {"parameters": {"op": "echo"}}).status == 200
    assert server.get("/root/api/d").status == 200 and server.get("/root/").status == 200


# The harness needs /health, so it is left on.
def test_endpoints_can_be_switched_off(start):
    server = start({"include_default_endpoints": ["HEALTH", "METRICS"], "include_default_middleware": []})
    assert server.get("/").status == 404 and server.get("/docs").status == 404
    assert server.post("/invoke", {}).status == 404
    assert "content-security-policy" not in server.get("/health").headers
    server2 = start({"include_default_endpoints": "HEALTH|METRICS|DOC"}, folder=server.folder)
    assert server2.get("/docs").status == 200 and server2.get("/info").status == 404


def test_pages_are_self_contained(server):
    for path in ("/", "/docs", "/redoc"):
        page = server.get(path)
        text = page.body.decode()
        assert page.status == 200 and page.headers["content-type"].startswith("text/html")
        assert "http://" not in text and "https://" not in text and "KOUROU_INFO" not in text
    assert '"input_schema"' in server.get("/").body.decode()


def test_page_data_cannot_close_the_script(start):
    server = start(args=["--deployment-name", "</script><script>alert(1)"])
    assert "</script><script>alert(1)" not in server.get("/").body.decode()


def test_openapi_document(start):
    snapshot = {"input_schema": {"type": "object", "required": ["who"], "additionalProperties": False,
                                 "$defs": {"Who": {"type": "object", "properties": {"name": {"type": "string"}}}},
                                 "properties": {"who": {"$ref": "#/$defs/Who"}}}}
    server = start(**snapshot)
    doc = server.get("/openapi.json").json()
    assert doc["openapi"] == "3.1.0"
    schemas = doc["components"]["schemas"]
    assert schemas["PipelineInput"]["properties"]["who"] == {"$ref": "#/components/schemas/Input.Who"}
    assert schemas["Input.Who"]["properties"]["name"] == {"type": "string"}
    assert {"/invoke", "/invoke/batch", "/invoke/stream", "/health", "/info", "/metrics", "/runs"} == set(doc["paths"])

    def refs(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for child in value.values():
                yield from refs(child)
        elif isinstance(value, list):
            for child in value:
                yield from refs(child)

    for ref in refs(doc):
        node = doc
        for part in ref[2:].split("/"):
            node = node[part]


ROUTES = [{"method": "GET", "path": "/hello/{name}", "auth_required": False},
          {"method": "POST", "path": "/secret", "auth_required": True},
          {"method": "GET", "path": "/info", "auth_required": False},
          {"method": "*", "path": "/mount/{rest:path}", "auth_required": False}]


def test_custom_endpoints(start):
    server = start(env={"KOUROU_AUTH_KEY": "right-key"}, tiny_routes=ROUTES)
    answer = server.get("/hello/you?a=1", {"X-Some": "Thing"})
    assert answer.status == 201 and answer.headers["x-custom"] == "yes"
    seen = answer.json()
    assert (seen["method"], seen["path"], seen["query"]) == ("GET", "/hello/you", "a=1")
    assert seen["headers"]["x-some"] == "Thing"
    assert server.get("/hello/").status == 404 and server.get("/hello/a/b").status == 404
    assert server.post("/hello/you", {}).status == 405
    assert server.post("/secret", "text", {"Content-Type": "text/plain"}).status == 401
    answer = server.post("/secret", "text", {"Content-Type": "text/plain", "X-API-Key": "right-key"})
    assert answer.json()["body"] == "text"
    assert server.get("/info").status == 201  # replaces the default one
    assert server.request("PUT", "/mount/a/b/c", "x").json()["path"] == "/mount/a/b/c"
    assert "/hello/{name}" in server.get("/openapi.json").json()["paths"]


def test_custom_endpoint_with_a_large_body(start):
    server = start(tiny_routes=[{"method": "POST", "path": "/up", "auth_required": False}])
    body = "b" * 2_000_000
    answer = server.post("/up", body, {"Content-Type": "text/plain", "X-Y": "z"})
    assert answer.status == 201 and answer.headers["x-custom"] == "yes"
    assert answer.json()["body"] == body and answer.json()["headers"]["x-y"] == "z"


def test_an_endpoint_at_the_root_of_the_site(start):
    server = start({"invoke_url_path": "/"})
    assert server.post("/", {"parameters": {"op": "echo", "value": 7}}).json()["outputs"] == {"output": 7}
    assert server.post("/batch", [{"parameters": {"op": "echo"}}]).status == 200
    assert server.post("/stream", {"parameters": {"count": 1}}).status == 200
    assert server.get("/").status == 200 and server.get("/health").status == 200


def test_answers_that_have_no_body_keep_the_connection_in_step(start):
    server = start(tiny_routes=[{"method": "GET", "path": "/own", "auth_required": False}])
    asked = b"".join(b"GET /own?status=%d HTTP/1.1\r\nHost: a\r\n\r\n" % status for status in (204, 304, 200))
    data = server.raw(asked + b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert statuses(data) == [204, 304, 200, 200] and data.count(b'"path": "/own"') == 1
    assert server.get("/own?status=99").status == 500 and server.get("/own?status=600").status == 500


def test_dashboard_files(start, tmp_path):
    site = tmp_path / "site"
    (site / "assets").mkdir(parents=True)
    (site / "index.html").write_text("<p>my page</p>")
    (site / "assets" / "a.js").write_text("let a")
    (site / "empty.txt").write_text("")
    (tmp_path / "outside.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "outside.txt")
    server = start({"dashboard_files_path": "site"})
    assert server.get("/").body == b"<p>my page</p>"
    answer = server.get("/assets/a.js")
    assert answer.body == b"let a" and answer.headers["content-type"].startswith("text/javascript")
    assert server.get("/empty.txt").body == b""
    assert server.get("/some/page", {"Accept": "text/html"}).body == b"<p>my page</p>"
    assert server.get("/some/page").status == 404
    (site / ".env").write_text("secret")
    (site / ".git").mkdir()
    (site / ".git" / "config").write_text("secret")
    (site / "assets" / ".htpasswd").write_text("secret")
    (site / "visible.txt").symlink_to(".env")
    (site / "assets" / "up.txt").symlink_to("../.git/config")
    (site / "inside.txt").symlink_to("assets/a.js")
    (site / "out").symlink_to(tmp_path)
    (site / "zero").symlink_to("/dev/zero")
    (site / "secret.txt").symlink_to("/etc/hostname")
    (site / "loop").symlink_to("loop")
    (site / "folder").mkdir()
    (site / "folder" / "index.html").mkdir()
    os.mkfifo(site / "pipe")
    os.mkfifo(site / "assets" / "index.html")
    os.mkfifo(site / "pipe.html")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(site / "socket"))
    assert server.get("/inside.txt").body == b"let a"
    for path in ("/.env", "/%2eenv", "/.git/config", "/.git/", "/assets/.htpasswd", "/assets/%2Ehtpasswd", "/visible.txt", "/assets/up.txt", "/pipe",
                 "/pipe.html", "/assets/", "/assets/index.html", "/socket", "/zero", "/secret.txt", "/loop", "/out/outside.txt", "/out/", "/folder/",
                 "/folder", "/./a", "/.", "/..", "//etc/passwd", "/%2fetc/passwd", "/...", "/assets/.", "/assets//a.js/", "/a.js%00"):
        answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode(), timeout=10)
        assert statuses(answer) == [404] and b"secret" not in answer, (path, answer)
    for path in ("/../outside.txt", "/%2e%2e/outside.txt", "/assets/../../outside.txt", "/link.txt", "/assets",
                 "/a%00b"):
        answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert statuses(answer)[0] in (400, 404), path
        assert b"secret" not in answer
    assert server.invoke("echo", value=1).status == 200


def test_a_dashboard_without_a_page_is_told_at_the_start(tmp_path):
    (tmp_path / "site").mkdir()
    for what, make in (("is missing", lambda index: None), ("is not a file", os.mkdir)):
        make(tmp_path / "site" / "index.html")
        broken = Server(tmp_path, make_snapshot({"dashboard_files_path": "site"}))
        assert broken.process.wait(30) == 1
        assert f"index.html {what}" in broken.log() and "dashboard_files_path" in broken.log()


def test_a_file_that_gets_shorter_while_it_is_sent(start, tmp_path):
    """A large one goes out in parts; when the rest is gone, the connection ends short of what was promised."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("page")
    with open(site / "large.bin", "wb") as file:
        file.truncate(300_000_000)
    server = start({"dashboard_files_path": "site"})
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(head("GET", "/large.bin"))
        data = sock.recv(1000)
        assert b"content-length: 300000000" in data
        assert server.metric("kourou_request_memory_bytes") < 1_000_000  # the file lies on the disk
        os.truncate(site / "large.bin", 1000)
        data += read_all(sock)
    assert len(data) < 100_000_000
    assert server.get("/").body == b"page"
