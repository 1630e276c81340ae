# SPDX-License-Identifier: Apache-2.0
"""Checklist lines that neither official client touches: transport, accounts, repositories.

The number in a test's name is that of the line in README.md's table.
"""

import base64
import http.client
import json
import time

import pytest

from tests.hub.checklist import LFS_TYPE
from tests.hub.rawhttp import call

README = b"---\nsdk: docker\n---\n"


# -- transport and auth


def test_01_header_name_and_basic(api, hub, space, token):
    for name in ("authorization", "AUTHORIZATION"):
        assert call(hub.url + "/api/whoami-v2", headers={name: f"bearer {token}"}).status == 200
    basic = "Basic " + base64.b64encode(f"alice:{token}".encode()).decode()
    answer = call(
        hub.url + "/spaces/alice/demo.git/info/lfs/objects/batch",
        "POST",
        body=json.dumps({"operation": "upload", "ref": {"name": "main"}, "objects": []}).encode(),
        headers={"Authorization": basic, "Accept": LFS_TYPE, "Content-Type": LFS_TYPE},
    )
    assert answer.status == 200
    assert call(hub.url + "/api/whoami-v2", headers={"Authorization": basic}).status == 401


def test_02_03_04_who_sees_what(api, hub, token):
    api.create("alice/secret", visibility="private")
    stranger = hub.make_token("carol")
    for path in (
        "/api/spaces/alice/secret",
        "/api/spaces/alice/none",
        "/api/spaces/alice/secret/runtime",
        "/api/spaces/alice/secret/tree/main",
        "/api/spaces/alice/none/variables",
    ):
        anonymous = api("GET", path, token=None)
        assert anonymous.status == 401 and anonymous.json() == {"error": "Invalid username or password."}
        assert anonymous.headers["X-Error-Message"] == "Invalid username or password."
        assert anonymous.headers["X-Error-Code"] is None
        bad = api("GET", path, token="hf_bad")
        assert bad.status == 401 and bad.json() == {"error": "Invalid credentials in Authorization header"}
        foreign = api("GET", path, token=stranger)
        assert foreign.status == 404 and foreign.json() == {"error": "Repository not found"}
        assert foreign.headers["X-Error-Code"] == "RepoNotFound"
    assert api("GET", "/api/spaces/hardware", token="hf_bad").status == 401
    hub.change_token("alice", revoked=True)
    assert api("GET", "/api/whoami-v2").status == 401


def test_05_read_only_and_scoped_tokens(api, hub, space):
    api.create("alice/private", visibility="private")
    read = hub.make_token("alice", "read")
    wrong_scope = hub.scoped_token("alice", "acme", ["repo.write"], "org")
    right_scope = hub.scoped_token("alice", "alice/demo", ["repo.write"], "space")
    writes = [
        ("POST", "/api/spaces/alice/demo/secrets", {"key": "A", "value": "1"}),
        ("POST", "/api/spaces/alice/demo/restart", None),
        ("POST", "/api/spaces/alice/demo/pause", None),
        ("POST", "/api/spaces/alice/demo/preupload/main", {"files": []}),
        ("PUT", "/api/spaces/alice/demo/settings", {}),
        ("GET", "/api/spaces/alice/demo/auth-check/write", None),
        ("DELETE", "/api/repos/delete", {"type": "space", "name": "demo", "organization": "alice"}),
    ]
    for method, path, body in writes:
        for token in (read, wrong_scope):
            assert api(method, path, body, token=token).status == 403, (method, path)
        if method != "DELETE":
            assert api(method, path, body, token=right_scope).status == 200, (method, path)
    assert api("GET", "/api/spaces/alice/private", token=wrong_scope).status == 404
    assert api("GET", "/api/spaces/alice/private", token=read).status == 200
    assert space.exists()


def test_05_organization_that_denies_tokens(api, hub):
    hub.make_org("acme", {"alice": "write"}, restrictions=["token-policy"])
    answer = api("POST", "/api/repos/create", {"type": "space", "name": "x", "organization": "acme", "sdk": "docker"})
    assert answer.status == 403 and answer.json()["error"].startswith("Your token has been revoked by the organization")
    assert api("GET", "/api/whoami-v2").json()["orgs"][0]["securityRestrictions"] == ["token-policy"]


def test_07_08_headers_of_every_answer(api, hub, space):
    left = []
    for path, token in (
        ("/api/spaces/alice/demo", ""),
        ("/api/nothing", ""),
        ("/api/whoami-v2", ""),
        ("/api/spaces/ALICE/demo", ""),
    ):
        answer = api("GET", path, token=token, headers={"X-Amzn-Trace-Id": "me-1"})
        head, _, trace = answer.headers["X-Request-Id"].partition(";")
        assert trace == "me-1" and head.startswith("Root=1-") and [len(part) for part in head[7:].split("-")] == [8, 24]
        limit = answer.headers["RateLimit"]
        assert (
            limit.startswith('"api";r=') and answer.headers["RateLimit-Policy"] == '"fixed window";"api";q=2500;w=300'
        )
        left.append(int(limit.split("r=")[1].split(";")[0]))
    assert left == sorted(left, reverse=True) and len(set(left)) == 4
    assert api("GET", "/spaces/alice/demo/resolve/main/README.md").headers["RateLimit"].startswith('"resolvers"')


def test_08_rate_limits(api, hub, space):
    hub.fault("rate_limit", "GET", "/api/spaces/alice/demo", seconds=17)
    answer = api("GET", "/api/spaces/alice/demo")
    assert answer.status == 429 and answer.headers["RateLimit"] == '"api";r=0;t=17'
    assert answer.headers["Retry-After"] is None
    hub.fault("action_quota", "POST", "/api/repos/create")
    answer = api("POST", "/api/repos/create", {"type": "space", "name": "y", "sdk": "docker"})
    assert answer.status == 429 and "r=0" not in answer.headers["RateLimit"]
    hub.reset_counters()
    hub.settings(rate_quota={"api": 3})
    assert [api("GET", "/api/spaces/alice/demo").status for _ in range(5)] == [200, 200, 200, 429, 429]
    hub.settings(rate_quota={}, whoami_quota=1)
    assert [api("GET", "/api/whoami-v2").status for _ in range(2)] == [200, 429]


def test_09_other_spelling_and_renamed(api, hub, space):
    answer = api("GET", "/api/spaces/Alice/DEMO/tree/main?recursive=true")
    assert answer.status == 307 and answer.headers["Location"] == "/api/spaces/alice/demo/tree/main?recursive=true"
    assert api("POST", "/api/spaces/Alice/DEMO/restart").status == 404
    assert (
        api("POST", "/api/repos/move", {"fromRepo": "alice/demo", "toRepo": "alice/b", "type": "space"}).status == 200
    )
    assert api("POST", "/api/repos/move", {"fromRepo": "alice/b", "toRepo": "alice/c", "type": "space"}).status == 200
    assert api("GET", "/api/spaces/alice/demo/runtime").headers["Location"] == "/api/spaces/alice/c/runtime"
    api.create("alice/other")
    answer = api("POST", "/api/repos/move", {"fromRepo": "alice/c", "toRepo": "alice/other", "type": "space"})
    assert answer.status == 409 and "already exists" in answer.json()["error"]


def test_10_whoami_of_every_kind_of_token(api, hub):
    scoped = api("GET", "/api/whoami-v2", token=hub.scoped_token("alice", "alice", ["repo.write"])).json()["auth"]
    assert scoped["accessToken"]["role"] == "fineGrained"
    assert scoped["accessToken"]["fineGrained"]["scoped"][0]["permissions"] == ["repo.write"]
    assert (
        api("GET", "/api/whoami-v2", token=hub.make_token("alice", "god")).json()["auth"]["accessToken"]["role"]
        == "god"
    )
    oauth = api("GET", "/api/whoami-v2", token=hub.make_token("alice", kind="oauth")).json()["auth"]
    assert oauth["type"] == "oauth" and "accessToken" not in oauth and oauth["expiresAt"].endswith("Z")
    expired = hub.make_token("alice", expires=time.time() - 1)
    assert api("GET", "/api/whoami-v2", token=expired).status == 401
    assert api("GET", "/api/whoami-v2", token=None).status == 401


def test_11_faults(api, hub, space):
    path = "/api/spaces/alice/demo"
    for status in (408, 500, 502, 503, 504):
        hub.fault("status", "GET", path, status=status)
        assert "error" in api("GET", path).json() or pytest.fail("no JSON")
        hub.clear_faults()
        hub.fault("status", "GET", path, status=status, html=True)
        answer = api("GET", path)
        assert answer.status == status and answer.headers["Content-Type"] == "text/html" and b"<h1>" in answer.body
        hub.clear_faults()
    for kind in ("cut_before", "cut_after", "cut_during"):
        hub.clear_faults()
        hub.fault(kind, "POST", "/api/spaces/alice/demo/variables", nth=2)
        assert api("POST", path + "/variables", {"key": "FIRST", "value": kind}).status == 200
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            api("POST", path + "/variables", {"key": "SECOND", "value": kind})
        assert space.state()["variables"]["FIRST"]["value"] == kind
        assert (space.state()["variables"].get("SECOND", {}).get("value") == "cut_after") == (kind == "cut_after")
        assert api("DELETE", path + "/variables", {"key": "SECOND"}).status == 200
    hub.clear_faults()
    hub.fault("cut_mid", "GET", path)
    with pytest.raises(http.client.IncompleteRead):
        api("GET", path)
    hub.fault("slow", "GET", path, seconds=0.4)
    started = time.monotonic()
    assert api("GET", path).status == 200 and time.monotonic() - started >= 0.4
    hub.fault("slow_body", "GET", path, seconds=0.4)
    started = time.monotonic()
    assert api("GET", path).json()["id"] == "alice/demo" and time.monotonic() - started >= 0.3
    hub.fault("stall", "GET", path, seconds=0.2)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        api("GET", path)
    hub.fault("stall_after", "POST", path + "/variables", seconds=0.1)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        api("POST", path + "/variables", {"key": "HELD", "value": "1"})
    assert "HELD" in space.state()["variables"]
    hub.fault("garbage", "GET", path)
    with pytest.raises(ValueError):
        api("GET", path).json()
    hub.fault("status_after", "POST", path + "/variables", status=504, html=True)
    assert api("POST", path + "/variables", {"key": "DONE", "value": "1"}).status == 504
    assert "DONE" in space.state()["variables"]
    hub.fault("status", "GET", path, status=307, headers={"Location": "{cdn}/cdn/x/y"})
    assert api("GET", path).headers["Location"].startswith(hub.addresses["cdn"])


def test_11_the_door_shut_after_so_many_calls(api, hub, space):
    hub.reset_counters()
    hub.fault("refuse", after_calls=2, seconds=2)
    assert [api("GET", "/api/spaces/alice/demo").status for _ in range(2)] == [200, 200]
    refused = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() - refused < 5:
            api("GET", "/api/spaces/alice/demo")
    while time.monotonic() - refused < 30:
        try:
            assert api("GET", "/api/spaces/alice/demo").status == 200
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    hub.listen(False)
    with pytest.raises(ConnectionRefusedError):
        api("GET", "/api/spaces/alice/demo")
    hub.listen(True)
    assert api("GET", "/api/spaces/alice/demo").status == 200


def test_11_the_log_knows_tokens_by_name_only(api, hub, space, token):
    api("GET", f"/api/spaces/alice/demo?x={token}", headers={"X-Note": f"my {token}"})
    api("GET", "/api/spaces/alice/demo", token="hf_somebody_elses")
    first, second = hub.log("hub")[-2:]
    assert (first["auth"], first["token"], first["leaks"]) == ("bearer", "alice", ["alice"])
    assert first["query"] == "x=<token alice>" and token not in json.dumps(hub.log())
    assert second["token"].startswith("sha256:") and "hf_somebody_elses" not in json.dumps(hub.log())


# -- repositories


def test_12_13_14_create(api, hub):
    base = {"type": "space", "name": "demo", "organization": "alice", "sdk": "docker"}
    assert api("POST", "/api/repos/create", {**base, "private": True, "visibility": "private"}).status == 400
    assert api("POST", "/api/repos/create", {**base, "sdk": "streamlit"}).status == 400
    assert api("POST", "/api/repos/create", {**base, "sdk": None}).status == 400
    answer = api("POST", "/api/repos/create", {**base, "private": True})
    assert answer.status == 200
    body = answer.json()
    assert body["url"] == f"{hub.url}/spaces/alice/demo" and body["name"] == "alice/demo"
    assert len(body["id"]) == 24 and int(body["id"], 16)
    assert hub.space("alice/demo").state()["visibility"] == "private"
    again = api("POST", "/api/repos/create", {**base, "private": False, "secrets": [{"key": "A", "value": "b"}]})
    assert again.status == 409
    assert again.json() == {"error": "You already created this space repo", "url": f"{hub.url}/spaces/alice/demo"}
    assert hub.space("alice/demo").state()["visibility"] == "private" and not hub.space("alice/demo").state()["secrets"]
    assert api("POST", "/api/repos/create", {**base, "name": "DEMO"}).status == 409
    assert (
        api("POST", "/api/repos/create", {**base, "organization": None, "name": "mine"}).json()["name"] == "alice/mine"
    )
    assert hub.counters()["creates"] == 2


def test_15_plan(api, hub):
    hub.make_user("alice", plan="free")
    body = {"type": "space", "name": "demo", "sdk": "docker"}
    for extra in ({}, {"hardware": "cpu-basic"}):
        answer = api("POST", "/api/repos/create", {**body, **extra})
        assert answer.status == 402 and answer.json()["error"].startswith("Static Spaces are free for everyone, but")
    assert api("POST", "/api/repos/create", {**body, "hardware": "cpu-upgrade"}).status == 200
    assert (
        api("POST", "/api/repos/create", {**body, "name": "p", "sdk": "static", "visibility": "protected"}).status
        == 402
    )
    hub.make_user("alice", can_pay=False)
    assert api("POST", "/api/repos/create", {**body, "name": "q", "hardware": "t4-small"}).status == 402
    hub.settings(enforce_plan=False)
    assert api("POST", "/api/repos/create", {**body, "name": "r"}).status == 200


def test_18_19_create_with_files(api, hub):
    files = [
        {"path": "README.md", "content": README.decode()},
        {"path": "Dockerfile", "content": base64.b64encode(b"FROM x\n").decode(), "encoding": "base64"},
    ]
    space = api.create(files=files, secrets=[{"key": "S", "value": "1"}])
    runtime = space.wait("RUNNING")
    assert runtime["sha"] == space.head and len(space.state()["commits"]) == 1
    assert hub.counters()["builds"] == 1 and hub.counters()["restarts"] == 0
    assert (
        api(
            "POST",
            "/api/repos/create",
            {"type": "space", "name": "z", "sdk": "docker", "secrets": [{"key": "_S", "value": "1"}]},
        ).status
        == 400
    )
    assert not hub.space("alice/z").exists()
    assert b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n" in space.read(".gitattributes")


def test_20_delete(api, hub, space):
    body = {"type": "space", "name": "demo", "organization": "alice"}
    answer = api("DELETE", "/api/repos/delete", body)
    assert (answer.status, answer.text) == (200, "OK") and answer.headers["Content-Type"].startswith("text/plain")
    answer = api("DELETE", "/api/repos/delete", body)
    assert answer.status == 404 and answer.headers["X-Error-Code"] == "RepoNotFound"
    assert api.create().head, "the name is free again"


def test_21_info(api, space):
    plain = api("GET", "/api/spaces/alice/demo").json()
    assert set(plain) >= {
        "_id",
        "id",
        "author",
        "sha",
        "lastModified",
        "private",
        "sdk",
        "host",
        "subdomain",
        "siblings",
        "runtime",
        "cardData",
        "tags",
        "usedStorage",
    }
    assert plain["siblings"] == [{"rfilename": ".gitattributes"}, {"rfilename": "README.md"}]
    assert (
        api("GET", "/api/spaces/alice/demo?blobs=true").json()["siblings"][1]["blobId"]
        == space.files()["README.md"]["oid"]
    )
    for name in ("expand", "expand[]", "expand%5B%5D"):
        assert set(api("GET", f"/api/spaces/alice/demo?{name}=sha&{name}=sdk").json()) == {"_id", "id", "sha", "sdk"}
    answer = api("GET", "/api/spaces/alice/demo?expand=nonsense")
    assert answer.status == 400 and "cardData" in answer.json()["error"]
    answer = api("GET", "/api/spaces/alice/demo/revision/refs%2Fpr%2F7")
    assert answer.status == 404 and answer.headers["X-Error-Code"] == "RevisionNotFound"
    assert "Invalid rev id" in answer.json()["error"]
    assert api("GET", f"/api/spaces/alice/demo/revision/{space.head}").json()["sha"] == space.head


def test_22_listing_over_pages(api, hub):
    for number in range(5):
        api.create(f"alice/s{number}")
    seen, path = [], "/api/spaces?author=alice&limit=2"
    while path:
        answer = api("GET", path)
        seen += [row["id"] for row in answer.json()]
        link = answer.headers["Link"]
        assert not link or link.startswith(f"<{hub.url}/api/spaces?")
        path = link.split(">")[0][1 + len(hub.url) :] if link else None
    assert sorted(seen) == [f"alice/s{number}" for number in range(5)]


@pytest.mark.parametrize("name", ["a" * 97, "-a", "a-", ".a", "a.", "a--b", "a..b", "a.git", "a b", "a/b", ""])
def test_23_names(api, hub, name):
    assert api("POST", "/api/repos/create", {"type": "space", "name": name, "sdk": "docker"}).status == 400
    assert hub.spaces() == []


def test_24_63_subdomains(api, hub):
    first = api.create("alice/My_App.v2")
    assert first.state()["subdomain"] == "alice-my-app-v2"
    second = api.create("alice/my-app-v2")
    assert second.state()["subdomain"] != "alice-my-app-v2", "no two Spaces share a host"
    long = api.create("alice/" + "n" * 96)
    assert len(long.state()["subdomain"]) <= 63
    domain = api("GET", "/api/spaces/alice/My_App.v2/runtime").json()["domains"][0]["domain"]
    host = api("GET", "/api/spaces/alice/My_App.v2/host").json()
    assert host == {"subdomain": "alice-my-app-v2", "host": f"http://{domain}"}
    assert api("GET", "/api/spaces/by-subdomain/alice-my-app-v2").json()["id"] == "alice/My_App.v2"
