# SPDX-License-Identifier: Apache-2.0
"""The official Python client, unchanged, against the test Hub."""

import os
import subprocess
import sys
import threading
import time

import huggingface_hub
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, Volume
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub.process import without_hub_variables

NAME = "alice/demo"
DOCKERFILE = b"FROM python:3.12-slim\n"


@pytest.fixture
def api(hub, token):
    return HfApi(endpoint=hub.url, token=token)


@pytest.fixture
def space(api, hub):
    api.create_repo(NAME, repo_type="space", space_sdk="docker")
    return hub.space(NAME)


def running(api, space, files=None):
    """Deploys the files and waits until that commit runs."""
    oid = api.create_commit(
        NAME,
        [CommitOperationAdd(path, data) for path, data in (files or {"Dockerfile": DOCKERFILE}).items()],
        commit_message="deploy",
        repo_type="space",
    ).oid
    space.wait("RUNNING", sha=oid)
    return oid


def status(wrong):
    return wrong.value.response.status_code


# -- who and what


def test_whoami(api, hub):
    hub.make_org("acme", {"alice": "write"})
    me = api.whoami()
    assert me["name"] == "alice" and me["type"] == "user" and me["isPro"] is True
    assert me["auth"]["accessToken"]["role"] == "write"
    assert [(org["name"], org["roleInOrg"], org["plan"]) for org in me["orgs"]] == [("acme", "write", "team")]
    for bad in ("hf_wrong", "nonsense"):
        with pytest.raises(HfHubHTTPError) as wrong:
            HfApi(endpoint=hub.url, token=bad).whoami()
        assert status(wrong) == 401 and "Invalid" in str(wrong.value)


def test_create_with_everything(api, hub):
    url = api.create_repo(
        NAME,
        repo_type="space",
        space_sdk="docker",
        private=True,
        space_hardware="t4-small",
        space_sleep_time=3600,
        space_secrets=[{"key": "S", "value": "x", "description": "a secret"}],
        space_variables=[{"key": "V", "value": "y"}],
        space_volumes=[Volume(type="bucket", source="alice/data", mount_path="/data")],
    )
    assert url.repo_id == NAME and url.repo_type == "space" and str(url) == f"{hub.url}/spaces/{NAME}"
    state = hub.space(NAME).state()
    assert state["secrets"]["S"]["value"] == "x" and state["secrets"]["S"]["description"] == "a secret"
    assert state["variables"]["V"]["value"] == "y"
    assert state["hardware"] == "t4-small" and state["sleep_seconds"] == 3600 and state["visibility"] == "private"
    assert state["volumes"][0]["mountPath"] == "/data" and state["volumes"][0]["readOnly"] is False
    assert [commit["title"] for commit in state["commits"]] == ["initial commit"]
    assert sorted(state["files"]) == [".gitattributes", "README.md"]
    assert b"sdk: docker" in hub.space(NAME).read("README.md")
    assert api.get_space_runtime(NAME).stage == "NO_APP_FILE"
    again = api.create_repo(
        NAME, repo_type="space", space_sdk="static", exist_ok=True, space_secrets=[{"key": "OTHER", "value": "z"}]
    )
    assert again.repo_id == NAME
    assert list(hub.space(NAME).state()["secrets"]) == ["S"], "a second create changes nothing"
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_repo(NAME, repo_type="space", space_sdk="docker")
    assert status(wrong) == 409 and "You already created this space repo" in str(wrong.value)


def test_create_waits_out_a_conflict(api, hub):
    hub.fault("create_conflict", "POST", "/api/repos/create", times=2)
    api.create_repo(NAME, repo_type="space", space_sdk="docker")
    assert hub.space(NAME).exists() and hub.counters()["routes"]["POST /api/repos/create"] == 3


def with_environment(hub, token, home, code):
    """Runs code in a fresh interpreter whose client finds Hub and token in the environment, as users have it."""
    done = subprocess.run(
        [sys.executable, "-c", "from huggingface_hub import *\n" + code],
        capture_output=True,
        text=True,
        env={**without_hub_variables(), **hub.env(token, home)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plan_and_namespace(hub, tmp_path):
    hub.make_user("bob", plan="free")
    bob = hub.make_token("bob")
    api = HfApi(endpoint=hub.url, token=bob)
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_repo("bob/demo", repo_type="space", space_sdk="docker")
    assert status(wrong) == 402 and "requires a PRO subscription" in str(wrong.value)
    assert api.create_repo("bob/page", repo_type="space", space_sdk="static").repo_id == "bob/page"
    hub.make_user("bob", plan="pro")
    api.create_repo("bob/demo", repo_type="space", space_sdk="docker")
    hub.make_user("bob", plan="free")
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_repo("bob/demo", repo_type="space", space_sdk="docker")
    assert status(wrong) == 402, "the plan is looked at before the name"
    code = 'print(create_repo("bob/demo", repo_type="space", space_sdk="docker", exist_ok=True).repo_id)'
    assert with_environment(hub, bob, tmp_path / "home", code) == "bob/demo\n", (
        "the client then looks whether it exists"
    )
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_repo("alice/demo", repo_type="space", space_sdk="docker")
    assert status(wrong) == 403 and 'under the namespace "alice"' in str(wrong.value)


def test_info_existence_and_listing(api, hub, space):
    info = api.space_info(NAME, files_metadata=True)
    assert info.id == NAME and info.sdk == "docker" and info.private is False and info.sha == space.head
    assert info.subdomain == "alice-demo" and info.host == space.app_url
    assert info.card_data.sdk == "docker"
    sizes = {file.rfilename: file.size for file in info.siblings}
    assert sizes["README.md"] == len(space.read("README.md"))
    assert info.runtime.stage == "NO_APP_FILE"
    assert api.space_info(NAME, expand=["sha", "runtime"]).sha == space.head
    assert api.space_info(NAME, expand=["sha"]).sdk is None
    assert api.repo_exists(NAME, repo_type="space") and not api.repo_exists("alice/none", repo_type="space")
    assert api.file_exists(NAME, "README.md", repo_type="space")
    assert not api.file_exists(NAME, "nothing", repo_type="space")
    for number in range(4):
        api.create_repo(f"alice/n{number}", repo_type="space", space_sdk="docker", private=number == 0)
    assert len(list(api.list_spaces(author="alice"))) == 5
    assert len(list(HfApi(endpoint=hub.url, token=False).list_spaces(author="alice"))) == 4
    assert [one.id for one in api.list_spaces(author="alice", search="n2")] == ["alice/n2"]


# -- files


def test_commits_and_reading_back(api, space, tmp_path):
    first = api.upload_file(path_or_fileobj=DOCKERFILE, path_in_repo="Dockerfile", repo_id=NAME, repo_type="space")
    assert first.oid == space.head and first.commit_url.endswith(first.oid)
    folder = tmp_path / "code"
    (folder / "sub").mkdir(parents=True)
    (folder / "app.py").write_text("print('hi')\n")
    (folder / "sub" / "data.txt").write_text("x" * 3000)
    (folder / "sub" / "empty.bin").write_bytes(b"")
    (folder / "debug.log").write_text("no")
    api.upload_folder(
        folder_path=folder,
        repo_id=NAME,
        repo_type="space",
        ignore_patterns="*.log",
        commit_message="the code",
        commit_description="all of it",
    )
    assert sorted(space.files()) == [
        ".gitattributes",
        "Dockerfile",
        "README.md",
        "app.py",
        "sub/data.txt",
        "sub/empty.bin",
    ]
    assert space.files()["Dockerfile"]["oid"] == "bee3c167cd5c9b10ae5e38a35b8a1e67a65334b0"
    assert space.files()["sub/empty.bin"]["sha256"] is None, "empty files are never LFS"
    head = space.state()["commits"][0]
    assert (head["title"], head["message"], head["author"]) == ("the code", "all of it", "alice")
    got = api.hf_hub_download(NAME, "sub/data.txt", repo_type="space", cache_dir=tmp_path / "cache")
    assert open(got).read() == "x" * 3000
    got = api.snapshot_download(NAME, repo_type="space", cache_dir=tmp_path / "cache2")
    assert sorted(os.listdir(got)) == [".gitattributes", "Dockerfile", "README.md", "app.py", "sub"]
    before = space.head
    assert (
        api.upload_folder(folder_path=folder, repo_id=NAME, repo_type="space", ignore_patterns="*.log").oid == before
    ), "unchanged files make no commit"
    api.delete_file("app.py", repo_id=NAME, repo_type="space")
    api.delete_folder("sub", repo_id=NAME, repo_type="space")
    assert sorted(space.files()) == [".gitattributes", "Dockerfile", "README.md"]
    assert [commit.title for commit in api.list_repo_commits(NAME, repo_type="space")][-1] == "initial commit"
    assert len(api.list_repo_commits(NAME, repo_type="space")) == 5


def test_delete_files_by_pattern_and_sync(api, space, tmp_path):
    running_files = {f"logs/{number}.txt": b"x" for number in range(5)} | {"Dockerfile": DOCKERFILE}
    running(api, space, running_files)
    api.delete_files(repo_id=NAME, delete_patterns=["logs/1.txt", "logs/2*"], repo_type="space")
    assert sorted(path for path in space.files() if path.startswith("logs/")) == [
        "logs/0.txt",
        "logs/3.txt",
        "logs/4.txt",
    ]
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "Dockerfile").write_bytes(DOCKERFILE + b"# new\n")
    (folder / "README.md").write_bytes(space.read("README.md"))
    api.upload_folder(folder_path=folder, repo_id=NAME, repo_type="space", delete_patterns="*")
    assert sorted(space.files()) == [".gitattributes", "Dockerfile", "README.md"]


def test_tree_over_pages(api, hub, space):
    hub.settings(tree_limit=7)
    api.create_commit(
        NAME,
        [CommitOperationAdd(f"d{number % 3}/f{number:02d}.txt", b"%d" % number) for number in range(30)],
        commit_message="many",
        repo_type="space",
    )
    hub.reset_counters()
    rows = list(api.list_repo_tree(NAME, repo_type="space", recursive=True))
    assert len(rows) == 30 + 3 + 2
    assert hub.counters()["routes"]["GET /api/spaces/{id}/tree/{rev}"] == 5
    top = {row.path: row for row in api.list_repo_tree(NAME, repo_type="space")}
    assert sorted(top) == [".gitattributes", "README.md", "d0", "d1", "d2"]
    assert len(top["d0"].tree_id) == 40
    assert [row.path for row in api.list_repo_tree(NAME, "d1", repo_type="space")][:2] == ["d1/f01.txt", "d1/f04.txt"]
    assert sorted(api.list_repo_files(NAME, repo_type="space"))[0] == ".gitattributes"
    expanded = list(api.list_repo_tree(NAME, "d1", repo_type="space", expand=True))
    assert expanded[0].last_commit.title == "many"
    infos = api.get_paths_info(NAME, ["d0/f00.txt", "d2", "missing"], repo_type="space", expand=True)
    assert sorted(info.path for info in infos) == ["d0/f00.txt", "d2"]


def test_parent_commit_is_an_optimistic_lock(api, space):
    head = space.head
    add = [CommitOperationAdd("a.txt", b"1")]
    api.create_commit(NAME, add, commit_message="one", repo_type="space", parent_commit=head)
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_commit(
            NAME, [CommitOperationAdd("b.txt", b"2")], commit_message="two", repo_type="space", parent_commit=head
        )
    assert status(wrong) == 412 and "refresh and try again" in str(wrong.value)
    assert "b.txt" not in space.files()


def test_pull_request(api, space):
    head = space.head
    made = api.create_commit(
        NAME, [CommitOperationAdd("a.txt", b"1")], commit_message="please", repo_type="space", create_pr=True
    )
    assert made.pr_num == 1 and made.pr_revision == "refs/pr/1" and space.head == head
    assert api.space_info(NAME, revision="refs/pr/1").sha == made.oid
    assert "a.txt" in api.list_repo_files(NAME, repo_type="space", revision="refs/pr/1")


def test_lfs_basic(api, hub, space, tmp_path):
    data = os.urandom(300_000)
    api.upload_file(path_or_fileobj=data, path_in_repo="models/m.bin", repo_id=NAME, repo_type="space")
    entry = space.files()["models/m.bin"]
    assert entry["sha256"] and entry["size"] == 300_000 and space.read("models/m.bin") == data
    row = api.get_paths_info(NAME, "models/m.bin", repo_type="space")[0]
    assert row.lfs.sha256 == entry["sha256"] and row.size == 300_000 and row.blob_id == entry["oid"]
    assert 120 < row.lfs.pointer_size < 140
    got = api.hf_hub_download(NAME, "models/m.bin", repo_type="space", cache_dir=tmp_path)
    assert open(got, "rb").read() == data
    api.upload_file(path_or_fileobj=data, path_in_repo="copy.bin", repo_id=NAME, repo_type="space")
    counters = hub.counters()
    assert counters["lfs_uploads"] == 1, "known content is not sent twice"
    assert counters["origins"]["lfs"] == 1 and counters["origins"]["cdn"] == 1
    foreign = [entry for entry in hub.log() if entry["origin"] in ("lfs", "cdn")]
    assert all(entry["auth"] is None and not entry["leaks"] for entry in foreign)


def test_lfs_in_parts(api, hub, space):
    hub.settings(multipart_size=1000, chunk_size=60_000)
    data = os.urandom(60_000 * 11 + 17)
    api.upload_file(path_or_fileobj=data, path_in_repo="big.bin", repo_id=NAME, repo_type="space")
    assert space.read("big.bin") == data
    assert hub.counters()["origins"]["lfs"] == 12
    complete = [entry for entry in hub.log("hub") if entry["path"] == "/api/complete_multipart"]
    verify = [entry for entry in hub.log("hub") if entry["path"].endswith("/objects/verify")]
    assert complete[0]["auth"] is None and verify[0]["auth"] == "bearer"


def test_untracked_lfs_file_extends_gitattributes(api, space):
    api.upload_file(
        path_or_fileobj=bytes(range(256)) * 10, path_in_repo="picture of me.dat", repo_id=NAME, repo_type="space"
    )
    assert space.files()["picture of me.dat"]["sha256"]
    assert b"picture\\ of\\ me.dat filter=lfs" in space.read(".gitattributes")


def test_file_errors(api, space, tmp_path):
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(NAME, "nothing.txt", repo_type="space", cache_dir=tmp_path)
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(NAME, "README.md", repo_type="space", revision="nowhere", cache_dir=tmp_path)
    with pytest.raises(RevisionNotFoundError):
        api.space_info(NAME, revision="nowhere")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(NAME, "nowhere", repo_type="space"))
    with pytest.raises(EntryNotFoundError):
        api.create_commit(
            NAME,
            [CommitOperationDelete("nothing.txt"), CommitOperationAdd("a", b"1")],
            commit_message="x",
            repo_type="space",
        )
    assert "a" not in space.files(), "a refused commit changes nothing"
    with pytest.raises(ValueError, match="short_description"):
        api.upload_file(
            path_or_fileobj=b"---\nsdk: docker\nshort_description: " + b"x" * 61 + b"\n---\n",
            path_in_repo="README.md",
            repo_id=NAME,
            repo_type="space",
        )


def test_branches_tags_and_squash(api, space):
    api.create_branch(NAME, branch="dev", repo_type="space")
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_branch(NAME, branch="dev", repo_type="space")
    assert status(wrong) == 409
    api.create_branch(NAME, branch="dev", repo_type="space", exist_ok=True)
    api.create_tag(NAME, tag="v1", repo_type="space")
    refs = api.list_repo_refs(NAME, repo_type="space")
    assert sorted(ref.name for ref in refs.branches) == ["dev", "main"] and refs.tags[0].ref == "refs/tags/v1"
    api.upload_file(path_or_fileobj=b"1", path_in_repo="a", repo_id=NAME, repo_type="space", revision="dev")
    assert "a" not in space.files()
    api.delete_branch(NAME, branch="dev", repo_type="space")
    api.delete_tag(NAME, tag="v1", repo_type="space")
    api.super_squash_history(NAME, repo_type="space")
    assert len(space.state()["commits"]) == 1


# -- settings


def test_secrets_and_variables(api, hub, space):
    api.add_space_secret(NAME, "TOKEN", "geheim", description="for the app")
    api.add_space_secret(NAME, "TOKEN", "geheimer")
    secrets = api.get_space_secrets(NAME)
    assert list(secrets) == ["TOKEN"] and secrets["TOKEN"].description == "for the app" and secrets["TOKEN"].updated_at
    assert space.state()["secrets"]["TOKEN"]["value"] == "geheimer"
    api.delete_space_secret(NAME, "TOKEN")
    api.delete_space_secret(NAME, "TOKEN")
    assert api.get_space_secrets(NAME) == {}
    api.add_space_variable(NAME, "ONE", "1")
    api.add_space_variable(NAME, "TWO", "2", description="second")
    variables = api.add_space_variable(NAME, "ONE", "one")
    assert list(variables) == ["ONE", "TWO"] and variables["ONE"].value == "one"
    assert variables["TWO"].description == "second"
    assert list(api.delete_space_variable(NAME, "ONE")) == ["TWO"]
    assert list(api.get_space_variables(NAME)) == ["TWO"]
    for bad in ("_X", "1X", "A-B", ""):
        with pytest.raises(BadRequestError):
            api.add_space_secret(NAME, bad, "x")
    assert hub.counters()["restarts"] == 0, "nothing runs yet"


def test_hardware_sleep_and_volumes(api, hub, space):
    flavors = {one.name: one for one in api.list_spaces_hardware()}
    assert flavors["cpu-basic"].accelerator is None and flavors["t4-small"].accelerator.model == "T4"
    running(api, space)
    runtime = api.request_space_hardware(NAME, "t4-small", sleep_time=900)
    assert runtime.requested_hardware == "t4-small"
    space.wait("RUNNING")
    runtime = api.get_space_runtime(NAME)
    assert runtime.hardware == "t4-small" and runtime.sleep_time == 900
    assert api.set_space_sleep_time(NAME, 1200).sleep_time == 1200
    api.set_space_volumes(
        NAME,
        [
            Volume(type="bucket", source="alice/data", mount_path="/data"),
            Volume(type="model", source="acme/model", mount_path="/model"),
        ],
    )
    space.wait("RUNNING")
    volumes = api.get_space_runtime(NAME).volumes
    assert [(one.mount_path, one.read_only) for one in volumes] == [("/data", False), ("/model", True)]
    api.delete_space_volumes(NAME)
    space.wait("RUNNING")
    assert not api.get_space_runtime(NAME).volumes
    assert hub.counters()["restarts"] == 3 and hub.counters()["builds"] == 1
    with pytest.raises(BadRequestError):
        api.request_space_hardware(NAME, "steam-engine")


# -- life


def test_wait_pause_restart_and_logs(api, hub, space):
    hub.script(NAME, build={"seconds": 0.3}, app={"seconds": 0.3})
    oid = api.upload_file(path_or_fileobj=DOCKERFILE, path_in_repo="Dockerfile", repo_id=NAME, repo_type="space").oid
    space.wait("BUILDING")
    assert api.wait_for_space(NAME, timeout=30, poll_interval=0.05).stage == "RUNNING"
    assert space.stages() == ["NO_APP_FILE", "BUILDING", "APP_STARTING", "RUNNING"]
    build = list(api.fetch_space_logs(NAME, build=True))
    assert build[0].startswith("===== Build Queued at ") and build[0].endswith(f"/ Commit SHA: {oid[:7]} =====\n")
    assert list(api.fetch_space_logs(NAME, build=True, follow=True)) == build
    paused = api.pause_space(NAME)
    assert paused.stage == "PAUSED" and paused.hardware is None
    assert api.restart_space(NAME).stage == "BUILDING"
    assert api.wait_for_space(NAME, timeout=30, poll_interval=0.05).stage == "RUNNING"
    assert hub.counters()["builds"] == 1
    assert api.restart_space(NAME, factory_reboot=True).stage == "BUILDING"
    space.wait("RUNNING")
    assert hub.counters()["builds"] == 2 and hub.counters()["restarts"] == 2


def test_run_log_is_followed(api, space):
    running(api, space)
    seen, ended = [], threading.Event()

    def follow():
        for line in api.fetch_space_logs(NAME, follow=True):
            seen.append(line)
        ended.set()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    wait(lambda: len(seen) >= 3)
    assert seen[0].startswith("===== Application Startup at ") and seen[2] == "Listening on 0.0.0.0:7860\n"
    space.say("first words", "second words")
    wait(lambda: seen[-1:] == ["second words\n"])
    assert not ended.is_set(), "the run log stays open while the app runs"
    api.pause_space(NAME)
    assert ended.wait(20), "and ends with it"


def wait(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.01)


def test_dev_mode_static_and_visibility(api, hub, space):
    assert api.enable_space_dev_mode(NAME).dev_mode is True
    assert api.disable_space_dev_mode(NAME).dev_mode is False
    api.update_repo_settings(NAME, repo_type="space", private=True)
    assert api.space_info(NAME).private is True
    api.create_repo("alice/page", repo_type="space", space_sdk="static")
    assert api.get_space_runtime("alice/page").stage == "RUNNING"
    for call in (api.pause_space, api.restart_space):
        with pytest.raises(ValueError):
            call("alice/page")


def test_rename_and_delete(api, hub, space):
    running(api, space)
    old_url = space.app_url
    api.move_repo(from_id=NAME, to_id="alice/new.Name_2", repo_type="space")
    moved = hub.space("alice/new.Name_2")
    moved.wait("RUNNING")
    assert moved.state()["subdomain"] == "alice-new-name-2" and moved.app_url != old_url
    assert api.space_info(NAME).id == "alice/new.Name_2", "the old name leads to the new one"
    assert api.space_info("ALICE/New.name_2").id == "alice/new.Name_2"
    api.delete_repo("alice/new.Name_2", repo_type="space")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("alice/new.Name_2", repo_type="space")
    api.delete_repo("alice/new.Name_2", repo_type="space", missing_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.space_info(NAME)


def test_duplicate(api, hub, space):
    api.add_space_variable(NAME, "V", "1")
    api.add_space_secret(NAME, "S", "1")
    api.duplicate_repo(NAME, "alice/copy", repo_type="space", private=True)
    state = hub.space("alice/copy").state()
    assert list(state["variables"]) == ["V"] and state["secrets"] == {} and state["visibility"] == "private"
    assert state["files"].keys() == space.files().keys()


# -- errors


def test_errors_are_told_apart(api, hub, space):
    with pytest.raises(RepositoryNotFoundError) as wrong:
        api.space_info("alice/none")
    assert status(wrong) == 404 and wrong.value.request_id.startswith("Root=1-")
    with pytest.raises(HfHubHTTPError) as wrong:
        HfApi(endpoint=hub.url, token=False).space_info("alice/none")
    assert status(wrong) == 401 and "Invalid username or password." in str(wrong.value)
    reader = HfApi(endpoint=hub.url, token=hub.make_token("alice", "read"))
    with pytest.raises(HfHubHTTPError) as wrong:
        reader.upload_file(path_or_fileobj=b"1", path_in_repo="a", repo_id=NAME, repo_type="space")
    assert status(wrong) == 403
    with pytest.raises(HfHubHTTPError) as wrong:
        HfApi(endpoint=hub.url, token=hub.make_token("carol")).pause_space(NAME)
    assert status(wrong) == 403
    hub.fault("action_quota", "POST", "/api/spaces/*/commit/*")
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_commit(NAME, [CommitOperationAdd("a", b"1")], commit_message="x", repo_type="space")
    assert status(wrong) == 429 and "hourly quotas for action: commit" in str(wrong.value)
    hub.settings(running_quota=0)
    with pytest.raises(HfHubHTTPError) as wrong:
        api.restart_space(NAME)
    assert status(wrong) == 403 and "quota limit" in str(wrong.value)


def test_the_clients_own_repeats(api, hub, space):
    """What the client repeats by itself: upload mode, LFS batch, uploads and verification."""
    hub.fault("status", "POST", "/api/spaces/*/preupload/*", status=503, html=True)
    hub.fault("status", "POST", "*/objects/batch", status=500)
    hub.fault("cut_before", "PUT", origin="lfs")
    hub.fault("rate_limit", "POST", "*/objects/verify", seconds=0)
    api.upload_file(path_or_fileobj=b"\0" * 999, path_in_repo="x.bin", repo_id=NAME, repo_type="space")
    assert space.files()["x.bin"]["size"] == 999
    assert [fault["hits"] for fault in hub.faults()] == [1, 1, 1, 1]


def test_oauth_token_cannot_restart(hub, space):
    api = HfApi(endpoint=hub.url, token=hub.make_token("alice", kind="oauth"))
    assert api.whoami()["auth"]["type"] == "oauth"
    assert api.space_info(NAME).id == NAME
    for call in (
        lambda: api.restart_space(NAME),
        lambda: api.set_space_sleep_time(NAME, 60),
        lambda: api.request_space_hardware(NAME, "t4-small"),
    ):
        with pytest.raises(HfHubHTTPError) as wrong:
            call()
        assert status(wrong) == 401 and "Invalid username or password." in str(wrong.value)


def test_version_of_the_client():
    assert int(huggingface_hub.__version__.split(".")[0]) >= 1


def test_place_and_preferred_visibility_of_an_organization(api, hub):
    group = {"id": "0123456789abcdef01234567", "name": "rg", "role": "write"}
    hub.make_org("acme", {"alice": "write"}, plan="enterprise", default_visibility="private", resource_groups=[group])
    api.create_repo("acme/a", repo_type="space", space_sdk="docker", region="eu", resource_group_id=group["id"])
    info = api.space_info("acme/a")
    assert info.private is True and info.resource_group["name"] == "rg" and "region:eu" in info.tags
    api.create_repo("acme/b", repo_type="space", space_sdk="docker", visibility="protected")
    assert hub.space("acme/b").state()["visibility"] == "protected"
    with pytest.raises(BadRequestError):
        api.create_repo("acme/c", repo_type="space", space_sdk="docker", resource_group_id="f" * 24)
    with pytest.raises(HfHubHTTPError) as wrong:
        api.create_repo("alice/c", repo_type="space", space_sdk="docker", region="eu")
    assert status(wrong) == 403
