# SPDX-License-Identifier: Apache-2.0
"""Images in registries: built with and without Docker, checked for strangers, sent in differences."""
import json
import re

import pytest


NETWORK = {"network": "spaces"}
SPACE = "alice/zenml-greeter"


def parent(project):
    return {"parent_image": f"{project.images.registry.host}/library/python:3.11-slim"}


def layers_of(registry, image):
    repository, _, digest = image.removeprefix(registry.host + "/").partition("@")
    status, _, text = registry.request("GET", f"/v2/{repository}/manifests/{digest}", headers={
        "Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"})
    assert status == 200, text
    return {layer["digest"]: layer["size"] for layer in json.loads(text)["layers"]}


@pytest.mark.parametrize("builder", ["local", "daemonless"])
def test_both_builders_give_the_same_answers(project, builder):
    registry = project.images.registry
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=project.registry(registry), builder=builder)
    docker = {**parent(project), "target_repository": f"team/{builder}", "image_tag": "v1"}
    done = project.deploy(config=project.config(docker=docker), check=0)
    (build,) = project.builds()
    assert re.fullmatch(rf"{registry.host}/team/{builder}@sha256:[0-9a-f]{{64}}", build["image"]), build
    assert build["kind"] == builder and build["image"] in done.stderr
    assert registry.tags(f"team/{builder}") == ["v1"]
    assert project.invoke(name="Ada")["outputs"] == {"greeting": "Hello, Ada!", "length": 11}


def test_name_of_the_image(project):
    registry = project.images.registry
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=project.registry(registry), builder="daemonless")
    project.deploy(config=project.config(docker=parent(project)), check=0)
    assert project.builds()[0]["image"].startswith(f"{registry.host}/zenml@sha256:")
    assert "my_pipeline" in registry.tags("zenml")


def test_only_the_code_travels_after_a_change_of_code(project):
    registry = project.images.registry
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=project.registry(registry), builder="daemonless")
    config = project.config(docker={**parent(project), "target_repository": "travel"})
    project.deploy(config=config, check=0)
    before = layers_of(registry, project.builds()[0]["image"])
    project.change()
    done = project.deploy(config=config, check=0)
    images = [row["image"] for row in project.builds()]
    after = [layers_of(registry, image) for image in images]
    (new,) = [set(one) - set(before) for one in after if set(one) != set(before)]
    assert len(new) == 1, "one layer is new: the code"
    size = max(one.get(next(iter(new)), 0) for one in after)
    assert size < 20000
    sent = re.search(r"([0-9.]+) (B|kB|MB|bytes) sent", done.stderr)
    assert sent, done.stderr
    count = float(sent[1]) * {"B": 1, "bytes": 1, "kB": 1000, "MB": 1e6}[sent[2]]
    assert count < size + 20000, "the code layer and the image's config, nothing else"
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Bonjour, Ada!"


def test_equal_input_builds_once(project):
    registry = project.images.registry
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=project.registry(registry), builder="daemonless")
    config = project.config(docker={**parent(project), "target_repository": "reuse"})
    project.deploy(config=config, check=0)
    done = project.deploy(config=config, check=0, name="second")
    assert "nothing that goes into the image has changed" in done.stderr
    assert len(project.builds()) == 1
    project.run("deployment", "delete", "second", "--yes", check=0)
    done = project.deploy("--prevent-build-reuse", config=config, check=0)
    assert len({row["image"] for row in project.builds()}) == 1, "equal input gives an equal image"
    assert len(project.builds()) == 2


def test_login_of_the_component(project):
    private = project.images.private
    project.run("secret", "create", "reg", "--username=alice", "--password=tops3cret-pw", check=0)
    name = project.registry(private, authentication_secret="reg")
    for builder in ("daemonless", "local"):
        project.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=name, builder=builder, name=builder)
        docker = {**parent(project), "target_repository": f"hidden/{builder}"}
        project.deploy(config=project.config(docker=docker), check=0, name=builder)
        assert private.tags(f"hidden/{builder}") == ["my_pipeline"]
        assert project.row(builder)["status"] == "running"


def test_image_mode_makes_the_space_run_the_image(project, docker_hub_of_images):
    hub, registry = docker_hub_of_images, project.images.registry
    project.env["HF_ENDPOINT"] = hub.url
    project.stack("huggingface", "--token=hf_test_alice", registry=project.registry(registry), builder="daemonless")
    config = project.config(docker={**parent(project), "target_repository": "spaces"})
    project.deploy(config=config, check=0)
    (build,) = project.builds()
    assert f"FROM {build['image']}" in hub.space(SPACE).read("Dockerfile").decode()
    assert "my_module.py" not in hub.space(SPACE).state()["files"], "the code is in the image"
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"


def test_private_image_stops_before_any_create_call(project, hub):
    project.env["HF_ENDPOINT"] = hub.url
    project.run("secret", "create", "reg", "--username=alice", "--password=tops3cret-pw", check=0)
    name = project.registry(project.images.private, authentication_secret="reg")
    project.stack("huggingface", "--token=hf_test_alice", registry=name, builder="daemonless")
    config = project.config(docker=parent(project))
    hub.reset_counters()
    done = project.deploy(config=config, check=1)
    assert "cannot be pulled without credentials" in done.stderr, done.stderr
    for way in ("1. make the repository public", "container-registry register public_registry",
                "stack update images -c public_registry", "--build-mode=source", "skip_build: true"):
        assert way in done.stderr, (way, done.stderr)
    written = [e for e in hub.log("hub") if e["method"] != "GET"]
    assert written == [], written

    check = project.run("container-registry", "check", name, "-o", "json", check=1)
    assert {row["check"]: row["status"] for row in json.loads(check.stdout)} == {"registry": "ok", "public image": "fail"}

    project.deploy("--build-mode=source", config=config, check=0)
    assert "my_module.py" in hub.space(SPACE).state()["files"]


def test_check_of_a_public_registry(project):
    name = project.registry(project.images.registry)
    image = f"{project.images.registry.host}/library/python:3.11-slim"
    done = project.run("container-registry", "check", name, "--image", image, check=0)
    assert "can be pulled by anybody" in done.stdout
    done = project.run("container-registry", "check", name, "--image", image + "-nowhere", "-o", "json", check=1)
    assert json.loads(done.stdout)[1]["status"] == "fail"


def test_daemonless_says_what_it_cannot_do(project):
    project.stack("docker", registry=project.registry(project.images.registry), builder="daemonless")
    done = project.deploy(config=project.config(docker={"apt_packages": ["hello"]}), check=1)
    assert "apt_packages" in done.stderr and "--flavor=local" in done.stderr, done.stderr


def test_image_mode_without_a_registry(project, hub):
    project.env["HF_ENDPOINT"] = hub.url
    project.stack("huggingface", "--token=hf_test_alice", "--build_mode=image")
    done = project.deploy(check=1)
    assert "container registry" in done.stderr and "container-registry register" in done.stderr, done.stderr


def test_dry_run_builds_nothing(project, hub):
    project.env["HF_ENDPOINT"] = hub.url
    registry = project.images.registry
    project.stack("huggingface", "--token=hf_test_alice", registry=project.registry(registry), builder="daemonless")
    docker = {**parent(project), "target_repository": "dry"}
    done = project.deploy("--dry-run", "--output", "json", config=project.config(docker=docker), check=0)
    assert json.loads(done.stdout)["build_mode"] == "image"
    assert registry.tags("dry") == [] and project.builds() == []
