# SPDX-License-Identifier: Apache-2.0
"""pytest fixtures around the test Hub, for every test of this tree.

`hub` is a Hub of one test with scripted builds and apps. `docker_hub` is one that really builds and runs, on the
Docker engine, registry and base image that `docker_stack` starts once for the whole run.
"""

import dataclasses
import os

import pytest

from tests.hub.process import HubProcess
from tests.support import baseimage, dockerd
from tests.support.registry import Registry

# short times: what takes minutes on the real Hub takes fractions of a second here
QUICK = ("--set", "probe_interval=0.02", "--set", "launch_timeout=20", "--set", "lag=0.02")
ALICE = ("--user", "alice:hf_test_alice:write")


@dataclasses.dataclass
class DockerStack:
    """`engine` is the Docker engine, `registry` holds the base image and takes pushes of tests, `images` are
    the references of the base image by digest."""

    engine: dockerd.Dockerd
    registry: Registry
    images: dict
    program: str


@pytest.fixture
def hub(tmp_path):
    """A Hub of this test's own, with scripted builds and apps, and the account alice (plan pro)."""
    with HubProcess(tmp_path / "hub", "--no-docker", *ALICE, *QUICK) as process:
        yield process


@pytest.fixture
def token():
    """Alice's token with role write."""
    return "hf_test_alice"


@pytest.fixture(scope="session")
def docker_stack():
    """A Docker engine whose `python:3.11-slim` and `debian:bookworm-slim` come from a registry of this run."""
    reason = dockerd.why_not()
    if reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"missing on this machine: {reason}")
    with Registry() as registry:
        images = baseimage.push(registry)
        with dockerd.Dockerd(mirror=registry.url) as engine:
            yield DockerStack(engine, registry, images, dockerd.build_program())


@pytest.fixture
def docker_hub(tmp_path, docker_stack):
    """A Hub of this test's own that builds and runs Spaces with the Docker engine of the run."""
    with HubProcess(
        tmp_path / "hub",
        "--docker-host",
        docker_stack.engine.host,
        "--docker",
        docker_stack.program,
        *ALICE,
        "--set",
        "launch_timeout=60",
        "--set",
        "probe_interval=0.1",
    ) as process:
        process.stack = docker_stack
        yield process
