# SPDX-License-Identifier: Apache-2.0
"""What the Hub client does against a Hub that behaves: every operation, every refusal, nothing leaked."""
import json
import os
import signal
import threading
import time

import pytest

from tests.hub_client.conftest import Client


def sync(client, space_id, folder, *words, id="deployment-1"):
    return client("sync", space_id, folder, id, *words)


@pytest.fixture
def live(client, shared_hub, space_id, folder):
    """A Space that runs the folder."""
    client("create", space_id, input={})
    answer = sync(client, space_id, folder)
    shared_hub.space(space_id).wait("RUNNING", sha=answer["commit"])
    shared_hub.reset_counters()
    return space_id


# -- accounts and tokens


def test_whoami_and_where_the_token_comes_from(client, tmp_path):
    assert client("whoami").out == {"name": "alice", "kind": 2, "orgs": 0, "source": "HF_TOKEN", "calls": 1}
    token, client.token = client.token, None
    assert client.fails("auth", "whoami")["hint"].startswith("make one with the role write at http://127.0.0.1")
    client.token = token
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "token").write_text(token + "\n")
    client.extra = {"HF_TOKEN": ""}
    assert client("whoami")["source"].endswith("/.cache/huggingface/token")


def test_tokens_that_may_not(client, shared_hub, space_id, tmp_path):
    hub = shared_hub
    client("create", space_id, input={})
    hub.make_user("bob")

    def having(token):
        return Client(hub, token, tmp_path)

    read = having(hub.make_token("alice", "read"))
    assert "is read-only" in read.fails("auth", "whoami", space_id)["message"]
    assert "status 403" in read.fails("auth", "pause", space_id)["message"]
    bob = having(hub.make_token("bob"))
    assert "neither the account bob" in bob.fails("auth", "whoami", space_id)["message"]
    assert "setting organization" in bob.fails("auth", "create", "alice/new-space", input={})["hint"]
    assert bob.fails("auth", "delete", space_id)["status"] == 403
    fine = having(hub.scoped_token("alice", space_id, ["repo.write", "repo.content.read"], "space"))
    fine("whoami", space_id)
    assert "may not write to alice/other" in fine.fails("auth", "whoami", "alice/other")["message"]
    wrong = having("hf_wrong_token_value")
    error = wrong.fails("auth", "space", space_id)
    assert "Invalid credentials" in error["message"] and "the token of HF_TOKEN is wrong, expired" in error["hint"]
    assert "request Root=1-" in error["message"]
    revoked = having(hub.make_token("alice", "write", name="revoked-one"))
    hub.change_token("revoked-one", revoked=True)
    assert revoked.fails("auth", "pause", space_id)["hint"]


def test_oauth_token(client, shared_hub, space_id, tmp_path):
    client("create", space_id, input={})
    oauth = Client(shared_hub, shared_hub.make_token("alice", kind="oauth"), tmp_path)
    assert oauth("whoami")["kind"] == 4
    oauth("pause", space_id)
    oauth("check-write", space_id)
    for args in (("restart", space_id), ("hardware", space_id, "t4-small"), ("sleep", space_id, "60")):
        error = oauth.fails("auth", *args)
        assert error["status"] == 401 and "tokens of `hf auth login` cannot restart Spaces" in error["hint"]


def test_ci_identity_that_is_refused(client):
    client.extra = {"HF_OIDC_RESOURCE": "spaces/alice/x", "HF_OIDC_ID_TOKEN": "not.a.jwt"}
    error = client.run("whoami").error
    assert error["message"].startswith("exchange the CI identity for a Hub token")
    assert "trusted publisher" in error["hint"]


def test_organization(client, shared_hub, tmp_path):
    shared_hub.make_user("carol")
    shared_hub.make_org("acme", {"alice": "write", "carol": "read"})
    client("whoami", "acme/x")
    assert client("create", "acme/by-alice", input={"visibility": "private"})["existed"] is False
    carol = Client(shared_hub, shared_hub.make_token("carol"), tmp_path)
    assert "may only read in organization acme" in carol.fails("auth", "whoami", "acme/x")["message"]
    shared_hub.make_org("locked", {"alice": "write"}, restrictions=["sso"])
    assert "does not let this token in: sso" in client.fails("auth", "whoami", "locked/x")["message"]


def test_offline(client):
    client.extra = {"HF_HUB_OFFLINE": "1"}
    assert "HF_HUB_OFFLINE is set" in client.fails("network", "whoami")["message"]
    assert client.hub.counters()["calls"] == 0


# -- Spaces


def test_create_with_everything_in_one_call(client, shared_hub, space_id):
    answer = client("create", space_id, input={
        "visibility": "private", "hardware": "t4-small", "sleep": 300, "secrets": {"KEY": "a-secret"},
        "variables": {"V": "1"}, "volumes": [{"type": "bucket", "source": "alice/data", "mountPath": "/data"}]})
    assert answer.out == {"existed": False, "calls": 1}
    state = shared_hub.space(space_id).state()
    assert state["visibility"] == "private" and state["hardware"] == "t4-small" and state["sleep_seconds"] == 300
    assert state["secrets"]["KEY"]["value"] == "a-secret" and state["variables"]["V"]["value"] == "1"
    assert state["volumes"][0]["mountPath"] == "/data" and state["sdk"] == "docker"
    assert client("create", space_id, input={})["existed"] is True
    got = client("space", space_id)
    assert got["private"] is True and got["stage"] == "NO_APP_FILE" and got["head"] == state["head"]
    assert client("delete", space_id)["existed"] is True and client("delete", space_id)["existed"] is False
    assert client.fails("not-found", "space", space_id)["hint"].startswith("it does not exist, was renamed")


def test_plan_and_name(client, shared_hub, tmp_path):
    shared_hub.make_user("free", plan="free")
    poor = Client(shared_hub, shared_hub.make_token("free"), tmp_path)
    error = poor.fails("plan", "create", "free/x", input={})
    assert error["status"] == 402 and "/pro" in error["hint"] and "space_hardware" in error["hint"]
    poor("create", "free/paid", input={"hardware": "t4-small"})
    for name in ("alice/" + "x" * 97, "alice/a--b", "alice/a.git", "alice", "alice/a b"):
        assert "is not a name for a Space" in client.fails("invalid", "create", name, input={})["message"]


def test_conflicting_operation_is_waited_for(client, shared_hub, space_id):
    shared_hub.fault("create_conflict", times=3)
    assert client("create", space_id, input={})["existed"] is False
    assert shared_hub.counters()["creates"] == 1


def test_renamed_and_other_case(client, shared_hub, space_id):
    client("create", space_id, input={})
    assert client("space", space_id.replace("space", "Space"))["moved"] is False
    new = space_id.replace("space", "renamed")
    client.api("POST", "/api/repos/move", {"fromRepo": space_id, "toRepo": new, "type": "space"})
    got = client("space", space_id)
    assert got["moved"] is True and got["id"] == new
    assert client("runtime", space_id)["stage"] == "NO_APP_FILE"
    assert client.fails("not-found", "pause", space_id)["hint"].startswith("it does not exist, was renamed")


def test_runtime_of_many(client, shared_hub, live):
    shared_hub.fault("stall", "GET", "/api/spaces/alice/stalls/runtime", seconds=10, times=-1)
    started = time.monotonic()
    rows = client("runtimes", live, "alice/none", "alice/stalls", live, live)["spaces"]
    assert time.monotonic() - started < 8
    assert [row["stage"] for row in rows] == ["RUNNING", None, None, "RUNNING", "RUNNING"]
    assert "Repository not found" in rows[1]["failed"] and "has not answered within 2000 ms" in rows[2]["failed"]


def test_life_of_a_space(client, shared_hub, live):
    space = client("space", live)
    assert space["stage"] == "RUNNING" and space["sha"] == space["head"]
    assert space["url"].startswith("http://") and space["domain"] in space["url"]
    assert client("pause", live)["stage"] == "PAUSED"
    assert client("restart", live, "factory")["stage"] == "BUILDING"
    shared_hub.space(live).wait("RUNNING")
    assert client("hardware", live, "t4-small")["requested"] == "t4-small"
    assert client("sleep", live, "-1")["sleep"] == -1
    assert client.fails("invalid", "hardware", live, "no-such")["status"] == 400
    assert "space_volumes" in client.run("storage", live, "small").error["hint"]
    assert any(flavor["name"] == "cpu-basic" for flavor in client("flavors")["flavors"])
    client("volumes", live, input=[{"type": "bucket", "source": "alice/d", "mountPath": "/data"}])
    client("volumes", live, input=[])
    assert not shared_hub.space(live).state()["volumes"]


# -- secrets and variables


def test_only_differences_are_sent(client, shared_hub, space_id):
    client("create", space_id, input={"secrets": {"S": "first-value"}, "variables": {"V": "1"}})
    wanted = {"secrets": {"S": "first-value"}, "variables": {"V": "1"}}
    first = client("vars", space_id, input=wanted)
    assert first["changed"] == ["S"]  # nothing is remembered yet
    assert client("vars", space_id, input={**wanted, "record": first["record"]})["changed"] == []
    changed = client("vars", space_id, input={"secrets": {"S": "second-value"}, "record": first["record"]})
    assert changed["changed"] == ["V", "S"]
    state = shared_hub.space(space_id).state()
    assert state["secrets"]["S"]["value"] == "second-value" and state["variables"] == {}
    record = client("vars", space_id, input={"secrets": {"S": "second-value"}, "record": changed["record"]})["record"]
    client("set-var", space_id, "secret", "S", input={"value": "by somebody else"})
    again = client("vars", space_id, input={"secrets": {"S": "second-value"}, "record": record})
    assert again["changed"] == ["S"]
    error = client.fails("invalid", "vars", space_id, input={"variables": {"S": "x"}})
    assert "the Space has a secret S that was not set from here" in error["message"]
    assert "first-value" not in json.dumps(first.out)


# -- files


def test_first_sync_in_few_calls(client, shared_hub, space_id, folder):
    (folder / "parts.bin").unlink()
    (folder / "model.bin").unlink()
    client("create", space_id, input={})
    shared_hub.reset_counters()
    answer = sync(client, space_id, folder, "fresh")
    assert answer["calls"] == 4 and shared_hub.counters()["commits"] == 1
    assert client("tree", space_id)["files"].keys() == shared_hub.space(space_id).files().keys()
    assert client("read", space_id, "pkg/é ü.py")["text"] == "print('ü')\n"


def test_large_files(client, shared_hub, space_id, folder):
    client("create", space_id, input={})
    (folder / "twin.bin").write_bytes((folder / "model.bin").read_bytes())
    shared_hub.reset_counters()
    answer = sync(client, space_id, folder)
    counters = shared_hub.counters()
    assert answer["uploaded"] == 650_001 == counters["lfs_bytes"] and counters["lfs_uploads"] == 2
    assert counters["lfs_verified"] == 2 and counters["origins"]["lfs"] == 1 + 5
    for name in ("model.bin", "parts.bin", "twin.bin"):
        assert shared_hub.space(space_id).read(name) == (folder / name).read_bytes()
    # what the store has is not sent again, under whatever name
    (folder / "model.bin").rename(folder / "renamed.bin")
    shared_hub.reset_counters()
    assert sync(client, space_id, folder)["uploaded"] == 0
    assert "lfs" not in shared_hub.counters()["origins"]
    assert "model.bin" not in shared_hub.space(space_id).files()


def test_unchanged_makes_no_commit(client, shared_hub, live, folder):
    answer = sync(client, live, folder)
    assert answer["committed"] is False and answer["calls"] == 2 and answer["owner"] == "ours"
    assert shared_hub.counters()["commits"] == 0


def test_changes_and_deletions(client, shared_hub, live, folder):
    shared_hub.space(live).commit({"theirs.txt": b"keep me"})
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "pkg" / "empty.py").unlink()
    (folder / "pkg" / "empty.py").mkdir()
    (folder / "pkg" / "empty.py" / "inner").write_text("x")
    plan = client("plan", live, folder, "deployment-1")
    assert plan["changes"] == {".kourou/deployment.json": "update", "Dockerfile": "update", "pkg/empty.py": "delete",
                               "pkg/empty.py/inner": "add"}
    sync(client, live, folder)
    files = shared_hub.space(live).files()
    assert "theirs.txt" in files and "pkg/empty.py/inner" in files and ".gitattributes" in files
    assert shared_hub.counters()["commits"] == 2


def test_space_of_others(client, shared_hub, live, folder):
    error = client.fails("conflict", "sync", live, folder, "deployment-2")
    assert "belongs to another deployment (deployment-1)" in error["message"] and "--adopt" in error["hint"]
    (folder / "new.txt").write_text("x")
    assert sync(client, live, folder, "adopt", id="deployment-2")["committed"]
    assert sync(client, live, folder, id="deployment-2")["owner"] == "ours"


def test_foreign_space(client, shared_hub, space_id, folder):
    client("create", space_id, input={})
    shared_hub.space(space_id).commit({"theirs.txt": b"x"})
    assert "were not deployed from here" in client.fails("conflict", "sync", space_id, folder, "d")["message"]
    assert sync(client, space_id, folder, "adopt")["committed"]
    assert "theirs.txt" in shared_hub.space(space_id).files()


@pytest.mark.parametrize("kind", ["race_commit", "race_412"])
def test_branch_that_moves_during_the_commit(client, shared_hub, live, folder, kind):
    (folder / "Dockerfile").write_text("FROM other\n")
    shared_hub.fault(kind, "POST", "*/commit/main")
    answer = sync(client, live, folder)
    assert answer["committed"] and answer["commit"] == shared_hub.space(live).head
    assert shared_hub.space(live).read("Dockerfile") == b"FROM other\n"


def test_many_files_over_pages(client, shared_hub, space_id, folder):
    shared_hub.settings(tree_limit=50)
    for number in range(300):
        (folder / f"file{number:03}.txt").write_text(str(number))
    client("create", space_id, input={})
    assert sync(client, space_id, folder)["committed"]
    assert sync(client, space_id, folder)["unchanged"] == 307
    shared_hub.settings(tree_limit=1000)


def test_readme_that_the_hub_refuses(client, shared_hub, space_id, folder):
    client("create", space_id, input={})
    (folder / "README.md").write_text("---\nsdk: docker\ncolorFrom: mauve\n---\n")
    error = client.fails("invalid", "sync", space_id, folder, "d")
    assert "check the metadata in README.md" in error["message"] and "colorFrom" in error["message"]


def test_storage_limit(client, shared_hub, space_id, folder):
    client("create", space_id, input={})
    shared_hub.settings(repo_limit=100_000)
    try:
        error = client.fails("plan", "sync", space_id, folder, "d")
    finally:
        shared_hub.settings(repo_limit=1_000_000_000)
    assert "storage limit reached" in error["message"] and "squash the history" in error["hint"]


def test_object_that_the_store_refuses(client, shared_hub, space_id, folder):
    client("create", space_id, input={})
    shared_hub.script(space_id, lfs_errors={"*": "malware found"})
    assert "malware found (422)" in client.fails("remote", "sync", space_id, folder, "d")["message"]


def test_gitignore_in_the_space_does_not_swallow_files(client, shared_hub, space_id, folder):
    client("create", space_id, input={})
    shared_hub.space(space_id).commit({".gitignore": b"*.py\n"})
    answer = sync(client, space_id, folder, "adopt")
    assert "pkg/é ü.py" in shared_hub.space(space_id).files(), answer.stderr


def test_killed_at_every_call_and_run_again(client, shared_hub, space_id, folder):
    client("create", space_id, input={})
    for number in range(1, 20):
        shared_hub.clear_faults()
        shared_hub.fault("stall", seconds=60, nth=number)
        program = client.start("sync", space_id, folder, "deployment-1")
        deadline = time.monotonic() + 30
        while program.poll() is None and not shared_hub.faults()[0]["hits"]:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        program.send_signal(signal.SIGKILL)
        finished = program.wait() == 0
        program.communicate()
        shared_hub.clear_faults()
        if finished:
            break
    assert finished and number > 3
    sync(client, space_id, folder)
    titles = [commit["title"] for commit in shared_hub.space(space_id).state()["commits"]]
    assert titles == ["Deploy", "initial commit"]


def test_interrupt_ends_at_once(client, shared_hub, space_id):
    client("create", space_id, input={})
    shared_hub.fault("stall", seconds=60)
    program = client.start("space", space_id)
    deadline = time.monotonic() + 30
    while not shared_hub.faults()[0]["hits"]:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    started = time.monotonic()
    program.send_signal(signal.SIGINT)
    _, text = program.communicate(timeout=30)
    assert time.monotonic() - started < 20, "the Hub would have answered after a minute"
    assert json.loads(text.splitlines()[-1])["code"] == "cancelled"


def test_rate_limit_and_quota(client, shared_hub, space_id):
    client("create", space_id, input={})
    shared_hub.fault("rate_limit", seconds=900, times=-1)
    error = client.fails("plan", "space", space_id)
    assert error["status"] == 429 and "takes the next one in 901 s" in error["hint"]
    shared_hub.clear_faults()
    shared_hub.fault("action_quota", times=-1)
    assert "quota on such actions" in client.fails("plan", "pause", space_id)["hint"]


# -- logs


def test_logs(client, shared_hub, live):
    build = client("logs", live, "build")["lines"]
    assert build[0].startswith("===== Build Queued at ") and "--> Pushing image" in build
    run = client("logs", live, "run")["lines"]
    assert run[0].startswith("===== Application Startup at ")
    assert client("logs", live, "run", "1")["lines"] == run[-1:]
    assert client.fails("not-found", "logs", "alice/none", "run")["status"] == 404


class Reader:
    """hubctl logs ... follow, with the lines it has shown."""

    def __init__(self, client, *args):
        self.program, self.lines = client.start("logs", *args), []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.program.stderr:
            if line.startswith("line "):
                self.lines.append(line[5:].rstrip("\n"))

    def wait_for(self, text):
        deadline = time.monotonic() + 30
        while text not in self.lines:
            assert time.monotonic() < deadline and self.program.poll() is None, self.lines
            time.sleep(0.01)

    def stop(self):
        self.program.send_signal(signal.SIGINT)
        self.program.stdout.read()
        self.program.wait(30)
        self.thread.join(30)


def test_following_survives_cuts_without_repeating(client, shared_hub, live):
    space = shared_hub.space(live)
    space.say(*[f"early {number}" for number in range(10)])
    shared_hub.fault("cut_stream", path="*/logs/run", count=4, times=2)
    shared_hub.fault("status", path="*/logs/run", status=503, nth=3)
    reader = Reader(client, live, "run", "follow")
    try:
        reader.wait_for("early 9")
        space.say("later 1", "later 2")
        reader.wait_for("later 2")
    finally:
        reader.stop()
    wanted = [f"early {number}" for number in range(10)] + ["later 1", "later 2"]
    assert [line for line in reader.lines if line.split()[:1] in (["early"], ["later"])] == wanted
    assert len([entry for entry in shared_hub.log() if entry["path"].endswith("/logs/run")]) >= 4


# -- nothing leaks


def test_token_goes_to_the_hub_alone(client, shared_hub, space_id, folder):
    client("create", space_id, input={"secrets": {"KEY": "a-secret-value"}})
    sync(client, space_id, folder)
    # a redirect to another origin, as for files that lie on a CDN
    shared_hub.fault("status", "GET", "/spaces/*/raw/*", status=302, headers={"Location": "{cdn}/cdn/none/x"})
    client.run("read", space_id, "README.md")
    log = shared_hub.log()
    origins = {entry["origin"].split(":")[0] for entry in log}
    assert {"hub", "lfs", "cdn"} <= origins
    assert all(entry["auth"] is None for entry in log if not entry["origin"].startswith("hub"))
    assert not any(entry["leaks"] for entry in log)
    assert not [entry for entry in log if "complete_multipart" in entry["path"] and entry["auth"]]
    assert all(entry["auth"] for entry in log if entry["path"].endswith("/verify"))
    assert all((entry["user_agent"] or "").startswith("kourou/") for entry in log)
    state = shared_hub.space(space_id).state()
    assert "a-secret-value" not in json.dumps({key: state[key] for key in state if key != "secrets"})


def test_token_is_not_in_the_arguments(client, shared_hub, space_id):
    shared_hub.fault("stall", seconds=60)
    program = client.start("whoami")
    try:
        with open(f"/proc/{program.pid}/cmdline", "rb") as cmdline:
            assert client.token.encode() not in cmdline.read()
    finally:
        program.kill()
        program.communicate()
    assert os.environ.get("HF_TOKEN") is None or client.token != os.environ["HF_TOKEN"]
