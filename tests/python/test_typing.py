# SPDX-License-Identifier: Apache-2.0
"""What editors and checkers see: mistakes are reported where they are, right usage is not, and names are no Any."""
import ast
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import kourou
from tests.python.conftest import PYTHON

ROOT = PYTHON.parent
FILES = ROOT / "tests" / "python" / "typing"
BIN = ROOT / ".venv" / "bin"
WITH_SKLEARN = ("digits.py", "make_sample.py")  # a library without types


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything that is checked, as a user has it: beside the package, not in its tree."""
    folder = tmp_path_factory.mktemp("typing")
    for path in [*FILES.glob("*.py"), *(ROOT / "examples").rglob("*.py")]:
        shutil.copy(path, folder)
    page = (ROOT / "docs" / "pipelines-python.md").read_text()
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)):
        (folder / f"page{number}.py").write_text(block)
    (folder / "pyrightconfig.json").write_text(json.dumps({
        "include": ["."], "typeCheckingMode": "strict", "pythonVersion": "3.9", "extraPaths": [str(PYTHON)],
        # libraries without types of their own
        "reportMissingTypeStubs": "none"}))
    (folder / "mypy.ini").write_text("[mypy]\nstrict = true\nfollow_imports = silent\n[mypy-sklearn.*]\nignore_missing_imports = true\n")
    return folder


def by_mypy(folder):
    done = subprocess.run([BIN / "python", "-m", "mypy", "--no-error-summary", "--cache-dir", ROOT / ".mypy_cache", "."],
                          cwd=folder, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(PYTHON)})
    assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    found = re.findall(r"^(\w+\.py):(\d+): error: (.*)$", done.stdout, re.M)
    return [(name, int(line), said) for name, line, said in found]


def by_pyright(folder):
    done = subprocess.run([BIN / "pyright", "--outputjson", "--pythonpath", BIN / "python", "-p", "."], cwd=folder,
                          capture_output=True, text=True,
                          env={**os.environ, "PYRIGHT_PYTHON_CACHE_DIR": str(ROOT / ".mypy_cache" / "pyright")})
    assert done.returncode in (0, 1), done.stderr
    found = [(os.path.basename(one["file"]), one["range"]["start"]["line"] + 1, f"{one['message']} [{one.get('rule')}]")
             for one in json.loads(done.stdout)["generalDiagnostics"]]
    return [one for one in found if one[0] not in WITH_SKLEARN or "[reportUnknown" not in one[2]]


@pytest.mark.parametrize("checker", [by_mypy, by_pyright])
def test_mistakes_are_reported_and_nothing_else(folder, checker):
    found = checker(folder)
    assert [one for one in found if one[0] != "mistakes.py"] == []
    lines = (FILES / "mistakes.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# wrong: " in line}
    assert len(wrong) > 20 and {line for _, line, _ in found} == wrong


def imported(path):
    """{name: module} of the imports that only checkers read."""
    block = next(node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If))
    assert block.test.id == "TYPE_CHECKING"
    return {alias.asname or alias.name: node.module for node in block.body for alias in node.names}


def test_checkers_see_the_names_that_there_are():
    assert imported(PYTHON / "kourou" / "__init__.py") == kourou._HOME
    assert sorted(kourou._HOME) == kourou.__all__
    import zenml

    assert sorted([*imported(PYTHON / "zenml" / "__init__.py"), "__version__"]) == sorted(zenml.__all__)
    assert sorted([*zenml._HOME, "__version__"]) == sorted(zenml.__all__)


PUBLIC = [name for name in kourou.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_say_what_they_are(name):
    thing = getattr(kourou, name)
    assert thing.__doc__ and len(thing.__doc__) > 10


def test_types_cost_nothing_when_the_package_is_imported(tmp_path):
    """Nothing but what it imported before there were types: `typing`, above all, takes longer than a small pipeline."""
    code = ("import sys; before = set(sys.modules); from kourou import pipeline, step, get_step_context, DockerSettings\n"
            "DockerSettings(requirements=['a'])\n"
            "print(*sorted({'typing', 'typing_extensions', 'inspect', 'pydantic', 'kourou._typing'} & set(sys.modules) - before))")
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(PYTHON)})
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_package_is_a_small_part_of_the_start_of_python(tmp_path):
    """Beside what Python itself imports in the same run, in the best of ten."""
    shares = []
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env.update(PYTHONPATH=str(PYTHON), PYTHONPYCACHEPREFIX=str(tmp_path))  # the first compiles
    for _ in range(10):
        done = subprocess.run([sys.executable, "-S", "-X", "importtime", "-c", "import kourou"], capture_output=True, text=True,
                              cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        rows = [line.split(":", 1)[1].split("|") for line in done.stderr.splitlines()[1:]]
        times = {name.strip(): int(own) for own, _, name in rows}
        ours = sum(time for name, time in times.items() if name.split(".")[0] == "kourou")
        shares.append(ours / (sum(times.values()) - ours))
    assert min(shares) < 0.25
