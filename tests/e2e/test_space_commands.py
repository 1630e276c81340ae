# SPDX-License-Identifier: Apache-2.0
"""Commands about Spaces that change no file: restart, build anew, the list of hardware."""
import json

import pytest
from huggingface_hub import HfApi

SPACE = "alice/zenml-my_deployment"


def one_error(done):
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return error


def restart(project, *more, **options):
    return project.run("deployment", "restart", "my_deployment", *more, **options)


def test_hardware_is_listed_with_its_price(project, hub):
    """As the official client lists it, by the hour."""
    rows = json.loads(project.run("deployer", "hardware", "--output", "json", check=0).stdout)
    theirs = HfApi(endpoint=hub.url, token=False).list_spaces_hardware()
    assert [row["name"] for row in rows] == [one.name for one in theirs]
    prices = {row["name"]: row["usd_per_hour"] for row in rows}
    assert (prices["cpu-basic"], prices["t4-small"], prices["a100x8"]) == (0, 0.4, 20)
    table = project.run("deployer", "hardware", check=0).stdout
    assert "t4-small" in table and " 0.40\n" in table and "1 x T4, 16 GB" in table


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "cut_before"}])
def test_hardware_list_that_is_cut(project, hub, fault):
    hub.fault(method="GET", path="/api/spaces/hardware", **fault)
    assert "t4-small" in project.run("deployer", "hardware", check=0).stdout


@pytest.mark.parametrize("factory", [False, True])
def test_restart_and_build_anew(ready, hub, factory):
    ready.deploy(check=0)
    hub.reset_counters()
    done = restart(ready, *(["--factory"] if factory else []), "--output", "json", check=0)
    counters = hub.counters()
    assert (counters["restarts"], counters["builds"], counters["commits"]) == (1, int(factory), 0)
    assert hub.space(SPACE).stage == "RUNNING" and json.loads(done.stdout)["status"] == "running"


@pytest.mark.parametrize("stage", ["PAUSED", "SLEEPING", "RUNTIME_ERROR"])
def test_restart_gets_a_space_out_of_any_stage(ready, hub, stage):
    ready.deploy(check=0)
    hub.space(SPACE).set_stage(stage)
    restart(ready, check=0)
    assert hub.space(SPACE).stage == "RUNNING"


def test_restart_that_fails_says_stage_reason_and_cure(ready, hub):
    ready.deploy(check=0)
    hub.script(build={"ok": False, "exit_code": 1, "log": ["ERROR: it cannot be built any more"]})
    done = restart(ready, "--factory")
    assert done.returncode == 1 and "BUILD_ERROR: ERROR: it cannot be built any more" in one_error(done)
    assert "logs my_deployment --build" in done.stderr


@pytest.mark.parametrize("lag", [0, 1.5], ids=["at-once", "late"])
def test_a_build_that_fails_is_explained_by_its_own_log(ready, hub, lag):
    """The log of the build before may stand there for a while when the next one begins."""
    ready.deploy(check=0)
    hub.script(build={"ok": False, "exit_code": 1, "log": ["ERROR: of the first build"]})
    assert "BUILD_ERROR: ERROR: of the first build" in one_error(restart(ready, "--factory"))
    hub.settings(build_log_lag=lag)
    hub.script(build={"ok": False, "exit_code": 1, "log": ["ERROR: of the second build"]})
    done = restart(ready, "--factory")
    assert done.returncode == 1 and "BUILD_ERROR: ERROR: of the second build" in one_error(done)
    assert (done.stdout + done.stderr).count("of the second build") == 2  # in the log, and as the cause


def test_restart_by_a_login_is_explained(project, hub):
    hub.make_token("alice", kind="oauth", name="login", value="hf_oauth_login_of_alice")
    project.stack("hf_oauth_login_of_alice")
    project.deploy(check=0)
    done = restart(project)
    assert done.returncode == 1 and "hf auth login" in done.stderr and hub.space(SPACE).stage == "RUNNING"


def test_restart_of_a_space_that_is_not_ours(ready, hub, token):
    ready.deploy(check=0)
    hub.space(SPACE).commit({".kourou/deployment.json": b'{"kourou":1,"deployment":"another","files":[]}'})
    hub.space(SPACE).wait("RUNNING")
    hub.reset_counters()
    done = restart(ready)
    assert done.returncode == 1 and "does not belong to this deployment" in one_error(done)
    assert hub.counters()["restarts"] == 0


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
def test_restart_whose_answer_is_lost_happens_once(ready, hub, cut):
    ready.deploy(check=0)
    hub.settings(start_seconds=2)
    hub.reset_counters()
    hub.fault(cut, "POST", "*/restart")
    restart(ready, check=0)
    assert hub.counters()["restarts"] == 1
