# SPDX-License-Identifier: Apache-2.0
"""Every call of a deploy cut in three ways, and the program killed at every call: the same command afterwards ends with one
Space, one commit for each change and no duplicate."""
import signal
import time

import pytest

SPACE = "alice/zenml-my_deployment"

ROUTES = [
    ("GET", "/api/whoami-v2"),
    ("GET", "/api/spaces/alice/zenml-my_deployment"),
    ("POST", "/api/repos/create"),
    ("GET", "/api/spaces/alice/zenml-my_deployment/tree/*"),
    ("POST", "/api/validate-yaml"),
    ("POST", "/api/spaces/alice/zenml-my_deployment/preupload/*"),
    ("POST", "*/info/lfs/objects/batch"),
    ("POST", "*/info/lfs/objects/verify"),
    ("POST", "/api/spaces/alice/zenml-my_deployment/commit/*"),
    ("GET", "/api/spaces/alice/zenml-my_deployment/runtime"),
]
CUTS = {
    "refused": {"kind": "cut_before"},
    "answer lost": {"kind": "cut_after"},
    "5xx then success": {"kind": "status", "status": 503},
}


def check_end(hub, commits):
    counters = hub.counters()
    assert hub.spaces() == [SPACE]
    assert counters["spaces"][SPACE]["commits"] == commits, [
        (one["title"], one["id"]) for one in hub.space(SPACE).state()["commits"]]
    assert hub.space(SPACE).stage == "RUNNING"


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("method,path", ROUTES)
def test_every_call_cut(ready, hub, method, path, cut):
    fault = hub.fault(method=method, path=path, **CUTS[cut])
    first = ready.deploy()
    hits = [f for f in hub.faults() if f["id"] == fault["id"]][0]["hits"]
    assert hits >= 1, "the fault hit no call"
    if first.returncode != 0:
        assert first.returncode == 1 and first.stderr.count("Error: ") == 1, first.stderr
    hub.clear_faults()
    ready.deploy(check=0)
    check_end(hub, 1)
    print(f"cut {method} {path} ({cut}): {'success at once' if first.returncode == 0 else 'clear error, then success'}")


def test_lfs_upload_cut(ready, hub):
    hub.fault("cut_during", "PUT", "*", origin="lfs")
    ready.deploy()
    hub.clear_faults()
    ready.deploy(check=0)
    check_end(hub, 1)


def kill_at(project, hub, nth, path="*"):
    """Starts a deploy and kills it while its nth call is in the Hub's hands. False: it made fewer calls."""
    fault = hub.fault("slow", path=path, nth=nth, seconds=0.4)
    process = project.deploying()
    until = time.monotonic() + 60
    try:
        while time.monotonic() < until:
            if [f for f in hub.faults() if f["id"] == fault["id"]][0]["hits"]:
                process.send_signal(signal.SIGKILL)
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.005)
        raise AssertionError("the deploy neither ended nor called")
    finally:
        process.kill()
        process.wait()
        hub.clear_faults()


def test_killed_at_every_call(ready, hub):
    tried = 0
    for nth in range(1, 40):
        if not kill_at(ready, hub, nth):
            break
        tried += 1
        last = ready.deploy(check=0)
        try:
            check_end(hub, 1)
        except AssertionError as wrong:
            raise AssertionError(f"killed at call {nth}; afterwards:\n{last.stderr}\n{wrong}\n" + "\n".join(
                f"{e['method']} {e['path']} {e['status']}" for e in hub.log("hub"))) from None
        ready.run("deployment", "delete", "my_deployment", "-y", check=0)
        assert hub.spaces() == []
        hub.reset_counters()
    assert tried >= 8
    print(f"killed at {tried} calls")


@pytest.mark.parametrize("path", ["*/settings", "*/volumes", "*/hardware", "*/sleeptime", "*/dev-mode"])
def test_killed_while_a_setting_is_changed_or_taken_back(ready, hub, path):
    given = {"space_hardware": "t4-small", "sleep_time": "3600", "dev_mode": "True", "visibility": "private",
             "space_volumes": '[{"type":"bucket","source":"alice/data","mount_path":"/data"}]'}
    ready.deploy(check=0)
    if path == "*/sleeptime":  # else the time goes with the hardware
        ready.run("deployer", "update", "hf", "--space_hardware=t4-small", check=0)
        ready.deploy(check=0)
    ready.run("deployer", "update", "hf", *[f"--{key}={value}" for key, value in given.items()], check=0)
    assert kill_at(ready, hub, 1, path)
    ready.deploy(check=0)
    state = hub.space(SPACE).state()
    assert (state["hardware"], state["sleep_seconds"], state["dev_mode"], state["visibility"]) == (
        "t4-small", 3600, True, "private") and state["volumes"]
    ready.run("deployer", "remove-attribute", "hf", *(given if path != "*/sleeptime" else ["sleep_time"]), check=0)
    if path != "*/settings":  # a visibility is never taken back
        assert kill_at(ready, hub, 1, path)
    ready.deploy(check=0)
    state = hub.space(SPACE).state()
    if path == "*/sleeptime":
        assert state["sleep_seconds"] is None, "\n".join(f"{e['method']} {e['path']} {e['status']}" for e in hub.log("hub"))
    else:
        assert (state["hardware"], state["dev_mode"], state["volumes"] or None) == ("cpu-basic", False, None)
    check_end(hub, 1)
