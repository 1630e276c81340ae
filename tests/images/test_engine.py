# SPDX-License-Identifier: Apache-2.0
"""What the engine is asked for, and engines that are reached over a network: DOCKER_HOST and contexts."""
import hashlib
import json
import re
import socket
import threading

import pytest

from tests.images.test_docker import NETWORK, container


class Wire:
    """A TCP port that leads to the engine's socket and keeps what clients say."""

    def __init__(self, path, address="127.0.0.1"):
        self.path, self.said, self.lock = str(path), [], threading.Lock()
        self.server = socket.create_server((address, 0))
        self.host = f"tcp://{address}:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self.path)
            kept = bytearray()
            with self.lock:
                self.said.append(kept)
            for pair in ((client, engine, kept), (engine, client, None)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source, sink, kept):
        try:
            while data := source.recv(65536):
                if kept is not None and len(kept) < 1_000_000:
                    kept += data
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def created(self):
        """Bodies of all requests to make a container."""
        found = []
        for kept in self.said:
            for hit in re.finditer(rb"POST [^ ]*/containers/create\?[^\r]*\r\n.*?\r\n\r\n", bytes(kept), re.S):
                rest = bytes(kept)[hit.end():]
                if re.search(rb"transfer-encoding: *chunked", hit[0], re.I):
                    size, _, rest = rest.partition(b"\r\n")
                    rest = rest[:int(size, 16)]
                found.append(json.JSONDecoder().raw_decode(rest.decode())[0])
        return found

    def close(self):
        self.server.close()


@pytest.fixture
def wire(project):
    one = Wire(project.images.engine.socket)
    yield one
    one.close()


def test_engine_over_tcp(project, wire):
    project.env["DOCKER_HOST"] = wire.host
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
        "Host": other.host, "SkipTLSVerify": False}}}))
    del project.env["DOCKER_HOST"]
    project.env["DOCKER_CONFIG"] = str(folder)
    try:
        project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
        project.deploy(check=0)
        assert other.created() and project.row()["url"].startswith("http://127.0.0.2:"), project.row()
        binding = container(project)["HostConfig"]["PortBindings"]["7860/tcp"][0]
        assert binding["HostIp"] == "0.0.0.0", "an engine elsewhere has to be reachable from here"
        assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
        project.run("deployment", "delete", "greeter", "--yes", check=0)
    finally:
        other.close()


@pytest.mark.parametrize("resources,run_args,count", [
    ({"gpu_count": 2, "cpu_count": 1.5, "memory": "512MB"}, {}, 2), ({}, {"gpus": "all"}, -1)])
def test_gpus_and_limits(project, wire, resources, run_args, count):
    """This machine has no GPU: the engine is asked for it, refuses, and nothing stays."""
    project.env["DOCKER_HOST"] = wire.host
    project.stack("docker", f"--run_args={json.dumps({**NETWORK, **run_args})}")
    done = project.deploy(config=project.config(resources=resources), check=1)
    (made,) = wire.created()
    (asked,) = made["HostConfig"]["DeviceRequests"]
    assert asked["Count"] == count and asked["Capabilities"] == [["gpu"]], asked
    if resources:
        assert made["HostConfig"]["NanoCpus"] == 1_500_000_000 and made["HostConfig"]["Memory"] == 512 << 20
    assert "could not select device driver" in done.stderr and "container toolkit" in done.stderr, done.stderr
    assert project.images.engine.containers("kourou.deployment.id") == []


def test_an_engine_that_is_not_there(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    done = project.deploy(env={"DOCKER_HOST": "tcp://127.0.0.1:1"}, check=1)
    assert "the Docker engine does not answer" in done.stderr and "flavor local or huggingface" in done.stderr, done.stderr
    done = project.deploy(env={"DOCKER_HOST": "ssh://nobody@no-such-host.invalid"}, check=1)
    assert "no-such-host.invalid" in done.stderr, done.stderr
