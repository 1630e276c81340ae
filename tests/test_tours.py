# SPDX-License-Identifier: Apache-2.0
"""The first commands of the README and of the page on C do what is said there."""
import os
import re
import shutil
import subprocess

import pytest


def block(path, kind, containing):
    """The one code block of this kind that has a text."""
    found = re.findall(rf"^```{kind}\n(.*?)^```", path.read_text(), re.M | re.S)
    (one,) = [text for text in found if containing in text]
    return one


@pytest.fixture
def shell(build_dir, root, home, tmp_path):
    """Runs a script as in a clone after `make`, in a folder of its own."""
    folder = tmp_path / "clone"
    shutil.copytree(root / "examples/greeting", folder / "examples/greeting")
    (folder / "include").symlink_to(root / "include")
    path = f"{build_dir}:{root / '.venv/bin'}:{os.environ['PATH']}"

    def run(script, cwd=folder):
        done = subprocess.run(["bash", "-e"], input=script, cwd=cwd, env={**os.environ, "PATH": path}, timeout=120,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield folder, run
    run("kourou deployment delete --yes --all || true")  # there is none, when all went well


def test_readme(root, shell):
    readme, (_, run) = root / "README.md", shell
    said = run(block(readme, "sh", "cd examples/greeting"))
    assert '"greeting": "Hello, Ada!"' in said and "my_deployment" in said and "listening on" in said


def test_module_of_the_readme(root, shell):
    folder, run = shell
    (folder / "examples/greeting/my_module.py").write_text(block(root / "README.md", "python", "def my_pipeline"))
    assert '"greeting": "Hello, Ada!"' in run(block(root / "README.md", "sh", "cd examples/greeting"))


def test_page_on_c(root, shell):
    page, (folder, run) = root / "docs/pipelines-c.md", shell
    own = folder / "temperature"
    own.mkdir()
    (own / "temperature.c").write_text(block(page, "c", "kourou_pipeline"))
    assert '"fahrenheit": 68.0' in run(block(page, "sh", "pipeline deploy"), own)
    run("kourou deployment delete temperature --yes")
