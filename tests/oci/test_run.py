# SPDX-License-Identifier: Apache-2.0
"""Images of both builders in a real engine: they start as uid 1000, are ready, and give the same answers."""
import json
import os
import shutil
import subprocess
import sys
import urllib.request

import pytest

from tests.conftest import ROOT, needs
from tests.support import baseimage, dockerd
from tests.support.ports import OPENER, wait_for
from tests.support.registry import Registry

ENV = {"QUOTED": "say \"hi\" $HOME `x` \\n 'q'", "LINES": "one\ntwo=2", "EMPTY": "", "BLANK": " x "}
SHOW = "import json,os; print(json.dumps({k: os.environ.get(k) for k in %r}))" % (sorted(ENV),)
WHO = ("import getpass,os,pathlib,pydantic,sys; pathlib.Path.home().joinpath('f').write_text('x'); "
       "open(os.environ['KOUROU_SERVE_DATA_DIR'] + '/f', 'w').close(); "
       "print(os.getuid(), getpass.getuser() != '', pathlib.Path.home(), os.getcwd(), os.access('/app/run.sh', os.X_OK))")


@pytest.fixture(scope="module")
def engine():
    needs(dockerd.why_not() is None, str(dockerd.why_not()))
    with Registry() as registry:
        baseimage.push(registry, ("library/python:3.11-slim", "library/debian:bookworm-slim"))
        with dockerd.Dockerd(mirror=registry.url, insecure=[registry.host]) as docker:
            yield registry, docker


@pytest.fixture
def project(tmp_path, build_dir):
    """The greeting example with docker settings, its snapshot, and a runtime folder."""
    root, runtime = tmp_path / "project", tmp_path / "runtime"
    shutil.copytree(ROOT / "examples/greeting", root)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (runtime / "bin").mkdir(parents=True)
    shutil.copy(build_dir / "kourou-serve", runtime / "kourou-serve")
    shutil.copy(build_dir / "kourou-serve", runtime / "bin/kourou-serve")
    shutil.copytree(ROOT / "python", runtime / "python", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "snapshot.json"
    subprocess.run([sys.executable, ROOT / "python/kourou/_boot.py", "compile", "my_module.my_pipeline", "--root", root,
                    "--output", file], check=True, capture_output=True)
    snapshot = json.loads(file.read_text())
    snapshot["python"] = {"version": "3.11"}
    snapshot["settings"]["docker"] = {"environment": ENV, "requirements": ["setuptools"]}
    return root, runtime, snapshot


def docker(engine, *args, program="docker", **env):
    if args[0] == "build":
        args = ("build", "--network", "none", *args[1:])
    done = subprocess.run([program, *args], capture_output=True, text=True, timeout=280,
                          env={**os.environ, "DOCKER_HOST": engine.host, **env})
    assert done.returncode == 0, (args, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout.strip()


def answers(engine, image):
    """What the image says: environment, user, health, and one call."""
    def python(code):
        return docker(engine, "run", "--rm", "--network", "none", "--entrypoint", "python3", image, "-c", code)
    who = python(WHO)
    container = docker(engine, "run", "-d", "--network", "spaces", image)
    try:
        inspected = json.loads(docker(engine, "inspect", container))[0]
        address = f"http://{inspected['NetworkSettings']['Networks']['spaces']['IPAddress']}:7860"

        def ready():
            if not json.loads(docker(engine, "inspect", container))[0]["State"]["Running"]:
                raise AssertionError(docker(engine, "logs", container))
            try:
                return OPENER.open(address + "/health", timeout=5).status == 200
            except OSError:
                return False
        wait_for(ready, 60, f"the app in {image}")
        environment = docker(engine, "exec", container, "python3", "-c",
                             "import json; parts = open('/proc/1/environ').read().split('\\0'); "
                             f"print(json.dumps({{k: v for k, _, v in (p.partition('=') for p in parts) if k in {sorted(ENV)}}}))")
        call = urllib.request.Request(address + "/invoke", json.dumps({"parameters": {"name": "Ada"}}).encode(),
                                      {"Content-Type": "application/json"})
        outputs = json.loads(OPENER.open(call, timeout=30).read())["outputs"]
    finally:
        docker(engine, "rm", "-f", container)
    return {"who": who, "environment": json.loads(environment), "outputs": outputs}


EXPECTED = {"who": "1000 True /home/kourou /app True", "environment": ENV,
            "outputs": {"greeting": "Hello, Ada!", "length": 11}}


@pytest.mark.parametrize("kit", ["1", "0"])
def test_the_generated_dockerfile(engine, project, tool, tmp_path, kit):
    """With BuildKit, as the Hub builds, and with the classic builder."""
    root, runtime, snapshot = project
    tool("launch", root=str(root), runtime=str(runtime), snapshot=snapshot, to=str(tmp_path / "tree"), python=sys.executable)
    program = dockerd.build_program() if kit == "1" else "docker"
    docker(engine[1], "build", "-t", f"source:{kit}", str(tmp_path / "tree"), program=program, DOCKER_BUILDKIT=kit)
    assert answers(engine[1], f"source:{kit}") == EXPECTED


def test_without_a_daemon(engine, project, tool, tmp_path):
    """Against the same base, with the same answers; our part of it is small, and a change of code beats docker by far."""
    root, runtime, snapshot = project
    registry, docker_engine = engine
    launched = tool("launch", root=str(root), runtime=str(runtime), snapshot=snapshot, to=str(tmp_path / "tree"),
                    python=sys.executable)
    shutil.rmtree(runtime / "bin/__pycache__", ignore_errors=True)
    (runtime / "kourou-serve").unlink()
    args = dict(base=f"{registry.host}/library/python:3.11-slim", target=f"{registry.host}/out/app:v1", code=str(root),
                runtime=str(runtime), snapshot=json.dumps(snapshot), entrypoint=launched["entrypoint"], environment=ENV,
                requirements="", python=sys.executable)
    bare = tool("build", **args)
    assert bare["bytes_added"] < 10_000_000, bare
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    subprocess.run(["tar", "-xzf", baseimage.image() / "layer-1.tar.gz", "-C", wheels, "--strip-components=2", "opt/wheels"],
                   check=True)
    args.update(requirements="setuptools\npydantic>=2\n", installer_args=["--no-index", f"--find-links={wheels}"])
    done = tool("build", **args)
    docker(docker_engine, "pull", "-q", done["reference"])
    assert answers(docker_engine, done["reference"]) == EXPECTED


def test_image_mode(engine, project, tool, tmp_path):
    """The Space's Dockerfile only refers to the finished image, by digest."""
    root, runtime, snapshot = project
    registry, docker_engine = engine
    tool("launch", root=str(root), runtime=str(runtime), snapshot=snapshot, to=str(tmp_path / "tree"), python=sys.executable)
    docker(docker_engine, "build", "-t", f"{registry.host}/img/x:1", str(tmp_path / "tree"), DOCKER_BUILDKIT="0")
    docker(docker_engine, "push", "-q", f"{registry.host}/img/x:1")
    digest = tool("check", image=f"{registry.host}/img/x:1")["digest"]
    tool("launch", root=str(root), runtime=str(runtime), snapshot=snapshot, to=str(tmp_path / "space"), python=sys.executable,
         image=f"{registry.host}/img/x@{digest}")
    assert sorted(p.name for p in (tmp_path / "space").iterdir()) == [".kourou", "Dockerfile", "README.md"]
    docker(docker_engine, "build", "-t", "image-mode", str(tmp_path / "space"), DOCKER_BUILDKIT="0")
    seen = answers(docker_engine, "image-mode")
    assert {**seen, "environment": None} == {**EXPECTED, "environment": None}


def test_skip_build(engine, project, tool, tmp_path):
    """parent_image as it is: nothing is installed or set, and the pipeline runs."""
    root, runtime, snapshot = project
    snapshot["settings"]["docker"] = {"skip_build": True, "parent_image": "python:3.11-slim", "environment": ENV}
    tool("launch", root=str(root), runtime=str(runtime), snapshot=snapshot, to=str(tmp_path / "tree"), skip=True)
    docker(engine[1], "build", "-t", "skipped", str(tmp_path / "tree"), DOCKER_BUILDKIT="0")
    container = docker(engine[1], "run", "-d", "--network", "spaces", "skipped")
    try:
        inspected = json.loads(docker(engine[1], "inspect", container))[0]
        assert inspected["Config"]["User"] == "1000" and not any(e.startswith("QUOTED") for e in inspected["Config"]["Env"])
        address = f"http://{inspected['NetworkSettings']['Networks']['spaces']['IPAddress']}:7860"

        def ready():
            try:
                return OPENER.open(address + "/health", timeout=5).status == 200
            except OSError:
                return False
        wait_for(ready, 60, "the app")
    finally:
        docker(engine[1], "rm", "-f", container)
