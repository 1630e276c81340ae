# SPDX-License-Identifier: Apache-2.0
"""Checklist lines that neither official client touches: settings, stages, logs, the app's address.

The number in a test's name is that of the line in README.md's table.
"""

import json
import socket

import pytest

from tests.hub.checklist import Stream
from tests.hub.rawhttp import call
from tests.support.ports import wait_for

README = b"---\nsdk: docker\n---\n"


# -- settings


def test_44_45_secrets_and_variables(api, space):
    path = "/api/spaces/alice/demo/"
    assert api("POST", path + "secrets", {"key": "K", "value": "v", "description": "d"}).json() == {}
    got = api("GET", path + "secrets")
    assert set(got.json()["K"]) == {"key", "description", "updatedAt"} and "v" not in got.json()["K"].values()
    assert api("DELETE", path + "secrets", {"key": "NONE"}).json() == {}
    answer = api("POST", path + "variables", {"key": "B", "value": "1"}).json()
    api("POST", path + "variables", {"key": "A", "value": "2"})
    answer = api("POST", path + "variables", {"key": "B", "value": "3"}).json()
    assert list(answer) == ["B", "A"] and answer["B"]["value"] == "3"
    assert len(answer["B"]["updatedAt"]) == 24 and answer["B"]["updatedAt"].endswith("Z")
    assert list(api("DELETE", path + "variables", {"key": "NONE"}).json()) == ["B", "A"]
    assert api("GET", path + "variables", token=None).status == 200, "variables of a public Space are public"
    assert api("GET", path + "secrets", token=None).status == 401
    for key in ("_A", "1A", "A B", "Ä", ""):
        assert api("POST", path + "variables", {"key": key, "value": "1"}).status == 400


def test_46_collision(api, hub, space):
    api.deploy(space)
    path = "/api/spaces/alice/demo/"
    assert api("POST", path + "secrets", {"key": "K", "value": "1"}).status == 200
    space.wait("RUNNING")
    assert api("POST", path + "variables", {"key": "K", "value": "1"}).status == 200
    runtime = space.wait("CONFIG_ERROR")
    assert runtime["errorMessage"] == "Collision on variables and secrets names" and "sha" not in runtime
    for kind in ("build", "run"):
        assert api("GET", path + f"logs/{kind}").body == b""
    api("DELETE", path + "variables", {"key": "K"})
    assert api("GET", path + "runtime").json()["stage"] == "CONFIG_ERROR"
    assert api("POST", path + "restart").json()["stage"] == "BUILDING"
    space.wait("RUNNING")


def test_47_every_change_of_a_running_space_is_a_restart(api, hub, space):
    path = "/api/spaces/alice/demo/"
    api("POST", path + "secrets", {"key": "BEFORE", "value": "1"})
    api.deploy(space)
    assert hub.counters()["restarts"] == 0
    for method, name, body in (
        ("POST", "secrets", {"key": "K", "value": "1"}),
        ("POST", "variables", {"key": "V", "value": "1"}),
        ("DELETE", "secrets", {"key": "K"}),
        ("DELETE", "secrets", {"key": "NONE"}),
        ("POST", "hardware", {"flavor": "cpu-upgrade"}),
        ("POST", "sleeptime", {"seconds": 60}),
        ("DELETE", "volumes", None),
    ):
        assert api(method, path + name, body).status == 200
        space.wait("RUNNING")
    counts = space.state()["counts"]
    assert counts["restarts"] == 5 and counts["builds"] == 1
    assert json.loads(call(space.app_url + "/env").body)["V"] == "1"


def test_48_hardware_money(api, hub, space):
    path = "/api/spaces/alice/demo/hardware"
    hub.settings(require_payment=True)
    answer = api("POST", path, {"flavor": "t4-small"})
    assert answer.status == 403 and answer.json()["error"].startswith("You must add a payment method to your account")
    hub.settings(require_payment=False)
    assert api("POST", path, {"flavor": "t4-small"}).json()["hardware"] == {"current": None, "requested": "t4-small"}
    hub.settings(downgrade_402=True)
    answer = api("POST", path, {"flavor": "cpu-basic"})
    assert answer.status == 402 and "you can't downgrade this Space to cpu-basic" in answer.json()["error"]
    listed = api("GET", "/api/spaces/hardware", token=None).json()
    assert listed[0] == {
        "name": "cpu-basic",
        "prettyName": "CPU Basic",
        "cpu": "2 vCPU",
        "ram": "16 GB",
        "accelerator": None,
        "unitCostMicroUSD": 0,
        "unitCostUSD": 0,
        "unitLabel": "minute",
    }


def test_49_51_static_and_old_storage(api, hub, space):
    api.create("alice/page", sdk="static", files=[{"path": "index.html", "content": "<p>hi"}])
    for name in ("pause", "restart", "dev-mode", "sleeptime", "hardware", "volumes"):
        assert api("PUT" if name == "volumes" else "POST", f"/api/spaces/alice/page/{name}", {}).status == 400, name
    runtime = api("GET", "/api/spaces/alice/page/runtime").json()
    assert runtime == {
        "stage": "RUNNING",
        "hardware": {"current": None, "requested": None},
        "storage": None,
        "replicas": {"requested": 1, "current": 1},
    }
    assert call(hub.space("alice/page").app_url + "/").body == b"<p>hi"
    assert api("POST", "/api/spaces/alice/demo/storage", {"tier": "small"}).status == 410
    hub.settings(storage_routes="work")
    assert api("POST", "/api/spaces/alice/demo/storage", {"tier": "small"}).json()["storage"] == "small"
    assert api("DELETE", "/api/spaces/alice/demo/storage").json()["storage"] is None


def test_50_volumes(api, space):
    path = "/api/spaces/alice/demo/volumes"
    good = {"type": "bucket", "source": "alice/data", "mountPath": "/data"}
    for wrong in ([], None, [{**good, "mountPath": "data"}], [{**good, "type": "disk"}], [good, good]):
        assert api("PUT", path, {"volumes": wrong}).status == 400
    assert api("PUT", path, {"volumes": [good]}).status == 200
    assert api("PUT", path, {"volumes": [{**good, "mountPath": "/other"}]}).status == 200
    assert [volume["mountPath"] for volume in space.state()["volumes"]] == ["/other"]
    runtime = api("GET", "/api/spaces/alice/demo/runtime", token=None).json()
    assert runtime["volumes"][0]["source"] == "****/******"
    assert api("DELETE", path).status == 200 and space.state()["volumes"] is None


# -- runtime


def test_52_what_is_missing(api, space):
    assert space.stage == "NO_APP_FILE"
    space.commit({"README.md": b"# no front matter\n", "Dockerfile": b"FROM x\n"})
    assert space.wait("CONFIG_ERROR")["errorMessage"] == "Missing configuration in README"
    space.commit({"README.md": README, "Dockerfile": None})
    space.wait("NO_APP_FILE")


def test_53_54_55_update_with_lag(api, hub, space):
    first = api.deploy(space)
    hub.settings(lag=0.5)
    hub.script("alice/demo", build={"seconds": 0.4}, app={"seconds": 0.4})
    second = space.commit({"x": b"1"})["commitOid"]
    runtime = api("GET", "/api/spaces/alice/demo/runtime").json()
    assert (runtime["stage"], runtime["sha"]) == ("RUNNING", first), "the old state is still shown"
    assert space.wait("RUNNING_BUILDING")["sha"] == first
    assert json.loads(call(space.app_url + "/health").body)["sha"] == first, "the old app is still served"
    assert space.wait("RUNNING_APP_STARTING")["sha"] == first
    assert space.wait("RUNNING")["sha"] == second
    assert json.loads(call(space.app_url + "/health").body)["sha"] == second
    for form, expected in (
        ("auto", {"requested": "auto", "current": 1}),
        ("null", {"requested": 1, "current": None}),
        ("absent", {"requested": 1}),
    ):
        hub.settings(replicas_form=form)
        assert api("GET", "/api/spaces/alice/demo/runtime").json()["replicas"] == expected


def test_56_failures(api, hub, space):
    hub.script(
        "alice/demo", build={"ok": False, "exit_code": 1, "log": ["--> RUN pip install nothing", "no such package"]}
    )
    space.commit({"Dockerfile": b"FROM x\n"})
    runtime = space.wait("BUILD_ERROR")
    assert (
        runtime["errorMessage"].startswith("Job failed with exit code: 1. Reason: cache miss: ")
        and "sha" not in runtime
    )
    assert "no such package" in space.state()["build_log"]
    hub.script("alice/demo", build={"ok": True}, app={"mode": "crash", "exit_code": 3})
    space.commit({"a": b"1"})
    assert space.wait("RUNTIME_ERROR")["errorMessage"] == "Exit code: 3. Reason: Error"
    assert "the model is missing" in space.state()["run_log"]
    hub.settings(launch_timeout=0.3)
    for mode in ("hang", "wrong_port"):
        hub.script("alice/demo", app={"mode": mode})
        before = len(space.stages())
        space.commit({"a": mode.encode()})
        wait_for(lambda: "APP_STARTING" in space.stages()[before:], 30, "the start")
        assert space.wait("RUNTIME_ERROR")["errorMessage"] == "Launch timed out, workload was not healthy after 30 min"
    hub.settings(scheduling_failure="not enough hardware capacity")
    before = len(space.stages())
    space.commit({"a": b"3"})
    wait_for(lambda: len(space.stages()) > before, 30, "the build")
    assert space.wait("RUNTIME_ERROR")["errorMessage"] == "Scheduling failure: not enough hardware capacity"
    hub.settings(scheduling_failure=None, launch_timeout=20)
    hub.script("alice/demo", app={"mode": "builtin"})
    assert api("POST", "/api/spaces/alice/demo/restart").status == 200
    space.wait("RUNNING")
    space.crash(137)
    assert space.wait("RUNTIME_ERROR")["errorMessage"].startswith("Exit code: 137. Reason:")
    answer = call(space.app_url + "/")
    assert (
        answer.status == 503
        and answer.body == b"Your space is in error, check its status on hf.co"
        and len(answer.body) == 49
    )
    assert 'rel="canonical"' in answer.headers["Link"]


def test_56_an_update_that_does_not_build(api, hub, space):
    api.deploy(space)
    hub.script("alice/demo", build={"ok": False})
    hub.settings(old_app_after_build_error=True)
    space.commit({"a": b"1"})
    space.wait("BUILD_ERROR")
    assert call(space.app_url + "/health").status == 200
    hub.settings(old_app_after_build_error=False)
    space.commit({"a": b"2"})
    space.wait("BUILD_ERROR")
    assert call(space.app_url + "/health").status in (200, 503)


def test_57_sleep_and_wake(api, hub, space):
    api("POST", "/api/spaces/alice/demo/hardware", {"flavor": "cpu-upgrade", "sleepTimeSeconds": 100})
    hub.settings(sleep_scale=0.003)
    api.deploy(space)
    space.wait("SLEEPING", seconds=10)
    assert api("GET", "/api/spaces/alice/demo/runtime").json()["hardware"]["current"] is None
    hub.settings(sleep_scale=1)
    api("GET", "/api/spaces/alice/demo")
    assert space.stage == "SLEEPING", "reading the API wakes nobody"
    answer = call(space.app_url + "/")
    assert answer.status == 503 and answer.headers["Content-Type"].startswith("text/html")
    space.wait("RUNNING")
    space.set_stage("SLEEPING")
    hub.settings(wake="block")
    assert call(space.app_url + "/health").status == 200
    assert space.stages()[-4:] == ["SLEEPING", "BUILDING", "APP_STARTING", "RUNNING"]
    assert hub.counters()["builds"] == 1


def test_58_paused_and_quota(api, hub, space):
    api.deploy(space)
    other = api.create("alice/other")
    api.deploy(other)
    api("POST", "/api/spaces/alice/demo/pause")
    before = space.head
    space.commit({"x": b"1"})
    assert space.head != before and space.stage == "PAUSED"
    assert call(space.app_url + "/").status == 503
    hub.settings(running_quota=1)
    answer = api("POST", "/api/spaces/alice/demo/restart")
    assert answer.status == 403 and answer.json()["error"].startswith("You've reached your cpu-basic quota limit")
    space.set_stage("SLEEPING")
    call(space.app_url + "/")
    space.wait("PAUSED")
    space.set_stage("SLEEPING")
    space.commit({"x": b"2"})
    space.wait("PAUSED")
    hub.settings(running_quota=None)
    assert api("POST", "/api/spaces/alice/demo/restart").json()["stage"] == "BUILDING"
    space.wait("RUNNING", sha=space.head)


def test_59_log_stream(api, hub, space, token):
    api.deploy(space)
    path = "/api/spaces/alice/demo/logs/"
    first = api("GET", path + "build")
    assert first.headers["Content-Type"].startswith("text/event-stream")
    blocks = first.text.split("\n\n")[:-1]
    assert all(set(json.loads(block.removeprefix("data: "))) == {"data", "timestamp"} for block in blocks)
    assert api("GET", path + "build").body == first.body, "a new connection begins at the beginning"
    assert len(api("GET", path + "build?tail=2").text.split("\n\n")) == 3
    assert api("GET", path + "build", token=None).status == 401
    assert api("GET", path + "build", token=hub.make_token("carol")).status == 403
    hub.settings(keepalive=0.1)
    with Stream(hub, path + "run", token) as lines:
        seen = [next(lines) for _ in range(6)]
        assert json.loads(seen[0].removeprefix("data: "))["data"].startswith("===== Application Startup at ")
        while next(lines) != "data:":
            pass
        space.say("later")
        while "later" not in next(lines):
            pass
    hub.fault("cut_stream", "GET", "*/logs/run", count=2)
    with Stream(hub, path + "run", token) as lines:
        assert len([line for line in lines if line.startswith("data: {")]) <= 2


def test_60_events_and_metrics_stay_open(api, hub, space, token):
    hub.settings(metric_interval=0.05)
    with Stream(hub, "/api/spaces/alice/demo/events", token) as lines:
        assert [next(lines), next(lines)] == ["event: stage", "data: NO_APP_FILE"]
        space.commit({"Dockerfile": b"FROM x\n"})
        assert [next(lines), next(lines)] == ["event: stage", "data: BUILDING"]
    with Stream(hub, "/api/spaces/alice/demo/metrics", token) as lines:
        for _ in range(3):
            assert next(lines) == "event: metric"
            assert json.loads(next(lines).removeprefix("data: "))["memory_total_bytes"] > 0
    api.create("alice/page", sdk="static")
    assert api("GET", "/api/spaces/alice/page/metrics").status == 406


def test_61_app_host(api, hub, space, token):
    assert call(space.app_url + "/").status == 503
    api.deploy(space)
    headers = {"Host": "alice-demo.hf.space"}
    assert call(hub.url + "/health", headers=headers).json()["status"] == "ok"
    assert call(hub.url + "/health", headers={"Host": "alice-none.hf.space"}).status == 404
    answer = call(
        space.app_url + "/echo?a=b", "POST", body=b"body", headers={"X-Forwarded-For": "9.9.9.9", "Origin": "http://o"}
    )
    seen = answer.json()
    assert seen["body"] == "body" and seen["query"] == "a=b"
    assert answer.headers["Access-Control-Allow-Origin"] == "http://o"
    answer = call(
        space.app_url + "/x", "OPTIONS", headers={"Origin": "http://o", "Access-Control-Request-Method": "POST"}
    )
    assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "http://o"
    api("PUT", "/api/spaces/alice/demo/settings", {"visibility": "private"})
    for wrong in (None, "hf_bad", hub.make_token("carol")):
        answer = call(space.app_url + "/health", token=wrong)
        assert answer.status == 404 and answer.headers["Content-Type"].startswith("text/html")
    assert call(space.app_url + "/health", token=hub.make_token("alice", "read")).status == 200
    assert hub.log("app")[-1]["token"].startswith("alice-read") and hub.log("app")[-1]["origin"] == "app:alice/demo"
    api("PUT", "/api/spaces/alice/demo/settings", {"visibility": "protected"})
    assert call(space.app_url + "/health").status == 200
    assert api("GET", "/api/spaces/alice/demo", token=None).status == 401


def test_61_app_on_a_local_port(api, hub, space):
    """The scripted engine's app may be any program: bodies, streams and upgrades go through."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        hub.script("alice/demo", app={"mode": "port", "port": server.getsockname()[1]})
        space.commit({"Dockerfile": b"FROM x\n"})
        server.accept()[0].close()  # the probe
        space.wait("RUNNING")
        client = socket.create_connection(("127.0.0.1", int(space.app_url.rsplit(":", 1)[1])), 20)
        client.sendall(b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        app, _ = server.accept()
        while b"\r\n\r\n" not in (head := app.recv(65536)):
            pass
        assert b"Upgrade: websocket" in head and b"X-Forwarded-For: 127.0.0.1" in head
        app.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
        got = b""
        while not got.endswith(b"hello"):
            got += client.recv(100)
        client.sendall(b"frame")
        assert app.recv(100) == b"frame"
        app.close()
        assert client.recv(100) == b""
        client.close()


def test_errors_of_the_control_port_say_what_is_wrong(hub):
    with pytest.raises(AssertionError, match="unknown fault nonsense"):
        hub.fault("nonsense")
    with pytest.raises(AssertionError, match="there is no setting"):
        hub.settings(nonsense=1)
