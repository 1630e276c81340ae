# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import yaml


def test_the_documented_sequence(kourou, rows):
    """The commands of the documentation, word for word."""
    def zenml(*args):
        return kourou(*args, prog="zenml", check=0)

    done = zenml("integration", "install", "huggingface")
    assert "The integration 'huggingface' is built in" in done.stderr
    zenml("secret", "create", "hf_token", "--token=hf_aBcDeFgH")
    zenml("deployer", "register", "my_deployer", "--flavor=huggingface", "--token=hf_aBcDeFgH")
    zenml("deployer", "register", "D", "--flavor=huggingface", "--secret_name=hf_token")
    done = zenml("stack", "register", "S", "-D", "D", "-a", "default", "-o", "default", "--set")
    assert done.stderr == "Registered the stack 'S'\nThe active stack is 'S' now\n"
    zenml("container-registry", "register", "public_registry", "--flavor=default", "--uri=docker.io/someone")
    assert zenml("stack", "get").stdout == "S\n"
    active = [row for row in rows("stack", "list") if row["active"]]
    assert [(row["name"], row["deployer"]) for row in active] == [("S", "D")]


def test_messages_name_the_program_as_called(kourou):
    done = kourou("stack", "register", "S", "-a", "default", "-o", "default", prog="zenml", check=0)
    assert done.stderr == "Registered the stack 'S'\n'zenml stack set S' makes it the active one\n"


def test_describe(kourou):
    text = kourou("stack", "describe", check=0).stdout
    assert text.startswith("stack 'default' (active)\n")
    assert "deployer        default (local)" in text
    row = json.loads(kourou("stack", "describe", "default", "-o", "json", check=0).stdout)
    assert row["components"]["orchestrator"]["name"] == "default"


def test_update_and_remove(kourou, rows):
    kourou("container-registry", "register", "r", "-f", "default", "--uri=docker.io/x", check=0)
    kourou("stack", "copy", "default", "s", check=0)
    kourou("stack", "update", "s", "-c", "r", check=0)
    assert rows("stack", "list", "--name=s", "-c", "container_registry") == [{"container_registry": "r"}]
    kourou("stack", "remove-component", "s", "--container-registry", "-D", check=0)
    assert rows("stack", "list", "--name=s", "-c", "container_registry,deployer") == [
        {"container_registry": None, "deployer": None}]
    assert kourou("stack", "remove-component", "s", check=2).stderr.startswith("Error: name the kind of component")
    assert kourou("stack", "update", "s", check=2).stderr.startswith("Error: there is nothing to change\n")


def test_rename_and_delete(kourou, rows):
    kourou("stack", "copy", "default", "s", check=0)
    kourou("stack", "rename", "s", "t", check=0)
    done = kourou("stack", "delete", "t", check=1)
    assert done.stderr.splitlines()[0].endswith("Delete the stack 't'?")
    assert kourou("stack", "delete", "t", "--yes", check=0).stderr == "Deleted the stack 't'\n"
    assert [row["name"] for row in rows("stack", "list")] == ["default"]


def test_delete_with_components(kourou, rows):
    kourou("deployer", "register", "own", "-f", "local", check=0)
    kourou("stack", "register", "s", "-a", "default", "-o", "default", "-D", "own", check=0)
    kourou("stack", "delete", "s", "-y", "-r", check=0)
    assert [row["name"] for row in rows("deployer", "list")] == ["default"]


@pytest.mark.parametrize("args,piece", [
    (["register", "s", "-a", "none", "-o", "default"], "none"),
    (["register", "default", "-a", "default", "-o", "default"], "default"),
    (["set", "none"], "none"), (["describe", "none"], "none"), (["delete", "none", "-y"], "none"),
    (["import", "none"], "there is no file 'none.yaml'"),
])
def test_errors(kourou, rows, args, piece):
    done = kourou("stack", *args, check=1)
    assert done.stderr.startswith("Error: ") and piece in done.stderr
    assert [row["name"] for row in rows("stack", "list")] == ["default"]


def test_export_and_import(kourou, rows, tmp_path):
    kourou("secret", "create", "hf", "--token=hf_aBcDeFgH", check=0)
    kourou("deployer", "register", "d", "-f", "huggingface", "--token={{hf.token}}", "--private=true", check=0)
    kourou("stack", "register", "s", "-a", "default", "-o", "default", "-D", "d", check=0)
    kourou("stack", "export", "s", check=0, cwd=tmp_path)
    doc = yaml.safe_load((tmp_path / "s.yaml").read_text())
    assert doc["stack_name"] == "s"
    assert doc["components"]["deployer"]["flavor"] == "huggingface"
    assert "hf_aBcDeFgH" not in (tmp_path / "s.yaml").read_text()
    kourou("stack", "delete", "s", "-y", "-r", check=0)
    kourou("stack", "import", "s.yaml", check=0, cwd=tmp_path)
    assert rows("stack", "list", "--name=s", "-c", "deployer") == [{"deployer": "d"}]
    kourou("stack", "import", "other", "-f", "s.yaml", check=0, cwd=tmp_path)
    assert {row["name"] for row in rows("stack", "list")} == {"default", "s", "other"}
    assert "s" in kourou("stack", "import", "s", check=1, cwd=tmp_path).stderr
    assert kourou("stack", "import", check=2).stderr == (
        "Error: name the stack or the file to import\n  'kourou stack import --help' shows how it is used\n")


def test_import_asks_for_another_name(kourou, terminal, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kourou("stack", "export", "default", check=0)
    t = terminal("stack", "import", "default.yaml").expect("Another name for the stack: ").type("mine\n")
    assert t.end() == 0 and "Imported the stack 'mine'" in t.seen
    assert {row["name"] for row in rows("stack", "list")} == {"default", "mine"}


def test_register_secrets(kourou, terminal):
    kourou("deployer", "register", "d", "-f", "huggingface", "--token={{hf.token}}", check=0)
    kourou("stack", "register", "s", "-a", "default", "-o", "default", "-D", "d", check=0)
    t = terminal("stack", "register-secrets", "s").expect("Value of 'token' in the secret 'hf': ").type("hf_typed12\n")
    assert t.end() == 0 and "hf_typed12" not in t.seen
    assert "hf_typed12" in kourou("secret", "get", "hf", check=0).stdout
    done = kourou("stack", "register-secrets", "s", "--skip-existing", check=0)
    assert done.stderr == "Stored 0 of the 1 secrets that the stack refers to\n"
    assert kourou("stack", "register-secrets", "default", check=0).stderr == (
        "No component of the stack refers to a secret\n")
