# SPDX-License-Identifier: Apache-2.0
"""Formats, columns, filters, pages; stdout carries data only."""
import csv
import io
import json
import os
import subprocess

import pytest
import yaml


@pytest.fixture
def three(kourou):
    for name in ("alpha", "beta", "gamma"):
        kourou("secret", "create", name, "--token=hf_1234567890", check=0)


def test_json_has_items_and_pagination(kourou, three):
    done = kourou("secret", "list", "-o", "json", "--sort_by=asc:name", check=0)
    page = json.loads(done.stdout)
    assert list(page) == ["items", "pagination"]
    assert page["pagination"] == {"index": 1, "max_size": 20, "total_pages": 1, "total": 3}
    assert [list(item) for item in page["items"]] == [["name", "scope", "user", "created"]] * 3
    assert [item["name"] for item in page["items"]] == ["alpha", "beta", "gamma"]
    assert done.stderr == ""


def test_yaml_is_the_same(kourou, three):
    as_json = json.loads(kourou("secret", "list", "-o", "json", check=0).stdout)
    as_yaml = yaml.safe_load(kourou("secret", "list", "-o", "yaml", check=0).stdout)
    for page in (as_json, as_yaml):
        for item in page["items"]:
            item["created"] = str(item["created"])
    assert as_yaml["pagination"] == as_json["pagination"]
    assert [item["name"] for item in as_yaml["items"]] == [item["name"] for item in as_json["items"]]


def test_csv_and_tsv(kourou):
    kourou("deployer", "register", "a,\"b", "-f", "local", "--label", "k=v", "--label", "l=w", check=0)
    text = kourou("deployer", "list", "-o", "csv", "-c", "name,labels,flavor", "--sort_by=asc:name", check=0).stdout
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "labels", "flavor"], ['a,"b', "k=v, l=w", "local"], ["default", "", "local"]]
    text = kourou("deployer", "list", "-o", "tsv", "-c", "name,flavor", "--sort_by=asc:name", check=0).stdout
    assert text == 'name\tflavor\na,"b\tlocal\ndefault\tlocal\n'


def test_table(kourou, three):
    done = kourou("secret", "list", "-c", "name,scope", "--sort_by=asc:name", check=0)
    assert done.stdout == ("NAME   SCOPE\n"
                           "alpha  public\n"
                           "beta   public\n"
                           "gamma  public\n")
    assert done.stderr == "Page `(1/1)`, `3` items found for the applied filters.\n"


def test_the_active_stack_is_marked_and_on_top(kourou):
    kourou("stack", "copy", "default", "newer", check=0)
    lines = kourou("stack", "list", "-c", "active,name", check=0).stdout.splitlines()
    assert lines == ["ACTIVE  NAME", "●       default", "        newer"]
    kourou("stack", "set", "newer", check=0)
    assert kourou("stack", "list", "-c", "active,name", check=0).stdout.splitlines()[1] == "●       newer"


@pytest.mark.parametrize("entity,plural", [
    (["secret"], "secrets"), (["deployment"], "deployments"), (["pipeline"], "pipelines"),
    (["pipeline", "runs"], "runs"), (["pipeline", "builds"], "builds"), (["pipeline", "snapshot"], "snapshots"),
    (["container-registry"], "container registries")])
def test_empty_lists(kourou, entity, plural):
    done = kourou(*entity, "list", check=0)
    assert (done.stdout, done.stderr) == ("", f"No {plural} found\n")
    page = json.loads(kourou(*entity, "list", "-o", "json", check=0).stdout)
    assert page == {"items": [], "pagination": {"index": 1, "max_size": 20, "total_pages": page["pagination"]["total_pages"],
                                                "total": 0}}


def test_filters_and_operators(kourou, three, rows):
    def names(*args):
        return sorted(row["name"] for row in rows("secret", "list", *args))

    assert names("--name=beta") == ["beta"]
    assert names("--name", "contains:a", "--sort_by", "asc:name") == ["alpha", "beta", "gamma"]
    assert names("--name=startswith:al") == ["alpha"]
    assert names("--name=endswith:mma") == ["gamma"]
    assert names("--name=notequals:beta") == ["alpha", "gamma"]
    assert names('--name=oneof:["alpha","gamma"]') == ["alpha", "gamma"]
    assert names("--name=beta", "--name=alpha", "--logical_operator=or") == ["alpha", "beta"]
    assert names("--created=gt:2020-01-01 00:00:00") == ["alpha", "beta", "gamma"]
    assert names("--created=lt:2020-01-01 00:00:00") == []
    assert names("--private=false", "--scope=public") == ["alpha", "beta", "gamma"]
    assert kourou("secret", "list", "--name=none", check=0).stderr == "No secrets found for the applied filters\n"


def test_pages(kourou, three, rows):
    assert [row["name"] for row in rows("secret", "list", "--size=2", "--sort_by=desc:name")] == ["gamma", "beta"]
    assert [row["name"] for row in rows("secret", "list", "--size=2", "--page=2", "--sort_by=desc:name")] == ["alpha"]
    done = kourou("secret", "list", "--size=2", check=0)
    assert done.stderr == "Page `(1/2)`, `3` items found for the applied filters.\n"
    assert kourou("secret", "list", "--page=9", check=0).stderr == "Page 9 is empty: there are 3 secrets in all\n"


def test_columns(kourou):
    done = kourou("stack", "list", "--columns", "Artifact Store, NAME,nonsense", "-o", "csv", check=0)
    assert done.stdout == "artifact_store,name\ndefault,default\n"
    assert done.stderr.startswith("Warning: there is no column 'nonsense'; columns are: active, id, name")
    header = kourou("stack", "list", "-c", "all", "-o", "csv", check=0).stdout.splitlines()[0]
    assert {"id", "name", "active", "deployer", "image_builder", "created"} <= set(header.split(","))


def test_default_output(kourou, monkeypatch):
    monkeypatch.setenv("ZENML_DEFAULT_OUTPUT", "csv")
    assert kourou("stack", "list", "-c", "name", check=0).stdout == "name\ndefault\n"
    monkeypatch.setenv("KOUROU_DEFAULT_OUTPUT", "tsv")
    assert kourou("stack", "list", "-c", "name,id", check=0).stdout.startswith("name\tid\n")
    assert kourou("stack", "list", "-o", "table", "-c", "name", check=0).stdout == "NAME\ndefault\n"
    monkeypatch.setenv("KOUROU_DEFAULT_OUTPUT", "xml")
    done = kourou("stack", "list", check=2)
    assert done.stderr == ("Error: KOUROU_DEFAULT_OUTPUT is one of table|json|yaml|csv|tsv|wide, not 'xml'\n"
                           "  'kourou stack list --help' shows how it is used\n")


@pytest.mark.parametrize("words", [["stack", "describe"], ["deployer", "describe", "default"], ["status"], ["version"],
                                   ["stack", "get"], ["deployer", "get"], ["doctor"]])
def test_describe_in_every_format(kourou, project, words):
    as_json = json.loads(kourou(*words, "-o", "json").stdout)
    assert yaml.safe_load(kourou(*words, "-o", "yaml").stdout) is not None
    row = as_json[0] if isinstance(as_json, list) else as_json
    header = next(csv.reader(io.StringIO(kourou(*words, "-o", "csv").stdout)))
    assert header == list(row)
    assert kourou(*words, "-o", "tsv").stdout.splitlines()[0] == "\t".join(row)
    assert kourou(*words).stdout.strip() != ""


def test_status(kourou, home, project):
    status = json.loads(kourou("status", "-o", "json", check=0).stdout)
    assert status["active_stack"] == "default" and status["version"] == "0.1.0"
    assert status["source_root"] == str(project) and status["initialised"] is False
    assert status["store"] == str(home / "kourou/store.db")
    text = kourou("status", check=0).stdout
    assert "Active stack  default\n" in text


def test_init(kourou, project):
    done = kourou("init", check=0)
    assert done.stderr == f"'{project}' is a source root now: pipelines are named from here\n"
    (project / "below").mkdir()
    status = json.loads(kourou("status", "-o", "json", check=0, cwd=project / "below").stdout)
    assert status["source_root"] == str(project) and status["initialised"] is True
    assert kourou("init", check=1).stderr.startswith(f"Error: {project} is a source root already\n")
    assert kourou("init", "--path", "nowhere", check=2).stderr == (
        "Error: --path: there is no folder 'nowhere'\n  'kourou init --help' shows how it is used\n")


def test_no_colours_away_from_a_terminal(kourou, three):
    done = kourou("secret", "list")
    assert "\033" not in done.stdout + done.stderr + kourou("nonsense").stderr


def test_colours_on_a_terminal_unless_unwanted(terminal, kourou, three):
    coloured = terminal("secret", "list")
    assert coloured.end() == 0 and "\033[1mNAME" in coloured.seen
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = terminal("secret", "list", **env)
        assert plain.end() == 0 and "\033" not in plain.seen and "alpha" in plain.seen


def test_wide_tables_on_a_narrow_terminal(terminal, kourou):
    narrow = terminal("stack", "list", "-c", "id,name,components,created", KOUROU_CLI_COLUMN_WIDTH="90")
    assert narrow.end() == 0
    lines = narrow.seen.replace("\r", "").splitlines()
    assert max(len(line) for line in lines[1:2]) <= 90 + len("\033[1m\033[0m")
    assert "…" in narrow.seen
    wide = terminal("stack", "list", "-c", "all", KOUROU_CLI_COLUMN_WIDTH="60")
    assert wide.end() == 0 and "The table is wider than the terminal" in wide.seen


def test_output_that_cannot_be_written(build_dir, home, three):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(build_dir / "kourou"), "secret", "list", "-o", "json"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: cannot write to standard output: No space left on device\n"


def test_reader_that_goes_away(build_dir, home, three):
    for words in (["secret", "list", "-o", "json"], ["__table"], ["deployer", "flavor", "describe", "huggingface"],
                  ["pipeline", "deploy", "--help"]):  # less than a buffer, and more
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([str(build_dir / "kourou"), *words], stdout=write, stderr=subprocess.PIPE, text=True)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, ""), words


def test_first_line_of_a_log(build_dir, deployed, project):
    """More lines than a pipe holds; the log goes on, and its reader has seen enough."""
    program = str(build_dir / "kourou")
    subprocess.run([program, "deployment", "invoke", deployed, "--name=" + "x" * 7000, "--times=20"], check=True,
                   capture_output=True)
    for more in ([], ["-f"]):
        logs = subprocess.Popen([program, "deployment", "logs", deployed, *more], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        assert logs.stdout.readline()
        logs.stdout.close()
        for _ in range(2):  # the second line is written when nobody reads any more
            subprocess.run([program, "deployment", "invoke", deployed], check=True, capture_output=True)
        assert (logs.wait(60), logs.stderr.read()) == (0, "")


def test_closed_standard_streams(build_dir, home, three):
    for fd in (0, 1, 2):
        done = subprocess.run([str(build_dir / "kourou"), "secret", "create", f"with-{fd}", "--a=b"],
                              preexec_fn=lambda: os.close(fd))
        assert done.returncode == 0
    done = subprocess.run([str(build_dir / "kourou"), "secret", "list", "-o", "json"], capture_output=True, text=True,
                          check=True)
    assert json.loads(done.stdout)["pagination"]["total"] == 6


def test_values_cannot_move_the_cursor(kourou):
    kourou("deployer", "register", "d", "-f", "local", "--label", "k=a\033[2Jb\nc", check=0)
    text = kourou("deployer", "list", "-c", "name,labels", check=0).stdout
    assert "\033" not in text and "k=ab c" in text
    assert "\033" not in kourou("deployer", "describe", "d", check=0).stdout


def test_wide_characters_are_aligned(kourou):
    kourou("secret", "create", "日本", "--a=b", check=0)
    kourou("secret", "create", "é", "--a=b", check=0)
    text = kourou("secret", "list", "-c", "name,scope", "--sort_by=asc:name", check=0).stdout
    assert text.splitlines() == ["NAME  SCOPE", "é     public", "日本  public"]
