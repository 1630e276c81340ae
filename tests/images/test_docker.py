# SPDX-License-Identifier: Apache-2.0
"""The docker deployer: what runs, how it changes, and what it keeps to itself."""
import json
import urllib.request

from tests.support.ports import OPENER, free_port

NETWORK = {"network": "spaces"}  # the engine of the tests has no default network


def container(project):
    (one,) = project.images.engine.containers("kourou.deployment.id")
    return project.images.engine.api("GET", f"/containers/{one['Id']}/json")


def get(url):
    with OPENER.open(url, timeout=10) as answer:
        return answer.status, answer.read()


def test_life(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    done = project.deploy(check=0)
    assert "Built image sha256:" in done.stderr, done.stderr
    row = project.row()
    assert row["status"] == "running" and row["url"].startswith("http://127.0.0.1:")
    assert project.invoke(name="Ada")["outputs"] == {"greeting": "Hello, Ada!", "length": 11}
    try:  # the server inside listens on all addresses, and is told that only this machine reaches it
        OPENER.open(urllib.request.Request(row["url"] + "/runs", headers={"Origin": "https://evil.example"}), timeout=10)
        raise AssertionError("a page of another web site is answered")
    except urllib.error.HTTPError as refused:
        assert refused.code == 403
    one = container(project)
    assert one["Config"]["User"] == "1000" and one["Name"].startswith("/kourou-greeter-")
    assert one["Config"]["Labels"]["kourou.deployment.name"] == "greeter"

    again = project.deploy(check=0)
    assert "unchanged" in again.stderr.lower() or "nothing" in again.stderr.lower(), again.stderr
    assert container(project)["Id"] == one["Id"]
    assert len(project.builds()) == 1

    project.change()
    project.deploy(check=0)
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Bonjour, Ada!"
    assert project.row()["url"] == row["url"], "an update keeps the port"
    assert container(project)["Id"] != one["Id"]
    assert len(project.builds()) == 2

    logs = project.run("deployment", "logs", "greeter", check=0).stdout
    assert "kourou-serve" in logs or "listening" in logs.lower(), logs
    image = container(project)["Image"]
    project.run("deployment", "delete", "greeter", "--yes", check=0)
    assert project.images.engine.containers("kourou.deployment.id") == []
    assert image not in [one["Id"] for one in project.images.engine.images()], "it had no other user"


def test_secrets_are_not_in_inspect(project):
    source = project.folder / "my_module.py"
    source.write_text(source.read_text().replace("from typing", "import os\nfrom typing").replace(
        'f"Hello, {name}!"', "f\"{len(os.environ['api_key'])} {os.environ.get('KOUROU_AUTH_KEY')}\""))
    project.run("secret", "create", "app", "--api_key=v3ry-secret-value", check=0)
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--auth_key=the-auth-key-9", "--secret=app")
    project.deploy(check=0)
    one = container(project)
    text = json.dumps(one)
    assert "v3ry-secret-value" not in text and "the-auth-key-9" not in text
    mounts = {mount["Destination"]: mount["Type"] for mount in one["Mounts"]}
    assert mounts == {"/run/kourou": "volume", "/run/kourou-gate": "volume"}
    assert project.invoke(name="x")["outputs"]["greeting"] == "17 None"
    address = project.row()["url"]
    request = urllib.request.Request(f"{address}/invoke", b"{}", {"Content-Type": "application/json"})
    try:
        OPENER.open(request, timeout=10)
        raise AssertionError("answered without the key")
    except urllib.error.HTTPError as refused:
        assert refused.code == 401
    volumes = project.images.engine.api("GET", "/volumes")["Volumes"]
    project.run("deployment", "delete", "greeter", "--yes", check=0)
    assert len(project.images.engine.api("GET", "/volumes")["Volumes"] or []) < len(volumes)


def test_failed_update_leaves_the_former_one_answering(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    good = container(project)["Id"]
    source = project.folder / "my_module.py"
    source.write_text(source.read_text() + "\nimport os\nif os.path.exists('/opt/kourou'):\n    raise RuntimeError('boom')\n")
    done = project.deploy(check=1)
    assert "boom" in done.stderr, done.stderr
    assert container(project)["Id"] == good
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"


def test_network_of_the_host_and_a_fixed_port(project):
    port = free_port()
    project.stack("docker", f"--port={port}", '--run_args={"network_mode": "host", "mem_limit": "512m"}')
    project.deploy(check=0)
    assert project.row()["url"] == f"http://127.0.0.1:{port}"
    assert get(f"http://127.0.0.1:{port}/health")[0] == 200
    assert container(project)["HostConfig"]["Memory"] == 512 << 20


def test_skip_build_puts_runtime_and_code_into_the_parent(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(config=project.config(docker={"skip_build": False, "image_tag": "parent"}), check=0)
    parent = project.builds()[0]["image"]
    project.change()
    done = project.deploy(config=project.config(docker={"skip_build": True, "parent_image": parent}), check=0)
    assert "Built image" not in done.stderr
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Bonjour, Ada!"


def test_doctor_names_containers_without_a_record(project, tmp_path):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    name = container(project)["Name"].removeprefix("/")
    assert name not in project.run("doctor").stdout
    other = project.run("doctor", env={"KOUROU_HOME": str(tmp_path / "another")})
    assert name in other.stdout + other.stderr and container(project)["State"]["Running"]


def test_run_args_that_cannot_be(project):
    project.stack("docker", '--run_args={"name": "mine"}')
    done = project.deploy(check=1)
    assert "run_args" in done.stderr and "'name'" in done.stderr
    assert project.images.engine.containers("kourou.deployment.id") == []


def test_no_docker_names_daemonless(project):
    nowhere = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    name = project.registry(project.images.registry)
    project.stack("huggingface", "--token=hf_x", registry=name, builder="local")
    done = project.deploy(env={**nowhere, "HF_ENDPOINT": "http://127.0.0.1:9"}, check=1)
    assert "daemonless" in done.stderr, done.stderr


def test_update_that_was_cut_off_is_put_right(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    one = container(project)
    name = one["Name"].removeprefix("/")
    api = project.images.engine.api
    api("POST", f"/containers/{one['Id']}/stop")
    api("POST", f"/containers/{one['Id']}/rename?name={name}-old")
    project.deploy(check=0)
    again = container(project)
    assert again["Name"] == f"/{name}" and again["State"]["Running"]
    assert project.invoke(name="Ada")["outputs"]["length"] == 11


def test_stop_and_bring_back(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    url = project.row()["url"]
    project.run("deployment", "deprovision", "greeter", "--yes", check=0)
    assert not container(project)["State"]["Running"] and project.row()["status"] == "absent"
    project.run("deployment", "provision", "greeter", check=0)
    assert project.row()["status"] == "running" and project.row()["url"] == url


def test_own_dockerfile_with_a_context_of_its_own(project):
    other = project.folder / "base"
    other.mkdir()
    (other / "Dockerfile").write_text("FROM python:3.11-slim\nCOPY note.txt /note.txt\n")
    (other / "note.txt").write_text("from the other folder")
    source = project.folder / "my_module.py"
    source.write_text(source.read_text().replace('f"Hello, {name}!"', 'open("/note.txt").read()'))
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(config=project.config(docker={"dockerfile": "base/Dockerfile", "build_context_root": "base"}), check=0)
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "from the other folder"
