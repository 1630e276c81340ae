# SPDX-License-Identifier: Apache-2.0
"""Settings of images, registries and containers, seen by what they do."""
import json
import os
import socket
import urllib.error
import urllib.request

import pytest

from tests.oci.helpers import Authority, TlsRegistry
from tests.support.registry import Registry

NETWORK = {"network": "spaces"}


def parent(project):
    return {"parent_image": f"{project.images.registry.host}/library/python:3.11-slim"}


def manifest(registry, image):
    repository, _, digest = image.partition("@")
    repository = repository.split("/", 1)[1]
    status, _, text = registry.request("GET", f"/v2/{repository}/manifests/{digest}", headers={
        "Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"})
    assert status == 200, text
    return json.loads(text)


def daemonless(project, registry, *attributes):
    project.run("image-builder", "register", "builder", "--flavor=daemonless", *attributes, check=0)
    project.run("deployer", "register", "d", "--flavor=docker", f"--run_args={json.dumps(NETWORK)}", check=0)
    project.run("stack", "register", "s", "-D", "d", "-a", "default", "-o", "default", "-c", registry, "-i", "builder", "--set", check=0)


def build(project, **docker):
    """Builds and pushes; what has been built by then. Whether it then runs is not what is asked here."""
    project.deploy(config=project.config(docker={**parent(project), **docker}))
    return project.builds()


@pytest.mark.parametrize("given, kind", [([], "gzip"), (["--compression=zstd"], "zstd")])
def test_compression(project, given, kind):
    registry = project.images.registry
    daemonless(project, project.registry(registry), *given)
    (made,) = build(project, target_repository=f"compressed/{kind}")
    ours = manifest(registry, made["image"])["layers"][-1]
    assert ours["mediaType"].rstrip(".").endswith(kind), ours


def blobs(project):
    found = []
    for folder, _, names in os.walk(os.path.join(project.env["KOUROU_HOME"], "cache")):
        found += [os.path.join(folder, name) for name in names if "blobs" in folder]
    return found


@pytest.mark.parametrize("given, kept", [([], True), (["--cache_size_mb=4096"], True), (["--cache_size_mb=0"], False)])
def test_size_of_the_cache(project, given, kept):
    """What was not used for long is let go when there is more than that, and there is always more than 0 megabytes."""
    daemonless(project, project.registry(project.images.registry), *given)
    build(project, target_repository="cached")
    before = blobs(project)
    assert before
    for path in before:
        os.utime(path, (1, 1))
    project.change()
    build(project, target_repository="cached-again", environment={"MORE": "1"}, prevent_build_reuse=True)
    assert all(os.path.exists(path) for path in before) is kept


def test_repository_of_the_registry(project):
    """default_repository, for images that name none; one that is named wins."""
    registry = project.images.registry
    daemonless(project, project.registry(registry, default_repository="of/registry"))
    (made,) = build(project)
    assert made["image"].startswith(f"{registry.host}/of/registry@sha256:")
    images = {row["image"].partition("@")[0] for row in build(project, target_repository="of/pipeline")}
    assert f"{registry.host}/of/pipeline" in images


def test_no_build_is_used_again(project):
    """prevent_build_reuse as a setting."""
    daemonless(project, project.registry(project.images.registry))
    assert len(build(project, target_repository="again")) == 1
    assert len(build(project, target_repository="again")) == 1
    assert len(build(project, target_repository="again", prevent_build_reuse=True)) == 2


def check_of(project, name):
    done = project.run("container-registry", "check", name, "-o", "json")
    return {row["check"]: row["status"] for row in json.loads(done.stdout)}["registry"]


def test_plain_http_where_it_is_said(project):
    """insecure: a name that is not known to be of this machine is spoken to with TLS otherwise."""
    with Registry() as plain:
        uri = f"--uri=registry.localhost:{plain.port}"
        project.run("container-registry", "register", "without", "--flavor=default", uri, check=0)
        project.run("container-registry", "register", "with", "--flavor=default", uri, "--insecure=true", check=0)
        assert (check_of(project, "without"), check_of(project, "with")) == ("fail", "ok")


def test_certificates_of_ones_own(project, tmp_path):
    """ca_file."""
    authority = Authority(tmp_path)
    with TlsRegistry(authority, tmp_path) as secured:
        uri = f"--uri={secured.name}"
        project.run("container-registry", "register", "without", "--flavor=default", uri, check=0)
        project.run("container-registry", "register", "with", "--flavor=default", uri, f"--ca_file={authority.ca}", check=0)
        assert (check_of(project, "without"), check_of(project, "with")) == ("fail", "ok")


def test_key_port_and_patience_of_a_container(project):
    """generate_auth_key, port_range, restart_policy, lcm_timeout of the docker deployer."""
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--generate_auth_key=true", "--port_range=[18431, 18439]",
                  "--restart_policy=on-failure")
    project.deploy(check=0)
    row = project.row()
    assert 18431 <= int(row["url"].rsplit(":", 1)[1]) <= 18439 and row["auth_key"].endswith("***")
    (one,) = project.images.engine.containers("kourou.deployment.id")
    made = project.images.engine.api("GET", f"/containers/{one['Id']}/json")
    assert made["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
    source = project.folder / "my_module.py"
    source.write_text("import os, threading\nif os.path.exists('/opt/kourou'):\n    threading.Event().wait()\n" + source.read_text())
    project.run("deployer", "update", "images", "--lcm_timeout=3", check=0)
    done = project.deploy(check=1)
    assert "3 s" in done.stderr, done.stderr


def test_a_port_that_is_taken(project):
    """auth_key, port and allocate_port_if_busy: another port, or an error that names the one."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        project.stack("docker", f"--run_args={json.dumps(NETWORK)}", f"--port={port}", "--allocate_port_if_busy=false",
                      "--auth_key=key-of-a-container")
        done = project.deploy(check=1)
        assert f"port {port} " in done.stderr, done.stderr
        project.run("deployer", "update", "images", "--allocate_port_if_busy=true", check=0)
        project.deploy(check=0)
        url = project.row()["url"]
        assert not url.endswith(f":{port}")
        call = urllib.request.Request(url + "/invoke", b'{"parameters":{}}', {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(call, timeout=60)
        call.add_header("Authorization", "Bearer key-of-a-container")
        assert urllib.request.urlopen(call, timeout=60).status == 200
