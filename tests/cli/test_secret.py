# SPDX-License-Identifier: Apache-2.0
import json
import os
import stat
import subprocess

import pytest
import yaml


def test_create_and_get(kourou):
    done = kourou("secret", "create", "hf_token", "--token=hf_aBcDeFgH", check=0)
    assert (done.stdout, done.stderr) == ("", "Created the secret 'hf_token' with the keys: token\n")
    done = kourou("secret", "get", "hf_token", check=0)
    assert done.stdout == "KEY    VALUE\ntoken  hf_aBcDeFgH\n"
    assert done.stderr.startswith("Secret 'hf_token' (")
    row = json.loads(kourou("secret", "get", "hf_t", "-o", "json", check=0).stdout)
    assert row["values"] == {"token": "hf_aBcDeFgH"} and row["private"] is False
    assert kourou("secret", "get", row["id"][:8], "-o", "csv", check=0).stdout == "token\nhf_aBcDeFgH\n"


def test_values_as_json_yaml_and_file(kourou, tmp_path):
    def values(name):
        return json.loads(kourou("secret", "get", name, "-o", "json", check=0).stdout)["values"]

    kourou("secret", "create", "a", '--values={"x": "1", "n": 5, "b": true}', "--x=2", check=0)
    assert values("a") == {"x": "1", "n": "5", "b": "true"}
    kourou("secret", "create", "b", "-v", "x: one\ny: 'two'\n", check=0)
    assert values("b") == {"x": "one", "y": "two"}
    (tmp_path / "s.yaml").write_text("token: abc\n")
    kourou("secret", "create", "c", "-v", f"@{tmp_path}/s.yaml", "-p", check=0)
    assert values("c") == {"token": "abc"}
    assert kourou("secret", "create", "d", "-v", "[1, 2]", check=1).stderr.startswith(
        "Error: --values must be a JSON or YAML object of keys and values, not ")


def test_one_that_is_in_use(kourou, project):
    """By a stack, by a component, by a deployment: the next deploy would fail."""
    def refused(name, users):
        for words in (["delete", name, "-y"], ["rename", name, "-n", "other"]):
            assert kourou("secret", *words, check=1).stderr == (
                f"Error: the secret '{name}' is in use: {users}\n  change them first, or pass --force\n")

    for name in ("of_stack", "of_component", "of_pipeline", "of_nobody"):
        kourou("secret", "create", name, "--KEY=swordfish-1", check=0)
    kourou("stack", "update", "default", "--secret", "of_stack", check=0)
    kourou("deployer", "update", "default", "--secret", "of_component", check=0)
    (project / "config.yaml").write_text("secrets: [of_pipeline]\n")
    kourou("pipeline", "deploy", "--name", "d", "-c", "config.yaml", "my_module.my_pipeline", check=0)
    try:
        refused("of_stack", "the stack 'default'")
        refused("of_component", "the deployer 'default'")
        refused("of_pipeline", "the deployment 'd'")
    finally:
        kourou("deployment", "delete", "d", "-y")
    kourou("secret", "delete", "of_pipeline", "-y", check=0)
    kourou("secret", "delete", "of_nobody", "-y", check=0)
    done = kourou("secret", "delete", "of_stack", "-y", "--force", check=0)
    assert done.stderr == "Warning: The secret 'of_stack' is in use: the stack 'default'\nDeleted the secret 'of_stack'\n"


def test_values_from_standard_input(build_dir, kourou):
    def create(name, value, given):
        return subprocess.run([str(build_dir / "kourou"), "secret", "create", name, *value], input=given,
                              capture_output=True)

    for name, value, given, kept in (("a", "-", b"tok\n", "tok"), ("b", "-", b"tok\r\n", "tok"), ("c", "-", b"t\n\n", "t\n"),
                                     ("d", "@-", b"pem\n", "pem\n"), ("e", "-", b"", "")):
        assert create(name, [f"--key={value}"], given).returncode == 0
        assert json.loads(kourou("secret", "get", name, "-o", "json").stdout)["values"] == {"key": kept}
    for name, value, given, problem in (
            ("f", ["--key=-", "--other=@-"], b"x", "--other: standard input was the value of an option already"),
            ("f", ["--key=-"], b"a\0b", "--key: standard input is not text"),
            ("f", ["--key=-"], b"x" * 20000, "--key: standard input has more than 10240 bytes"),
            ("f", ["--key=-"], b"\xff", "the value of --key is not UTF-8 text")):
        done = create(name, value, given)
        assert (done.returncode, done.stderr.decode().splitlines()[0]) == (2, f"Error: {problem}")


def test_standard_input_that_is_a_terminal(terminal):
    done = terminal("secret", "create", "s", "--key=-")
    assert done.end() == 2 and "--key: standard input is a terminal" in done.seen and "--key=- < FILE" in done.seen


@pytest.mark.parametrize("args,status,message", [
    (["create", "empty"], 2, "the secret 'empty' would be empty"),
    (["create", "x", "-i", "--a=b"], 2, "--interactive asks for the values: leave out --KEY=VALUE and --values"),
    (["create", "x", "-i"], 1, "there is no terminal to ask for: Key (empty to finish)"),
    (["update", "x"], 2, "there is nothing to change in the secret 'x'"),
    (["export", "none"], 1, "no secret 'none'"),
])
def test_errors(kourou, args, status, message):
    done = kourou("secret", *args, check=status)
    assert done.stderr.splitlines()[0] == f"Error: {message}"


def test_names_and_keys_that_are_refused(kourou):
    for args in (["name", "--a=b"], ["x", "--name=b"], ["", "--a=b"], ["a/b", "--a=b"]):
        done = kourou("secret", "create", *args)
        assert done.returncode in (1, 2) and done.stderr.startswith("Error: "), args
    kourou("secret", "create", "s", "--a=b", check=0)
    assert "exists" in kourou("secret", "create", "s", "--a=b", check=1).stderr


def test_update_rename_delete(kourou):
    kourou("secret", "create", "s", "--a=1", "--b=2", check=0)
    assert kourou("secret", "update", "s", "--a=9", "-r", "b", "--c=3", check=0).stderr == "Updated the secret 's'\n"
    assert json.loads(kourou("secret", "get", "s", "-o", "json").stdout)["values"] == {"a": "9", "c": "3"}
    kourou("secret", "update", "s", "-p", "true", check=0)
    kourou("secret", "get", "s", "-p", "true", check=0)
    assert kourou("secret", "get", "s", "-p", "false", check=1).stderr == "Error: there is no public secret 's'\n"
    assert kourou("secret", "rename", "s", "-n", "t", check=0).stderr == "Renamed the secret 's' to 't'\n"
    done = kourou("secret", "delete", "t", check=1)
    assert done.stderr == ("Error: this needs a yes, and there is no terminal to ask: Delete the secret 't'?\n"
                           "  pass --yes to answer beforehand\n")
    kourou("secret", "get", "t", check=0)
    assert kourou("secret", "delete", "t", "-y", check=0).stderr == "Deleted the secret 't'\n"
    kourou("secret", "get", "t", check=1)


def test_questions_on_a_terminal(kourou, terminal):
    kourou("secret", "create", "s", "--a=1", check=0)
    no = terminal("secret", "delete", "s").expect("Delete the secret 's'? [y/N]: ").type("n\n")
    assert no.end() == 0 and "kourou secret delete canceled" in no.seen
    kourou("secret", "get", "s", check=0)
    yes = terminal("secret", "delete", "s").expect("[y/N]: ").type("yes\n")
    assert yes.end() == 0 and "Deleted the secret 's'" in yes.seen
    kourou("secret", "get", "s", check=1)


def test_interactive(kourou, terminal):
    t = terminal("secret", "create", "s", "--interactive").expect("Key (empty to finish): ").type("token\n")
    t.expect("Value of 'token': ").type("hidden-value\n")
    t.seen = t.seen.replace("Key (empty to finish): ", "", 1)
    t.expect("Key (empty to finish): ").type("\n")
    assert t.end() == 0
    assert "hidden-value" not in t.seen
    assert "hidden-value" in kourou("secret", "get", "s").stdout
    t = terminal("secret", "update", "s", "-i").expect("Value of 'token': ").type("other\n")
    assert t.end() == 0
    assert "other" in kourou("secret", "get", "s").stdout


def test_export_is_private_and_reads_back(kourou, tmp_path):
    kourou("secret", "create", "s", "--a=multi\nline", "--b=12", "--c=true", "--d= x ", check=0)
    kourou("secret", "export", "s", check=0, cwd=tmp_path)
    path = tmp_path / "s.yaml"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert yaml.safe_load(path.read_text()) == {"a": "multi\nline", "b": "12", "c": "true", "d": " x "}
    assert kourou("secret", "export", "s", check=1, cwd=tmp_path).stderr.startswith(
        "Error: there is a file 's.yaml' already\n")
    kourou("secret", "export", "s", "-ov", check=0, cwd=tmp_path)
    kourou("secret", "create", "copy", f"--values=@{path}", check=0)
    for name in ("s", "copy"):
        row = json.loads(kourou("secret", "get", name, "-o", "json").stdout)
        assert row["values"] == {"a": "multi\nline", "b": "12", "c": "true", "d": " x "}


def test_values_are_in_no_other_output(kourou):
    token = "hf_onlyInSecretGet"
    for args in (["secret", "create", "s", f"--token={token}"], ["secret", "create", "s", f"--token={token}"],
                 ["secret", "update", "none", f"--token={token}"], ["secret", "list", "-c", "all"],
                 ["deployer", "register", "d", "-f", "huggingface", f"--token={token}"],
                 ["deployer", "register", "d", "-f", "huggingface", f"--token={token}", f"--app_port={token}"],
                 ["deployer", "describe", "d"], ["deployer", "describe", "d", "-o", "json"],
                 ["deployer", "list", "-c", "all", "-o", "json"], ["deployer", "update", "d", f"--token={token}2"],
                 ["status"], ["doctor"], ["secret", "create", token, f"--token={token}"]):
        done = kourou(*args)
        assert token not in done.stdout + done.stderr, args


def test_a_hundred_at_once_are_a_hundred(kourou, build_dir, home, rows):
    """Also the first call of a home, which makes the store and its key, is one of many here."""
    running = [subprocess.Popen([build_dir / "kourou", "secret", "create", f"s{n:03}", f"--value=v{n}"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
               for n in range(100)]
    failed = [(process.args[3], text) for process, text in
              ((process, process.communicate(timeout=120)[1]) for process in running) if process.returncode]
    assert not failed
    listed = rows("secret", "list", "--size", "200")
    assert sorted(row["name"] for row in listed) == [f"s{n:03}" for n in range(100)]
    for n in (0, 41, 99):
        done = kourou("secret", "get", f"s{n:03}", "-o", "json", check=0)
        assert json.loads(done.stdout)["values"] == {"value": f"v{n}"}
