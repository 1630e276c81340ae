# SPDX-License-Identifier: Apache-2.0
"""The component groups behave alike."""
import json

import pytest

GROUPS = {
    "deployer": ["--flavor=local", "--port=8123"],
    "artifact-store": ["--flavor=s3", "--path=s3://bucket/folder"],
    "container-registry": ["--flavor=default", "--uri=docker.io/someone"],
    "image-builder": ["--flavor=local"],
    "orchestrator": ["--flavor=local"],
}


@pytest.mark.parametrize("group", GROUPS)
def test_life_of_a_component(kourou, rows, group):
    title = group.replace("-", " ")
    done = kourou(group, "register", "one", *GROUPS[group], "-l", "team=vision", "--env", "A=1", check=0)
    *notes, last = done.stderr.splitlines()
    assert (done.stdout, last) == ("", f"Registered the {title} 'one'")
    assert [note.rsplit(" has no effect")[0] for note in notes] == \
        (["Warning: artifact store 'one': 'path' in attributes of the s3 artifact store"] if group == "artifact-store" else [])
    done = kourou(group, "register", "one", *GROUPS[group], check=1)
    assert "one" in done.stderr and "exists" in done.stderr
    row = json.loads(kourou(group, "describe", "one", "-o", "json", check=0).stdout)
    assert row["labels"] == {"team": "vision"} and row["env"] == {"A": "1"}
    text = kourou(group, "describe", "on", check=0).stdout
    assert text.startswith(f"{title} 'one'\n") and "team   vision" in text
    kourou(group, "update", "one", "-l", "team=audio", "--env", "A=", "--env", "B=2", check=0)
    row = json.loads(kourou(group, "describe", row["id"], "-o", "json", check=0).stdout)
    assert row["labels"] == {"team": "audio"} and row["env"] == {"B": "2"}
    kourou(group, "remove-attribute", "one", "--label", "team", check=0)
    kourou(group, "copy", "one", "two", check=0)
    kourou(group, "rename", "two", "three", check=0)
    assert {"one", "three"} <= {r["name"] for r in rows(group, "list")}
    assert kourou(group, "delete", "one", check=0).stderr == f"Deleted the {title} 'one'\n"
    assert kourou(group, "describe", "one", check=1).stderr.startswith(f"Error: no {title} 'one'\n")


@pytest.mark.parametrize("group", GROUPS)
def test_flavors_and_explanation(kourou, group):
    assert len(kourou(group, "explain", check=0).stdout) > 60
    page = json.loads(kourou(group, "flavor", "list", "-o", "json", check=0).stdout)
    assert page["pagination"]["total"] == len(page["items"]) >= 1
    for flavor in page["items"]:
        row = json.loads(kourou(group, "flavor", "describe", flavor["name"], "-o", "json", check=0).stdout)
        text = kourou(group, "flavor", "describe", flavor["name"], check=0).stdout
        for attribute in row["attributes"]:
            assert attribute["attribute"] in text and attribute["help"] in text
    assert kourou(group, "flavor", "describe", "nonsense", check=1).stderr.startswith("Error: there is no ")


def test_flavors_of_the_issue(kourou):
    def names(group):
        return {row["name"] for row in json.loads(kourou(group, "flavor", "list", "-o", "json").stdout)["items"]}

    assert names("deployer") == {"local", "docker", "huggingface"}
    assert {"local", "s3", "gcs", "azure"} <= names("artifact-store")
    assert {"default", "dockerhub", "github", "gcp", "azure", "aws"} <= names("container-registry")


def test_documented_defaults(kourou):
    row = json.loads(kourou("deployer", "flavor", "describe", "huggingface", "-o", "json", check=0).stdout)
    defaults = {a["attribute"]: a["default"] for a in row["attributes"]}
    assert defaults["space_prefix"] == "zenml" and defaults["app_port"] == 7860
    assert defaults["private"] is None and defaults["visibility"] is None and defaults["lcm_timeout"] == 600
    assert defaults["space_hardware"] is None and defaults["space_storage"] is None


@pytest.mark.parametrize("args,status,piece", [
    (["x", "--flavor=nonsense"], 1, "nonsense"),
    (["x", "--flavor=huggingfac"], 1, "huggingface"),
    (["x", "--flavor=huggingface", "--spce_hardware=t4-small"], 1, "did you mean 'space_hardware'?"),
    (["x", "--flavor=huggingface", "--app_port=abc"], 1, "app_port"),
    (["x", "--flavor=huggingface", "--app_port=70000"], 1, "app_port"),
    (["x", "--flavor=huggingface", "--private=perhaps"], 1, "private"),
    (["x", "--flavor=local", "--address=nowhere"], 1, "address"),
    (["a/b", "--flavor=local"], 1, "a/b"),
])
def test_bad_input_leaves_nothing_behind(kourou, rows, args, status, piece):
    done = kourou("deployer", "register", *args, check=status)
    assert piece in done.stderr and done.stdout == ""
    assert [row["name"] for row in rows("deployer", "list")] == ["default"]


def test_attributes_are_typed(kourou):
    kourou("deployer", "register", "d", "-f", "huggingface", "--app_port=8080", "--private=true", "--token={{t.token}}",
           check=0)
    config = json.loads(kourou("deployer", "describe", "d", "-o", "json", check=0).stdout)["config"]
    assert config["app_port"] == 8080 and config["private"] is True
    kourou("deployer", "remove-attribute", "d", "app_port", "private", check=0)
    config = json.loads(kourou("deployer", "describe", "d", "-o", "json", check=0).stdout)["config"]
    assert "app_port" not in config and "private" not in config
    assert kourou("deployer", "remove-attribute", "d", check=2).stderr.startswith("Error: there is nothing to remove\n")
    assert kourou("deployer", "update", "d", check=2).stderr.startswith("Error: there is nothing to change\n")


def test_secrets_among_the_attributes_are_masked(kourou):
    kourou("deployer", "register", "d", "-f", "huggingface", "--token=hf_inTheClear99", check=0)
    for output in ([], ["-o", "json"], ["-o", "csv"]):
        text = kourou("deployer", "describe", "d", *output, check=0).stdout
        assert "hf_inTheClear99" not in text and "token" in text


def test_get_shows_the_one_of_the_active_stack(kourou):
    assert kourou("deployer", "get", check=0).stdout == "default\n"
    done = kourou("container-registry", "get", check=0)
    assert (done.stdout, done.stderr) == ("", "Warning: the active stack has no container registry\n")
    assert kourou("deployer", "describe", check=0).stdout.startswith("deployer 'default'\n")


def test_a_component_in_use_is_not_deleted(kourou, rows):
    kourou("deployer", "register", "d", "-f", "local", check=0)
    kourou("stack", "register", "s", "-D", "d", "-a", "default", "-o", "default", check=0)
    done = kourou("deployer", "delete", "d", check=1)
    assert "d" in done.stderr and "s" in done.stderr
    assert len(rows("deployer", "list")) == 2


def test_prefixes_and_ambiguity(kourou):
    for name in ("alpha-1", "alpha-2"):
        kourou("deployer", "register", name, "-f", "local", check=0)
    done = kourou("deployer", "describe", "alpha", check=1)
    assert "alpha-1" in done.stderr and "alpha-2" in done.stderr
    kourou("deployer", "describe", "alpha-1", check=0)
