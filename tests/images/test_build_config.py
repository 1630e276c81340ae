# SPDX-License-Identifier: Apache-2.0
"""build_config, parent_image_build_config, build_options, dockerignore: what each way of building makes of them."""
import json

import pytest

SPACE = "alice/zenml-greeter"
NETWORK = {"network": "spaces"}
LOOK = 'str([p for p in ("notes/a.txt", "notes/keep.txt", "raw.bin") if __import__("os").path.exists("/app/" + p)])'
OPTIONS = {"network": "host"}


@pytest.fixture
def files(project):
    """Files of which `image.ignore` names some, and a pipeline that says which of them are in its image."""
    (project.folder / "notes").mkdir()
    for name in ("notes/a.txt", "notes/keep.txt", "raw.bin"):
        (project.folder / name).write_text(name)
    (project.folder / "image.ignore").write_text("# not for the image\nnotes\n!notes/keep.txt\n**/*.bin\n")
    source = project.folder / "my_module.py"
    source.write_text(source.read_text().replace('f"Hello, {name}!"', LOOK))
    return project


def parent(project):
    return {"parent_image": f"{project.images.registry.host}/library/python:3.11-slim"}


@pytest.mark.parametrize("builder", ["local", "daemonless"])
def test_both_builders_leave_out_the_same(files, builder):
    registry = files.images.registry
    files.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=files.registry(registry), builder=builder)
    docker = {**parent(files), "target_repository": f"ignore/{builder}"}
    files.deploy(config=files.config(docker=docker), check=0)
    assert files.invoke(name="x")["outputs"]["greeting"] == "['notes/a.txt', 'notes/keep.txt', 'raw.bin']"

    docker["build_config"] = {"dockerignore": "image.ignore", "build_options": OPTIONS}
    done = files.deploy(config=files.config(docker=docker), check=0)
    assert files.invoke(name="x")["outputs"]["greeting"] == "['notes/keep.txt']"
    assert ("build_options has no effect" in done.stderr) == (builder == "daemonless"), done.stderr

    (files.folder / "image.ignore").rename(files.folder / ".dockerignore")  # the folder's own counts for both as well
    docker["build_config"] = {"build_options": OPTIONS}
    files.deploy(config=files.config(docker=docker), check=0)
    assert files.invoke(name="x")["outputs"]["greeting"] == "['notes/keep.txt']"


def test_files_that_go_to_a_space(files, hub):
    files.env["HF_ENDPOINT"] = hub.url
    files.stack("huggingface", "--token=hf_test_alice")
    (files.folder / "image.ignore").write_text("notes\n!notes/keep.txt\n**/*.bin\nREADME.md\n")
    (files.folder / "README.md").write_text("# My own words\n")
    docker = {"dockerignore": "image.ignore", "build_config": {"build_options": {"squash": True}}}
    done = files.deploy(config=files.config(docker=docker), check=0)
    sent = hub.space(SPACE).state()["files"]
    assert "notes/keep.txt" in sent and "my_module.py" in sent, sent
    assert "notes/a.txt" not in sent and "raw.bin" not in sent
    assert b"My own words" in hub.space(SPACE).read("README.md")
    assert "takes no options" in done.stderr and "build_options" in done.stderr, done.stderr

    missing = files.config(docker={"build_config": {"dockerignore": "nowhere.ignore"}})
    done = files.deploy(config=missing, check=1)
    assert "dockerignore" in done.stderr and "nowhere.ignore" in done.stderr, done.stderr


def test_what_is_left_out_does_not_count(files, hub):
    """A file that is too large for a Space is nothing to one that does not get it."""
    files.env["HF_ENDPOINT"] = hub.url
    files.stack("huggingface", "--token=hf_test_alice")
    with open(files.folder / "raw.bin", "wb") as file:
        file.truncate(1_100_000_000)
    done = files.deploy(check=1)
    assert "'raw.bin' has 1.1 GB" in done.stderr, done.stderr
    files.deploy(config=files.config(docker={"build_config": {"dockerignore": "image.ignore"}}), check=0)
    assert "raw.bin" not in hub.space(SPACE).state()["files"]


def test_a_context_of_its_own(files):
    other = files.folder / "base"
    other.mkdir()
    (other / "Dockerfile").write_text("FROM python:3.11-slim\nARG WORD=none\nCOPY . /seen\nRUN echo $WORD > /seen/word\n")
    for name in ("one.txt", "two.txt"):
        (other / name).write_text(name)
    (files.folder / "base.ignore").write_text("two.txt\n")
    source = files.folder / "my_module.py"
    source.write_text(source.read_text().replace(
        LOOK, 'str(sorted(__import__("os").listdir("/seen"))) + open("/seen/word").read()'))
    files.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    docker = {"dockerfile": "base/Dockerfile", "build_context_root": "base", "parent_image_build_config": {
        "dockerignore": "base.ignore", "build_options": {**OPTIONS, "buildargs": {"WORD": "given"}}}}
    files.deploy(config=files.config(docker=docker), check=0)
    assert files.invoke(name="x")["outputs"]["greeting"] == "['Dockerfile', 'one.txt', 'word']given\n"


def test_options_that_docker_does_not_have(files):
    files.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    done = files.deploy(config=files.config(docker={"build_config": {"build_options": {"no_such_option": 1}}}), check=1)
    assert "no-such-option" in done.stderr, done.stderr
    done = files.deploy(config=files.config(docker={"build_config": {"build_options": {"tag": "mine"}}}), check=1)
    assert "Kourou decides about 'tag' itself" in done.stderr, done.stderr


def test_without_any_build_config(files):
    registry = files.images.registry
    files.stack("docker", f"--run_args={json.dumps(NETWORK)}", registry=files.registry(registry), builder="daemonless")
    config = files.folder.parent / "plain.yaml"
    config.write_text(json.dumps({"settings": {"docker": {**parent(files), "target_repository": "plain"}}}))
    files.deploy(config=config, check=0)
    assert files.builds()[0]["image"].startswith(f"{registry.host}/plain@sha256:")
