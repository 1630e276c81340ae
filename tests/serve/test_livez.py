# SPDX-License-Identifier: Apache-2.0
"""/livez says that the front answers, /.kourou/health that the pipeline can be invoked; nothing takes their place."""
import pytest
from tests.serve.serve_client import head, statuses
from tests.serve.serve_harness import Server, make_snapshot, wait_for

ROUTES = [{"method": "GET", "path": "/livez", "auth_required": True}, {"method": "*", "path": "/.kourou/health"},
          {"method": "GET", "path": "/{anything}"}, {"method": "GET", "path": "/health"}]


def test_it_needs_no_worker_and_no_key(start, tmp_path):
    (tmp_path / "mode").write_text("fatal")
    server = start(env={"KOUROU_AUTH_KEY": "right-key"}, ready=False, check=False)
    truth = wait_for(lambda: [a for a in [server.get("/.kourou/health")] if "no module named nothing" in a.body.decode()],
                     "the reason")[0]
    assert truth.status == 503 and truth.json()["status"] in ("failing", "crash-loop") and truth.json()["failures"] >= 1
    for _ in range(20):
        answer = server.get("/livez")
        assert (answer.status, answer.json()) == (200, {"status": "alive"})


def test_nothing_takes_its_place(start):
    server = start({"include_default_endpoints": ["METRICS", "INFO"], "root_url_path": "/root"}, tiny_routes=ROUTES[:2], prefix="/root")
    assert server.get("/livez").json() == {"status": "alive"}
    assert server.get("/.kourou/health").json() == {"status": "healthy"}
    server2 = start(tiny_routes=ROUTES, ready=False, folder=server.folder, check=False)
    wait_for(lambda: server2.get("/.kourou/health").status == 200, "ready")
    assert server2.get("/livez").json() == {"status": "alive"} and server2.get("/health").status == 201
    assert server2.post("/livez", {}).status == 405
    for method, path in (("GET", "/livez"), ("*", "/.kourou/health")):
        line = f"endpoint {method} {path} is left out: the path is the server's own"
        wait_for(lambda: line in server2.log(), "the line in the log")


@pytest.mark.parametrize("setting, value", [("health_url_path", "/livez"), ("invoke_url_path", "livez"), ("root_url_path", "/livez"),
                                            ("metrics_url_path", "/.kourou/health"), ("docs_url_path", ".kourou/x")])
def test_settings_cannot_move_there(tmp_path, setting, value):
    broken = Server(tmp_path, make_snapshot({setting: value}))
    assert broken.process.wait(30) == 1
    assert f"setting {setting}: " in broken.log() and "is the server's own, choose another path" in broken.log()


def test_under_any_name_and_with_a_body(server):
    for path in ("/livez", "/.kourou/health"):
        assert statuses(server.raw(head("GET", path, "Host: evil.example", "Connection: close", host=False))) == [200]
        assert statuses(server.raw(head("HEAD", path, "Connection: close"))) == [200]
        assert statuses(server.raw(head("GET", path, "Content-Length: 268435456"))) == [413]
