# SPDX-License-Identifier: Apache-2.0
"""A Docker engine whose containers can be reached at published ports, registries, and a project to deploy from."""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from tests.conftest import ROOT
from tests.hub.fixtures import hub, token  # noqa: F401  (fixtures)
from tests.hub.process import HubProcess
from tests.support import baseimage, dockerd
from tests.support.registry import Registry


class Engine(dockerd.Dockerd):
    """Published ports go through Docker's own proxy: no packet filter of this machine is touched."""

    def _start(self, flags):
        super()._start([*flags, "--userland-proxy=true"])

    def _run(self, flags):
        self.flags = flags
        super()._run(flags)

    def restart(self):
        """The engine ends with all its containers, and starts again."""
        self._end()
        self._run(self.flags)


@dataclasses.dataclass
class Stack:
    engine: Engine
    registry: Registry
    private: Registry
    folder: pathlib.Path  # first in PATH: a docker program with BuildKit


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    reason = dockerd.why_not()
    if reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"missing on this machine: {reason}")
    folder = tmp_path_factory.mktemp("bin")
    (folder / "docker").symlink_to(dockerd.build_program())
    with Registry() as registry, Registry("alice", "tops3cret-pw") as private:
        baseimage.push(registry)
        with Engine(mirror=registry.url) as engine:
            yield Stack(engine, registry, private, folder)


class Project:
    """A copy of the example `greeting` and a home of its own."""

    def __init__(self, build_dir, folder, home, images):
        self.build_dir, self.folder, self.images = build_dir, folder, images
        self.python = str(ROOT / ".venv/bin/python")
        self.env = {"PATH": f"{images.folder}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8",
                    "KOUROU_HOME": str(home / "kourou"), "DOCKER_HOST": images.engine.host}
        for name in ("KOUROU_RUNTIME_DIR",):
            if name in os.environ:
                self.env[name] = os.environ[name]
        shutil.copytree(ROOT / "examples/greeting", folder, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *args, check=None, env=None, timeout=280):
        done = subprocess.run([str(self.build_dir / "kourou"), *map(str, args)], cwd=self.folder, timeout=timeout,
                              env={**self.env, **(env or {})}, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        if check is not None:
            assert done.returncode == check, f"{args} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "tops3cret-pw" not in done.stdout + done.stderr
        return done

    def config(self, **settings):
        """A file for --config; what runs inside builds needs no network here."""
        path = self.folder.parent / "config.yaml"
        docker = {"build_config": {"build_options": {"network": "host"}}, **settings.pop("docker", {})}
        path.write_text(json.dumps({"settings": {"docker": docker, **settings}, **settings.pop("top", {})}))
        return path

    def registry(self, registry, name="registry", **attributes):
        attributes = [f"--{key}={value}" for key, value in attributes.items()]
        self.run("container-registry", "register", name, "--flavor=default", f"--uri={registry.host}", *attributes,
                 check=0)
        return name

    def stack(self, flavor, *settings, registry=None, builder=None, name="images"):
        self.run("deployer", "register", name, f"--flavor={flavor}", *settings, check=0)
        more = ["-c", registry] if registry else []
        if builder:
            self.run("image-builder", "register", f"{name}_builder", f"--flavor={builder}", check=0)
            more += ["-i", f"{name}_builder"]
        self.run("stack", "register", name, "-D", name, "-a", "default", "-o", "default", *more, "--set", check=0)

    def deploy(self, *more, check=None, config=None, name="greeter", **options):
        return self.run("pipeline", "deploy", "--python", self.python, "--name", name, "--update", "--config",
                        config or self.config(), *more, "my_module.my_pipeline", check=check, **options)

    def invoke(self, **values):
        done = self.run("deployment", "invoke", "greeter", *(f"--{key}={value}" for key, value in values.items()),
                        check=0)
        return json.loads(done.stdout)

    def row(self, name="greeter"):
        return json.loads(self.run("deployment", "describe", name, "-o", "json", check=0).stdout)

    def builds(self):
        return json.loads(self.run("pipeline", "builds", "list", "-o", "json", check=0).stdout)["items"]

    def change(self):
        path = self.folder / "my_module.py"
        path.write_text(path.read_text().replace("Hello", "Bonjour"))


@pytest.fixture
def project(build_dir, tmp_path, images):
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    one = Project(build_dir, folder, home, images)
    yield one
    for label in ("kourou.deployment.id", "kourou.gate"):
        for container in images.engine.containers(label):
            images.engine.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")


@pytest.fixture
def docker_hub_of_images(tmp_path, images):
    """A Hub that builds and runs Spaces with this run's engine, and so can pull from this run's registries."""
    with HubProcess(tmp_path / "hub", "--docker-host", images.engine.host, "--docker", str(images.folder / "docker"),
                    "--user", "alice:hf_test_alice:write", "--set", "launch_timeout=60", "--set",
                    "probe_interval=0.1") as process:
        yield process
