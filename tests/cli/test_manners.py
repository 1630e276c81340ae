# SPDX-License-Identifier: Apache-2.0
"""Manners of the command line: lists in 80 columns, --quiet and --verbose, help in every form, colours only where wanted."""
import contextlib
import fcntl
import json
import re
import sqlite3
import struct
import termios
import unicodedata

import pytest

LISTS = [("stack",), ("deployer",), ("artifact-store",), ("secret",), ("deployment",), ("pipeline",), ("pipeline", "snapshot"),
         ("pipeline", "builds"), ("pipeline", "runs")]
URL = "https://alice-zenml-churn-prediction-of-customers.hf.space"


@pytest.fixture
def records(kourou, home):
    """Records such as people have them, and some with long names."""
    kourou("stack", "list", check=0)
    long = "a-name-that-somebody-took-much-time-to-think-of-and-that-is-long"
    for i, name in enumerate(("churn", "sentiment-of-reviews", long)):
        kourou("deployer", "register", name, "-f", "local", check=0)
        kourou("stack", "register", name, "-a", "default", "-o", "default", "-D", name, check=0)
        kourou("secret", "create", name, "--k=v", check=0)
        with contextlib.closing(sqlite3.connect(home / "kourou/store.db")) as store, store:
            made = ("root", f"2026-11-30T20:00:0{i}.123Z", "2026-11-30T20:00:00.123Z")
            ids = [f"{letter}aaaaaa{i}-1111-4111-8111-111111111111" for letter in "0123"]
            store.execute("INSERT INTO pipelines (id, name, source, user, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
                          (ids[0], name, f"package.of.mine.{name}", *made))
            store.execute("INSERT INTO snapshots (id, name, pipeline_id, digest, document, user, created, updated) "
                          "VALUES (?, ?, ?, 'x', '{}', ?, ?, ?)", (ids[1], name, ids[0], *made))
            store.execute("INSERT INTO deployments (id, name, pipeline, flavor, status, url, user, created, updated) "
                          "VALUES (?, ?, ?, 'huggingface', 'running', ?, ?, ?, ?)", (ids[2], name, name, URL, *made))
    return long


def on_terminal(terminal, *words, columns=80, status=0, **env):
    t = terminal(*words, **{"KOUROU_CLI_COLUMN_WIDTH": str(columns), **env})
    assert t.end() == status, t.seen
    return t.text


@pytest.mark.parametrize("columns", [80, 60, 120])
@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_lists_fit_the_terminal_and_begin_with_the_name(terminal, records, words, columns):
    text = on_terminal(terminal, *words, "list", columns=columns)
    table = [line for line in text.splitlines() if not line.startswith(("Page ", "No ", "Some texts", "Warning"))]
    assert max(map(len, table), default=0) <= columns, text
    if table and words != ("pipeline", "builds"):
        assert table[0].startswith("NAME")
        assert any(line.startswith("churn ") for line in table) or words in (("pipeline", "runs"), ("artifact-store",))


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_wide_json_and_columns_have_everything(kourou, terminal, records, words):
    items = json.loads(kourou(*words, "list", "-o", "json", check=0).stdout)["items"]
    if not items:
        return
    wide = kourou(*words, "list", "-o", "wide", check=0).stdout
    assert [w.lower() for w in re.split(r"\s{2,}", wide.splitlines()[0])] == [key.replace("_", " ") for key in items[0]]
    seen = on_terminal(terminal, *words, "list", "-o", "wide")
    for item in items:
        for value in (item.get("id"), item.get("name"), item.get("url"), item.get("source")):
            assert value is None or (value in wide and value in seen), value
    narrow = kourou(*words, "list", check=0).stdout
    if "id" in items[0] and words != ("deployment",):
        assert items[0]["id"][:8] in narrow and items[0]["id"] not in narrow
        assert items[0]["id"] in kourou(*words, "list", "-c", "name,id", check=0).stdout
    for item in items:
        assert item.get("name") is None or item["name"] in narrow, "a pipe gets uncut texts"


def test_the_width_of_the_terminal_itself(kourou, terminal, records):
    t = terminal("deployer", "list")
    fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    assert t.end() == 0 and "\x1b" in t.seen
    assert records in on_terminal(terminal, "deployer", "list", columns=200)
    assert records not in on_terminal(terminal, "deployer", "list", columns=70)
    assert "Some texts are cut: '-o wide' shows them whole" in on_terminal(terminal, "deployer", "list", columns=70)


def test_a_short_id_is_enough(kourou, records):
    short = kourou("deployer", "list", check=0).stdout.splitlines()[1].split()[-1]
    assert len(short) == 8 and kourou("deployer", "describe", short, check=0).stdout


def test_quiet_and_verbose(kourou, project, records):
    assert kourou("secret", "create", "s", "--k=v", "-q", check=0).stderr == ""
    for words in (("stack", "list", "-q"), ("stack", "list", "--quiet"), ("-q", "stack", "list"), ("--quiet", "stack", "list")):
        done = kourou(*words, check=0)
        assert done.stderr == "" and done.stdout == kourou("stack", "list", check=0).stdout
    assert kourou("secret", "get", "none", "-q", check=1).stderr.startswith("Error: no secret 'none'")
    assert "there is no column 'x'" in kourou("stack", "list", "-q", "-c", "x", check=0).stderr
    for words in (("pipeline", "deploy", "my_module.my_pipeline", "--dry-run", "-v"),
                  ("-v", "pipeline", "deploy", "my_module.my_pipeline", "--dry-run"),
                  ("pipeline", "deploy", "my_module.my_pipeline", "--dry-run", "--verbose")):
        done = kourou(*words, check=0)
        assert re.search(r"debug +python: .*/bin/python: the active virtual environment \(VIRTUAL_ENV\)\n", done.stderr)
        assert "debug" not in done.stdout
    done = kourou("pipeline", "deploy", "my_module.my_pipeline", "--dry-run", "-q", check=0)
    assert done.stderr == "" and done.stdout != ""
    assert kourou("stack", "list", "-q", "-v", check=2).stderr.startswith("Error: --quiet and --verbose exclude each other\n")


def test_every_command_takes_quiet_and_verbose(kourou, commands):
    for command in commands:
        page = kourou(*command["path"].split(), "--help", check=0).stdout
        own = {option["brief"] for option in command["options"]}
        assert ("  --verbose" if "v" in own else "  -v, --verbose") in page and "-q, --quiet" in page, command["path"]
        assert kourou(*command["path"].split(), "-q", "--help", check=0).stdout == page


def test_help_in_every_form(kourou, commands):
    root = kourou("--help", check=0).stdout
    assert kourou("help", check=0).stdout == kourou("help", "--help", check=0).stdout == root == kourou("-h", check=0).stdout
    groups = {" ".join(c["path"].split()[:n]) for c in commands for n in (1, 2) if n < len(c["path"].split())}
    for path in [*groups, *(command["path"] for command in commands)]:
        words = path.split()
        page = kourou(*words, "--help", check=0).stdout
        assert page.startswith(f"Usage: kourou {path} ")
        for form in (["help", *words], [words[0], "help", *words[1:]] if len(words) > 1 or path in groups else ["help", *words]):
            assert kourou(*form, check=0).stdout == page, form
    assert kourou("pipeline", "snapshot", "help", check=0).stdout == kourou("pipeline", "snapshot", "--help", check=0).stdout
    assert kourou("help", "deploymnt", check=2).stderr.startswith("Error: 'kourou' has no command 'deploymnt'; did you mean")
    assert kourou("help", "stack", "list", "more", check=2).stderr == (
        "Error: help is about commands; 'more' is none\n  'kourou stack --help' lists the commands\n")


def test_help_is_an_argument_where_one_is_expected(kourou):
    assert kourou("secret", "get", "help", check=1).stderr.startswith("Error: no secret 'help'")


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "tsv", "wide"])
def test_o_where_it_is_overtake(kourou, commands, form):
    paths = [c["path"] for c in commands if any(o["name"] == "overtake" and o["brief"] == "o" for o in c["options"])]
    assert "pipeline deploy" in paths and len(paths) >= 3
    for path in paths:
        if any(o["name"] == "output" for c in commands if c["path"] == path for o in c["options"]):
            done = kourou(*path.split(), "x.y", "-o", form, check=2)
            assert done.stderr == (f"Error: -o is --overtake here\n  for the format of the output: --output {form}\n"
                                   f"  'kourou {path} --help' shows how it is used\n")


def test_o_is_the_output_or_overtake_everywhere(commands):
    meanings = {}
    for command in commands:
        for option in command["options"]:
            if option["brief"] == "o":
                meanings.setdefault(option["name"], []).append(command["path"])
    assert set(meanings) <= {"output", "overtake", "orchestrator", "output-file"}, meanings


def has_emoji(text):
    return [c for c in text if unicodedata.category(c) == "So" and c != "●"]


def test_nothing_but_text_in_a_pipe(kourou, project, records, monkeypatch):
    shown = kourou("pipeline", "deploy", "-n", "d", "my_module.my_pipeline", check=0)
    try:
        texts = [shown, kourou("deployment", "describe", "d", check=0), kourou("integration", "list", check=0),
                 kourou("deployment", "list", check=0), kourou("doctor")]
        monkeypatch.setenv("CLICOLOR_FORCE", "1")
        forced = kourou("deployment", "describe", "d", check=0).stdout
        monkeypatch.setenv("NO_COLOR", "1")
        texts.append(kourou("deployment", "describe", "d", check=0))
        for done in texts:
            assert not has_emoji(done.stdout + done.stderr) and not {"\x1b", "\r"} & set(done.stdout + done.stderr), done
        assert "\x1b[32mrunning" in forced and not has_emoji(forced)
    finally:
        kourou("deployment", "delete", "d", "--yes", check=0)


@pytest.mark.parametrize("env,coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False),
                                          ({"CLICOLOR": "0"}, False), ({"CLICOLOR": "1"}, True),
                                          ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True), ({"CLICOLOR_FORCE": "0"}, True),
                                          ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False)])
def test_colours(terminal, home, env, coloured):
    t = terminal("stack", "list", **env)
    assert t.end() == 0 and ("\x1b[1m" in t.seen) == coloured


def test_a_dumb_terminal_gets_lines(terminal, kourou, project):
    t = terminal("pipeline", "deploy", "-n", "d", "my_module.my_pipeline", TERM="dumb")
    try:
        assert t.end() == 0 and "\x1b" not in t.seen and "Starting the server\r\n" in t.seen
        assert "\r" not in t.seen.replace("\r\n", "") and not has_emoji(t.seen)
    finally:
        kourou("deployment", "delete", "d", "--yes", check=0)


def test_pages_fit_80_columns(kourou, commands):
    for command in commands:
        page = kourou(*command["path"].split(), "--help", check=0).stdout
        options = page.split("Example")[0].splitlines()[2:]
        long = [line for line in options if len(line) > 80 and not line.lstrip().startswith("-")]
        assert not long, (command["path"], long)


def test_values_without_dashes(kourou, deployed):
    assert kourou("deployment", "invoke", deployed, "name=Ada", check=2).stderr == (
        "Error: 'kourou deployment invoke' does not expect the argument 'name=Ada'\n  values are written --KEY=VALUE\n"
        "  'kourou deployment invoke --help' shows how it is used\n")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [("schema",), ("deployer", "flavor", "list"), ("deployer", "flavor", "describe", "huggingface"),
                                   ("integration", "list"), ("stack", "describe"), ("status",)], ids=" ".join)
def test_other_tables_fit_too(terminal, home, words, columns):
    text = on_terminal(terminal, *words, columns=columns)
    notes = ("Installed means: ", "'kourou ", "Source root", "Store", "Config dir", "Data dir", "Runtime dir")
    assert not [line for line in text.splitlines() if len(line) > columns and not line.startswith(notes)]


def test_settings_on_a_terminal_are_whole(terminal, kourou, home):
    """Each table by itself, with names that are not cut."""
    text = on_terminal(terminal, "schema", "deployer.huggingface")
    rows = kourou("schema", "deployer.huggingface", "-o", "json", check=0).stdout
    for row in json.loads(rows)["tables"][0]["rows"]:
        assert re.search(rf"^{row['name']} +", text, re.M), row["name"]
