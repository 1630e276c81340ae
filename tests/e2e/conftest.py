# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests of deployments into Spaces: the real program against the test Hub."""
import json
import os
import subprocess

import pytest

from tests.hub.fixtures import docker_hub, docker_stack, hub, token  # noqa: F401  (fixtures)

SPACE = "alice/zenml-my_deployment"
MODULE = '''\
from kourou import pipeline, step


@step
def greet(name: str) -> str:
    return f"Hello, {name}!"


@step
def count(text: str) -> int:
    return len(text)


@pipeline
def my_pipeline(name: str = "world"):
    text = greet(name)
    return text, count(text)
'''


class Project:
    """A source folder, a home of its own and a stack whose deployer is a Hub's."""

    def __init__(self, build_dir, folder, home, hub, python):
        self.build_dir, self.folder, self.hub = build_dir, folder, hub
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "KOUROU_HOME": str(home / "kourou"),
                    "HF_ENDPOINT": hub.url, "LANG": "C.UTF-8", "KOUROU_TEST_PYTHON": str(python)}
        self.python = str(python)
        (folder / "my_module.py").write_text(MODULE)

    def run(self, *args, check=None, prog="kourou", timeout=180, env=None):
        done = subprocess.run([str(self.build_dir / prog), *map(str, args)], cwd=self.folder, timeout=timeout,
                              env={**self.env, **(env or {})}, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if check is not None:
            assert done.returncode == check, f"{args} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def popen(self, *args):
        return subprocess.Popen([str(self.build_dir / "kourou"), *map(str, args)], cwd=self.folder, env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stack(self, token, *settings, name="hf"):
        self.run("secret", "create", f"{name}_token", f"--token={token}", check=0)
        self.run("deployer", "register", name, "--flavor=huggingface", f"--secret_name={name}_token", *settings, check=0)
        self.run("stack", "register", name, "-D", name, "-a", "default", "-o", "default", "--set", check=0)

    DEPLOY = ("pipeline", "deploy", "--name", "my_deployment", "--update", "my_module.my_pipeline")

    def deploy(self, *more, check=None, **options):
        return self.run("pipeline", "deploy", "--python", self.python, "--name", "my_deployment", "--update", *more,
                        "my_module.my_pipeline", check=check, **options)

    def deploying(self, *more):
        return self.popen("pipeline", "deploy", "--python", self.python, "--name", "my_deployment", "--update", *more,
                          "my_module.my_pipeline")

    def row(self, name="my_deployment"):
        return json.loads(self.run("deployment", "describe", name, "-o", "json", check=0).stdout)

    def change(self):
        path = self.folder / "my_module.py"
        path.write_text(path.read_text().replace("Hello", "Bonjour"))


def make_project(build_dir, tmp_path, hub, root):
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    return Project(build_dir, folder, home, hub, root / ".venv/bin/python")


@pytest.fixture
def project(build_dir, tmp_path, hub, root):
    return make_project(build_dir, tmp_path, hub, root)


@pytest.fixture
def real(build_dir, tmp_path, docker_hub, root, token):
    """A project whose Spaces are really built and run."""
    docker_hub.settings(stop_grace=1)
    made = make_project(build_dir, tmp_path, docker_hub, root)
    made.stack(token)
    return made


@pytest.fixture
def ready(project, token):
    project.stack(token)
    return project
