# SPDX-License-Identifier: Apache-2.0
"""The JSON schema of configuration files takes what the program takes, and nothing else."""
import json
import pathlib
import re
import subprocess

import jsonschema_rs
import pytest
import yaml

from kourou.errors import SettingsError
from kourou.options import ABSENT, FILE, PIPELINE, check_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "python/kourou/config.schema.json").read_text())
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
# Values of rows whose own check wants more than their type.
VALUES = {"address": "127.0.0.1", "space_tags": ["a"], "resource_group": "0123456789abcdef01234567", "cors": {"allow_origins": ["x"]},
          "custom_endpoints": [{"path": "/a", "method": "GET", "handler": "m.f"}], "custom_middlewares": [{"middleware": "m.f"}],
          "app_extensions": [{"extension": "m.f"}], "space_volumes": [{"type": "bucket", "source": "a/b", "mount_path": "/data"}],
          "secure_headers": {"xfo": False}, "port_range": [8000, 9000], "memory": "2GB", "startup_hook": "m.f",
          "shutdown_hook": "m.f", "dashboard_files_path": "page", "requirements": ["a"], "replicate_local_python_environment": True,
          "include_default_endpoints": ["docs", "invoke"], "include_default_middleware": "cors", "dockerfile": "Dockerfile",
          "build_config": {"dockerignore": "x"}, "parent_image_build_config": {"build_options": {"a": 1}}}


@pytest.fixture(scope="module")
def rows(build_dir):
    """[(key of settings, row)] of everything that a configuration file may set."""
    text = subprocess.run([build_dir / "kourou", "schema", "-o", "json"], capture_output=True, text=True, check=True).stdout
    return [(table["table"], row) for table in json.loads(text)["tables"] if table["kind"] in ("settings", "deployer")
            for row in table["rows"] if not row["component_only"]]


def good(row):
    name = row["name"]
    if name in VALUES:
        return VALUES[name]
    if name.endswith("_url_path"):
        return "/x"
    return {"string": "x", "integer": row["min"] if row["min"] is not None else 5, "number": 1.5, "boolean": True,
            "choice": (row["choices"] or [None])[-1], "list": ["x"], "map": {"A": "b"}, "object": {"a": 1}, "any": "x"}[row["type"]]


def wrong(row):
    values = {"string": [5, ["x"]], "integer": ["many", 1.5, True], "number": ["many", True], "boolean": ["perhaps", 2],
              "choice": ["no such word", 5], "list": [5, [5]], "map": [5, ["x"]], "object": [5, ["x"]], "any": []}[row["type"]]
    values = values + ([row["min"] - 1] if row["min"] is not None else []) + ([row["max"] + 1] if row["max"] is not None else [])
    values += [0, -1] if row["positive"] else []
    if "maps" in row["forms"]:
        values += [[{"no_such_key": 1}], [5], {"a": 1}]
    if "ports" in row["forms"]:
        values += [[1], [1, 2, 3], [0, 70000]]
    return values + ([{"no_such_key": 1}] if row["map"] and not row["forms"] else [])


def accepted(key, name, value):
    return VALIDATOR.is_valid({"settings": {key: {name: value}}})


def test_the_schema_is_one(build_dir):
    jsonschema_rs.meta.validate(SCHEMA)
    printed = subprocess.run([build_dir / "kourou", "schema", "--config-file"], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == SCHEMA


def test_right_and_wrong_values_of_each_row(rows):
    assert len(rows) > 110
    for key, row in rows:
        name = row["name"]
        for value in (good(row), None, "${NAME}", "{{secret.key}}", row["default"]):
            assert accepted(key, name, value), (key, name, value)
        for value in wrong(row):
            assert not accepted(key, name, value), (key, name, value)
        if key.startswith("deployer."):
            assert accepted("deployer", name, good(row)), name
        described = SCHEMA["properties"]["settings"]["properties"][key]["properties"][name]
        assert described["description"].startswith(row["help"]) and described.get("default") == row["default"]
        assert ("deprecationMessage" in described) is (row["ignored"] is not None)


def test_the_program_agrees_about_each_value(rows, build_dir, tmp_path, monkeypatch):
    """What the schema calls right registers, where a component has the row; what it calls wrong is refused."""
    monkeypatch.setenv("KOUROU_HOME", str(tmp_path))
    for at, (key, row) in enumerate(rows):
        if not key.startswith("deployer.") or row["sensitive"]:
            continue
        flavor, name = key.split(".")[1], row["name"]
        for value, status in [(good(row), 0), *((value, 1) for value in wrong(row))]:
            text = value if isinstance(value, str) else json.dumps(value)
            if status and row["type"] in ("string", "list"):
                continue  # on a command line everything is a text
            done = subprocess.run([build_dir / "kourou", "deployer", "register", f"d{at}", f"--flavor={flavor}", f"--{name}={text}"],
                                  capture_output=True, text=True)
            assert done.returncode == status, (key, name, value, done.stderr)
            assert status == 0 or f"'{name}'" in done.stderr.splitlines()[0], done.stderr


@pytest.mark.parametrize("text, right", [
    ("parameters: {x: 1}\nsteps: {work: {parameters: {factor: 2}, retry: {max_retries: 2}}}\nenvironment: {A: b}", True),
    ("run_name: run-{date}\nsecrets: [a]\nenable_cache: false\nextra: {a: 1}", True),
    ("settings: {orchestrator.vertex: {x: 1}, step_operator: {}}", True),
    ("settings:\n  deployer.huggingface: {visibility: private, space_hardware: t4-small}\n  resources: {memory: 2GB}", True),
    ("parametres: {x: 1}", False),
    ("settings: {dockr: {}}", False),
    ("settings: {docker: {requirement: []}}", False),
    ("settings: {deployer.huggingface: {token: x}}", False),
    ("steps: {work: {parametres: {}}}", False),
    ("enable_cache: perhaps", False),
    ("schedule: {cron: x}", False),
])
def test_files(text, right):
    data = yaml.safe_load(text)
    assert VALIDATOR.is_valid(data) is right
    try:
        check_file(data, "file")
        taken = True
    except SettingsError:
        taken = False
    assert taken is right


def test_every_option_of_a_file_is_there():
    assert set(SCHEMA["properties"]) == (PIPELINE | FILE) - set(ABSENT)


def test_files_of_the_documentation_and_the_examples():
    found = 0
    for page in sorted(ROOT.glob("docs/*.md")) + [ROOT / "README.md"] + sorted(ROOT.glob("examples/**/*.y*ml")):
        text = page.read_text()
        blocks = re.findall(r"```yaml\n(.*?)```", text, re.S) if page.suffix == ".md" else [text]
        for block in blocks:
            data = yaml.safe_load(block)
            if isinstance(data, dict) and set(data) & {"settings", "parameters"}:
                found += 1
                assert not [error.message for error in VALIDATOR.iter_errors(data)], (page, block)
    assert found
