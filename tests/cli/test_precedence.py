# SPDX-License-Identifier: Apache-2.0
"""Who decides a setting: defaults, the component, the code, the configuration file, the command line; later wins."""
import itertools
import json
import os
import sqlite3
import subprocess

import pytest

CODE = """
from kourou import pipeline, step


@step
def say(name: str) -> str:
    return name


@pipeline(DECORATOR)
def my_pipeline(name: str = "x") -> str:
    return say(name)

AFTER
"""


class Merge:
    """Compiles a pipeline for a component, with what each source says, and looks at what was decided."""

    def __init__(self, kourou, home, folder):
        self.kourou, self.home, self.folder, self.count = kourou, home, folder, 0

    def decide(self, decorator="", after="", file=None, component=(), env=None):
        self.count += 1
        name = f"n{self.count}"
        (self.folder / f"mod_{name}.py").write_text(CODE.replace("DECORATOR", decorator).replace("AFTER", after))
        self.kourou("deployer", "register", name, "--flavor=local", *component, check=0)
        self.kourou("stack", "register", name, "-o", "default", "-a", "default", "-D", name, check=0)
        words = ["pipeline", "snapshot", "create", f"mod_{name}.my_pipeline", "--name", name, "--stack", name]
        if file is not None:
            (self.folder / "c.yaml").write_text(json.dumps(file))
            words += ["--config", "c.yaml"]
        self.told = self.kourou(*words, check=0).stderr
        return self.snapshot(name)

    def snapshot(self, name):
        store = sqlite3.connect(self.home / "kourou" / "store.db")
        document, = store.execute("SELECT s.document FROM snapshots s WHERE s.name = ?", (name,)).fetchone()
        return json.loads(document)

    def wins(self):
        return [line for line in self.told.splitlines() if " wins over " in line]


@pytest.fixture
def merge(kourou, home, project):
    return Merge(kourou, home, project)


SOURCES = ("default", "component", "decorator", "configure", "file")
PORTS = {"default": None, "component": 9001, "decorator": 9002, "configure": 9003, "file": 9004}


@pytest.mark.parametrize("first, second", list(itertools.combinations(SOURCES, 2)))
def test_each_pair(merge, first, second):
    """The same key in two places: the later place of the list decides, whichever two they are."""
    said = {first, second}

    def settings(source):
        return {"deployer.local": {"port": PORTS[source]}}

    document = merge.decide(
        decorator=f"settings={settings('decorator')}" if "decorator" in said else "",
        after=f"my_pipeline.configure(settings={settings('configure')})" if "configure" in said else "",
        file={"settings": settings("file")} if "file" in said else None,
        component=[f"--port={PORTS['component']}"] if "component" in said else [])
    assert document["settings"]["deployer"]["port"] == PORTS[second]
    in_code = said & {"decorator", "configure"}
    assert len(merge.wins()) == (1 if in_code and "file" in said else 0)


def test_the_file_says_once_what_it_changes(merge):
    document = merge.decide(
        decorator="settings={'deployment': {'uvicorn_workers': 3, 'app_title': 'T'}, 'resources': {'memory': '1GB'}}",
        file={"settings": {"deployment": {"uvicorn_workers": 2, "app_title": "T"}, "resources": {"memory": "2GB"}}})
    assert (document["settings"]["deployment"]["uvicorn_workers"], document["settings"]["resources"]["memory"]) == (2, "2GB")
    line, = merge.wins()
    assert 'c.yaml wins over @pipeline of mod_n1.my_pipeline: deployment.uvicorn_workers is 2 (not 3), ' \
           'resources.memory is "2GB" (not "1GB")' in line


def test_environment_goes_the_same_way(merge):
    document = merge.decide(decorator="environment={'A': 'code', 'B': 'code'}", file={"environment": {"A": "file", "C": "file"}})
    assert document["environment"] == {"A": "file", "B": "code", "C": "file"}


@pytest.mark.parametrize("call, port", [
    ("with_options(config_path='o.yaml')", 9011),
    ("with_options(config_path='o.yaml', settings={'deployer.local': {'port': 9012}})", 9012),
    ("configure(config_path='o.yaml')", 9011),
    ("configure(config_path='o.yaml', settings={'deployer.local': {'port': 9012}})", 9012),
    ("with_options(settings={'deployer.local': {'port': 9012}})", 9012),
])
def test_files_named_in_code(merge, project, call, port):
    """A file beats the decorator, what stands in the same call beats the file, and `--config` beats them all."""
    (project / "o.yaml").write_text("settings: {deployer.local: {port: 9011}}")
    decorator = "settings={'deployer.local': {'port': 9010}}"
    after = f"my_pipeline = my_pipeline.{call}"
    assert merge.decide(decorator, after)["settings"]["deployer"]["port"] == port
    file = {"settings": {"deployer.local": {"port": 9013}}}
    assert merge.decide(decorator, after, file)["settings"]["deployer"]["port"] == 9013


def test_options_set_by_a_script_beat_the_decorator(merge, root, build_dir, project, home):
    """They travel in a file, of which nothing is said."""
    merge.decide(decorator="settings={'deployment': {'uvicorn_workers': 3}}")
    (project / "run.py").write_text("from mod_n1 import my_pipeline\nmy_pipeline.with_options("
                                    "settings={'deployment': {'uvicorn_workers': 2}}).create_snapshot('scripted')")
    done = subprocess.run([root / ".venv/bin/python", "run.py"], capture_output=True, text=True, check=True,
                          env={**os.environ, "KOUROU_CLI": str(build_dir / "kourou"), "PYTHONPATH": str(root / "python")})
    assert merge.snapshot("scripted")["settings"]["deployment"]["uvicorn_workers"] == 2
    assert "wins over" not in done.stderr + done.stdout


def test_the_command_line_beats_the_file(kourou, project, home):
    """--prevent-build-reuse, against a file that says the opposite."""
    (project / "c.yaml").write_text("settings: {docker: {prevent_build_reuse: false}}")
    try:
        kourou("pipeline", "deploy", "my_module.my_pipeline", "--name", "d", "--config", "c.yaml", "--prevent-build-reuse", check=0)
        store = sqlite3.connect(home / "kourou" / "store.db")
        document, = store.execute("SELECT document FROM snapshots").fetchone()
        assert json.loads(document)["settings"]["docker"]["prevent_build_reuse"] is True
    finally:
        kourou("deployment", "delete", "--all", "--yes", "--force")
