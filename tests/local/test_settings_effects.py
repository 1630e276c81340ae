# SPDX-License-Identifier: Apache-2.0
"""Settings of local deployments, and variables of the surroundings, seen by what they do."""
import json
import os
import shutil
import socket

from tests.conftest import ROOT
from tests.support.ports import free_port

from .conftest import MODULE

NEVER_READY = MODULE.replace("@pipeline", "def wait_for_ever():\n    __import__('threading').Event().wait()\n\n\n"
                                          "@pipeline(on_init=wait_for_ever)")


def test_the_time_to_wait(project):
    """lcm_timeout: a pipeline that never gets ready is given up."""
    project.write(NEVER_READY)
    done = project.deploy(*project.settings(lcm_timeout=2), check=1)
    assert "the server is not ready after" in done.stderr and "no worker is ready" in done.stderr, done.stderr


def listening(pid):
    """Addresses of this machine on which a process listens."""
    own = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            own.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
        except OSError:
            continue
    rows = [line.split() for line in open("/proc/net/tcp").read().splitlines()[1:]]
    return {socket.inet_ntoa(bytes.fromhex(row[1].split(":")[0])[::-1]) for row in rows
            if row[3] == "0A" and f"socket:[{row[9]}]" in own}


def test_the_address(project):
    project.deploy(*project.settings(address="127.0.0.7"))
    url = project.row()["url"]
    assert url.startswith("http://127.0.0.7:") and project.output() == "hello world"
    assert listening(project.pid()) == {"127.0.0.7"}  # others may have that port of another address


def test_the_package_that_is_named(project, tmp_path):
    """KOUROU_PYTHON_PATH: the Python part is taken from there."""
    shutil.copytree(ROOT / "python", tmp_path / "other", ignore=shutil.ignore_patterns("__pycache__"))
    boot = tmp_path / "other/kourou/_boot.py"
    boot.write_text("print('this is the other package')\n" + boot.read_text())
    words = "python | this is the other package"
    assert words in project.deploy("--dry-run", env={"KOUROU_PYTHON_PATH": str(tmp_path / "other")}).stderr
    assert words not in project.deploy("--dry-run", env={"KOUROU_PYTHON_PATH": str(ROOT / "python")}).stderr


def test_the_level_of_the_logger(project):
    """KOUROU_LOG_LEVEL, in the environment of the deployment."""
    head = "def greet(name: str, times: int) -> str:\n"
    assert head in MODULE
    project.write(MODULE.replace(head, head + "    from kourou import get_logger\n    get_logger('mine').debug('said softly')\n"))
    seen = []
    for level in ("INFO", "DEBUG"):
        settings = {"deployment": {"log_level": "DEBUG"}}
        project.write(json.dumps({"environment": {"KOUROU_LOG_LEVEL": level}, "settings": settings}), "level.json")
        project.deploy("--config", "level.json", "--update")
        assert project.output() == "hello world"
        seen.append("said softly" in project.run("deployment", "logs", "app").stdout)
    assert seen == [False, True]


def test_names_are_not_completed(project):
    """KOUROU_CLI_DISABLE_DYNAMIC_COMPLETION: no store is opened for a key press."""
    project.run("secret", "create", "mine", "--key=some-value-of-mine")
    words = ("__complete", "--", "secret", "get", "")
    assert "mine" in project.run(*words).stdout
    assert "mine" not in project.run(*words, env={"KOUROU_CLI_DISABLE_DYNAMIC_COMPLETION": "1"}).stdout


def test_a_port_outside_of_the_range(project):
    """The port that is named is taken whatever port_range says."""
    port = free_port()
    project.deploy(*project.settings(port=port, port_range=[port + 1, port + 1] if port < 65535 else [8000, 8000]))
    assert project.row()["url"].endswith(f":{port}")


def test_the_folder_of_artifacts(project, tmp_path):
    """KOUROU_ARTIFACTS, in the environment of the deployment."""
    project.write("from kourou import pipeline, save_artifact, step\n\n\n@step\ndef keep() -> int:\n"
                  "    save_artifact({'a': 1}, 'kept')\n    return 1\n\n\n@pipeline\ndef my_pipeline() -> int:\n    return keep()\n")
    project.write(json.dumps({"environment": {"KOUROU_ARTIFACTS": str(tmp_path / "here")}}), "folder.json")
    project.deploy("--config", "folder.json")
    assert project.output() == 1
    assert any("kept" in str(path) for path in (tmp_path / "here").rglob("*"))
