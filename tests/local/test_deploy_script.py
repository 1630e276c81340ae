# SPDX-License-Identifier: Apache-2.0
"""Scripts that deploy themselves: `python run.py`, from wherever they are run."""
import json
import subprocess

import pytest

from tests.conftest import ROOT

SCRIPT = '''\
from beside import greeting
from kourou import pipeline, step


@step
def greet(name: str) -> str:
    return greeting(name)


@pipeline
def my_pipeline(name: str = "world") -> str:
    return greet(name)


if __name__ == "__main__":
    deployment = my_pipeline.with_options(environment={"A": "b"}).deploy("script")
    print(deployment.invoke(name="-")["outputs"]["output"])
'''


@pytest.mark.parametrize("cwd, script, marked", [
    (".", "run.py", None), (".", "sub/run.py", None), ("sub", "run.py", None), ("elsewhere", "../sub/run.py", None),
    (".", "sub/run.py", "."), ("elsewhere", "../sub/deep/run.py", "sub")])
def test_from_everywhere(project, cwd, script, marked):
    (project.folder / "elsewhere").mkdir()
    place = (project.folder / cwd / script).resolve().parent
    place.mkdir(parents=True, exist_ok=True)
    (place / "run.py").write_text(SCRIPT)
    (place / "beside.py").write_text("def greeting(name):\n    return 'hello ' + name\n")
    if marked:
        (project.folder / marked / ".kourou").mkdir()
        (project.folder / marked / ".kourou/config.yaml").write_text("")
    done = subprocess.run([ROOT / ".venv/bin/python", script], cwd=project.folder / cwd, capture_output=True, text=True,
                          env={**project.env, "PYTHONPATH": str(ROOT / "python"),
                               "KOUROU_CLI": str(project.build_dir / "kourou")}, timeout=120)
    assert (done.returncode, done.stdout) == (0, "hello -\n"), done.stderr
    about = json.loads(project.run("deployment", "describe", "script", "-o", "json").stdout)
    assert about["pipeline"] == "my_pipeline"
    project.run("deployment", "delete", "script", "--yes")
