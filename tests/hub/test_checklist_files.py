# SPDX-License-Identifier: Apache-2.0
"""Checklist lines that neither official client touches: files, commits, LFS, storage limits.

The number in a test's name is that of the line in README.md's table.
"""

import base64
import hashlib
import subprocess

from tests.hub.checklist import LFS_TYPE, batch, file, upload
from tests.hub.rawhttp import call, ndjson

# -- files


def test_25_preupload(api, hub, space):
    def ask(*files, **extra):
        rows = [
            {"path": path, "size": size, "sample": base64.b64encode(sample).decode()} for path, size, sample in files
        ]
        answer = api("POST", "/api/spaces/alice/demo/preupload/main", {"files": rows, **extra})
        assert answer.status == 200, answer
        assert answer.json()["commitOid"] == space.head
        return {row["path"]: row for row in answer.json()["files"]}

    space.commit({"app.log": b"x", ".gitignore": b"*.log\n!keep.log\nout/\n"})
    rows = ask(
        ("a.txt", 3, b"abc"),
        ("big.txt", 10_000_001, b"abc"),
        ("edge.txt", 10_000_000, b"abc"),
        ("t.tar.gz", 30, b"abc"),
        ("bin.dat", 3, b"\0\1\2"),
        ("app.log", 1, b"y"),
        ("keep.log", 1, b"y"),
        ("out/x", 1, b"y"),
        ("utf8.txt", 512, ("ä" * 300).encode()[:511] + b"\xc3"),
        ("README.md", 0, b""),
    )
    modes = {path: row["uploadMode"] for path, row in rows.items()}
    assert modes == {
        "a.txt": "regular",
        "big.txt": "lfs",
        "edge.txt": "regular",
        "t.tar.gz": "lfs",
        "bin.dat": "lfs",
        "app.log": "regular",
        "keep.log": "regular",
        "out/x": "regular",
        "utf8.txt": "regular",
        "README.md": "regular",
    }
    assert {path for path, row in rows.items() if row["shouldIgnore"]} == {"app.log", "out/x"}
    assert {path for path, row in rows.items() if "oid" in row} == {"app.log", "README.md"}
    assert rows["README.md"]["oid"] == space.files()["README.md"]["oid"], "it describes what is there, not what comes"
    assert ask(("app.log", 1, b"y"), gitIgnore="")["app.log"]["shouldIgnore"] is False
    assert (
        ask(("x.foo", 1, b"y"), gitAttributes="*.foo filter=lfs diff=lfs merge=lfs -text\n")["x.foo"]["uploadMode"]
        == "lfs"
    )
    for path in ("../x", "a/../b", "..\\x", "/etc/passwd", "a//b"):
        answer = api(
            "POST", "/api/spaces/alice/demo/preupload/main", {"files": [{"path": path, "size": 1, "sample": ""}]}
        )
        assert answer.status == 422, path
    many = [{"path": f"f{number}", "size": 0, "sample": ""} for number in range(1001)]
    assert api("POST", "/api/spaces/alice/demo/preupload/main", {"files": many}).status == 413
    assert (
        api("POST", "/api/spaces/alice/demo/preupload/nowhere", {"files": []}).headers["X-Error-Code"]
        == "RevisionNotFound"
    )


def test_26_27_commit_lines(api, space):
    head = space.head
    plain = ("file", {"path": "plain.txt", "content": "grüße\n"})
    whole = ndjson(("header", {"summary": "x"}), plain, file("b.txt", b"b"))
    for body in (
        b"",
        b"\n",
        ndjson(plain),
        ndjson(("header", {"summary": "x"})),
        whole[:-10],
        ndjson(("header", {"summary": "x"}), ("copyFile", {"path": "a"})),
        whole + b"{}\n",
        ndjson(("header", {}), plain),
        ndjson(("header", {"summary": "x"}), plain, ("header", {"summary": "y"})),
        ndjson(("header", {"summary": "x"}), ("file", {"path": "a", "content": "%%%", "encoding": "base64"})),
        ndjson(("header", {"summary": "x"}), ("file", {"path": "a", "content": "a", "encoding": "latin-1"})),
        ndjson(("header", {"summary": "x"}), ("file", {"path": ".git/config", "content": "a"})),
        ndjson(("header", {"summary": "x"}), plain, plain),
    ):
        answer = api(
            "POST", "/api/spaces/alice/demo/commit/main", body=body, headers={"Content-Type": "application/x-ndjson"}
        )
        assert answer.status == 400, (body, answer)
        assert space.head == head
    unknown = api.commit(("copyFile", {"path": "a"}))
    assert "Add a line with the key `lfsFile`, `file` or `deletedFile`" in unknown.json()["error"]
    answer = api(
        "POST",
        "/api/spaces/alice/demo/commit/main",
        body=whole.rstrip(b"\n"),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status == 200, "the last line need not end"
    assert space.read("plain.txt") == "grüße\n".encode() and space.read("b.txt") == b"b"
    answer = api(
        "POST",
        "/api/spaces/alice/demo/commit/main",
        {"summary": "old form", "files": [{"path": "legacy.txt", "content": "1"}], "deletedFiles": [{"path": "b.txt"}]},
    )
    assert answer.status == 200 and space.read("legacy.txt") == b"1" and "b.txt" not in space.files()
    space.commit({"d/1": b"1", "d/2": b"2", "e/1": b"1", "e/2": b"2", "f": b"1"})
    assert (
        api.commit(
            ("deletedFolder", {"path": "d/"}),
            ("deletedEntry", {"path": "e"}),
            ("deletedEntry", {"path": "f"}),
            file("plain.txt", b"new"),
        ).status
        == 200
    )
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
    space.commit(
        {f"a/{number}.txt": b"%d" % number for number in range(7)} | {"a.txt": b"1", "a-b/c": b"2", "ä/ö": b"3"}
    )
    rows = api("GET", "/api/spaces/alice/demo/tree/main?recursive=true").json()
    git = space.state()["git"]
    listed = subprocess.run(
        ["git", "-C", git, "ls-tree", "-r", "-t", "-z", "main"], capture_output=True, check=True
    ).stdout
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
    answer = api(
        "POST",
        "/api/spaces/alice/demo/paths-info/main",
        body=b"paths=README.md&paths=none&expand=false",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
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
    assert api("GET", "/spaces/alice/demo/raw/main/z.bin").text.startswith(
        "version https://git-lfs.github.com/spec/v1\n"
    )
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
    for wrong in (
        "colorTo: mauve",
        "sdk: streamlit",
        "short_description: " + "d" * 61,
        "app_port: 99999999",
        "emoji: word",
        "startup_duration_timeout: soon",
        "title: [1",
    ):
        status, errors, _ = check(f"---\n{wrong}\n---\n")
        assert status == 400 and errors, wrong


# -- LFS


def test_39_batch(api, hub, space):
    sha = hashlib.sha256(b"abc").hexdigest()
    answer = api("POST", "/spaces/alice/demo.git/info/lfs/objects/batch", {"operation": "upload", "objects": []})
    assert answer.status == 415
    assert (
        batch(api, [{"oid": sha, "size": 3}], hash_algo="sha_256", transfers=["basic", "multipart", "xet"]).json()[
            "transfer"
        ]
        == "basic"
    )
    assert api("GET", "/api/spaces/alice/demo/xet-write-token/main").status == 404
    upload(api, b"abc")
    known = batch(api, [{"oid": sha, "size": 3}])
    assert known.json()["objects"] == [{"oid": sha, "size": 3}] and known.headers["Content-Type"] == LFS_TYPE
    for form, expected in (("null", {"header": None}), ("absent", {})):
        hub.settings(lfs_header=form)
        action = batch(api, [{"oid": "2" * 64, "size": 3}]).json()["objects"][0]["actions"]["upload"]
        assert {key: action[key] for key in action if key == "header"} == expected
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
        answer = call(header[f"{number:05d}"], "PUT", body=data[(number - 1) * 10 : number * 10])
        etags[number] = answer.headers["ETag"]
        assert answer.status == 200 and etags[number][0] == '"' and etags[number][-1] == '"'
    parts = [{"partNumber": number, "etag": etags[number]} for number in (1, 2, 3)]
    done = upload_action["href"]
    assert done.startswith(hub.url + "/api/complete_multipart?uploadId=")
    assert call(done, "POST", None, {"oid": sha, "parts": parts[:2]}).status == 400
    assert (
        call(done, "POST", None, {"oid": sha, "parts": [{**parts[0], "etag": etags[1].strip('"')}, *parts[1:]]}).status
        == 400
    )
    assert call(done, "POST", None, {"oid": sha, "parts": parts}).status == 200
    assert call(done, "POST", None, {"oid": sha, "parts": parts}).status == 200, "asked twice after a lost answer"
    assert api.commit(("lfsFile", {"path": "m.bin", "algo": "sha256", "oid": sha, "size": len(data)})).status == 200
    assert space.read("m.bin") == data
    assert "multipart" not in batch(api, [{"oid": "0" * 64, "size": 99}], transfers=["basic"]).json()["transfer"]


def test_storage_limits(api, hub, space):
    hub.settings(repo_limit=5000)
    assert batch(api, [{"oid": "1" * 64, "size": 6000}]).status == 403
    assert api.commit(file("a.txt", b"a" * 2000)).status == 200
    answer = api.commit(file("a.txt", b"b" * 2000))
    assert answer.status == 403 and answer.json()["error"] == "Repository storage limit reached (Max: 1 GB)", (
        "history counts too"
    )
    assert api("POST", "/api/spaces/alice/demo/super-squash/main", {}).status == 200
    assert api.commit(file("b.txt", b"b")).status == 200
    api("PUT", "/api/spaces/alice/demo/settings", {"private": True})
    hub.settings(private_limit=10)
    assert api.commit(file("c.txt", b"c")).json()["error"].startswith("Private repository storage limit reached")
