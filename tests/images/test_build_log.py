# SPDX-License-Identifier: Apache-2.0
"""The log of an image's build is kept with the build, also of one that failed, and shows no secret."""
import json

NETWORK = {"network": "spaces"}


def build_log(project, *more, check=0):
    return project.run("deployment", "logs", "greeter", "--build", *more, check=check).stdout


def test_log_of_docker(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    log = build_log(project)
    assert log.startswith("Building image zenml:my_pipeline (local)\n") and "FROM" in log, log
    assert f"Built image {project.builds()[0]['image']}\n" in log
    assert build_log(project, "--tail=1") == log.splitlines()[-1] + "\n"
    kept = list((project.folder.parent / "home/kourou").rglob("builds/*.log"))
    assert len(kept) == 2 and {path.stat().st_mode & 0o777 for path in kept} == {0o600}

    project.deploy(check=0, name="second")
    assert project.run("deployment", "logs", "second", "--build", check=0).stdout == log, "it runs the same image"
    project.run("deployment", "delete", "greeter", "--yes", check=0)
    assert project.run("deployment", "logs", "second", "--build", check=0).stdout == log


def test_log_of_a_failed_build_without_its_secret(project):
    project.run("secret", "create", "app", "--api_key=v3ry-secret-value", check=0)
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--secret=app")
    docker = {"local_project_install_command": "printf 'the value is v3ry-%s, they say\\n' secret-value; exit 7"}
    done = project.deploy(config=project.config(docker=docker), check=1)
    log = build_log(project)
    assert "they say" in log and "ERROR: build image zenml:my_pipeline: docker build" in log, log
    assert "v3ry-secret-value" not in log + done.stderr + done.stdout
    for path in (project.folder.parent / "home/kourou").rglob("builds/*.log"):
        assert b"v3ry-secret-value" not in path.read_bytes()
    project.deploy(check=0)
    assert "ERROR" not in build_log(project)


def test_log_without_a_daemon_and_of_a_space(project, hub):
    registry = project.images.registry
    project.env["HF_ENDPOINT"] = hub.url
    project.stack("huggingface", "--token=hf_test_alice", registry=project.registry(registry), builder="daemonless")
    docker = {"parent_image": f"{registry.host}/library/python:3.11-slim", "target_repository": "logged"}
    config = project.config(docker={**docker, "requirements": ["no-such-thing==1.0"], "python_package_installer_args":
                                    {"no-index": True}})
    project.deploy(config=config, check=1)
    log = build_log(project)
    assert "no-such-thing" in log and "ERROR: build image" in log and hub.spaces() == [], log

    project.deploy(config=project.config(docker=docker), check=0)
    log = build_log(project)
    assert log.index("Looking at base image") < log.index("added to") < log.index("Built image"), log
    assert log.index("Built image") < log.index("FROM "), "the Space's own build comes after that of its image"

    project.deploy("--build-mode=source", config=project.config(docker=docker), check=0)
    assert "Built image" not in build_log(project)


def test_no_log(project):
    image = f"{project.images.registry.host}/library/python:3.11-slim"
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(config=project.config(docker={"skip_build": True, "parent_image": image}), check=0)
    done = project.run("deployment", "logs", "greeter", "--build", check=1)
    assert "no log of an image build is kept for deployment 'greeter'" in done.stderr
