# SPDX-License-Identifier: Apache-2.0
"""The gate on every way into an image or a container: what is in it, and what stops it."""
import json

import pytest

VALUE = "wq7-Planted&Secret/81fe"
NETWORK = {"network": "spaces"}
OPTIONS = {"network": "host"}
PLANTED = ("prod.env", "notes.txt", "state/encryption.key", "lib/weights.bin", "lib/ok.txt")
LOOK = f'str([p for p in {PLANTED!r} if __import__("os").path.exists("TOP/" + p)])'


@pytest.fixture
def planted(project):
    """Credentials and parts of a home in the folder, and a pipeline that says which of them are in its image."""
    folder = project.folder
    for name in ("state", "lib"):
        (folder / name).mkdir()
    (folder / "prod.env").write_text("A=1\n")
    (folder / "notes.txt").write_text("machine example.org login me password x\n")
    (folder / "state/encryption.key").write_text("ab" * 32 + "\n")
    (folder / "lib/weights.bin").write_bytes(b"SQLite format 3\0".ljust(68, b"\0") + b"Kour" + b"\0" * 28)
    (folder / "lib/ok.txt").write_text("ok")
    project.run("secret", "create", "app", f"--api_key={VALUE}", check=0)
    look(project, "/app")
    return project


def look(project, top):
    path = project.folder / "my_module.py"
    path.write_text(path.read_text().replace('f"Hello, {name}!"', LOOK.replace("TOP", top)))


def parent(project):
    return {"parent_image": f"{project.images.registry.host}/library/python:3.11-slim"}


def stops(project, config, part):
    path = project.folder / "lib/config.py"
    path.write_text(f'\nKEY = "{VALUE}"\n')
    done = project.deploy(config=config, check=1)
    assert part in " ".join(done.stderr.split()) and VALUE not in done.stderr, done.stderr
    path.unlink()


@pytest.mark.parametrize("builder", ["local", "daemonless"])
def test_images_of_both_builders(planted, builder):
    registry = planted.images.registry
    planted.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--secret", "app", registry=planted.registry(registry),
                  builder=builder)
    docker = {**parent(planted), "target_repository": f"gate/{builder}"}
    stops(planted, planted.config(docker=docker), "lib/config.py:2")
    assert planted.builds() == []
    planted.deploy(config=planted.config(docker=docker), check=0)
    assert planted.invoke(name="x")["outputs"]["greeting"] == "['lib/ok.txt']"
    docker["environment"] = {"A": VALUE}
    done = planted.deploy(config=planted.config(docker=docker), check=1)
    assert "would hold a secret value" in done.stderr and VALUE not in done.stderr


def test_code_that_is_copied_into_a_container(planted):
    planted.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--secret", "app")
    docker = {**parent(planted), "skip_build": True}
    stops(planted, planted.config(docker=docker), "lib/config.py:2")
    planted.deploy(config=planted.config(docker=docker), check=0)
    assert planted.invoke(name="x")["outputs"]["greeting"] == "['lib/ok.txt']"


def test_the_context_of_a_dockerfile_of_the_users_own(planted):
    """Its context may lie anywhere; what .dockerignore names is not looked at."""
    registry = planted.images.registry
    (planted.folder / "Own.Dockerfile").write_text(f"FROM {registry.host}/library/python:3.11-slim\nCOPY . /own\n")
    (planted.folder / ".dockerignore").write_text("ignored\n")
    (planted.folder / "ignored").mkdir()
    (planted.folder / "ignored/config.py").write_text(f'KEY = "{VALUE}"\n')
    (planted.folder / ".kourouignore").write_text("ignored\n")
    path = planted.folder / "my_module.py"
    path.write_text(path.read_text().replace("/app/", "/own/"))
    planted.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--secret", "app", registry=planted.registry(registry),
                  builder="local")
    docker = {"dockerfile": "Own.Dockerfile", "build_context_root": ".", "target_repository": "gate/own",
              "parent_image_build_config": {"build_options": OPTIONS}, "build_config": {"build_options": OPTIONS}}
    stops(planted, planted.config(docker=docker), "lib/config.py:2")
    planted.deploy(config=planted.config(docker=docker), check=0)
    assert planted.invoke(name="x")["outputs"]["greeting"] == "['lib/ok.txt']"


def test_an_image_for_a_space_has_to_be_public(planted, hub):
    planted.env["HF_ENDPOINT"] = hub.url
    planted.stack("huggingface", "--token=hf_test_alice", registry=planted.registry(planted.images.registry),
                  builder="daemonless")
    (planted.folder / "use.py").write_text('T = "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"\n')
    done = planted.deploy(config=planted.config(docker=parent(planted)), check=1)
    said = " ".join(done.stderr.split())
    assert "use.py:1 (a Hugging Face token), and the image has to be public" in said, said
    assert planted.builds() == [] and hub.spaces() == []
