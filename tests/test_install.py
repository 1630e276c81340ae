# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts down is all that is needed: a pipeline in Python runs from it."""
import json
import shutil
import subprocess

import pytest


@pytest.fixture
def installed(build_dir, root, tmp_path):
    """The folder that stands for the prefix."""
    return install(build_dir, root, tmp_path / "all")


def install(build_dir, root, folder, *options):
    subprocess.run(["make", "-C", root, "-o", "all", "install", f"BUILD={build_dir}", f"DESTDIR={folder}", *options],
                   check=True, capture_output=True)
    (program,) = folder.rglob("bin/kourou")
    return program.parent.parent


@pytest.fixture
def python(root, tmp_path):
    """The packages of the tests' Python, but not those of this tree, which it finds by itself."""
    packages = next((root / ".venv/lib").glob("python3*/site-packages"))
    subprocess.run([root / ".venv/bin/python", "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (next((tmp_path / "venv/lib").glob("python3*/site-packages")) / "others.pth").write_text(f"{packages}\n")
    own = tmp_path / "venv/bin/python"
    assert subprocess.run([own, "-c", "import pydantic, kourou"], capture_output=True, text=True).stderr.endswith(
        "No module named 'kourou'\n")
    return own


def test_a_pipeline_runs_from_what_is_installed(installed, root, tmp_path, home, python):
    folder = tmp_path / "greeting"
    shutil.copytree(root / "examples/greeting", folder)

    def run(*args):
        done = subprocess.run([installed / "bin/kourou", *args], cwd=folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("pipeline", "deploy", "--name", "greeter", f"--python={python}", "my_module.my_pipeline")
    try:
        assert json.loads(run("deployment", "invoke", "greeter", "--name=Ada"))["outputs"]["greeting"] == "Hello, Ada!"
    finally:
        run("deployment", "delete", "greeter", "--yes")


def test_beside_the_programs(installed):
    assert (installed / "include/kourou/pipeline.h").is_file()
    assert list(installed.rglob("man1/kourou.1")) and list(installed.rglob("completions/kourou.bash"))
    assert list(installed.rglob("site-functions/_kourou")) and list(installed.rglob("vendor_completions.d/kourou.fish"))
    assert not list(installed.rglob("__pycache__"))


def test_the_name_zenml_is_taken_only_when_asked_for(installed, build_dir, root, tmp_path):
    assert not (installed / "bin/zenml").exists()
    program = install(build_dir, root, tmp_path / "other", "ZENML=1") / "bin/zenml"
    done = subprocess.run([program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "zenml" in done.stdout.splitlines()[0]
