# SPDX-License-Identifier: Apache-2.0
"""The life of a deployment in a Space, against the Hub's protocol with scripted builds."""
import json
import time

import pytest

SPACE = "alice/zenml-my_deployment"


def test_first_deploy_counts_calls_commits_builds(ready, hub):
    hub.reset_counters()
    done = ready.deploy(check=0)
    counters = hub.counters()
    before_waiting = [e for e in hub.log("hub") if "/runtime" not in e["path"] and "/logs/" not in e["path"]
                      and "info/lfs" not in e["path"]]
    assert len(before_waiting) <= 8, [f"{e['method']} {e['path']}" for e in before_waiting]
    assert counters["commits"] == 1 and counters["builds"] == 1 and counters["restarts"] == 0
    state = hub.space(SPACE).state()
    assert state["stage"] == "RUNNING" and state["visibility"] == "public"
    assert {"Dockerfile", "README.md", "my_module.py", ".kourou/snapshot.json", ".kourou/bin/kourou-serve"} <= set(state["files"])
    assert "Traceback" not in done.stderr


def test_unchanged_redeploy_makes_no_commit(ready, hub):
    ready.deploy(check=0)
    hub.reset_counters()
    done = ready.deploy(check=0)
    counters = hub.counters()
    assert counters["calls"] <= 5, counters["routes"]
    assert counters["commits"] == counters["builds"] == counters["restarts"] == 0
    assert "unchanged" in done.stderr.lower() or "nothing" in done.stderr.lower(), done.stderr


def test_code_change_is_one_commit_of_few_files(ready, hub):
    ready.deploy(check=0)
    head = hub.space(SPACE).head
    hub.reset_counters()
    ready.change()
    ready.deploy(check=0)
    counters = hub.counters()
    assert counters["commits"] == 1 and counters["builds"] == 1 and counters["lfs_uploads"] == 0
    assert hub.space(SPACE).head != head
    assert b"Bonjour" in hub.space(SPACE).read("my_module.py")


def test_secret_change_is_one_restart_and_no_commit(ready, hub):
    ready.run("secret", "create", "app", "--api_key=first-value", check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", check=0)
    ready.deploy(check=0)
    secrets = hub.space(SPACE).state()["secrets"]
    assert {name: secret["value"] for name, secret in secrets.items()} == {
        "api_key": "first-value", "KOUROU_SECRET_NAMES": "api_key"}
    ready.run("secret", "update", "app", "--api_key=second-value", check=0)
    hub.reset_counters()
    ready.deploy(check=0)
    counters = hub.counters()
    assert counters["commits"] == 0 and counters["restarts"] == 1, counters


def test_list_describe_logs_delete(ready, hub):
    ready.deploy(check=0)
    listed = json.loads(ready.run("deployment", "list", "-o", "json", check=0).stdout)
    assert [(r["name"], r["status"]) for r in listed["items"]] == [("my_deployment", "running")]
    assert ready.row()["url"].startswith("http://")
    hub.space(SPACE).say("hello from the app")
    assert "hello from the app" in ready.run("deployment", "logs", "my_deployment", check=0).stdout
    build = ready.run("deployment", "logs", "my_deployment", "--build", check=0).stdout
    assert "Build Queued" in build
    ready.run("deployment", "delete", "my_deployment", "-y", check=0)
    assert not hub.space(SPACE).exists()
    assert json.loads(ready.run("deployment", "list", "-o", "json", check=0).stdout)["items"] == []


def test_live_state_is_shown_not_the_stored_one(ready, hub):
    ready.deploy(check=0)
    hub.space(SPACE).set_stage("RUNTIME_ERROR", "Exit code: 137. Reason: OOMKilled")
    listed = json.loads(ready.run("deployment", "list", "-o", "json", check=0).stdout)
    assert listed["items"][0]["status"] == "error"
    assert "OOMKilled" in json.dumps(ready.row())


def test_deprovision_pauses_and_provision_brings_back(ready, hub):
    ready.deploy(check=0)
    ready.run("deployment", "deprovision", "my_deployment", "-y", check=0)
    assert hub.space(SPACE).stage == "PAUSED"
    ready.run("deployment", "provision", "my_deployment", check=0)
    assert hub.space(SPACE).stage == "RUNNING"


def test_private_space_and_auth_key(ready, hub):
    ready.run("deployer", "update", "hf", "--private=True", "--generate_auth_key=True", check=0)
    ready.deploy(check=0)
    state = hub.space(SPACE).state()
    assert state["visibility"] == "private"
    assert "KOUROU_AUTH_KEY" in state["secrets"] and "KOUROU_AUTH_KEY" not in state["variables"]


def test_organization_owns_the_space(ready, hub):
    hub.make_org("acme", {"alice": "write"})
    ready.run("deployer", "update", "hf", "--organization=acme", check=0)
    ready.deploy(check=0)
    assert hub.space("acme/zenml-my_deployment").exists()


def test_storage_tier_is_explained(ready, hub):
    ready.run("deployer", "update", "hf", "--space_storage=small", check=0)
    done = ready.deploy(check=0)
    assert "no longer offers storage tiers" in done.stderr and "/data" in done.stderr


def test_dry_run_sends_nothing(ready, hub):
    hub.reset_counters()
    done = ready.deploy("--dry-run", check=0)
    assert "my_module.py" in done.stdout + done.stderr
    assert not hub.space(SPACE).exists()
    assert all(e["method"] == "GET" for e in hub.log("hub"))


def test_vanished_space_is_noticed_and_made_again(ready, hub):
    ready.deploy(check=0)
    ready.hub.call("POST", f"/_test/spaces/{SPACE}/stage", {"stage": "RUNNING"})
    import urllib.request
    request = urllib.request.Request(hub.url + "/api/repos/delete", json.dumps(
        {"name": "zenml-my_deployment", "organization": "alice", "type": "space"}).encode(),
        {"Authorization": "Bearer hf_test_alice", "Content-Type": "application/json"}, method="DELETE")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()
    assert "gone" in json.dumps(ready.row())
    done = ready.deploy(check=0)
    assert "vanished" in done.stderr and hub.space(SPACE).stage == "RUNNING"


# -- what can go wrong

BAD_TOKENS = [("nobody", "hf_wrong_token_value", "token"), ("read", None, "read")]


@pytest.mark.parametrize("kind", ["wrong", "read-only", "foreign"])
def test_bad_tokens_are_refused_before_anything_is_created(project, hub, kind):
    if kind == "wrong":
        token, words = "hf_not_a_token_of_anybody", ("token",)
    elif kind == "read-only":
        token, words = hub.make_token("alice", role="read"), ("read",)
    else:
        hub.make_user("bob")
        token, words = hub.make_token("bob"), ("alice",)
    project.stack(token, *(["--organization=alice"] if kind == "foreign" else []))
    done = project.deploy()
    assert done.returncode == 1 and hub.spaces() == []
    assert done.stderr.count("Error: ") == 1 and any(w in done.stderr for w in words), done.stderr
    assert token not in done.stderr + done.stdout


def test_plan_needed_is_explained(ready, hub):
    hub.make_user("alice", plan="free")
    done = ready.deploy()
    assert done.returncode == 1 and "PRO" in done.stderr


def test_space_of_somebody_else_is_left_alone(ready, hub, token):
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.url, token=token)
    api.create_repo(SPACE, repo_type="space", space_sdk="docker")
    api.upload_file(path_or_fileobj=b"precious", path_in_repo="mine.txt", repo_id=SPACE, repo_type="space")
    head = hub.space(SPACE).head
    done = ready.deploy()
    assert done.returncode == 1 and "--adopt" in done.stderr
    assert hub.space(SPACE).head == head
    ready.deploy("--adopt", check=0)
    assert hub.space(SPACE).stage == "RUNNING"


def test_build_failure_shows_the_cause_not_the_cache_noise(ready, hub):
    hub.script(build={"ok": False, "exit_code": 1, "log": [
        "--> RUN pip install -r requirements.txt",
        "ERROR: No matching distribution found for nonsense-package==9"]})
    done = ready.deploy()
    assert done.returncode == 1
    last = [line for line in done.stderr.splitlines() if line.startswith("Error: ")][0]
    assert "No matching distribution found for nonsense-package==9" in last and "cache miss" not in last
    hub.script(build={"ok": True})
    ready.change()
    ready.deploy(check=0)
    assert hub.counters()["commits"] == 2


def test_variable_of_somebody_else_with_the_name_of_a_secret(ready, hub, token):
    from huggingface_hub import HfApi

    ready.deploy(check=0)
    HfApi(endpoint=hub.url, token=token).add_space_variable(SPACE, "MODEL_MODE", "dev")
    ready.run("secret", "create", "app", "--MODEL_MODE=x-secret-value", check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", check=0)
    done = ready.deploy()
    assert done.returncode == 1 and "MODEL_MODE" in done.stderr
    assert "MODEL_MODE" not in hub.space(SPACE).state()["secrets"]


def test_paused_by_quota(ready, hub):
    ready.deploy(check=0)
    hub.space(SPACE).set_stage("PAUSED", "quota")
    hub.fault("status", "POST", "*/restart", status=403, times=-1,
              body=json.dumps({"error": "You've reached your cpu-basic quota limit, please upgrade your account, "
                                        "or pause your previous Spaces to restart this one"}))
    ready.change()
    done = ready.deploy()
    assert done.returncode == 1 and "quota" in done.stderr


@pytest.mark.parametrize("mode,words", [("wrong_port", "8000"), ("hang", "RUNTIME_ERROR")])
def test_app_that_is_not_there_for_the_hub(ready, hub, mode, words):
    hub.settings(launch_timeout=4)
    hub.script(app={"mode": mode, "log": ["Uvicorn running on http://0.0.0.0:8000"] if mode == "wrong_port" else ["loading"]})
    done = ready.deploy()
    error = [line for line in done.stderr.splitlines() if line.startswith("Error: ")][0]
    assert done.returncode == 1 and words in error, done.stderr
    hub.script(app={})
    ready.change()
    ready.deploy(check=0)


def test_repository_at_its_size_limit(ready, hub):
    hub.fault("status", "POST", "*/commit/*", status=403, times=-1,
              body=json.dumps({"error": "Repository storage limit reached (Max: 1 GB)"}))
    done = ready.deploy()
    assert done.returncode == 1 and "storage limit" in done.stderr.lower()
    hub.clear_faults()
    ready.deploy(check=0)
    assert hub.counters()["commits"] == 1


def test_huge_file_is_refused_at_once(ready, hub):
    with open(ready.folder / "huge.bin", "wb") as file:
        file.truncate(2_000_000_000)
    done = ready.deploy()
    assert done.returncode == 1 and "huge.bin" in done.stderr and hub.spaces() == []


def test_a_file_too_large_for_a_space_is_not_read(ready, hub):
    """Reading two terabytes would take longer than any test may."""
    with open(ready.folder / "huge.bin", "wb") as file:
        file.truncate(2_000_000_000_000)
    begun = time.monotonic()
    done = ready.deploy()
    assert done.returncode == 1 and "'huge.bin' has 2.0 TB" in done.stderr and ".kourouignore" in done.stderr, done.stderr
    assert time.monotonic() - begun < 60 and hub.spaces() == []


def test_slow_hub(ready, hub):
    hub.fault("slow", times=-1, seconds=1.0)
    ready.deploy(check=0)
    assert hub.counters()["commits"] == 1


def test_no_secret_leaves_its_place(ready, hub, token):
    ready.run("secret", "create", "app", "--api_key=very-secret-app-value", "--auth=auth-key-of-the-app",
              check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", "--auth_key={{app.auth}}", check=0)
    first = ready.deploy(check=0)
    planted = [token, "very-secret-app-value", "auth-key-of-the-app"]
    state = hub.space(SPACE).state()
    places = {"output": first.stdout + first.stderr, "variables": json.dumps(state["variables"])}
    for path, data in hub.space(SPACE).contents().items():
        places[path] = data.decode(errors="replace")
    for name, text in places.items():
        for value in planted:
            assert value not in text, f"{value} stands in {name}"
    store = (ready.folder.parent / "home/kourou").rglob("*")
    for path in store:
        if path.is_file():
            data = path.read_bytes()
            for value in planted:
                assert value.encode() not in data, f"{value} stands in {path.name}"


def test_token_stays_with_its_origin(ready, hub):
    ready.deploy(check=0)
    for entry in hub.log():
        if entry["origin"].split(":")[0] != "hub":
            assert not entry.get("auth"), entry


# -- failures say stage, reason and cure, whatever of them can be read

UNREADABLE = {"403": {"kind": "status", "status": 403}, "404": {"kind": "status", "status": 404},
              "503": {"kind": "status", "status": 503, "html": True}, "cut": {"kind": "cut_before"}}


@pytest.mark.parametrize("log", UNREADABLE)
def test_failure_of_a_space_whose_log_cannot_be_read(ready, hub, log):
    """Once a crash stood in the place of the reason."""
    hub.fault(method="GET", path="*/logs/*", times=-1, **UNREADABLE[log])
    if log == "404":
        hub.settings(scheduling_failure="unable to schedule")
    else:
        hub.script(build={"ok": False, "exit_code": 1, "log": ["ERROR: nobody can read this"]})
    begun = time.monotonic()
    done = ready.deploy()
    error = one_error(done)
    assert done.returncode == 1 and "log could not be read" in error, done.stderr
    if log == "404":
        assert "RUNTIME_ERROR: Scheduling failure: unable to schedule" in error and "space_hardware" in done.stderr
    else:
        assert "BUILD_ERROR: Job failed with exit code: 1" in error and "logs my_deployment --build" in done.stderr
    assert time.monotonic() - begun < 60, "a Space of just now has no verdict of before: it counts at once"


def one_error(done):
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return error


def test_configuration_error_of_a_new_space_is_told_at_once(ready, hub):
    hub.fault("status", "GET", f"/api/spaces/{SPACE}/runtime", times=-1, status=200, body=json.dumps(
        {"stage": "CONFIG_ERROR", "errorMessage": "Missing configuration in README", "hardware": {}, "replicas": {}}))
    begun = time.monotonic()
    done = ready.deploy()
    assert done.returncode == 1 and "CONFIG_ERROR: Missing configuration in README" in one_error(done), done.stderr
    assert time.monotonic() - begun < 60


def test_what_is_committed_is_counted_and_the_secret_is_named(ready, hub, token):
    done = ready.deploy(check=0)
    assert "Committed" in done.stderr and "(0 bytes)" not in done.stderr, done.stderr
    hub.change_token(hub.log("hub")[-1]["token"], revoked=True)
    done = ready.deploy()
    assert done.returncode == 1 and "the token of the secret 'hf_token'" in done.stderr, done.stderr
    assert "kourou secret update hf_token --token=" in done.stderr


# -- what can be checked is checked before there is a Space

BAD_FILES = {
    "readme not utf-8": ("README.md", b"---\ntitle: Caf\xe9\n---\n", "UTF-8"),
    "body of the readme not utf-8": ("README.md", b"---\ntitle: a\n---\ncaf\xe9\n", "UTF-8"),
    "long readme": ("README.md", b"---\ntitle: a\n---\n" + b"x" * 1_100_000, "README.md"),
    "pinned": ("README.md", b"---\npinned: perhaps\n---\n", "pinned has to be true or false"),
    "colour": ("README.md", b"---\ncolorFrom: mauve\n---\n", "colorFrom"),
    "known to the Hub alone": ("README.md", b"---\nbase_path: no-slash\n---\n", "base_path"),
    "header of the Hub alone": ("README.md", b"---\ncustom_headers:\n  x-mine: a\n---\n", "custom_headers"),
    "backslash": ("a\\b.txt", b"x", "backslash"),
    "control character": ("a\x07b.txt", b"x", "control character"),
}


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_files_that_the_hub_refuses(ready, hub, case, there):
    name, data, words = BAD_FILES[case]
    if there:
        ready.run("secret", "create", "app", "--a_key=first-value-a", "--b_key=first-value-b", check=0)
        ready.deploy(check=0)
        ready.run("deployer", "update", "hf", "--secret", "app", "--space_hardware=t4-small", check=0)
        hub.reset_counters()
    (ready.folder / name).write_bytes(data)
    done = ready.deploy()
    assert done.returncode == 1 and words in one_error(done), done.stderr
    writes = [e for e in hub.log("hub") if e["method"] != "GET" and e["path"] != "/api/validate-yaml"]
    assert writes == [] and (there or hub.spaces() == [])


@pytest.mark.parametrize("word,value", [("yes", True), ("No", False), ("on", True), ("true", True), ('"off"', False)])
def test_words_for_true_and_false_in_the_readme(ready, hub, word, value):
    (ready.folder / "README.md").write_text(f"---\npinned: {word}\nfullWidth: {word}\n---\nHello\n")
    ready.deploy("--dry-run", check=0)
    ready.deploy(check=0)
    text = hub.space(SPACE).read("README.md").decode()
    assert f"pinned: {str(value).lower()}\n" in text and f"fullWidth: {str(value).lower()}\n" in text
