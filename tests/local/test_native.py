# SPDX-License-Identifier: Apache-2.0
"""Pipelines written in C on this machine."""
import json
import shutil
import subprocess

import pytest

from tests.conftest import ROOT


@pytest.fixture
def native(project):
    """The example, built into a folder that version control ignores, as products of a build are."""
    folder = project.folder / "lib"
    folder.mkdir()
    (project.folder / ".gitignore").write_text("*.so\n")
    done = subprocess.run(["cc", "-std=gnu11", "-O1", "-fPIC", "-shared", f"-I{ROOT}/include", "-o", str(folder / "libanomaly.so"),
                           str(ROOT / "examples/native/anomaly.c"), "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return project


def deploy(project, *more, check=0, source="lib/libanomaly.so"):
    return project.run("pipeline", "deploy", "--name", "app", source, *more, check=check)


def test_native_pipeline(native):
    deploy(native)
    answer = native.invoke("app", "--values=[1,1,1,1,1,1,1,1,9,1]", "--window=5")
    assert answer["success"] is True and answer["outputs"]["count"] == 1
    assert native.row()["metadata"]["live"]["pid"] in native.servers()
    [snapshot] = native.rows("pipeline", "snapshot")
    assert snapshot["python"] is None
    assert "Nothing changed" in deploy(native).stderr


def test_snapshot_does_not_depend_on_the_folder(native, tmp_path):
    plan = deploy(native, "--dry-run", "--output", "json")
    assert json.loads(plan.stdout)["new"] is True
    native.run("pipeline", "snapshot", "create", "lib/libanomaly.so", "--name", "one")
    other = tmp_path / "elsewhere"
    shutil.copytree(native.folder, other)
    native.folder = other
    native.run("pipeline", "snapshot", "create", "lib/libanomaly.so", "--name", "two")
    one, two = native.rows("pipeline", "snapshot")
    assert one["digest"] == two["digest"]


def test_a_new_library_is_a_change(native):
    deploy(native)
    pid = native.pid()
    library = native.folder / "lib/libanomaly.so"
    data = library.read_bytes()
    library.unlink()  # the running worker has the old file open
    library.write_bytes(data + b"\0")
    deploy(native, "--update")
    assert native.pid() != pid


def test_missing_library(native):
    failed = deploy(native, source="lib/nothing.so", check=1)
    assert "no library lib/nothing.so" in failed.stderr


def test_missing_symbol(native):
    failed = deploy(native, source="lib/libanomaly.so:nothing", check=1)
    assert "no pipeline named nothing" in failed.stderr and native.rows("pipeline") == []
