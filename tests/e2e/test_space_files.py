# SPDX-License-Identifier: Apache-2.0
"""What the pipeline's code loads and reads on import is in the Space, or nothing is made."""
import json
import subprocess

import pytest

from tests.e2e.conftest import MODULE
from tests.e2e.test_space_needs import SPACE, refused


def put(project, name, text=""):
    path = project.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def says(project, lines):
    """The pipeline's module with more lines at its top."""
    put(project, "my_module.py", lines + "\n" + MODULE)


@pytest.mark.parametrize("rule, name, where", [
    ("helper.py", "helper.py", ".gitignore"),
    ("gen*", "generated/helper.py", ".gitignore"),
    ("/generated/", "generated/helper.py", ".gitignore"),
    ("helper.py", "generated/helper.py", "generated/.gitignore"),
    ("helper.py", "helper.py", ".kourouignore"),
    ("*.py\n!my_module.py", "generated/helper.py", ".git/info/exclude"),
])
def test_module_that_an_ignore_file_names(ready, hub, rule, name, where):
    if where.startswith(".git/"):
        subprocess.run(["git", "init", "-q"], cwd=ready.folder, check=True)
    put(ready, name, "K = 1\n")
    put(ready, where, rule + "\n")
    says(ready, f"import {name[:-3].replace('/', '.')}")
    said = refused(ready, hub)
    assert f"'{name}' is imported ({name[:-3].replace('/', '.')}), but {where} leaves it out" in said
    way_out = next(word for word in said.split("'") if word.startswith("!/"))
    way_in = said[said.index(way_out):].split(" in ")[1].split()[0]
    put(ready, way_in, (rule + "\n" if where == way_in else "") + way_out + "\n")
    ready.deploy(check=0)
    assert name in hub.space(SPACE).state()["files"]


def test_the_pipeline_itself_is_ignored(ready, hub):
    put(ready, ".gitignore", "my_*.py\n")
    assert "'my_module.py' is imported (my_module), but .gitignore" in refused(ready, hub)


def test_rules_of_the_repository_around_the_root(ready, hub):
    subprocess.run(["git", "init", "-q"], cwd=ready.folder.parent, check=True)
    (ready.folder.parent / ".gitignore").write_text("helper.py\n")
    put(ready, "helper.py")
    says(ready, "import helper")
    said = refused(ready, hub)
    assert "'helper.py' is imported (helper), but " in said and "/.gitignore leaves it out" in said
    put(ready, ".kourouignore", "!/helper.py\n")
    ready.deploy(check=0)


@pytest.mark.parametrize("code", [
    "open('data/model.bin').read()",
    "import os; os.chdir('data'); open('model.bin'); os.chdir('..')",
    "import pathlib; pathlib.Path(__file__).with_name('data').joinpath('model.bin').read_bytes()",
    "import sqlite3; sqlite3.connect('data/model.bin')",
    "import os; os.open('data/model.bin', os.O_RDONLY)",
    "import json; json.load(open('data/model.bin'))",
    "import numpy; numpy.fromfile('data/model.bin')",
])
def test_data_that_is_read_and_ignored(ready, hub, code):
    put(ready, "data/model.bin", "[1]     ")
    put(ready, ".gitignore", "*.bin\n")
    put(ready, "requirements.txt", "numpy\n")
    says(ready, code)
    said = refused(ready, hub)
    assert "'data/model.bin' is read on import (my_module.py:1), but .gitignore leaves it out" in said
    put(ready, ".kourouignore", "!*.bin\n")
    ready.deploy(check=0)
    assert "data/model.bin" in hub.space(SPACE).state()["files"]


def test_many_are_named_together(ready, hub):
    for i in range(6):
        put(ready, f"data/{i}.bin")
    put(ready, ".gitignore", "data\n")
    says(ready, "for i in range(6): open(f'data/{i}.bin')")
    said = refused(ready, hub)
    assert "'data/0.bin'" in said and "likewise 'data/1.bin', 'data/2.bin', 'data/3.bin' and more" in said
    assert "'!/data/'" in said


def test_what_a_build_leaves_out(ready, hub):
    put(ready, "helper.py")
    put(ready, ".dockerignore", "helper.py\n")
    says(ready, "import helper")
    assert "but .dockerignore leaves it out of the build" in refused(ready, hub)
    put(ready, ".dockerignore", "helper.py\n!helper.py\n")
    ready.deploy(check=0)


def test_what_may_hold_secrets(ready, hub):
    put(ready, ".env", "A=1\n")
    says(ready, "open('.env').read()")
    said = refused(ready, hub)
    assert "'.env' is read on import (my_module.py:1), but it may hold secrets" in said and "secret create" in said


def test_what_a_library_reads_of_secrets_is_a_note(ready, hub):
    put(ready, ".env", "A=1\n")
    says(ready, "import joblib\ntry:\n    joblib.load('.env')\nexcept Exception:\n    pass")
    put(ready, "requirements.txt", "joblib\n")
    done = ready.deploy(check=0)
    assert "'.env' is read on import (my_module.py:3), but it may hold secrets" in done.stderr


def test_files_outside_of_the_root(ready, hub):
    outside = ready.folder.parent / "shared"
    outside.mkdir()
    (outside / "util.py").write_text("")
    says(ready, "import sys; sys.path.append('../shared'); import util")
    said = refused(ready, hub)
    assert f"'{outside}/util.py' is imported (util) and lies outside of the source root {ready.folder}" in said
    assert f"make {ready.folder.parent} the root (`kourou init` there)" in said and "pip wheel" in said


def test_data_of_another_place_is_a_note(ready, hub):
    (ready.folder.parent / "table.csv").write_text("1")
    says(ready, f"open({str(ready.folder.parent / 'table.csv')!r}).read()")
    done = ready.deploy(check=0)
    assert "table.csv' is read on import (my_module.py:1) and lies outside of the source root" in done.stderr


def test_stored_snapshots_are_compared_too(ready, hub):
    put(ready, "helper.py")
    put(ready, ".gitignore", "helper.py\n")
    says(ready, "import helper")
    done = ready.run("pipeline", "snapshot", "create", "--python", ready.python, "--name", "one", "my_module.my_pipeline",
                     check=1)
    assert "'helper.py' is imported (helper), but .gitignore" in done.stderr


def test_the_local_deployer_says_it(ready):
    put(ready, "helper.py")
    put(ready, ".gitignore", "helper.py\n")
    says(ready, "import helper")
    done = ready.deploy("--stack", "default", check=0)
    assert "'helper.py' is imported (helper), but .gitignore leaves it out of what is sent" in done.stderr
    ready.run("deployment", "delete", "my_deployment", "--yes", check=0)


def test_src_layout_is_served_from_its_folder(ready, hub):
    (ready.folder / "my_module.py").unlink()
    put(ready, "src/pkg/__init__.py")
    put(ready, "src/pkg/other.py", "K = 1\n")
    put(ready, "src/pkg/m.py", "from pkg.other import K\n" + MODULE)
    ready.run("pipeline", "deploy", "--python", ready.python, "--name", "my_deployment", "pkg.m.my_pipeline", check=0,
              env={"PYTHONPATH": "src"})
    snapshot = json.loads(hub.space(SPACE).read(".kourou/snapshot.json"))
    assert snapshot["python"]["paths"] == ["src"] and "needs" not in snapshot
    ready.run("pipeline", "deploy", "--python", ready.python, "--name", "here", "--stack", "default",
              "pkg.m.my_pipeline", check=0)
    answer = json.loads(ready.run("deployment", "invoke", "here", "--name=Ada", check=0).stdout)
    assert answer["success"] is True
    ready.run("deployment", "delete", "here", "--yes", check=0)
