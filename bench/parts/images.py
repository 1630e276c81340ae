# SPDX-License-Identifier: Apache-2.0
"""Build and push of an image after a change of code only: Kourou without a daemon beside docker build and docker push.

One registry for both, the same base, requirements, runtime and code; everything but the code is in either program's
cache.
"""
import json
import re
import shutil
import subprocess
import tarfile
import threading
import time

from bench import hubs
from tests.support import baseimage, dockerd
from tests.support.counting import CountingProxy
from tests.support.registry import Registry

NAME = "images"
TITLE = "Container images after a change of code"
BASE = "library/python:3.11-slim"
CASE = "change of code only"
REQUIREMENTS = ("pydantic>=2.7",)
DOCKERFILE = """FROM {base}
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
COPY runtime /opt/kourou
ENV PYTHONPATH=/opt/kourou/python
WORKDIR /app
COPY code /app
USER 1000
CMD ["/opt/kourou/bin/kourou-serve", "--root", "/app", "--port", "7860"]
"""


class Kourou:
    """Builds as a part of a deploy; the time is from its line that begins the build to the one that says
    that the image is pushed."""

    subject = "kourou daemonless"

    def __init__(self, ctx, folder, host, hub, wheels):
        self.name = folder.name  # of the deployment; one Hub serves several projects
        self.project = hubs.Project(ctx.build, folder, HF_ENDPOINT=hub.url, PIP_NO_INDEX=1, PIP_FIND_LINKS=wheels)
        run = self.project.run
        run("container-registry", "register", "bench", "--flavor=default", f"--uri={host}")
        run("image-builder", "register", "bench", "--flavor=daemonless")
        self.project.hub_stack("hf", "-c", "bench", "-i", "bench")
        docker = {"parent_image": f"{host}/{BASE}", "target_repository": "bench/kourou",
                  "requirements": list(REQUIREMENTS)}
        self.config = folder / "config.json"
        self.config.write_text(json.dumps({"settings": {"docker": docker}}))

    def change(self):
        self.project.change()

    def build(self):
        """Seconds of build and push, and of the whole deploy around it."""
        argv = [self.project.kourou, "pipeline", "deploy", "--python", hubs.PYTHON, "--name", self.name, "--update",
                "--config", self.config, "my_module.my_pipeline"]
        began, marks, lines = time.perf_counter(), {}, []
        with subprocess.Popen(list(map(str, argv)), env=self.project.env, cwd=self.project.folder, text=True,
                              stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
            stopper = threading.Timer(240, process.kill)
            stopper.start()
            for line in process.stderr:
                lines.append(line)
                for mark in ("Building image", "Built image"):
                    if mark in line:
                        marks.setdefault(mark, time.perf_counter())
            process.wait()
            stopper.cancel()
        if process.returncode or len(marks) != 2:
            raise hubs.Failed(f"kourou did not build an image:\n{''.join(lines)[-2000:]}")
        return marks["Built image"] - marks["Building image"], time.perf_counter() - began


class Docker:
    """The Dockerfile that one writes by hand for this: base, requirements, runtime, and code last."""

    subject = "docker build + push"

    def __init__(self, folder, host, engine, env):
        self.folder, self.host, self.number = folder, host, 0
        self.program = dockerd.build_program()
        self.env = {**env, "DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(folder)}
        self.image = f"{host}/bench/docker:greeter"
        folder.mkdir(parents=True)
        shutil.copytree(hubs.ROOT / "examples" / "greeting", folder / "code",
                        ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n")
        (folder / "Dockerfile").write_text(DOCKERFILE.format(base=f"{host}/{BASE}"))

    def runtime(self, build):
        target = self.folder / "runtime"
        (target / "bin").mkdir(parents=True)
        for name in ("kourou-serve", "kourou-native"):
            shutil.copy(build / name, target / "bin" / name)
        shutil.copytree(hubs.ROOT / "python", target / "python", ignore=shutil.ignore_patterns("__pycache__"))

    def change(self):
        self.number += 1
        path = self.folder / "code" / "my_module.py"
        path.write_text(re.sub(r'f"[^"]*, \{name', f'f"Hello {self.number}, {{name', path.read_text()))

    def run(self, *args):
        return hubs.run([self.program, *args], self.env, self.folder)

    def build(self):
        """Seconds of build and push, and of both with the start of the programs, which is the same."""
        seconds = self.run("build", "-q", "--network=host", "-t", self.image, ".")[0]
        seconds += self.run("push", "-q", self.image)[0]
        return seconds, seconds


def wheels(folder):
    """The wheels that lie in the base image, so that both programs find requirements without a network."""
    with tarfile.open(baseimage.image() / "layer-1.tar.gz") as layer:
        for member in layer:
            if member.name.startswith("opt/wheels/") and member.isfile():
                layer.extract(member, folder)
    return folder / "opt" / "wheels"


def run(ctx):
    reason = dockerd.why_not()
    if reason or not shutil.which("docker-registry"):
        ctx.results.note(NAME, f"not measured: {reason or 'docker-registry is missing: tools/setup.sh test'}")
        return
    folder = ctx.folder / "images"
    folder.mkdir()
    found = wheels(folder)
    with Registry() as registry, CountingProxy(registry.port) as line, hubs.Hub(folder / "hub") as hub:
        baseimage.push(registry, names=(BASE,))
        with dockerd.Dockerd(mirror=registry.url) as engine:
            describe(ctx, engine)
            env = hubs.plain_env(folder / "home")
            docker = Docker(folder / "docker", registry.host, engine, env)
            docker.runtime(ctx.build)
            subjects = [Kourou(ctx, folder / "kourou", registry.host, hub, found), docker]
            times(ctx, subjects, 4 if ctx.quick else 11)
            counted = Kourou(ctx, folder / "counted", line.host, hub, found)
            docker.image = docker.image.replace(registry.host, line.host)
            travelled(ctx, [counted, docker], line)


def describe(ctx, engine):
    info = engine.api("GET", "/info")
    ctx.results.version("docker", f"{info['ServerVersion']}, BuildKit, {info['Driver']}")
    if info["Driver"] == "vfs":
        ctx.results.note(NAME, "docker had to use the storage driver vfs, which copies whole layers: its figures are "
                               "too high")


def times(ctx, subjects, rounds):
    for one in subjects:  # nothing is in a cache yet
        ctx.results.add(NAME, "first build and push", one.subject, "time", "s", [one.build()[0]])
    for number in range(rounds):
        for one in subjects[:: -1 if number % 2 else 1]:
            one.change()
            seconds, whole = one.build()
            if number == 0:
                continue  # the first change still fills caches of the program itself
            ctx.results.add(NAME, CASE, one.subject, "time", "s", [seconds])
            if one.subject != Docker.subject:
                ctx.results.add(NAME, CASE, one.subject, "whole deploy", "s", [whole])


def travelled(ctx, subjects, line):
    """Bytes on the line to the registry, in a run of its own: counting them takes time."""
    for one in subjects:
        one.build()
        for _ in range(2):
            one.change()
            line.reset()
            one.build()
            ctx.results.add(NAME, CASE, one.subject, "sent to the registry", "B", [line.sent])
            ctx.results.add(NAME, CASE, one.subject, "fetched from the registry", "B", [line.received])
            ctx.results.add(NAME, CASE, one.subject, "calls to the registry", "", [len(line.requests())])
