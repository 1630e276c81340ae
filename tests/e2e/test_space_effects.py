# SPDX-License-Identifier: Apache-2.0
"""What each setting of a Space does: in its files, its page, and what the Hub is asked for."""
import json
import re

import pytest
import yaml

SPACE = "alice/zenml-my_deployment"


def deploy(project, hub, space=SPACE, **settings):
    (project.folder.parent / "c.json").write_text(json.dumps({"settings": settings}))
    project.deploy("--config", project.folder.parent / "c.json", check=0)
    return hub.space(space)


def dockerfile(space):
    return space.read("Dockerfile").decode()


def requirements(space):
    return space.read(".kourou/requirements.txt").decode().splitlines()


def page(space):
    return yaml.safe_load(space.read("README.md").decode().split("---")[1])


# name: (value of the docker setting, more of them, what the Dockerfile then has and otherwise has not)
IN_THE_DOCKERFILE = {
    "parent_image": ("python:3.12", {}, r"^FROM python:3\.12 AS"),
    "python_package_installer": ("uv", {}, r'"python3","-m","uv","pip","install"'),
    "python_package_installer_args": ({"retries": 7, "no-deps": None}, {}, r'"--no-deps","--retries=7"'),
    "local_project_install_command": ("pip install --no-deps .", {}, r'^RUN \["/bin/sh","-ec","pip install --no-deps \."\]'),
    "apt_packages": (["libgomp1"], {}, r"^ +libgomp1 &&"),
    "environment": ({"SAID": "here"}, {}, r'^ENV SAID="here"(.|\n)*pip'),
    "runtime_environment": ({"SAID": "here"}, {}, r'pip(.|\n)*^ENV SAID="here"'),
    "user": ("1234", {}, r"^USER 1234:1234$"),
}


@pytest.mark.parametrize("name", IN_THE_DOCKERFILE)
def test_settings_of_the_dockerfile(ready, hub, name):
    value, more, pattern = IN_THE_DOCKERFILE[name]
    plain = dockerfile(deploy(ready, hub, docker=more))
    assert not re.search(pattern, plain, re.M)
    assert re.search(pattern, dockerfile(deploy(ready, hub, docker={**more, name: value})), re.M)


PROJECT = '[project]\nname = "own"\nversion = "1"\ndependencies = ["attrs>=20"]\n'
# name: (value, files of the project, requirements with it, without it)
IN_THE_REQUIREMENTS = {
    "requirements": (["six"], {}, ["six", "pydantic>=2"], ["pydantic>=2"]),
    "required_integrations": (["sklearn"], {}, ["scikit-learn", "pydantic>=2"], ["pydantic>=2"]),
    "install_deployment_requirements": (False, {"requirements.txt": "six\n"}, ["six"], ["six", "pydantic>=2"]),
    "disable_automatic_requirements_detection": (True, {"requirements.txt": "six\n"}, ["pydantic>=2"], ["six", "pydantic>=2"]),
    "replicate_local_python_environment": ("echo six==1.16.0", {}, ["six==1.16.0", "pydantic>=2"], ["pydantic>=2"]),
    "pyproject_path": ("own/pyproject.toml", {"own/pyproject.toml": PROJECT}, ["attrs>=20", "pydantic>=2"], ["pydantic>=2"]),
    "pyproject_export_command": ("echo six==1.16.0", {"pyproject.toml": PROJECT}, ["six==1.16.0", "pydantic>=2"],
                                 ["attrs>=20", "pydantic>=2"]),
}


@pytest.mark.parametrize("name", IN_THE_REQUIREMENTS)
def test_settings_of_the_requirements(ready, hub, name):
    value, files, with_it, without_it = IN_THE_REQUIREMENTS[name]
    for path, text in files.items():
        (ready.folder / path).parent.mkdir(exist_ok=True)
        (ready.folder / path).write_text(text)
    assert requirements(deploy(ready, hub)) == without_it
    assert requirements(deploy(ready, hub, docker={name: value})) == with_it


# name: (value, key of the page, its value there, without the setting)
ON_THE_PAGE = {
    "space_title": ("Said here", "title", "Said here"),
    "space_emoji": ("\N{SLICE OF PIZZA}", "emoji", "\N{SLICE OF PIZZA}"),
    "space_color_from": ("green", "colorFrom", "green"),
    "space_color_to": ("pink", "colorTo", "pink"),
    "space_description": ("A line about it", "short_description", "A line about it"),
    "space_tags": (["one", "two"], "tags", ["one", "two"]),
    "suggested_hardware": ("t4-small", "suggested_hardware", "t4-small"),
    "startup_timeout": (120, "startup_duration_timeout", "2m"),
    "app_port": (9001, "app_port", 9001),
}


def test_settings_of_the_page(ready, hub):
    """All of them together; none of them stood there before."""
    before = page(deploy(ready, hub))
    space = deploy(ready, hub, deployer={name: value for name, (value, _, _) in ON_THE_PAGE.items()})
    after = page(space)
    for name, (_, key, shown) in ON_THE_PAGE.items():
        seen = after[key] if name != "space_tags" else [tag for tag in after[key] if tag in shown]
        assert seen == shown, name
        assert before.get(key) != after[key], name
    assert '"--port","9001"' in dockerfile(space)


def test_name_and_owner(ready, hub):
    """space_prefix, organization."""
    hub.make_org("acme", {"alice": "write"})
    deploy(ready, hub, "acme/said-my_deployment", deployer={"space_prefix": "said", "organization": "acme"})
    assert hub.spaces() == ["acme/said-my_deployment"]


def test_the_token_itself(project, hub, token):
    """token, or secret_name: the deployer may have it without a secret; a wrong one is refused by the Hub."""
    project.run("secret", "create", "right", f"--token={token}", check=0)
    for name, words in (("right", f"--token={token}"), ("wrong", "--token=hf_nobody_at_all"), ("secret", "--secret_name=right")):
        project.run("deployer", "register", name, "--flavor=huggingface", words, check=0)
        project.run("stack", "register", name, "-D", name, "-a", "default", "-o", "default", check=0)
    assert project.deploy("--stack", "wrong").returncode == 1 and hub.spaces() == []
    project.deploy("--stack", "right", check=0)
    assert hub.spaces() == [SPACE]
    project.run("deployment", "delete", "my_deployment", "--yes", check=0)
    assert hub.spaces() == []
    project.deploy("--stack", "secret", check=0)
    assert hub.spaces() == [SPACE]


def test_the_key_of_the_app(ready, hub):
    """auth_key is a secret of the Space, and is kept out of its files."""
    space = deploy(ready, hub, deployer={"auth_key": "key-of-the-app-here"})
    state = space.state()
    assert "key-of-the-app-here" in [one["value"] for one in state["secrets"].values()]
    assert not any(b"key-of-the-app-here" in text for text in space.contents().values())
    secrets = deploy(ready, hub).state()["secrets"]
    assert "key-of-the-app-here" not in [one["value"] for one in secrets.values()]


def test_where_it_is_built(ready, hub):
    """build_mode: image without a registry cannot be, source can."""
    (ready.folder.parent / "c.json").write_text('{"settings": {"deployer": {"build_mode": "image"}}}')
    done = ready.deploy("--config", ready.folder.parent / "c.json", check=1)
    assert "build mode 'image'" in done.stderr and hub.spaces() == [], done.stderr
    assert "my_module.py" in deploy(ready, hub, deployer={"build_mode": "source"}).files()


def test_parts_of_volumes(ready, hub):
    """type, source, mount_path or mountPath, revision, path, read_only or readOnly."""
    volumes = [{"type": "bucket", "source": "alice/one", "mountPath": "/one", "readOnly": True},
               {"type": "model", "source": "alice/two", "mount_path": "/two", "revision": "v1", "path": "sub"},
               {"type": "bucket", "source": "alice/three", "mount_path": "/three", "read_only": False}]
    hub.make_org("acme", {"alice": "write"})
    space = deploy(ready, hub, deployer={"space_hardware": "t4-small", "space_volumes": volumes})
    seen = {one["mountPath"]: one for one in space.state()["volumes"]}
    assert (seen["/one"]["type"], seen["/one"]["source"], seen["/one"]["readOnly"]) == ("bucket", "alice/one", True)
    assert (seen["/two"]["revision"], seen["/two"]["path"]) == ("v1", "sub")
    assert not seen["/three"].get("readOnly")


def test_the_time_to_wait(ready, hub):
    """lcm_timeout: a Space that does not come up in time."""
    hub.script(build={"seconds": 3600})
    (ready.folder.parent / "c.json").write_text(json.dumps({"settings": {"deployer": {"lcm_timeout": 2}}}))
    done = ready.deploy("--config", ready.folder.parent / "c.json", check=1)
    assert f"Space {SPACE} is still BUILDING" in done.stderr, done.stderr
