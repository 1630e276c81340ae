# SPDX-License-Identifier: Apache-2.0
"""The port of a docker deployment: no call is lost when containers change, and nothing is sent to anybody else."""
import http.client
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.images.test_docker import NETWORK, container
from tests.images.test_engine import Wire
from tests.support.ports import OPENER, free_port, wait_for

ALL = os.environ.get("KOUROU_TEST_ALL") == "1"
SLOW = 'f"{name}" if not name.startswith("sleep ") else str(__import__("time").sleep(float(name[6:])) or "slept")'


def labelled(**labels):
    """A config that makes another container of the same image."""
    return {"deployer.docker": {"run_args": {**NETWORK, "labels": labels}}}


def gate_of(project):
    (one,) = project.images.engine.containers("kourou.gate")
    return project.images.engine.api("GET", f"/containers/{one['Id']}/json")


def call(url, name, timeout=120):
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)
    try:
        connection.request("POST", "/invoke", json.dumps({"parameters": {"name": name}}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Load:
    """Threads that call without a pause; `failed` is whatever was no good answer."""

    def __init__(self, url, threads=4):
        self.url, self.failed, self.good, self.over = url, [], 0, threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self):
        while not self.over.is_set():
            try:
                status, answer = call(self.url, "Ada")
                if status == 200 and answer["outputs"]["greeting"] == "Ada":
                    self.good += 1
                else:
                    self.failed.append((status, answer))
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            time.sleep(0.01)

    def __enter__(self):
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for one in self.threads:
            one.join()


class Stranger:
    """Somebody else's server on a port, which keeps what it is sent."""

    def __init__(self, port):
        self.got = b""
        self.server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                one, _ = self.server.accept()
            except OSError:
                return
            self.got += one.recv(65536)
            body = b'{"success":true,"outputs":{"greeting":"of a stranger"}}'
            one.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                        % (len(body), body))
            one.close()

    def close(self):
        self.server.close()


@pytest.fixture
def greeter(project):
    source = project.folder / "my_module.py"
    source.write_text(source.read_text().replace('f"Hello, {name}!"', SLOW))
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--auth_key=the-auth-key-9"
                  if getattr(project, "key", False) else "--port_range=[21000,29000]")
    project.deploy(check=0)
    return project


def test_updates_under_load_lose_no_call(greeter):
    """With a call in flight that outlives them; each update ends, and the call too."""
    updates, seconds = (50, 25) if ALL else (3, 6)
    url, box = greeter.row()["url"], {}
    slow = threading.Thread(target=lambda: box.update(slow=call(url, f"sleep {seconds}")))
    with Load(url) as load:
        slow.start()
        for number in range(updates):
            if not slow.is_alive():
                box.setdefault("all", []).append(box["slow"])
                slow = threading.Thread(target=lambda: box.update(slow=call(url, f"sleep {seconds}")))
                slow.start()
            greeter.deploy(config=greeter.config(**labelled(n=str(number))), check=0)
            assert container_now(greeter)["Config"]["Labels"]["n"] == str(number)
        slow.join()
    assert load.failed == [] and load.good > 20, load.failed[:5]
    for status, answer in [*box.get("all", []), box["slow"]]:
        assert status == 200 and answer["outputs"]["greeting"] == "slept"
    assert greeter.row()["url"] == url
    greeter.run("deployment", "provision", "greeter", check=0)
    assert [one["Names"][0] for one in greeter.images.engine.containers("kourou.deployment.id")] == [
        container_now(greeter)["Name"]], "former containers go when they have ended"


def container_now(project):
    name = json.loads(project.run("deployment", "describe", "greeter", "-o", "json", check=0).stdout)["metadata"]["container"]
    return project.images.engine.api("GET", f"/containers/{name}/json")


def test_a_new_container_that_dies_under_load(greeter):
    url, good = greeter.row()["url"], container(greeter)["Id"]
    source = greeter.folder / "my_module.py"
    source.write_text(source.read_text() + "\nimport os\nif os.path.exists('/opt/kourou'):\n    os._exit(9)\n")
    with Load(url) as load:
        done = greeter.deploy(check=1)
    assert "the former one goes on" in done.stderr, done.stderr
    assert load.failed == [] and container(greeter)["Id"] == good
    assert container(greeter)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_docker_restart_of_either(greeter):
    url, api = greeter.row()["url"], greeter.images.engine.api
    for one in (container(greeter), gate_of(greeter)):
        api("POST", f"/containers/{one['Id']}/restart?t=20")
        assert call(url, "Ada")[0] == 200
    assert greeter.row()["status"] == "running"
    # a worker's end takes the container along: those who call meanwhile wait
    api("POST", f"/containers/{container(greeter)['Id']}/kill?signal=KILL")
    api("POST", f"/containers/{container(greeter)['Id']}/start")
    assert call(url, "Ada")[0] == 200


@pytest.mark.parametrize("how", ["stopped", "killed", "removed"])
def test_nothing_is_sent_to_a_stranger(project, how):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--auth_key=the-auth-key-9")
    project.deploy(check=0)
    port = int(project.row()["url"].rsplit(":", 1)[1])
    for one in (container(project), gate_of(project)):
        if how == "removed":
            project.images.engine.api("DELETE", f"/containers/{one['Id']}?force=1")
        else:
            project.images.engine.api("POST", f"/containers/{one['Id']}/{'stop' if how == 'stopped' else 'kill'}")
    stranger = Stranger(port)
    try:
        done = project.run("deployment", "invoke", "greeter", "--name=my-own-input", check=1)
        assert stranger.got == b"" and "of a stranger" not in done.stdout
        assert "does not run" in done.stderr and "deployment provision greeter" in done.stderr, done.stderr
        row = project.row()
        assert row["status"] != "running"
        assert stranger.got == b"" or b"the-auth-key-9" not in stranger.got
        project.run("deployment", "provision", "greeter", check=0)  # on another port
        assert project.row()["url"] != f"http://127.0.0.1:{port}"
        assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
    finally:
        stranger.close()


def test_what_answers_has_to_be_this_container(greeter):
    """Something else behind the gate: it answers well, and is not what the records are about."""
    gate, one = gate_of(greeter), container(greeter)
    greeter.images.engine.api("POST", f"/containers/{one['Id']}/pause")
    other = greeter.images.engine.api("POST", "/containers/create?name=intruder", {
        "Image": one["Image"], "User": "1000", "Entrypoint": one["Config"]["Entrypoint"],
        "Cmd": [word for word in one["Config"]["Cmd"] if not word.startswith("--instance")],
        "HostConfig": {"Mounts": [{"Type": "volume", "Source": gate["Name"].removeprefix("/"),
                                   "Target": "/run/kourou-gate"}], "NetworkMode": "spaces"}})
    greeter.images.engine.api("POST", f"/containers/{other['Id']}/start")
    try:
        wait_for(lambda: call(greeter.row()["url"], "Ada", 5)[0] == 200, 30, "the other one answers")
        done = greeter.run("deployment", "invoke", "greeter", "--name=mine", check=1)
        assert "something else answers" in done.stderr or "does not run" in done.stderr, done.stderr
        assert greeter.row()["status"] != "running"
    finally:
        greeter.images.engine.api("DELETE", f"/containers/{other['Id']}?force=1")
        greeter.images.engine.api("POST", f"/containers/{one['Id']}/unpause")


def test_an_engine_that_publishes_nothing(project):
    project.images.engine.api("POST", "/networks/create", {"Name": "inside", "Driver": "bridge", "Internal": True})
    try:
        project.stack("docker", '--run_args={"network": "inside"}')
        begun = time.monotonic()
        done = project.deploy(check=1)
        assert "published no port" in done.stderr or "nothing takes connections" in done.stderr, done.stderr
        assert time.monotonic() - begun < 60
        assert project.images.engine.containers("kourou.deployment.id") == []
        assert project.images.engine.containers("kourou.gate") == []
    finally:
        project.images.engine.api("DELETE", "/networks/inside")


def test_a_foreign_container_of_our_name(greeter):
    api = greeter.images.engine.api
    for name in (container(greeter)["Name"], gate_of(greeter)["Name"]):
        greeter.run("deployment", "deprovision", "greeter", "--yes", check=0)
        for one in (container(greeter), gate_of(greeter)):
            if one["Name"] == name:
                api("POST", f"/containers/{one['Id']}/rename?name=moved")
        other = api("POST", f"/containers/create?name={name.removeprefix('/')}", {"Image": container(greeter)["Image"]})
        try:
            done = greeter.run("deployment", "provision", "greeter", check=1)
            assert "is not of deployment 'greeter'" in done.stderr and "docker rename" in done.stderr, done.stderr
            assert api("GET", f"/containers/{other['Id']}/json")["Name"] == name, "it is still there"
        finally:
            api("DELETE", f"/containers/{other['Id']}?force=1")
            api("POST", f"/containers/moved/rename?name={name.removeprefix('/')}")


# -- who can reach it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address,published", [("::1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")])
def test_an_engine_of_this_machine_by_any_address(project, address, published):
    with Wire(project.images.engine.socket, address) as wire:
        host = wire.host if ":" not in address else f"[{address}]:{wire.host.rsplit(':', 1)[1]}"
        project.env["DOCKER_HOST"] = f"tcp://{host}"
        project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
        project.deploy(check=0)
        bound = gate_of(project)["HostConfig"]["PortBindings"]["7860/tcp"]
        assert [one["HostIp"] for one in bound] == [published]
        assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
        project.run("deployment", "delete", "greeter", "--yes", check=0)


@pytest.fixture
def elsewhere(project):
    """An address of this machine that is none of the loopback: an engine there counts as another machine's."""
    subprocess.run(["ip", "address", "add", "192.0.2.77/32", "dev", "lo"], check=True)
    try:
        with Wire(project.images.engine.socket, "192.0.2.77") as wire:
            project.env["DOCKER_HOST"] = f"tcp://{wire.host}"
            yield project
    finally:
        subprocess.run(["ip", "address", "del", "192.0.2.77/32", "dev", "lo"], check=True)


def test_an_engine_elsewhere_is_opened_only_when_asked(elsewhere):
    elsewhere.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    begun = time.monotonic()
    done = elsewhere.deploy(check=1)
    assert "another machine (192.0.2.77)" in done.stderr and "expose" in done.stderr, done.stderr
    elsewhere.run("deployer", "update", "images", "--expose=true", check=0)
    done = elsewhere.deploy(check=1)
    assert "no auth_key" in done.stderr, done.stderr
    assert time.monotonic() - begun < 60 and elsewhere.images.engine.containers() == []
    elsewhere.run("deployer", "update", "images", "--auth_key=the-auth-key-9", check=0)
    elsewhere.deploy(check=0)
    assert gate_of(elsewhere)["HostConfig"]["PortBindings"]["7860/tcp"][0]["HostIp"] == "0.0.0.0"
    assert elsewhere.row()["url"].startswith("http://192.0.2.77:")
    assert elsewhere.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"


def test_pages_of_other_sites_are_kept_out(greeter):
    """Without a key and on the loopback: who asks as a page of another site gets nothing."""
    request = urllib.request.Request(greeter.row()["url"] + "/invoke", b'{"parameters":{"name":"Ada"}}', headers={
        "Origin": "https://evil.example", "Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        OPENER.open(request, timeout=10)
    assert refused.value.code == 403
    assert call(greeter.row()["url"], "Ada")[0] == 200


def test_a_host_network_is_of_this_machine_too(project):
    port = free_port()
    project.stack("docker", f"--port={port}", '--run_args={"network_mode": "host"}')
    project.deploy(check=0)
    listening = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True).stdout
    assert f"127.0.0.1:{port}" in listening and "0.0.0.0" not in listening.split()[3], listening
