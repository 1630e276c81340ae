# SPDX-License-Identifier: Apache-2.0
"""Lines of the emulator checklist that neither official client touches, call by call.

The number in a test's name is that of the line in README.md's table.
"""
import base64
import hashlib
import http.client
import json
import socket
import subprocess
import time

import pytest

from tests.hub.rawhttp import call, ndjson

LFS_TYPE = "application/vnd.git-lfs+json"
README = b"---\nsdk: docker\n---\n"


class Caller:
    def __init__(self, hub, token):
        self.hub, self.token = hub, token

    def __call__(self, method, path, json_body=None, token="", **options):
        return call(self.hub.url + path, method, self.token if token == "" else token, json_body, **options)

    def create(self, name="alice/demo", **fields):
        owner, _, short = name.partition("/")
        answer = self("POST", "/api/repos/create", {"type": "space", "name": short, "organization": owner,
                                                     "sdk": "docker", **fields})
        assert answer.status == 200, answer
        return self.hub.space(name)

    def commit(self, *rows, name="alice/demo", summary="x", query="", **options):
        options.setdefault("headers", {"Content-Type": "application/x-ndjson"})
        head = ("header", {"summary": summary, **options.pop("header", {})})
        return self("POST", f"/api/spaces/{name}/commit/main{query}", body=ndjson(head, *rows), **options)

    def deploy(self, space, **files):
        files = files or {"Dockerfile": b"FROM x\n"}
        oid = space.commit(files)["commitOid"]
        space.wait("RUNNING", sha=oid)
        return oid


def file(path, data=b"x", **extra):
    return ("file", {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64", **extra})


@pytest.fixture
def api(hub, token):
    return Caller(hub, token)


@pytest.fixture
def space(api):
    return api.create()


# -- transport and auth


def test_01_header_name_and_basic(api, hub, space, token):
    for name in ("authorization", "AUTHORIZATION"):
        assert call(hub.url + "/api/whoami-v2", headers={name: f"bearer {token}"}).status == 200
    basic = "Basic " + base64.b64encode(f"alice:{token}".encode()).decode()
    answer = call(hub.url + "/spaces/alice/demo.git/info/lfs/objects/batch", "POST",
                  body=json.dumps({"operation": "upload", "ref": {"name": "main"}, "objects": []}).encode(),
                  headers={"Authorization": basic, "Accept": LFS_TYPE, "Content-Type": LFS_TYPE})
    assert answer.status == 200
    assert call(hub.url + "/api/whoami-v2", headers={"Authorization": basic}).status == 401


def test_02_03_04_who_sees_what(api, hub, token):
    api.create("alice/secret", visibility="private")
    stranger = hub.make_token("carol")
    for path in ("/api/spaces/alice/secret", "/api/spaces/alice/none", "/api/spaces/alice/secret/runtime",
                 "/api/spaces/alice/secret/tree/main", "/api/spaces/alice/none/variables"):
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
    writes = [("POST", "/api/spaces/alice/demo/secrets", {"key": "A", "value": "1"}),
              ("POST", "/api/spaces/alice/demo/restart", None), ("POST", "/api/spaces/alice/demo/pause", None),
              ("POST", "/api/spaces/alice/demo/preupload/main", {"files": []}),
              ("PUT", "/api/spaces/alice/demo/settings", {}), ("GET", "/api/spaces/alice/demo/auth-check/write", None),
              ("DELETE", "/api/repos/delete", {"type": "space", "name": "demo", "organization": "alice"})]
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
    for path, token in (("/api/spaces/alice/demo", ""), ("/api/nothing", ""), ("/api/whoami-v2", ""),
                        ("/api/spaces/ALICE/demo", "")):
        answer = api("GET", path, token=token, headers={"X-Amzn-Trace-Id": "me-1"})
        head, _, trace = answer.headers["X-Request-Id"].partition(";")
        assert trace == "me-1" and head.startswith("Root=1-") and [len(part) for part in head[7:].split("-")] == [8, 24]
        limit = answer.headers["RateLimit"]
        assert limit.startswith('"api";r=') and answer.headers["RateLimit-Policy"] == '"fixed window";"api";q=2500;w=300'
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
    assert answer.status == 429 and 'r=0' not in answer.headers["RateLimit"]
    hub.reset_counters()
    hub.settings(rate_quota={"api": 3})
    assert [api("GET", "/api/spaces/alice/demo").status for _ in range(5)] == [200, 200, 200, 429, 429]
    hub.settings(rate_quota={}, whoami_quota=1)
    assert [api("GET", "/api/whoami-v2").status for _ in range(2)] == [200, 429]


def test_09_other_spelling_and_renamed(api, hub, space):
    answer = api("GET", "/api/spaces/Alice/DEMO/tree/main?recursive=true")
    assert answer.status == 307 and answer.headers["Location"] == "/api/spaces/alice/demo/tree/main?recursive=true"
    assert api("POST", "/api/spaces/Alice/DEMO/restart").status == 404
    assert api("POST", "/api/repos/move", {"fromRepo": "alice/demo", "toRepo": "alice/b", "type": "space"}).status == 200
    assert api("POST", "/api/repos/move", {"fromRepo": "alice/b", "toRepo": "alice/c", "type": "space"}).status == 200
    assert api("GET", "/api/spaces/alice/demo/runtime").headers["Location"] == "/api/spaces/alice/c/runtime"
    api.create("alice/other")
    answer = api("POST", "/api/repos/move", {"fromRepo": "alice/c", "toRepo": "alice/other", "type": "space"})
    assert answer.status == 409 and "already exists" in answer.json()["error"]


def test_10_whoami_of_every_kind_of_token(api, hub):
    scoped = api("GET", "/api/whoami-v2", token=hub.scoped_token("alice", "alice", ["repo.write"])).json()["auth"]
    assert scoped["accessToken"]["role"] == "fineGrained"
    assert scoped["accessToken"]["fineGrained"]["scoped"][0]["permissions"] == ["repo.write"]
    assert api("GET", "/api/whoami-v2", token=hub.make_token("alice", "god")).json()["auth"]["accessToken"]["role"] == "god"
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
    hub.fault("refuse", after_calls=2, seconds=0.6)
    assert [api("GET", "/api/spaces/alice/demo").status for _ in range(2)] == [200, 200]
    refused = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() - refused < 5:
            api("GET", "/api/spaces/alice/demo")
    while time.monotonic() - refused < 10:
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
    assert api("POST", "/api/repos/create", {**base, "organization": None, "name": "mine"}).json()["name"] == "alice/mine"
    assert hub.counters()["creates"] == 2


def test_15_plan(api, hub):
    hub.make_user("alice", plan="free")
    body = {"type": "space", "name": "demo", "sdk": "docker"}
    for extra in ({}, {"hardware": "cpu-basic"}):
        answer = api("POST", "/api/repos/create", {**body, **extra})
        assert answer.status == 402 and answer.json()["error"].startswith("Static Spaces are free for everyone, but")
    assert api("POST", "/api/repos/create", {**body, "hardware": "cpu-upgrade"}).status == 200
    assert api("POST", "/api/repos/create", {**body, "name": "p", "sdk": "static", "visibility": "protected"}).status == 402
    hub.make_user("alice", can_pay=False)
    assert api("POST", "/api/repos/create", {**body, "name": "q", "hardware": "t4-small"}).status == 402
    hub.settings(enforce_plan=False)
    assert api("POST", "/api/repos/create", {**body, "name": "r"}).status == 200


def test_18_19_create_with_files(api, hub):
    files = [{"path": "README.md", "content": README.decode()},
             {"path": "Dockerfile", "content": base64.b64encode(b"FROM x\n").decode(), "encoding": "base64"}]
    space = api.create(files=files, secrets=[{"key": "S", "value": "1"}])
    runtime = space.wait("RUNNING")
    assert runtime["sha"] == space.head and len(space.state()["commits"]) == 1
    assert hub.counters()["builds"] == 1 and hub.counters()["restarts"] == 0
    assert api("POST", "/api/repos/create", {"type": "space", "name": "z", "sdk": "docker",
                                             "secrets": [{"key": "_S", "value": "1"}]}).status == 400
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
    assert set(plain) >= {"_id", "id", "author", "sha", "lastModified", "private", "sdk", "host", "subdomain", "siblings",
                          "runtime", "cardData", "tags", "usedStorage"}
    assert plain["siblings"] == [{"rfilename": ".gitattributes"}, {"rfilename": "README.md"}]
    assert api("GET", "/api/spaces/alice/demo?blobs=true").json()["siblings"][1]["blobId"] == space.files()["README.md"]["oid"]
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
        path = link.split(">")[0][1 + len(hub.url):] if link else None
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


# -- files


def test_25_preupload(api, hub, space):
    def ask(*files, **extra):
        rows = [{"path": path, "size": size, "sample": base64.b64encode(sample).decode()} for path, size, sample in files]
        answer = api("POST", "/api/spaces/alice/demo/preupload/main", {"files": rows, **extra})
        assert answer.status == 200, answer
        assert answer.json()["commitOid"] == space.head
        return {row["path"]: row for row in answer.json()["files"]}

    space.commit({"app.log": b"x", ".gitignore": b"*.log\n!keep.log\nout/\n"})
    rows = ask(("a.txt", 3, b"abc"), ("big.txt", 10_000_001, b"abc"), ("edge.txt", 10_000_000, b"abc"),
               ("t.tar.gz", 30, b"abc"), ("bin.dat", 3, b"\0\1\2"), ("app.log", 1, b"y"), ("keep.log", 1, b"y"),
               ("out/x", 1, b"y"), ("utf8.txt", 512, ("ä" * 300).encode()[:511] + b"\xc3"), ("README.md", 0, b""))
    modes = {path: row["uploadMode"] for path, row in rows.items()}
    assert modes == {"a.txt": "regular", "big.txt": "lfs", "edge.txt": "regular", "t.tar.gz": "lfs", "bin.dat": "lfs",
                     "app.log": "regular", "keep.log": "regular", "out/x": "regular", "utf8.txt": "regular",
                     "README.md": "regular"}
    assert {path for path, row in rows.items() if row["shouldIgnore"]} == {"app.log", "out/x"}
    assert {path for path, row in rows.items() if "oid" in row} == {"app.log", "README.md"}
    assert rows["README.md"]["oid"] == space.files()["README.md"]["oid"], "it describes what is there, not what comes"
    assert ask(("app.log", 1, b"y"), gitIgnore="")["app.log"]["shouldIgnore"] is False
    assert ask(("x.foo", 1, b"y"), gitAttributes="*.foo filter=lfs diff=lfs merge=lfs -text\n")["x.foo"]["uploadMode"] == "lfs"
    for path in ("../x", "a/../b", "..\\x", "/etc/passwd", "a//b"):
        answer = api("POST", "/api/spaces/alice/demo/preupload/main", {"files": [{"path": path, "size": 1, "sample": ""}]})
        assert answer.status == 422, path
    many = [{"path": f"f{number}", "size": 0, "sample": ""} for number in range(1001)]
    assert api("POST", "/api/spaces/alice/demo/preupload/main", {"files": many}).status == 413
    assert api("POST", "/api/spaces/alice/demo/preupload/nowhere", {"files": []}).headers["X-Error-Code"] == "RevisionNotFound"


def test_26_27_commit_lines(api, space):
    head = space.head
    plain = ("file", {"path": "plain.txt", "content": "grüße\n"})
    whole = ndjson(("header", {"summary": "x"}), plain, file("b.txt", b"b"))
    for body in (b"", b"\n", ndjson(plain), ndjson(("header", {"summary": "x"})), whole[:-10],
                 ndjson(("header", {"summary": "x"}), ("copyFile", {"path": "a"})), whole + b"{}\n",
                 ndjson(("header", {}), plain), ndjson(("header", {"summary": "x"}), plain, ("header", {"summary": "y"})),
                 ndjson(("header", {"summary": "x"}), ("file", {"path": "a", "content": "%%%", "encoding": "base64"})),
                 ndjson(("header", {"summary": "x"}), ("file", {"path": "a", "content": "a", "encoding": "latin-1"})),
                 ndjson(("header", {"summary": "x"}), ("file", {"path": ".git/config", "content": "a"})),
                 ndjson(("header", {"summary": "x"}), plain, plain)):
        answer = api("POST", "/api/spaces/alice/demo/commit/main", body=body, headers={"Content-Type": "application/x-ndjson"})
        assert answer.status == 400, (body, answer)
        assert space.head == head
    unknown = api.commit(("copyFile", {"path": "a"}))
    assert "Add a line with the key `lfsFile`, `file` or `deletedFile`" in unknown.json()["error"]
    answer = api("POST", "/api/spaces/alice/demo/commit/main", body=whole.rstrip(b"\n"),
                 headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, "the last line need not end"
    assert space.read("plain.txt") == "grüße\n".encode() and space.read("b.txt") == b"b"
    answer = api("POST", "/api/spaces/alice/demo/commit/main", {"summary": "old form", "files": [
        {"path": "legacy.txt", "content": "1"}], "deletedFiles": [{"path": "b.txt"}]})
    assert answer.status == 200 and space.read("legacy.txt") == b"1" and "b.txt" not in space.files()
    space.commit({"d/1": b"1", "d/2": b"2", "e/1": b"1", "e/2": b"2", "f": b"1"})
    assert api.commit(("deletedFolder", {"path": "d/"}), ("deletedEntry", {"path": "e"}),
                      ("deletedEntry", {"path": "f"}), file("plain.txt", b"new")).status == 200
    assert not [path for path in space.files() if path[0] in "def"]
    assert api.commit(("file", {"path": "moved.txt", "oldPath": "plain.txt"})).status == 200
    assert space.read("moved.txt") == b"new" and "plain.txt" not in space.files()


def test_26_a_chunked_body_may_be_cut_to_its_first_line(api, hub, space):
    def chunks():
        yield ndjson(("header", {"summary": "x"}))
        yield ndjson(file("a"))
    options = {"headers": {"Content-Type": "application/x-ndjson"}}
    assert api("POST", "/api/spaces/alice/demo/commit/main", body=chunks(), **options).status == 200
    hub.settings(chunked_commit_truncated=True)
    assert api("POST", "/api/spaces/alice/demo/commit/main", body=chunks(), **options).status == 400


def test_28_races(api, hub, space):
    hub.fault("race_commit", "POST", "*/commit/main")
    answer = api.commit(file("a"), header={"parentCommit": space.head})
    assert answer.status == 412
    assert answer.json()["error"] == "The branch was updated since you opened this page. Please refresh and try again."
    assert [commit["author"] for commit in space.state()["commits"]][0] == "mallory"
    assert api.commit(file("a"), header={"parentCommit": space.head}).status == 200
    hub.settings(stale_text="old")
    hub.fault("race_412", "POST", "*/commit/main")
    answer = api.commit(file("b"))
    assert answer.status == 412 and answer.json()["error"].startswith("A commit has happened since.")
    assert api.commit(file("b"), header={"parentCommit": space.head[:12]}).status == 400


def test_29_30_lfs_files_in_commits(api, hub, space):
    sha = hashlib.sha256(b"content").hexdigest()
    row = ("lfsFile", {"path": "w/x.dat", "algo": "sha256", "oid": sha, "size": 7})
    head = space.head
    answer = api.commit(file("a"), row)
    assert answer.status == 400 and sha in answer.json()["error"] and space.head == head
    upload(api, b"content")
    assert api.commit(("lfsFile", {**row[1], "size": 8})).status == 400
    assert api.commit(file("a"), row).status == 200
    assert space.files()["w/x.dat"]["sha256"] == sha
    assert space.read(".gitattributes").endswith(b"w/x.dat filter=lfs diff=lfs merge=lfs -text\n")
    assert api.commit(file("binary", b"\0\1")).status == 400
    assert api.commit(file("x.zip", b"text")).status == 400
    assert api.commit(file("x.zip", b"")).status == 200, "an empty file is never LFS"


def upload(api, data, **settings):
    """Batch and PUT of one object; the answer of the batch."""
    sha = hashlib.sha256(data).hexdigest()
    answer = batch(api, [{"oid": sha, "size": len(data)}])
    actions = answer.json()["objects"][0].get("actions")
    if actions:
        assert call(actions["upload"]["href"], "PUT", body=data).status == 200
    return answer.json()


def batch(api, objects, **extra):
    body = {"operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256", "ref": {"name": "main"},
            "objects": objects, **extra}
    return api("POST", "/spaces/alice/demo.git/info/lfs/objects/batch", body=json.dumps(body).encode(),
               headers={"Accept": LFS_TYPE, "Content-Type": LFS_TYPE})


def test_31_34_whole_or_nothing(api, space):
    head = space.head
    answer = api.commit(file("a"), ("deletedFile", {"path": "missing"}), file("b"))
    assert answer.status == 404 and answer.headers["X-Error-Code"] == "EntryNotFound"
    assert answer.json()["error"] == "A file with this name doesn't exist" and space.head == head
    assert api.commit(file("a"), file("a/b")).status == 400 and space.head == head
    assert api.commit(file("README.md", b"---\nsdk: nonsense\n---\n")).status == 400 and space.head == head


def test_32_33_every_commit_counts(api, hub, space):
    api.deploy(space)
    answer = api.commit(file("Dockerfile", b"FROM x\n")).json()
    assert set(answer) == {"success", "commitOid", "commitUrl", "hookOutput"} and answer["hookOutput"] == ""
    space.wait("RUNNING", sha=answer["commitOid"])
    assert hub.counters()["builds"] == 2 and space.state()["counts"]["commits"] == 2


def test_35_tree_is_what_git_says(api, space):
    space.commit({f"a/{number}.txt": b"%d" % number for number in range(7)} | {"a.txt": b"1", "a-b/c": b"2", "ä/ö": b"3"})
    rows = api("GET", "/api/spaces/alice/demo/tree/main?recursive=true").json()
    git = space.state()["git"]
    listed = subprocess.run(["git", "-C", git, "ls-tree", "-r", "-t", "-z", "main"], capture_output=True, check=True).stdout
    expected = {line.split(b"\t")[1].decode(): line.split()[2].decode() for line in listed.split(b"\0") if line}
    assert {row["path"]: row["oid"] for row in rows} == expected
    checked = subprocess.run(["git", "-C", git, "fsck", "--full", "--strict"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    answer = api("GET", "/api/spaces/alice/demo/tree/main/a?limit=3")
    assert [row["path"] for row in answer.json()] == ["a/0.txt", "a/1.txt", "a/2.txt"]
    assert answer.headers["Link"].startswith("<http://") and answer.headers["Link"].endswith('rel="next"')
    answer = api("GET", "/api/spaces/alice/demo/tree/main/none")
    assert answer.status == 404 and answer.headers["X-Error-Code"] == "EntryNotFound"


def test_36_paths_info_as_form(api, space):
    answer = api("POST", "/api/spaces/alice/demo/paths-info/main", body=b"paths=README.md&paths=none&expand=false",
                 headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert [row["path"] for row in answer.json()] == ["README.md"]


def test_37_resolve_and_raw(api, hub, space):
    upload(api, b"z" * 5000)
    sha = hashlib.sha256(b"z" * 5000).hexdigest()
    api.commit(("lfsFile", {"path": "z.bin", "algo": "sha256", "oid": sha, "size": 5000}), file("t.txt", b"0123456789"))
    oid = space.head
    answer = api("GET", "/spaces/alice/demo/resolve/main/z.bin")
    assert answer.status == 302 and answer.headers["X-Linked-Size"] == "5000"
    assert answer.headers["X-Linked-ETag"] == f'"{sha}"' and answer.headers["X-Repo-Commit"] == oid
    target = answer.headers["Location"]
    assert target.startswith(hub.addresses["cdn"]) and hub.addresses["cdn"] != hub.url
    assert call(target, token=api.token).status == 400, "two ways to identify oneself"
    assert call(target).body == b"z" * 5000
    assert api("GET", "/spaces/alice/demo/raw/main/z.bin").text.startswith("version https://git-lfs.github.com/spec/v1\n")
    answer = api("GET", "/spaces/alice/demo/resolve/main/t.txt", headers={"Range": "bytes=2-4"})
    assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    etag = answer.headers["ETag"]
    assert etag == f'"{space.files()["t.txt"]["oid"]}"'
    assert api("GET", "/spaces/alice/demo/resolve/main/t.txt", headers={"If-None-Match": etag}).status == 304
    assert api("GET", "/spaces/alice/demo/resolve/main/t.txt", headers={"Range": "bytes=50-"}).status == 416
    head = api("HEAD", "/spaces/alice/demo/resolve/main/t.txt")
    assert head.status == 200 and head.headers["Content-Length"] == "10" and head.body == b""
    answer = api("GET", "/spaces/alice/demo/resolve/main/none")
    assert (answer.status, answer.text) == (404, "Entry not found") and answer.headers["X-Repo-Commit"] == oid
    hub.settings(resolve_redirect=True)
    answer = api("GET", "/spaces/alice/demo/resolve/main/t.txt")
    assert answer.status == 307 and answer.headers["Location"] == f"/api/resolve-cache/spaces/alice/demo/{oid}/t.txt"
    assert api("GET", answer.headers["Location"]).body == b"0123456789"


def test_38_validate_yaml(api):
    def check(text):
        answer = api("POST", "/api/validate-yaml", {"content": text, "repoType": "space"}, token=None)
        return answer.status, [row["message"] for row in answer.json()["errors"]], answer.json()["warnings"]
    assert check("---\ntitle: A\nsdk: docker\ncolorFrom: blue\nunknown_key: 1\n---\n") == (200, [], [])
    assert check("no front matter")[0] == 200 and check("no front matter")[2]
    for wrong in ("colorTo: mauve", "sdk: streamlit", "short_description: " + "d" * 61, "app_port: 99999999", "emoji: word",
                  "startup_duration_timeout: soon", "title: [1"):
        status, errors, _ = check(f"---\n{wrong}\n---\n")
        assert status == 400 and errors, wrong


# -- LFS


def test_39_batch(api, hub, space):
    sha = hashlib.sha256(b"abc").hexdigest()
    answer = api("POST", "/spaces/alice/demo.git/info/lfs/objects/batch", {"operation": "upload", "objects": []})
    assert answer.status == 415
    assert batch(api, [{"oid": sha, "size": 3}], hash_algo="sha_256", transfers=["basic", "multipart", "xet"]).json()["transfer"] == "basic"
    upload(api, b"abc")
    known = batch(api, [{"oid": sha, "size": 3}])
    assert known.json()["objects"] == [{"oid": sha, "size": 3}] and known.headers["Content-Type"] == LFS_TYPE
    hub.script("alice/demo", lfs_errors={"*": "no space left"})
    answer = batch(api, [{"oid": sha, "size": 3}])
    assert answer.status == 200 and answer.json()["objects"][0]["error"] == {"code": 422, "message": "no space left"}
    assert batch(api, [{"oid": "xyz", "size": 3}]).json()["objects"][0]["error"]["code"] == 422


def test_40_42_put_and_verify(api, hub, space):
    data = b"weights" * 100
    sha = hashlib.sha256(data).hexdigest()
    action = batch(api, [{"oid": sha, "size": len(data)}]).json()["objects"][0]["actions"]
    href, verify = action["upload"]["href"], action["verify"]["href"]
    assert href.startswith(hub.addresses["lfs"]) and verify.startswith(hub.url)
    body = {"oid": sha, "size": len(data)}
    assert call(verify, "POST", api.token, body).status == 404, "nothing there yet"
    assert call(href, "PUT", api.token, body=data).status == 400
    assert call(href, "PUT", body=data + b"x").status == 400
    assert call(href, "PUT", body=b"W" + data[1:]).status == 400
    assert call(href.split("?")[0], "PUT", body=data).status == 403
    assert call(href, "PUT", body=iter([data])).status == 411
    assert call(href, "PUT", body=data).status == 200
    assert call(verify, "POST", None, body).status == 401
    assert call(verify, "POST", api.token, {**body, "size": 1}).status == 400
    assert call(verify, "POST", api.token, body).status == 200
    entries = hub.log("lfs")
    assert [entry["token"] for entry in entries[:2]] == ["alice", None], "a leak would be seen"


def test_41_multipart(api, hub, space):
    hub.settings(multipart_size=10, chunk_size=10)
    data = b"0123456789" * 2 + b"abc"
    sha = hashlib.sha256(data).hexdigest()
    got = batch(api, [{"oid": sha, "size": len(data)}]).json()
    assert got["transfer"] == "multipart"
    upload_action = got["objects"][0]["actions"]["upload"]
    header = upload_action["header"]
    assert header.pop("chunk_size") == "10" and sorted(header) == ["00001", "00002", "00003"]
    etags = {}
    assert call(header["00001"], "PUT", body=b"short").status == 400
    for number in (3, 1, 2):
        answer = call(header[f"{number:05d}"], "PUT", body=data[(number - 1) * 10:number * 10])
        etags[number] = answer.headers["ETag"]
        assert answer.status == 200 and etags[number][0] == '"' and etags[number][-1] == '"'
    parts = [{"partNumber": number, "etag": etags[number]} for number in (1, 2, 3)]
    done = upload_action["href"]
    assert done.startswith(hub.url + "/api/complete_multipart?uploadId=")
    assert call(done, "POST", None, {"oid": sha, "parts": parts[:2]}).status == 400
    assert call(done, "POST", None, {"oid": sha, "parts": [{**parts[0], "etag": etags[1].strip('"')}, *parts[1:]]}).status == 400
    assert call(done, "POST", None, {"oid": sha, "parts": parts}).status == 200
    assert call(done, "POST", None, {"oid": sha, "parts": parts}).status == 200, "asked twice after a lost answer"
    assert api.commit(("lfsFile", {"path": "m.bin", "algo": "sha256", "oid": sha, "size": len(data)})).status == 200
    assert space.read("m.bin") == data
    assert "multipart" not in batch(api, [{"oid": "0" * 64, "size": 99}], transfers=["basic"]).json()["transfer"]


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
    for method, name, body in (("POST", "secrets", {"key": "K", "value": "1"}), ("POST", "variables", {"key": "V", "value": "1"}),
                               ("DELETE", "secrets", {"key": "K"}), ("DELETE", "secrets", {"key": "NONE"}),
                               ("POST", "hardware", {"flavor": "cpu-upgrade"}),
                               ("POST", "sleeptime", {"seconds": 60}), ("DELETE", "volumes", None)):
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
    assert listed[0] == {"name": "cpu-basic", "prettyName": "CPU Basic", "cpu": "2 vCPU", "ram": "16 GB", "accelerator": None,
                         "unitCostMicroUSD": 0, "unitCostUSD": 0, "unitLabel": "minute"}


def test_49_51_static_and_old_storage(api, hub, space):
    api.create("alice/page", sdk="static", files=[{"path": "index.html", "content": "<p>hi"}])
    for name in ("pause", "restart", "dev-mode", "sleeptime", "hardware", "volumes"):
        assert api("PUT" if name == "volumes" else "POST", f"/api/spaces/alice/page/{name}", {}).status == 400, name
    runtime = api("GET", "/api/spaces/alice/page/runtime").json()
    assert runtime == {"stage": "RUNNING", "hardware": {"current": None, "requested": None}, "storage": None,
                       "replicas": {"requested": 1, "current": 1}}
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
    for form, expected in (("auto", {"requested": "auto", "current": 1}), ("null", {"requested": 1, "current": None}),
                           ("absent", {"requested": 1})):
        hub.settings(replicas_form=form)
        assert api("GET", "/api/spaces/alice/demo/runtime").json()["replicas"] == expected


def test_56_failures(api, hub, space):
    hub.script("alice/demo", build={"ok": False, "exit_code": 1, "log": ["--> RUN pip install nothing", "no such package"]})
    space.commit({"Dockerfile": b"FROM x\n"})
    runtime = space.wait("BUILD_ERROR")
    assert runtime["errorMessage"].startswith("Job failed with exit code: 1. Reason: cache miss: ") and "sha" not in runtime
    assert "no such package" in space.state()["build_log"]
    hub.script("alice/demo", build={"ok": True}, app={"mode": "crash", "exit_code": 3})
    space.commit({"a": b"1"})
    assert space.wait("RUNTIME_ERROR")["errorMessage"] == "Exit code: 3. Reason: Error"
    assert "the model is missing" in space.state()["run_log"]
    hub.settings(launch_timeout=0.3)
    for mode in ("hang", "wrong_port"):
        hub.script("alice/demo", app={"mode": mode})
        space.commit({"a": mode.encode()})
        space.wait("APP_STARTING")
        assert space.wait("RUNTIME_ERROR")["errorMessage"] == "Launch timed out, workload was not healthy after 30 min"
    hub.settings(scheduling_failure="not enough hardware capacity")
    space.commit({"a": b"3"})
    space.wait("BUILDING", "APP_STARTING")
    assert space.wait("RUNTIME_ERROR")["errorMessage"] == "Scheduling failure: not enough hardware capacity"
    hub.settings(scheduling_failure=None, launch_timeout=20)
    hub.script("alice/demo", app={"mode": "builtin"})
    assert api("POST", "/api/spaces/alice/demo/restart").status == 200
    space.wait("RUNNING")
    space.crash(137)
    assert space.wait("RUNTIME_ERROR")["errorMessage"].startswith("Exit code: 137. Reason:")
    answer = call(space.app_url + "/")
    assert answer.status == 503 and answer.body == b"Your space is in error, check its status on hf.co" and len(answer.body) == 49
    assert "rel=\"canonical\"" in answer.headers["Link"]


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
    with stream(hub, path + "run", token) as lines:
        seen = [next(lines) for _ in range(6)]
        assert json.loads(seen[0].removeprefix("data: "))["data"].startswith("===== Application Startup at ")
        while next(lines) != "data:":
            pass
        space.say("later")
        while "later" not in next(lines):
            pass
    hub.fault("cut_stream", "GET", "*/logs/run", count=2)
    with stream(hub, path + "run", token) as lines:
        assert len([line for line in lines if line.startswith("data: {")]) <= 2


class stream:
    """Lines of an event stream as they come."""

    def __init__(self, hub, path, token):
        self.sock = socket.create_connection(("127.0.0.1", hub.port), 20)
        self.sock.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())

    def __enter__(self):
        def lines():
            try:
                file = self.sock.makefile("r", newline="\r\n", errors="replace")
                for line in file:
                    for part in line.split("\n"):
                        if part.strip():
                            yield part.strip()
            except ConnectionError:
                return
        out = lines()
        while ":" in (line := next(out)) or line.startswith("HTTP/"):
            if line.lower().startswith("transfer-encoding"):
                pass
            if line.startswith("data"):
                break
            if line.lower().startswith("referrer-policy"):
                break
        self.sock.settimeout(20)
        return (line for line in out if line.startswith(("data", "event")))

    def __exit__(self, *_):
        self.sock.close()


def test_60_events_and_metrics_stay_open(api, hub, space, token):
    hub.settings(metric_interval=0.05)
    with stream(hub, "/api/spaces/alice/demo/events", token) as lines:
        assert [next(lines), next(lines)] == ["event: stage", "data: NO_APP_FILE"]
        space.commit({"Dockerfile": b"FROM x\n"})
        assert [next(lines), next(lines)] == ["event: stage", "data: BUILDING"]
    with stream(hub, "/api/spaces/alice/demo/metrics", token) as lines:
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
    answer = call(space.app_url + "/echo?a=b", "POST", body=b"body", headers={"X-Forwarded-For": "9.9.9.9", "Origin": "http://o"})
    seen = answer.json()
    assert seen["body"] == "body" and seen["query"] == "a=b"
    assert answer.headers["Access-Control-Allow-Origin"] == "http://o"
    answer = call(space.app_url + "/x", "OPTIONS", headers={"Origin": "http://o", "Access-Control-Request-Method": "POST"})
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


def test_storage_limits(api, hub, space):
    hub.settings(repo_limit=5000)
    assert batch(api, [{"oid": "1" * 64, "size": 6000}]).status == 403
    assert api.commit(file("a.txt", b"a" * 2000)).status == 200
    answer = api.commit(file("a.txt", b"b" * 2000))
    assert answer.status == 403 and answer.json()["error"] == "Repository storage limit reached (Max: 1 GB)", \
        "history counts too"
    assert api("POST", "/api/spaces/alice/demo/super-squash/main", {}).status == 200
    assert api.commit(file("b.txt", b"b")).status == 200
    api("PUT", "/api/spaces/alice/demo/settings", {"private": True})
    hub.settings(private_limit=10)
    assert api.commit(file("c.txt", b"c")).json()["error"].startswith("Private repository storage limit reached")


def test_errors_of_the_control_port_say_what_is_wrong(hub):
    with pytest.raises(AssertionError, match="unknown fault nonsense"):
        hub.fault("nonsense")
    with pytest.raises(AssertionError, match="there is no setting"):
        hub.settings(nonsense=1)
