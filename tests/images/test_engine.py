# SPDX-License-Identifier: Apache-2.0
"""What the engine is asked for, and engines that are reached over a network: DOCKER_HOST and contexts."""
import hashlib
import json
import re
import socket

import pytest

from tests.images.test_docker import NETWORK
from tests.support.relay import Relay


class Wire(Relay):
    """A TCP port that leads to the engine's socket and keeps what clients say."""

    def __init__(self, path, address="127.0.0.1"):
        self.path = str(path)
        super().__init__(self._engine, address)

    def _engine(self):
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(self.path)
        return engine

    def created(self):
        """Bodies of all requests to make a container that runs an app."""
        found = []
        for kept in self.streams:
            for hit in re.finditer(rb"POST [^ ]*/containers/create\?[^\r]*\r\n.*?\r\n\r\n", bytes(kept), re.S):
                rest = bytes(kept)[hit.end():]
                if re.search(rb"transfer-encoding: *chunked", hit[0], re.I):
                    size, _, rest = rest.partition(b"\r\n")
                    rest = rest[:int(size, 16)]
                found.append(json.JSONDecoder().raw_decode(rest.decode())[0])
        return [one for one in found if "kourou.gate" not in one["Labels"]]


@pytest.fixture
def wire(project):
    with Wire(project.images.engine.socket) as one:
        yield one


def test_engine_over_tcp(project, wire):
    project.env["DOCKER_HOST"] = f"tcp://{wire.host}"
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    assert project.row()["url"].startswith("http://127.0.0.1:")
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
    assert "listening" in project.run("deployment", "logs", "greeter", check=0).stdout.lower()
    (made,) = wire.created()
    assert made["User"] == "1000" and made["HostConfig"]["DeviceRequests"] in (None, [])
    project.run("deployment", "delete", "greeter", "--yes", check=0)
    assert project.images.engine.containers("kourou.deployment.id") == []


def test_engine_of_a_context(project, tmp_path):
    """The context decides where the engine is, and so where the app is reached."""
    folder = tmp_path / "docker"
    meta = folder / "contexts/meta" / hashlib.sha256(b"far").hexdigest()
    meta.mkdir(parents=True)
    (folder / "config.json").write_text('{"currentContext": "far"}')
    other = Wire(project.images.engine.socket, "127.0.0.2")
    (meta / "meta.json").write_text(json.dumps({"Name": "far", "Metadata": {}, "Endpoints": {"docker": {
        "Host": f"tcp://{other.host}", "SkipTLSVerify": False}}}))
    del project.env["DOCKER_HOST"]
    project.env["DOCKER_CONFIG"] = str(folder)
    try:
        project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
        project.deploy(check=0)
        assert other.created() and project.row()["url"].startswith("http://127.0.0.2:"), project.row()
        (gate,) = project.images.engine.containers("kourou.gate")
        gate = project.images.engine.api("GET", f"/containers/{gate['Id']}/json")
        binding = gate["HostConfig"]["PortBindings"]["7860/tcp"][0]
        assert binding["HostIp"] == "127.0.0.2", "an address of the loopback is reached from this machine alone"
        assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
        project.run("deployment", "delete", "greeter", "--yes", check=0)
    finally:
        other.close()


@pytest.mark.parametrize("resources,run_args,count", [
    ({"gpu_count": 2, "cpu_count": 1.5, "memory": "512MB"}, {}, 2), ({}, {"gpus": "all"}, -1)])
def test_gpus_and_limits(project, wire, resources, run_args, count):
    """This machine has no GPU: the engine is asked for it, refuses, and nothing stays."""
    project.env["DOCKER_HOST"] = f"tcp://{wire.host}"
    project.stack("docker", f"--run_args={json.dumps({**NETWORK, **run_args})}")
    done = project.deploy(config=project.config(resources=resources), check=1)
    (made,) = wire.created()
    (asked,) = made["HostConfig"]["DeviceRequests"]
    assert asked["Count"] == count and asked["Capabilities"] == [["gpu"]], asked
    if resources:
        assert made["HostConfig"]["NanoCpus"] == 1_500_000_000 and made["HostConfig"]["Memory"] == 512_000_000
    assert "could not select device driver" in done.stderr and "container toolkit" in done.stderr, done.stderr
    assert project.images.engine.containers("kourou.deployment.id") == []


def test_an_engine_that_is_not_there(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    done = project.deploy(env={"DOCKER_HOST": "tcp://127.0.0.1:1"}, check=1)
    assert "the Docker engine does not answer" in done.stderr and "flavor local or huggingface" in done.stderr, done.stderr
    done = project.deploy(env={"DOCKER_HOST": "ssh://nobody@no-such-host.invalid"}, check=1)
    assert "no-such-host.invalid" in done.stderr, done.stderr
