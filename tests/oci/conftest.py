# SPDX-License-Identifier: Apache-2.0
"""oci-tool of the sanitizer build (KOUROU_OCI_BUILD names another), and registries."""
import json
import os
import pathlib
import subprocess

import pytest

from tests.support.registry import Registry

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def oci_tool():
    build = pathlib.Path(os.environ.get("KOUROU_OCI_BUILD", ROOT / "build-asan"))
    # Under a lock: files of tests run side by side, each in a process of its own.
    subprocess.run(["flock", build, "ninja", "-C", build, "tests/oci/oci-tool"], check=True, capture_output=True)
    return build / "tests/oci/oci-tool"


@pytest.fixture
def tool(oci_tool, tmp_path, home):
    """tool("build", base=..., ...) gives the answer as a dict; ok=False expects a failure."""
    number = [0]

    def run(command, ok=True, env=None, **what):
        number[0] += 1
        file = tmp_path / f"in-{number[0]}.json"
        what.setdefault("cache", str(tmp_path / "cache"))
        file.write_text(json.dumps(what))
        done = subprocess.run([oci_tool, command, file], capture_output=True, text=True, timeout=280,
                              env={**os.environ, **(env or {}), "ASAN_OPTIONS": "detect_leaks=1"})
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[-6000:]
        assert done.returncode == (0 if ok else 1), (done.returncode, done.stdout, done.stderr[-3000:])
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def registry():
    with Registry() as one:
        yield one


def skopeo(*args):
    return subprocess.run(["skopeo", "--insecure-policy", *args], capture_output=True, text=True, check=True).stdout
