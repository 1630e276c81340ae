# SPDX-License-Identifier: Apache-2.0
"""`kourou schema` shows every row of every table."""
import csv
import io
import json
import re

import pytest

KEYS = {"name", "type", "min", "max", "positive", "choices", "default", "help", "reader", "ignored", "flavor", "required",
        "sensitive", "component_only", "filled", "given_only", "forms", "map"}


@pytest.fixture
def tables(kourou):
    return {table["table"]: table for table in json.loads(kourou("schema", "--output", "json", check=0).stdout)["tables"]}


def test_each_row_of_the_source_is_there(kourou, root, tables):
    """What the C tables name is what the command shows: nothing is left out."""
    text = "".join(path.read_text() for path in sorted((root / "src/core").glob("*.c")) + [root / "src/core/table.h"])
    named = set(re.findall(r'\.name = "(\w+)"', text)) | set(re.findall(r'\b[A-Z]+_(?:ROW|LIST|TEXT|FLAG|SOURCE|KWARGS)\("(\w+)"', text))
    kinds = {"orchestrator", "artifact_store", "deployer", "container_registry", "image_builder"}
    assert named - kinds == {row["name"] for table in tables.values() for row in table["rows"]}


def test_tables_and_what_they_are(tables):
    assert [name for name, table in tables.items() if table["kind"] == "settings"] == ["docker", "deployment", "resources"]
    assert {name for name, table in tables.items() if table["kind"] == "map"} == {
        "build_config", "cors", "secure_headers", "endpoint", "middleware", "extension", "volume"}
    assert {name for name, table in tables.items() if table["kind"] == "deployer"} == {
        "deployer.local", "deployer.docker", "deployer.huggingface"}
    for table in tables.values():
        for row in table["rows"]:
            assert set(row) == KEYS and row["help"] and not row["help"].endswith(".")
            assert row["map"] is None or tables[row["map"]]["kind"] == "map"
            assert row["type"] != "any" or row["forms"], row["name"]
            assert row["type"] != "choice" or row["choices"]
    rows = {(name, row["name"]): row for name, table in tables.items() for row in table["rows"]}
    assert (rows["deployer.huggingface", "app_port"]["min"], rows["deployer.huggingface", "app_port"]["max"]) == (1024, 65535)
    assert rows["deployment", "max_body_size"]["max"] is None and rows["resources", "cpu_count"]["flavor"] == "docker"
    assert rows["deployment", "cors"]["default"] == {"allow_methods": ["GET", "POST", "OPTIONS"], "allow_headers": ["*"],
                                                     "allow_credentials": False}
    assert rows["deployment", "uvicorn_kwargs"]["ignored"] == "the server is Kourou's own and not uvicorn"


def test_one_table_in_each_format(kourou, tables):
    assert json.loads(kourou("schema", "deployer.local", "-o", "json", check=0).stdout)["tables"] == [tables["deployer.local"]]
    lines = list(csv.DictReader(io.StringIO(kourou("schema", "deployer.huggingface", "-o", "csv", check=0).stdout)))
    assert [line["setting"] for line in lines] == [row["name"] for row in tables["deployer.huggingface"]["rows"]]
    line = next(line for line in lines if line["setting"] == "app_port")
    assert (line["range"], line["default"], line["flavor"], line["reader"]) == (
        "1024 to 65535", "7860", "huggingface", "deployers/space.c")
    shown = kourou("schema", "resources", check=0).stdout
    assert re.search(r"^resources +cpu_count +number +above 0 ", shown, re.M)
    assert re.search(r"^deployer.huggingface +space_storage +choice +small, medium, large ",
                     kourou("schema", "deployer.huggingface", check=0).stdout, re.M)


@pytest.mark.parametrize("name, hint", [("deploymnt", "did you mean 'deployment'?"),
                                        ("zzzzzzzz", "without a name all tables are shown")])
def test_a_table_that_is_not_there(kourou, name, hint):
    done = kourou("schema", name, check=1)
    assert done.stdout == "" and done.stderr == f"Error: there is no settings table '{name}'\n  {hint}\n"
