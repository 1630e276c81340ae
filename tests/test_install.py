# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts down is all that is needed: a pipeline in Python runs from it."""
import json
import shutil
import subprocess

import pytest


@pytest.fixture
def installed(build_dir, tmp_path):
    """The folder that stands for the prefix."""
    subprocess.run(["meson", "install", "-C", build_dir, "--no-rebuild", "--quiet", "--destdir", tmp_path / "all"],
                   check=True, capture_output=True)
    (program,) = (tmp_path / "all").rglob("bin/kourou")
    return program.parent.parent


def test_a_pipeline_runs_from_what_is_installed(installed, root, tmp_path, home):
    folder = tmp_path / "greeting"
    shutil.copytree(root / "examples/greeting", folder)

    def run(*args, program="kourou"):
        done = subprocess.run([installed / "bin" / program, *args], cwd=folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python = root / ".venv/bin/python"
    run("pipeline", "deploy", "--name", "greeter", f"--python={python}", "my_module.my_pipeline", program="zenml")
    try:
        assert json.loads(run("deployment", "invoke", "greeter", "--name=Ada"))["outputs"]["greeting"] == "Hello, Ada!"
    finally:
        run("deployment", "delete", "greeter", "--yes")


def test_beside_the_programs(installed):
    assert (installed / "include/kourou/pipeline.h").is_file()
    assert list(installed.rglob("man1/kourou.1")) and list(installed.rglob("completions/kourou.bash"))
    assert list(installed.rglob("site-functions/_kourou")) and list(installed.rglob("vendor_completions.d/kourou.fish"))
    assert not list(installed.rglob("__pycache__"))
