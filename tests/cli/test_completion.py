# SPDX-License-Identifier: Apache-2.0
"""Completion: what the program offers, and what the shells make of it."""
import os
import subprocess

import pytest


@pytest.fixture
def offers(kourou):
    """offers("secret", "get", "") gives the words for the last one."""

    def get(*words):
        done = kourou("__complete", "--", *words, check=0)
        assert done.stderr == ""
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    return get


@pytest.fixture
def names(kourou):
    kourou("secret", "create", "hf_token", "--a=b", check=0)
    kourou("secret", "create", "hub_key", "--a=b", check=0)
    kourou("deployer", "register", "hub", "-f", "huggingface", "--secret_name=hf_token", check=0)
    kourou("deployer", "register", "two words", "-f", "local", check=0)
    kourou("stack", "register", "spaces", "-a", "default", "-o", "default", "-D", "hub", check=0)


def test_groups_and_commands(offers):
    assert offers("dep") == ["deployment", "deployer"]
    assert offers("pipeline", "") == ["deploy", "list", "delete", "snapshot", "runs", "builds"]
    assert offers("pipeline", "snapshot", "d") == ["deploy", "delete"]
    assert "__complete" not in offers("")
    assert offers("-") == ["--help", "--version"]


def test_options(offers):
    assert offers("stack", "register", "x", "--dep") == ["--deployer"]
    assert "--help" in offers("stack", "register", "x", "-")
    assert "--alerter" not in offers("stack", "register", "x", "--a")
    assert "--snapshot_id" in offers("deployment", "list", "--s")
    assert offers("stack", "list", "--output", "") == ["table", "json", "yaml", "csv", "tsv", "wide"]
    assert offers("stack", "list", "--output=j") == ["--output=json"]
    assert offers("stack", "list", "-c", "name,dep") == ["name,deployer"]
    assert offers("secret", "get", "x", "-p", "t") == ["true"]
    assert offers("pipeline", "deploy", "--config", "x") == [":files"]
    assert offers("init", "--path=") == [":dirs"]


def test_names(offers, names):
    assert offers("secret", "get", "") == ["hf_token", "hub_key"]
    assert offers("secret", "get", "hf") == ["hf_token"]
    assert offers("stack", "set", "") == ["default", "spaces"]
    assert offers("stack", "register", "x", "-D", "") == ["default", "hub", "two words"]
    assert offers("stack", "register", "x", "--deployer=h") == ["--deployer=hub"]
    assert offers("deployer", "describe", "h") == ["hub"]
    assert offers("artifact-store", "describe", "") == ["default"]
    assert offers("deployer", "register", "x", "--flavor=") == ["--flavor=local", "--flavor=docker", "--flavor=huggingface"]
    assert offers("deployer", "register", "x", "--secret_name=") == ["--secret_name=hf_token", "--secret_name=hub_key"]
    assert offers("deployer", "register", "x", "-f", "huggingface", "--space_p") == ["--space_prefix="]
    assert offers("deployer", "register", "x", "--flavor=local", "--port") == ["--port=", "--port_range="]


def test_deployments(offers, deployed):
    assert offers("deployment", "logs", "my") == ["my_deployment"]
    assert offers("deployment", "logs", "-t", "5", "") == ["my_deployment"]
    assert offers("pipeline", "delete", "") == ["my_pipeline"]


@pytest.fixture
def many(kourou, home):
    """10,000 names; the first 9,999 have more in common than all of them."""
    import sqlite3
    kourou("stack", "list", check=0)
    every = [f"name-0{i:04}" for i in range(9_999)] + ["name-1"]
    store = sqlite3.connect(home / "kourou/store.db")
    store.executemany("INSERT INTO secrets (id, name, private, user, created, updated) VALUES (?, ?, 0, 'u', '', '')",
                      [(f"id-{name}", name) for name in every])
    store.commit()
    store.close()
    return every


def test_all_of_many_names(offers, many):
    assert offers("secret", "get", "") == many
    assert offers("secret", "get", "name-014") == \
        [name for name in many if name.startswith("name-014")]
    assert offers("secret", "get", "name-1") == ["name-1"]


def test_bash_inserts_what_all_of_many_names_have_in_common(build_dir, shell, many):
    from tests.cli.conftest import Terminal
    t = Terminal([shell("bash"), "--norc", "--noprofile", "-i"], PATH=shell_env(build_dir)["PATH"], PS1="$ ", TERM="xterm")
    t.expect("$ ").type("source <(kourou completion bash); echo ready$((1+1))\n").expect("ready2")
    t.type("kourou secret get na\t").expect("me-")
    t.type("1\t").expect("1 ")
    t.type("\x15exit\n")
    t.end()


def test_fish_is_offered_all_of_many_names(build_dir, shell, many):
    script = "kourou completion fish | source\ncomplete -C 'kourou secret get na'\n"
    done = subprocess.run([shell("fish"), "-N", "-c", script], env=shell_env(build_dir), capture_output=True, text=True,
                          timeout=60)
    assert sorted(line.split("\t")[0] for line in done.stdout.splitlines()) == many


def test_zsh_inserts_what_all_of_many_names_have_in_common(build_dir, shell, many):
    from tests.cli.conftest import Terminal
    t = Terminal([shell("zsh"), "-f", "-i"], PATH=shell_env(build_dir)["PATH"], PS1="zsh> ", TERM="xterm")
    t.expect("zsh> ").type("source <(kourou completion zsh); echo ready$((1+1))\n").expect("ready2")
    t.type("kourou secret get na\t").expect("me-")
    t.type("1\t").expect("1").type("\x15exit\n")
    t.end()


def test_never_fails(kourou, offers, home, monkeypatch):
    assert offers("nonsense", "x", "") == []
    assert offers() == offers("")
    assert offers("secret", "get", "--nonsense=", "x", "--") != []
    (home / "kourou").mkdir(exist_ok=True)
    (home / "kourou/store.db").write_bytes(b"damaged" * 1000)
    assert offers("secret", "get", "") == []
    monkeypatch.setenv("KOUROU_HOME", "/proc/none")
    assert offers("secret", "get", "") == []


def test_names_can_be_switched_off(offers, names, monkeypatch):
    monkeypatch.setenv("ZENML_CLI_DISABLE_DYNAMIC_COMPLETION", "true")
    assert offers("secret", "get", "") == []


def shell_env(build_dir):
    return {**os.environ, "PATH": f"{build_dir}:{os.environ['PATH']}", "TERM": "dumb"}


BASH = r"""
source <(kourou completion bash)
try() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="${*}"; COMP_LINE=${COMP_LINE// = /=}
  COMP_LINE=${COMP_LINE/ =/=}; COMP_LINE=${COMP_LINE/= /=}; COMP_POINT=${#COMP_LINE}
  "$(complete -p kourou | sed 's/.*-F \([^ ]*\) .*/\1/')"
  printf '%s|' "${COMPREPLY[@]}"; echo
}
try kourou secret get ''
try kourou deployer register x --flavor = hug
try kourou deployer register x --flavor =
try kourou deployer register x --flavor = huggingface --space_p
try kourou stack register x -D h
try kourou deployment li
try kourou deployer describe tw
cd "$1" && try kourou pipeline deploy --config conf
try kourou pipeline deploy --config = conf
"""


def test_bash(build_dir, names, shell, tmp_path):
    (tmp_path / "config.yaml").write_text("")
    done = subprocess.run([shell("bash"), "--norc", "-c", BASH, "bash", str(tmp_path)], env=shell_env(build_dir),
                          capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "hf_token|hub_key|", "huggingface|", "local|docker|huggingface|", "--space_prefix=|", "hub|", "list|", "two\\ words|",
        "config.yaml|", "config.yaml|"]


def test_bash_at_a_prompt(build_dir, names, shell, home):
    from tests.cli.conftest import Terminal
    t = Terminal([shell("bash"), "--norc", "--noprofile", "-i"], PATH=shell_env(build_dir)["PATH"], PS1="$ ", TERM="xterm")
    t.expect("$ ").type("source <(kourou completion bash); echo ready$((1+1))\n").expect("ready2")
    t.type("kourou deployer register x --flavor=hugg\t").expect("--flavor=huggingface ")
    t.type("\x15echo [kourou stack set sp\t").expect("[kourou stack set sp")
    t.type("\x15kourou stack set spa\t").expect("kourou stack set spaces ")
    t.type("\x15exit\n")
    t.end()


def test_fish(build_dir, names, shell, home):
    script = ("kourou completion fish | source\n"
              "complete -C 'kourou secret get '\necho ==\n"
              "complete -C 'kourou deployer register x --flavor=hug'\necho ==\n"
              "complete -C 'kourou deployment li'\necho ==\ncomplete -C 'kourou stack set sp'\n")
    done = subprocess.run([shell("fish"), "-N", "-c", script], env=shell_env(build_dir), capture_output=True, text=True,
                          timeout=60)
    parts = [[line.split("\t")[0] for line in part.split("\n") if line] for part in done.stdout.split("==\n")]
    assert parts == [["hf_token", "hub_key"], ["--flavor=huggingface"], ["list"], ["spaces"]]


def test_zsh_at_a_prompt(build_dir, names, shell, home):
    from tests.cli.conftest import Terminal
    t = Terminal([shell("zsh"), "-f", "-i"], PATH=shell_env(build_dir)["PATH"], PS1="zsh> ", TERM="xterm")
    t.expect("zsh> ").type("source <(kourou completion zsh); echo ready$((1+1))\n").expect("ready2")
    t.type("kourou deployer register x --flavor=hugg\t").expect("ingface").type("\x15")
    t.seen = ""
    t.type("kourou stack set spa\t").expect("ces").type("\x15exit\n")
    t.end()


def test_scripts_are_for_the_name_called(kourou, shell, tmp_path):
    for name in ("bash", "zsh", "fish"):
        text = kourou("completion", name, prog="zenml", check=0).stdout
        assert "zenml" in text and "kourou" not in text and "@" not in text.replace("$@", "").replace("[@]", "").replace("(@", "")
        script = tmp_path / name
        script.write_text(text)
        subprocess.run([shell(name), "-n", str(script)], check=True)
