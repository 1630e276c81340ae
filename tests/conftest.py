# SPDX-License-Identifier: Apache-2.0
"""What all tests share: where the programs are, and a home of their own for every test."""
import importlib.util
import os
import pathlib
import random
import subprocess

import pytest

# The fixtures `hub` and `docker_hub`.
pytest_plugins = ["tests.hub.fixtures"]

ROOT = pathlib.Path(__file__).resolve().parent.parent


def module_at(path):
    """A module of a file that lies on no import path, or whose package is not wanted with it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needs(condition, reason):
    """A missing capability fails in CI and skips on a user's machine."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"missing on this machine: {reason}")
    pytest.skip(reason)


LONGEST_FIRST = ("soak", "e2e", "images", "oci", "hub", "store")


def pytest_collection_modifyitems(items):
    """Files run side by side, and the one that is begun last should not be the longest."""
    def place(item):
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


@pytest.fixture
def seed():
    """For choices by chance; a failed test prints it, KOUROU_TEST_SEED repeats it."""
    number = int(os.environ.get("KOUROU_TEST_SEED", "0")) or random.randrange(1, 1 << 30)
    print(f"seed {number} (KOUROU_TEST_SEED={number} repeats this)")
    return number


@pytest.fixture
def rng(seed):
    return random.Random(seed)


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def build_dir():
    """Folder with kourou, zenml and kourou-serve; KOUROU_BUILD names another build."""
    folder = pathlib.Path(os.environ.get("KOUROU_BUILD", ROOT / "build")).resolve()
    assert (folder / "kourou").exists(), f"{folder}/kourou is missing: run make"
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty KOUROU_HOME and HOME, without any Hub or Kourou variable of the surroundings."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGING_FACE", "KOUROU_", "ZENML_", "XDG_")) and name != "KOUROU_BUILD":
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("KOUROU_HOME", str(folder / "kourou"))
    return folder


@pytest.fixture
def kourou(build_dir, home, root):
    """Runs the real binary: kourou("secret", "list") gives a CompletedProcess with text outputs."""

    def run(*args, check=None, prog="kourou", **options):
        options.setdefault("capture_output", True)
        options.setdefault("text", True)
        options.setdefault("timeout", 240)
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run([str(build_dir / prog), *map(str, args)], **options)
        if check is not None:
            assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
        return done

    return run
