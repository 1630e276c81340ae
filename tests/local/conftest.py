# SPDX-License-Identifier: Apache-2.0
"""Local deployments with the real programs. After each test no server may be left of it."""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests.conftest import ROOT

MODULE = '''\
from kourou import pipeline, step


@step
def greet(name: str, times: int) -> str:
    return ", ".join(["hello " + name] * times)


@pipeline
def my_pipeline(name: str = "world", times: int = 1) -> str:
    return greet(name, times)
'''


def servers_of(folder):
    """{pid: arguments} of kourou-serve processes that have a path below folder in their arguments."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            args = (entry / "cmdline").read_bytes().decode().split("\0")
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, UnicodeDecodeError):
            continue
        if state != "Z" and args[0].endswith("/kourou-serve") and any(str(folder) in arg for arg in args):
            found[int(entry.name)] = args
    return found


def wait_for(condition, seconds=60, what="condition"):
    """The first true value of condition(); fails after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    pytest.fail(f"{what} did not come true within {seconds} s")


class Project:
    """A source folder and a home of its own."""

    def __init__(self, build_dir, folder, home):
        self.build_dir, self.folder, self.home = build_dir, folder, home
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "KOUROU_HOME": str(home / "kourou"),
                    "LANG": "C.UTF-8", "VIRTUAL_ENV": str(ROOT / ".venv")}
        for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "KOUROU_RUNTIME_DIR"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.write(MODULE)

    def write(self, text, name="my_module.py"):
        (self.folder / name).write_text(text)

    def popen(self, *args, **options):
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        return subprocess.Popen([str(self.build_dir / "kourou"), *map(str, args)], cwd=self.folder, env=self.env,
                                stdin=subprocess.DEVNULL, text=True, **options)

    def run(self, *args, check=0, env=None):
        done = subprocess.run([str(self.build_dir / "kourou"), *map(str, args)], cwd=self.folder,
                              env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=240)
        assert "Sanitizer" not in done.stderr, done.stderr
        if check is not None:
            assert done.returncode == check, f"{args} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def deploy(self, *more, name="app", check=0, env=None):
        return self.run("pipeline", "deploy", "--name", name, "my_module.my_pipeline", *more, check=check, env=env)

    def settings(self, **deployer):
        """Options that give settings of the deployer by a configuration file."""
        self.write(json.dumps({"settings": {"deployer": deployer}}), "config.yaml")
        return ("--config", "config.yaml")

    def rows(self, *what):
        return json.loads(self.run(*what, "list", "--columns", "all", "--output", "json").stdout)["items"]

    def row(self, name="app"):
        return json.loads(self.run("deployment", "describe", name, "--output", "json", "--show-schema", "--show-metadata").stdout)

    def invoke(self, name="app", *args, check=0):
        done = self.run("deployment", "invoke", name, *args, check=check)
        return json.loads(done.stdout) if done.stdout else None

    def output(self, name="app", *args):
        return self.invoke(name, *args)["outputs"]["output"]

    def pid(self, name="app"):
        return self.row(name)["metadata"]["live"]["pid"]

    def get(self, path, name="app", headers=None, body=None):
        """(status, body) of a plain HTTP request to the deployment."""
        request = urllib.request.Request(self.row(name)["url"] + path, headers=headers or {}, data=body)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    @property
    def runtime_dirs(self):
        folder = self.home / "kourou" / "deployments"
        return list(folder.iterdir()) if folder.exists() else []

    def servers(self):
        return servers_of(self.home)


@pytest.fixture
def project(build_dir, tmp_path):
    folder, home = tmp_path / "source", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    project = Project(build_dir, folder, home)
    yield project
    for row in json.loads(project.run("deployment", "list", "--output", "json", check=None).stdout or '{"items":[]}')["items"]:
        project.run("deployment", "delete", row["name"], "--yes", check=None)
    deadline = time.monotonic() + 40
    while (left := project.servers()) and time.monotonic() < deadline:
        time.sleep(0.02)  # those that were replaced finish on their own
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "servers that nobody manages any more"
    assert not project.runtime_dirs
