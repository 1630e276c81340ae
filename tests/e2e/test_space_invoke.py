# SPDX-License-Identifier: Apache-2.0
"""Calls of a Space that does not serve just now: it is woken and waited for, or its stage and the cure are said; what the edge
answers in the app's place is never a result."""
import json

import pytest

SPACE = "alice/zenml-my_deployment"


@pytest.fixture
def deployed(ready):
    ready.deploy(check=0)
    return ready


def invoke(project, *more, **options):
    return project.run("deployment", "invoke", "my_deployment", "--name=Ada", *more, **options)


def one_error(done):
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return error


def calls_of_the_app(hub, method="POST"):
    return [e for e in hub.log() if e["origin"].startswith("app:") and e["method"] == method]


def test_running_space_is_looked_at_once(deployed, hub):
    hub.reset_counters()
    assert '"Ada"' in invoke(deployed, check=0).stdout
    assert len(hub.log("hub")) == 1 and len(calls_of_the_app(hub)) == 1


@pytest.mark.parametrize("wake", ["page", "block"])
@pytest.mark.parametrize("stage", ["SLEEPING", "STOPPED"])
def test_sleeping_space_is_woken_and_waited_for(deployed, hub, stage, wake):
    hub.settings(wake=wake, start_seconds=1.5)
    hub.space(SPACE).set_stage(stage)
    hub.reset_counters()
    done = invoke(deployed, check=0)
    assert '"Ada"' in done.stdout and "<html" not in done.stdout + done.stderr
    assert f"Space {SPACE} is {stage}; waking it" in done.stderr and "is RUNNING" in done.stderr
    assert len(calls_of_the_app(hub)) == 1, "the call itself goes once, when somebody is there to take it"


def test_space_that_is_still_building_is_waited_for(deployed, hub, token):
    hub.settings(build_seconds=1.5)
    deployed.hub.call("POST", f"/_test/spaces/{SPACE}/stage", {"stage": "PAUSED"})
    from huggingface_hub import HfApi
    HfApi(endpoint=hub.url, token=token).restart_space(SPACE, factory_reboot=True)
    done = invoke(deployed, check=0)
    assert '"Ada"' in done.stdout and "waiting for it" in done.stderr


CURES = {
    "PAUSED": (None, "deployment provision my_deployment"),
    "BUILD_ERROR": ("Job failed with exit code: 1", "logs my_deployment --build"),
    "RUNTIME_ERROR": ("Exit code: 137. Reason: OOMKilled", "logs my_deployment"),
    "CONFIG_ERROR": ("Collision on variables and secrets names", "delete one of the two"),
    "NO_APP_FILE": (None, "deploy it again"),
    "DELETING": (None, "deploy it again"),
}


@pytest.mark.parametrize("stage", CURES)
def test_stage_and_cure_are_said(deployed, hub, stage):
    message, cure = CURES[stage]
    hub.space(SPACE).set_stage(stage, message)
    hub.reset_counters()
    done = invoke(deployed)
    error = one_error(done)
    assert done.returncode == 1 and done.stdout == "" and stage in error and (message or "") in error
    assert cure in done.stderr and calls_of_the_app(hub) == []


def test_sleeping_space_that_ends_in_an_error(deployed, hub):
    hub.script(app={"mode": "crash"})
    hub.space(SPACE).set_stage("SLEEPING")
    done = invoke(deployed)
    assert done.returncode == 1 and "RUNTIME_ERROR: Exit code: 1" in one_error(done)


def test_sleeping_space_over_its_quota(deployed, hub):
    hub.settings(running_quota=0)
    hub.space(SPACE).set_stage("SLEEPING")
    done = invoke(deployed)
    assert done.returncode == 1 and "PAUSED" in one_error(done) and "deployment provision" in done.stderr


@pytest.mark.parametrize("status", [200, 404, 502, 503])
def test_page_of_the_edge_is_no_result(deployed, hub, status):
    """The Space says it runs, the edge thinks otherwise."""
    hub.script(app={"invoke": "page", "status": status})
    deployed.change()
    deployed.deploy(check=0)
    done = invoke(deployed)
    assert done.returncode == 1 and done.stdout == ""
    assert "did not answer" in one_error(done) and f"status {status}" in one_error(done)
    assert "DOCTYPE" not in done.stderr


def test_space_falls_asleep_between_look_and_call(deployed, hub):
    hub.fault("status", "POST", "*/invoke", origin="app", status=503, html=True)
    hub.fault("status", "GET", f"/api/spaces/{SPACE}", nth=2, status=200, body=json.dumps(
        {"id": SPACE, "private": False, "runtime": {"stage": "PAUSED", "hardware": {}, "replicas": {}}}))
    done = invoke(deployed)
    assert done.returncode == 1 and "PAUSED" in one_error(done) and "deployment provision" in done.stderr


def test_hub_that_cannot_be_asked_does_not_stand_in_the_way(deployed, hub):
    hub.fault("status", "GET", f"/api/spaces/{SPACE}", status=403, times=-1)
    assert '"Ada"' in invoke(deployed, check=0).stdout


def test_space_that_was_made_private_since_then(deployed, hub, token):
    from huggingface_hub import HfApi
    api = HfApi(endpoint=hub.url, token=token)
    api.update_repo_settings(SPACE, repo_type="space", visibility="private")
    assert '"Ada"' in invoke(deployed, check=0).stdout
    assert calls_of_the_app(hub)[-1]["token"] == "alice"
    api.update_repo_settings(SPACE, repo_type="space", visibility="public")
    assert '"Ada"' in invoke(deployed, check=0).stdout
    assert calls_of_the_app(hub)[-1]["token"] is None, "a public app would receive it"
