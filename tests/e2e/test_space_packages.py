# SPDX-License-Identifier: Apache-2.0
"""Installed packages that the pipeline's code imports are in the requirements, or the deploy says which line is missing."""
import importlib.metadata
import re

import pytest

from tests.e2e.test_space_files import put, says
from tests.e2e.test_space_needs import SPACE, refused, requirements, uv_project

NUMPY = f"numpy=={importlib.metadata.version('numpy')}"
JOBLIB = f"joblib=={importlib.metadata.version('joblib')}"
LEARN = f"scikit-learn=={importlib.metadata.version('scikit-learn')}"


@pytest.mark.parametrize("code, place", [
    ("import numpy", 1), ("import os, numpy.linalg as la", 1), ("from numpy import (\n  array)", 1),
    ("import sklearn\nimport numpy", 2),  # sklearn has loaded it before
    ("import importlib\nimportlib.import_module('numpy')", 2), ("exec('import numpy')", 1), ("__import__('numpy')", 1),
    ("if True:\n    import numpy", 2), ("class A:\n    import numpy", 2),
])
def test_no_list_at_all(ready, hub, code, place):
    says(ready, code)
    said = refused(ready, hub)
    assert f"'numpy' is imported (my_module.py:{place})" in said
    assert NUMPY in said and "--add-missing" in said and "add to requirements.txt: " in said


def test_imports_of_other_files_of_the_project(ready, hub):
    put(ready, "pkg/__init__.py")
    put(ready, "pkg/inner.py", "x = 1\nimport numpy\n")
    says(ready, "import pkg.inner")
    assert "'numpy' is imported (pkg/inner.py:2)" in refused(ready, hub)


@pytest.mark.parametrize("text", ["NumPy>=1", "numpy[extra]", "scikit-learn", "scikit_learn>=1 ; python_version > '3'",
                                  "-r more.txt", "numpy @ https://files.example/numpy-1-py3-none-any.whl"])
def test_what_is_listed_or_comes_along(ready, hub, text):
    put(ready, "requirements.txt", text + "\n")
    put(ready, "more.txt", "numpy\n")
    says(ready, "import numpy")
    done = ready.deploy(check=0)
    assert "numpy" not in done.stderr


def test_what_comes_with_an_extra_only(ready, hub):
    put(ready, "requirements.txt", "huggingface_hub\n")
    says(ready, "import numpy")
    assert "'numpy' is imported (my_module.py:1)" in refused(ready, hub)
    put(ready, "requirements.txt", "huggingface_hub[testing]\n")
    done = ready.deploy(check=0)
    assert "'numpy'" not in done.stderr


def test_what_only_libraries_import(ready, hub):
    put(ready, "requirements.txt", "joblib\n")
    says(ready, "import joblib")  # takes numpy where it is there, and does not require it
    done = ready.deploy(check=0)
    assert "numpy" not in done.stderr


@pytest.mark.parametrize("code, how", [
    ("try:\n    import numpy\nexcept ImportError:\n    numpy = None", "where it can be had"),
    ("try:\n    import nowhere\nexcept (OSError, ModuleNotFoundError):\n    import numpy", "where it can be had"),
    ("def later():\n    import numpy\n", "when that function runs"),
])
def test_optional_and_late_imports_are_notes(ready, hub, code, how):
    says(ready, code)
    done = ready.deploy(check=0)
    assert re.search(rf"'numpy' is imported \(my_module.py:\d\) {how}", done.stderr) and NUMPY in done.stderr


def test_imports_for_checkers_only(ready, hub):
    says(ready, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy")
    assert "numpy" not in ready.deploy(check=0).stderr


@pytest.mark.parametrize("docker", [{"parent_image": "python:3.11"}, {"requirements": ["a-package-that-is-not-here"]}])
def test_what_nobody_can_know_is_a_note(ready, hub, docker):
    says(ready, "import numpy")
    put(ready, "config.yaml", f"settings:\n  docker: {docker}\n")
    done = ready.deploy("--config", "config.yaml", check=0)
    assert "'numpy' is imported (my_module.py:1)" in done.stderr and "unless this does: " in done.stderr


def test_local_deployments_have_what_is_installed(ready):
    says(ready, "import numpy")
    done = ready.deploy("--stack", "default", check=0)
    assert "numpy" not in done.stderr
    ready.run("deployment", "delete", "my_deployment", "--yes", check=0)


# -- --add-missing -------------------------------------------------------------------------------------

def test_missing_ones_are_written(ready, hub):
    says(ready, "import numpy\ntry:\n    import yaml\nexcept ImportError:\n    pass\ndef f():\n    import joblib\n")
    done = ready.deploy("--add-missing", "--dry-run", check=0)
    assert f"would be added to requirements.txt: {JOBLIB} {NUMPY}" in done.stderr
    assert not (ready.folder / "requirements.txt").exists()
    done = ready.deploy("--add-missing", check=0)
    assert f"added to requirements.txt: {JOBLIB} {NUMPY}" in done.stderr
    assert (ready.folder / "requirements.txt").read_text() == f"{JOBLIB}\n{NUMPY}\n"
    assert requirements(hub) == f"{JOBLIB}\n{NUMPY}\npydantic>=2\n"
    assert "requirements.txt" in hub.space(SPACE).state()["files"]
    assert sorted(path.name for path in ready.folder.iterdir()) == ["__pycache__", "my_module.py", "requirements.txt"]
    again = ready.deploy("--add-missing", check=0)
    assert "added to" not in again.stderr


def test_missing_ones_go_to_the_list_that_counts(ready, hub):
    says(ready, "import numpy")
    put(ready, "reqs/prod.txt", "six")
    put(ready, "config.yaml", "settings:\n  docker:\n    requirements: reqs/prod.txt\n")
    ready.deploy("--add-missing", "--config", "config.yaml", check=0)
    assert (ready.folder / "reqs/prod.txt").read_text() == f"six\n{NUMPY}\n"
    assert not (ready.folder / "requirements.txt").exists()


@pytest.mark.parametrize("text, lists", [
    ('[project]\nname = "x"  # dependencies = []\ndependencies = ["six"]  # more\n[tool.x]\ndependencies = ["y"]\n', ["six"]),
    ('[project]\nname = "x"\ndependencies = [\n  "six", # one ]\n  "idna[a]",\n]\n', ["six", "idna[a]"]),
    ('[tool.x]\ndependencies = []\n[project]\nname = "x"\n', []),
])
def test_missing_ones_go_to_pyproject(ready, hub, text, lists):
    import tomllib

    says(ready, "import numpy")
    put(ready, "pyproject.toml", text)
    ready.deploy("--add-missing", check=0)
    new = (ready.folder / "pyproject.toml").read_text()
    assert tomllib.loads(new)["project"]["dependencies"] == [NUMPY, *lists]
    assert tomllib.loads(new)["tool"] == tomllib.loads(text)["tool"] if "tool" in text else True
    assert [line for line in text.splitlines() if "#" in line and line not in new.splitlines()] in ([], [
        'dependencies = ["six"]  # more'])


@pytest.mark.parametrize("case", ["hashes", "code", "uv", "inline"])
def test_lists_that_cannot_be_added_to(ready, hub, case):
    says(ready, "import numpy")
    options, word = ["--add-missing"], "stand in no file"
    if case == "hashes":
        put(ready, "requirements.txt", "six==1.17.0 --hash=sha256:" + "0" * 64 + "\n")
        word = "pins hashes"
    elif case == "code":
        put(ready, "config.yaml", "settings:\n  docker:\n    requirements: [six]\n")
        options += ["--config", "config.yaml"]
    elif case == "uv":
        uv_project(ready.folder, [], {}, [])
        word = "only uv changes it"
    else:
        put(ready, "pyproject.toml", 'project = { name = "x", dependencies = [] }\n')
        word = "cannot be added to"
    before = {path.name: path.read_bytes() for path in ready.folder.iterdir() if path.is_file()}
    assert word in refused(ready, hub, *options)
    assert {path.name: path.read_bytes() for path in ready.folder.iterdir() if path.is_file()} == before
