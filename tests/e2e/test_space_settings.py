# SPDX-License-Identifier: Apache-2.0
"""Settings of a Space: set, taken back, left alone when they are somebody else's, allowed by the token, shown before they are
done, and the same as the official client leaves them."""
import json

import pytest
from huggingface_hub import HfApi, Volume

SPACE = "alice/zenml-my_deployment"
MINE = ("visibility", "hardware", "sleep_seconds", "volumes", "dev_mode", "storage", "region", "resource_group")
VOLUME = '[{"type":"bucket","source":"alice/data","mount_path":"/data"}]'


def set_(project, **settings):
    project.run("deployer", "update", "hf", *[f"--{key}={value}" for key, value in settings.items()], check=0)


def unset(project, *names):
    project.run("deployer", "remove-attribute", "hf", *names, check=0)


def settings_of(hub, space=SPACE):
    state = hub.space(space).state()
    return {key: state[key] for key in MINE}


def dry_run(project):
    return json.loads(project.deploy("--dry-run", "--output", "json", check=0).stdout)


def one_error(done):
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return error


@pytest.fixture
def api(hub, token):
    return HfApi(endpoint=hub.url, token=token)


# -- what the deployment set is taken back

BACK = {
    "hardware": ({"space_hardware": "t4-small"}, "hardware", "t4-small", "cpu-basic"),
    "hardware and sleep": ({"space_hardware": "t4-small", "sleep_time": 3600}, "sleep_seconds", 3600, 172800),
    "dev mode": ({"dev_mode": "True"}, "dev_mode", True, False),
    "storage": ({"space_storage": "small"}, "storage", "small", None),
}


@pytest.mark.parametrize("case", BACK)
def test_what_was_set_is_taken_back(ready, hub, case):
    given, key, value, plain = BACK[case]
    hub.settings(storage_routes="work")
    set_(ready, **given)
    ready.deploy(check=0)
    assert settings_of(hub)[key] == value
    hub.reset_counters()
    ready.deploy(check=0)
    assert hub.counters()["calls"] <= 5, "unchanged settings make no call"
    unset(ready, *given)
    planned = dry_run(ready)
    assert planned["settings"] and all(one["taken_back"] for one in planned["settings"])
    assert settings_of(hub)[key] == value, "a dry run changes nothing"
    done = ready.deploy(check=0)
    assert settings_of(hub)[key] == plain and "is taken back" in done.stderr
    assert hub.counters()["commits"] == 0
    assert dry_run(ready)["settings"] == []


def test_sleep_time_and_volumes_are_taken_back_on_paid_hardware(ready, hub):
    set_(ready, space_hardware="t4-small", sleep_time=3600, space_volumes=VOLUME)
    ready.deploy(check=0)
    assert settings_of(hub)["sleep_seconds"] == 3600 and settings_of(hub)["volumes"]
    unset(ready, "sleep_time", "space_volumes")
    ready.deploy(check=0)
    assert settings_of(hub)["sleep_seconds"] is None and not settings_of(hub)["volumes"]
    assert settings_of(hub)["hardware"] == "t4-small"


def test_what_somebody_changed_on_the_hub_is_left(ready, hub, api):
    set_(ready, space_hardware="t4-small", sleep_time=3600, space_volumes=VOLUME)
    ready.deploy(check=0)
    api.request_space_hardware(SPACE, "a10g-small", sleep_time=7200)
    api.set_space_volumes(SPACE, [Volume(type="bucket", source="alice/other", mount_path="/other")])
    unset(ready, "space_hardware", "sleep_time", "space_volumes")
    hub.space(SPACE).wait("RUNNING")
    ready.deploy(check=0)
    state = settings_of(hub)
    assert (state["hardware"], state["sleep_seconds"]) == ("a10g-small", 7200)
    assert [volume["source"] for volume in state["volumes"]] == ["alice/other"]
    set_(ready, space_hardware="t4-small")
    ready.deploy(check=0)
    assert settings_of(hub)["hardware"] == "t4-small", "a setting that stands is asked for"


def test_hardware_of_the_owner_is_left_without_a_setting(ready, hub, api):
    ready.deploy(check=0)
    api.request_space_hardware(SPACE, "t4-small", sleep_time=600)
    hub.space(SPACE).wait("RUNNING")
    ready.deploy(check=0)
    assert (settings_of(hub)["hardware"], settings_of(hub)["sleep_seconds"]) == ("t4-small", 600)


def test_sleep_time_of_free_hardware_is_noted_once(ready, hub):
    set_(ready, sleep_time=3600)
    first = ready.deploy(check=0)
    second = ready.deploy(check=0)
    assert "always sleeps after 48 hours" in first.stderr and "48 hours" not in second.stderr
    assert not [entry for entry in hub.log("hub") if "sleeptime" in entry["path"] or "hardware" in entry["path"]]
    assert settings_of(hub)["sleep_seconds"] == 172800


# -- visibility


def visibility_calls(hub):
    return [e for e in hub.log("hub") if e["path"].endswith("/settings") and e["method"] == "PUT"]


@pytest.mark.parametrize("told", [False, True], ids=["not told", "told"])
@pytest.mark.parametrize("reads", [False, True], ids=["reads public", "reads private"])
def test_visibility_of_the_owner_is_left(ready, hub, api, told, reads):
    """Whatever the Hub says of a protected Space, nothing publishes or hides it without being asked."""
    hub.settings(info_visibility=told, protected_reads_private=reads)
    ready.deploy(check=0)
    for visibility in ("protected", "private", "public"):
        api.update_repo_settings(SPACE, repo_type="space", visibility=visibility)
        hub.reset_counters()
        (ready.folder / "data.txt").write_text(visibility)
        ready.deploy(check=0)
        assert settings_of(hub)["visibility"] == visibility and not visibility_calls(hub)


@pytest.mark.parametrize("told", [False, True], ids=["not told", "told"])
@pytest.mark.parametrize("reads", [False, True], ids=["reads public", "reads private"])
def test_visibility_is_set_when_asked(ready, hub, told, reads):
    hub.settings(info_visibility=told, protected_reads_private=reads)
    for visibility in ("protected", "private", "public", "protected", "public"):
        set_(ready, visibility=visibility)
        ready.deploy(check=0)
        assert settings_of(hub)["visibility"] == visibility
        hub.reset_counters()
        ready.deploy(check=0)
        assert not visibility_calls(hub), "once is enough"
    unset(ready, "visibility")
    ready.deploy(check=0)
    assert settings_of(hub)["visibility"] == "public"


def test_a_private_space_is_not_published_when_the_setting_goes(ready, hub):
    set_(ready, private="True")
    ready.deploy(check=0)
    unset(ready, "private")
    ready.deploy(check=0)
    assert settings_of(hub)["visibility"] == "private"
    set_(ready, private="False")
    ready.deploy(check=0)
    assert settings_of(hub)["visibility"] == "public"


def test_protected_space_at_the_first_deploy(ready, hub):
    set_(ready, visibility="protected", generate_auth_key="True")
    ready.deploy(check=0)
    assert settings_of(hub)["visibility"] == "protected"
    apps = [e for e in hub.log() if e["origin"].startswith("app:")]
    assert apps and not [e for e in apps if e["token"] == "alice"], "an open app never gets the Hub token"


def test_default_of_an_organization_stands(ready, hub):
    hub.make_org("acme", {"alice": "write"}, default_visibility="private")
    set_(ready, organization="acme")
    done = ready.deploy(check=0)
    assert hub.space("acme/zenml-my_deployment").state()["visibility"] == "private"
    assert "Created private Space" in done.stderr
    creates = [e for e in hub.log("hub") if e["path"] == "/api/repos/create"]
    assert len(creates) == 1


def test_contradicting_settings_are_refused(ready, hub):
    set_(ready, visibility="protected", private="True")
    done = ready.deploy()
    assert done.returncode == 1 and "contradict" in one_error(done) and hub.spaces() == []


# -- region, resource group


def test_region_and_resource_group_count_when_the_space_is_made(ready, hub):
    group = {"id": "0123456789abcdef01234567", "name": "rg", "role": "write"}
    hub.make_org("acme", {"alice": "write"}, plan="enterprise", resource_groups=[group])
    set_(ready, organization="acme", region="eu", resource_group=group["id"])
    ready.deploy(check=0)
    state = settings_of(hub, "acme/zenml-my_deployment")
    assert state["region"] == "eu" and state["resource_group"]["name"] == "rg"
    ready.deploy(check=0)
    set_(ready, region="us")
    hub.reset_counters()
    done = ready.deploy()
    assert done.returncode == 1 and "region" in one_error(done) and "only when a Space is made" in done.stderr
    assert all(e["method"] == "GET" for e in hub.log("hub"))


# -- what the token may


@pytest.fixture
def login(project, hub):
    """A project whose token is one of `hf auth login`."""
    hub.make_token("alice", kind="oauth", name="login", value="hf_oauth_login_of_alice")
    project.stack("hf_oauth_login_of_alice")
    return project


def test_login_changes_secrets_without_a_pause(login, hub):
    login.run("secret", "create", "app", "--a_key=first-value-a", "--b_key=first-value-b", "--c_key=first-value-c", check=0)
    login.run("deployer", "update", "hf", "--secret", "app", check=0)
    login.deploy(check=0)
    login.run("secret", "update", "app", "--a_key=next-value-a", "--b_key=next-value-b", "--c_key=next-value-c", check=0)
    hub.reset_counters()
    login.deploy(check=0)
    state = hub.space(SPACE).state()
    assert state["stage"] == "RUNNING" and state["counts"].get("pauses", 0) == 0
    assert state["secrets"]["c_key"]["value"] == "next-value-c"


@pytest.mark.parametrize("case", ["hardware", "paused"])
def test_login_begins_nothing_that_it_may_not_finish(login, hub, case):
    login.deploy(check=0)
    if case == "hardware":
        set_(login, space_hardware="t4-small")
    else:
        hub.space(SPACE).set_stage("PAUSED")
    login.change()
    hub.reset_counters()
    done = login.deploy()
    assert done.returncode == 1 and "nothing was changed" in one_error(done), done.stderr
    assert "/settings" in done.stderr
    assert all(e["method"] == "GET" for e in hub.log("hub"))


def test_refused_restart_says_that_the_space_is_down(ready, hub):
    ready.run("secret", "create", "app", "--a_key=first-value-a", "--b_key=first-value-b", check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", check=0)
    ready.deploy(check=0)
    ready.run("secret", "update", "app", "--a_key=next-value-a", "--b_key=next-value-b", check=0)
    hub.fault("status", "POST", "*/restart", status=403, body='{"error":"You may not do this today"}')
    done = ready.deploy()
    error = one_error(done)
    assert done.returncode == 1 and "is PAUSED" in error and f"/spaces/{SPACE}" in error
    assert "deployment provision my_deployment" in error and "You may not do this today" in error
    ready.deploy(check=0)
    assert hub.space(SPACE).stage == "RUNNING"


def test_space_paused_for_a_change_that_fails_is_started_again(ready, hub):
    ready.run("secret", "create", "app", "--a_key=first-value-a", "--b_key=first-value-b", check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", check=0)
    ready.deploy(check=0)
    ready.run("secret", "update", "app", "--a_key=next-value-a", "--b_key=next-value-b", check=0)
    ready.change()
    hub.fault("status", "POST", "*/commit/*", status=403, body='{"error":"Repository storage limit reached (Max: 1 GB)"}')
    done = ready.deploy()
    assert done.returncode == 1 and "storage limit" in one_error(done) and "started again" in done.stderr
    hub.space(SPACE).wait("RUNNING")


# -- nothing changes without a reason, and what is shown is what is done


def change_secret(project):
    project.run("secret", "update", "app", "--api_key=another-value", check=0)


CHANGES = {
    "nothing": lambda p: None,
    "code": lambda p: p.change(),
    "new file": lambda p: (p.folder / "more.txt").write_text("more"),
    "file gone": lambda p: (p.folder / "data.txt").unlink(),
    "secret": change_secret,
    "variable": lambda p: p.run("deployer", "update", "hf", "--env", "MODE=prod", check=0),
    "hardware": lambda p: set_(p, space_hardware="t4-small"),
    "hardware back": lambda p: unset(p, "sleep_time", "space_volumes"),
    "visibility": lambda p: set_(p, visibility="private"),
    "volumes": lambda p: set_(p, space_volumes='[{"type":"bucket","source":"alice/two","mount_path":"/two"}]'),
    "title": lambda p: set_(p, space_title="Another title"),
    "port": lambda p: set_(p, app_port=7861),
    "key": lambda p: set_(p, generate_auth_key="True"),
    "several": lambda p: (p.change(), change_secret(p), set_(p, space_hardware="a10g-small", visibility="protected")),
}
FILES = {"code", "new file", "file gone", "title", "port", "several"}


def facts(hub):
    state = hub.space(SPACE).state()
    return {**settings_of(hub), "files": {path: one["oid"] for path, one in state["files"].items()},
            "variables": {key: one["value"] for key, one in state["variables"].items()},
            "secrets": {key: one["value"] for key, one in state["secrets"].items()}}


@pytest.mark.parametrize("case", CHANGES)
def test_dry_run_diff_and_deploy_agree(ready, hub, case):
    """The plan names exactly what then changes; hardware, secrets and the like make no commit and no build."""
    (ready.folder / "data.txt").write_text("data")
    ready.run("secret", "create", "app", "--api_key=first-value", check=0)
    ready.run("deployer", "update", "hf", "--secret", "app", check=0)
    set_(ready, space_hardware="l4x1", sleep_time=3600, space_volumes=VOLUME)
    ready.deploy(check=0)
    CHANGES[case](ready)
    before = facts(hub)
    planned = dry_run(ready)
    diff = json.loads(ready.run("deployment", "diff", "my_deployment", "--output", "json", check=0).stdout)
    assert facts(hub) == before
    hub.reset_counters()
    done = ready.deploy(check=0)
    after, counters = facts(hub), hub.counters()
    assert counters["commits"] == counters["builds"] == (case in FILES)
    changed = {path for path in {*before["files"], *after["files"]} if before["files"].get(path) != after["files"].get(path)}
    assert {one["path"] for one in planned["files"]} == changed
    kinds = {(one["kind"] + "s", one["key"]) for one in planned["variables"]}
    assert kinds == {(kind, key) for kind in ("secrets", "variables") for key in {*before[kind], *after[kind]}
                     if before[kind].get(key) != after[kind].get(key)}
    names = {"visibility": "visibility", "hardware": "space_hardware", "sleep_seconds": "sleep_time",
             "volumes": "space_volumes"}
    assert {one["setting"] for one in planned["settings"]} == {names[key] for key in names if before[key] != after[key]}
    if case == "key":  # the diff knows no key yet that will be made
        return
    assert diff["plan"]["files"] == planned["files"] and diff["plan"]["settings"] == planned["settings"]
    assert diff["plan"]["variables"] == planned["variables"] and diff["plan"]["changes"] == planned["changes"]
    assert diff["unchanged"] == (case == "nothing") == (planned["changes"] == 0)
    assert ("unchanged" in done.stderr.lower() or "nothing" in done.stderr.lower()) == (case == "nothing")


# -- the official client

SAME = {
    "plain": {},
    "private": {"visibility": "private"},
    "protected": {"visibility": "protected"},
    "hardware": {"space_hardware": "t4-small", "sleep_time": 3600},
    "never sleeps": {"space_hardware": "t4-small", "sleep_time": -1},
    "volumes": {"space_hardware": "t4-small", "space_volumes": VOLUME},
}


@pytest.mark.parametrize("case", SAME)
def test_official_client_leaves_the_same_state(ready, hub, api, case):
    given = SAME[case]
    volumes = [Volume(**one) for one in json.loads(given["space_volumes"])] if "space_volumes" in given else None
    api.create_repo("alice/theirs", repo_type="space", space_sdk="docker", visibility=given.get("visibility"),
                    space_hardware=given.get("space_hardware"), space_sleep_time=given.get("sleep_time"),
                    space_volumes=volumes)
    if given:
        set_(ready, **given)
    ready.deploy(check=0)
    assert settings_of(hub) == settings_of(hub, "alice/theirs")
    # and when all of it goes again
    if given:
        unset(ready, *given)
    ready.deploy(check=0)
    if "space_hardware" in given:
        api.request_space_hardware("alice/theirs", "cpu-basic")
    if volumes:
        api.delete_space_volumes("alice/theirs")
    mine, theirs = settings_of(hub), settings_of(hub, "alice/theirs")
    assert {**mine, "volumes": mine["volumes"] or None} == {**theirs, "volumes": theirs["volumes"] or None}


def test_space_in_an_error_is_restarted_by_the_same_command(ready, hub):
    ready.deploy(check=0)
    hub.space(SPACE).set_stage("RUNTIME_ERROR", "Scheduling failure: not enough hardware capacity")
    assert [call["call"] for call in dry_run(ready)["calls"]] == [f"POST /api/spaces/{SPACE}/restart"]
    hub.reset_counters()
    done = ready.deploy(check=0)
    assert "restarting it" in done.stderr and hub.space(SPACE).stage == "RUNNING"
    assert hub.counters()["restarts"] == 1 and hub.counters()["commits"] == 0
