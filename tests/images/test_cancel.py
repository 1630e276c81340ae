# SPDX-License-Identifier: Apache-2.0
"""A deploy that is told to stop, by a signal that reaches it alone, while docker or pip is at work for it."""
import os
import pathlib
import signal
import socket
import subprocess
import types

import pytest

from tests.images.conftest import Project
from tests.support import baseimage
from tests.support.ports import wait_for
from tests.support.registry import Registry

DOCKER = """#!/bin/sh
case "$1" in
version) echo "24.0.0 24.0.0" ;;
{slow}) echo $$ > {note}.new; mv {note}.new {note}; exec sleep 600 ;;
build) for word; do case "$word" in --iidfile=*) echo sha256:{digest} > "${{word#*=}}" ;; esac; done ;;
image|container) echo "Error: No such $1: $3" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def project(build_dir, tmp_path):
    folder, home, programs = tmp_path / "project", tmp_path / "home", tmp_path / "bin"
    for one in (folder, home, programs):
        one.mkdir()
    place = types.SimpleNamespace(folder=programs, engine=types.SimpleNamespace(host=f"unix://{tmp_path}/none"))
    return Project(build_dir, folder, home, place)


def give_docker(project, slow, note):
    """A program that answers like docker, and whose command `slow` takes ten minutes."""
    program = project.images.folder / "docker"
    program.write_text(DOCKER.format(slow=slow, note=note, digest="0" * 64))
    program.chmod(0o755)


def gone(pid):
    """Not there, or a zombie that only its new parent has not looked at yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stopped(project, working, *config):
    """Deploys, waits until working() says so, and sends SIGINT to the deploy alone. Gives its messages."""
    argv = [project.build_dir / "kourou", "pipeline", "deploy", "--python", project.python, "--name", "greeter",
            "--update", "--config", project.config(**dict(config)), "my_module.my_pipeline"]
    with subprocess.Popen(list(map(str, argv)), cwd=project.folder, env=project.env, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            wait_for(working, 60, "docker or pip at work", process)
            process.send_signal(signal.SIGINT)
            _, text = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130, (process.returncode, text)
    return text


@pytest.mark.parametrize("slow", ["build", "push"])
def test_docker_is_ended(project, tmp_path, slow):
    note = tmp_path / "at-work"
    give_docker(project, slow, note)
    registry = types.SimpleNamespace(host="127.0.0.1:9")
    project.stack("docker", registry=project.registry(registry), builder="local")
    text = stopped(project, note.exists)
    assert f"docker {slow}: stopped" in text
    assert gone(int(note.read_text()))


def test_pip_is_ended(project, tmp_path):
    """The index takes the connection and never answers; pip alone would try for more than a minute."""
    with Registry() as registry, socket.create_server(("127.0.0.1", 0)) as index:
        baseimage.push(registry, names=("library/python:3.11-slim",))
        give_docker(project, "run", tmp_path / "never")
        index.settimeout(0.05)
        callers = []

        def called():
            try:
                callers.append(index.accept()[0])
            except TimeoutError:
                return None
            return callers[-1].getpeername()[1]

        project.env |= {"PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/simple",
                        "PIP_CONFIG_FILE": os.devnull}
        project.stack("docker", registry=project.registry(registry), builder="daemonless")
        docker = {"parent_image": f"{registry.host}/library/python:3.11-slim", "requirements": ["tiny"]}
        text = stopped(project, called, ("docker", docker))
        assert "requirements: stopped" in text
        callers[0].settimeout(20)
        while callers[0].recv(65536):
            pass  # until the end of the line: nobody holds it any more
        callers[0].close()
