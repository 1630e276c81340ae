# SPDX-License-Identifier: Apache-2.0
"""A restart of the engine, and logs that go on when containers change."""
import json
import os
import signal
import subprocess

import pytest

from tests.images.test_docker import NETWORK, container
from tests.images.test_port import call, gate_of, labelled
from tests.support.ports import wait_for


def test_a_restart_of_the_engine(project):
    """One comes back, one that was taken down stays down, and one without a policy says how to bring it back."""
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    project.deploy(config=project.config(**{"deployer.docker": {"restart_policy": "no"}}), name="plain", check=0)
    project.deploy(name="down", check=0)
    project.run("deployment", "deprovision", "down", "--yes", check=0)
    url = project.row()["url"]
    for last in (False, False, True):  # tests beside this one may take the port while the engine is down
        project.images.engine.restart()
        try:
            wait_for(lambda: project.row()["status"] == "running", 60, "the deployment is back")
            break
        except TimeoutError:
            if last:
                raise
    assert call(url, "Ada")[1]["outputs"]["greeting"] == "Hello, Ada!" and project.row()["url"] == url
    assert project.row("down")["status"] == "absent" and "deployment provision" not in json.dumps(project.row("down"))
    row = project.row("plain")
    assert row["status"] == "absent" and "deployment provision plain" in json.dumps(row), row
    project.run("deployment", "provision", "plain", check=0)
    assert project.row("plain")["status"] == "running"


@pytest.mark.parametrize("run_args,policy", [
    ({}, {"Name": "unless-stopped", "MaximumRetryCount": 0}),
    ({"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3}}, {"Name": "on-failure", "MaximumRetryCount": 3})])
def test_policies(project, run_args, policy):
    project.stack("docker", f"--run_args={json.dumps({**NETWORK, **run_args})}")
    project.deploy(check=0)
    assert container(project)["HostConfig"]["RestartPolicy"] == policy
    assert gate_of(project)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_logs_go_on_over_an_update(project, tmp_path):
    source = project.folder / "my_module.py"
    source.write_text(source.read_text().replace('f"Hello, {name}!"', 'print("said", name, flush=True) or name'))
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    out, err = tmp_path / "out", tmp_path / "err"
    with open(out, "wb") as to, open(err, "wb") as notes:
        follower = subprocess.Popen([str(project.build_dir / "kourou"), "deployment", "logs", "greeter", "-f"],
                                    stdout=to, stderr=notes, env=project.env, cwd=project.folder)
    try:
        project.invoke(name="one")
        wait_for(lambda: "said one" in out.read_text(), 30, "the first line")
        project.deploy(config=project.config(**labelled(n="2")), check=0)
        wait_for(lambda: "going on with the new one" in err.read_text(), 30, "the note of the change")
        project.invoke(name="two")
        wait_for(lambda: "said two" in out.read_text(), 30, "the line of the new container")
        assert follower.poll() is None
    finally:
        follower.send_signal(signal.SIGINT)
        assert follower.wait(20) == 0
    text = project.run("deployment", "logs", "greeter", check=0).stdout
    assert text.index("said one") < text.index("said two"), "the former log is kept"
    tail = project.run("deployment", "logs", "greeter", "--tail", "3", check=0).stdout
    assert len(tail.splitlines()) <= 3, tail
    kept = next((tmp_path / "home/kourou/containers").iterdir())
    assert os.stat(kept).st_mode & 0o077 == 0
    project.run("deployment", "delete", "greeter", "--yes", check=0)
    assert not kept.exists()
