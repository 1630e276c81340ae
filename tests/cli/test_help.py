# SPDX-License-Identifier: Apache-2.0
"""Help pages say all that the table says."""
import re
import subprocess

import pytest


def test_every_command_has_a_page_with_each_of_its_options(kourou, commands):
    assert len(commands) > 90
    for command in commands:
        words = command["path"].split()
        page = kourou(*words, "--help", check=0)
        assert page.stderr == ""
        assert page.stdout == kourou(*words, "-h", check=0).stdout
        text = " ".join(page.stdout.split())
        assert page.stdout.startswith(f"Usage: kourou {command['path']} [OPTIONS]")
        assert command["help"] in text, command["path"]
        assert not command["help"].endswith("."), command["path"]
        for option in command["options"]:
            spelled = f"--{option['name']}"
            if option["brief"]:
                spelled = f"-{option['brief']}, {spelled}"
            if option["alias"]:
                spelled += f", --{option['alias']}"
            if option["metavar"]:
                spelled += f" {option['metavar']}"
            assert f"  {spelled}" in page.stdout, (command["path"], spelled)
            assert option["help"] in text, (command["path"], option["name"])
            assert not option["help"].endswith("."), (command["path"], option["name"])
            if option["default"]:
                assert f"[default: {option['default']}]" in text
        for argument in command["arguments"]:
            assert re.search(rf"^  {argument['name']} ", page.stdout, re.M), command["path"]
        assert command["examples"], f"{command['path']} has no example"
        for example in command["examples"]:
            assert f"  kourou {example}\n" in page.stdout
            assert example.startswith(command["path"])


def test_no_option_is_named_twice(commands):
    for command in commands:
        names = [name.replace("_", "-") for option in command["options"]
                 for name in (option["name"], option["alias"]) if name]
        briefs = [option["brief"] for option in command["options"] if option["brief"]]
        assert len(set(names)) == len(names), command["path"]
        assert len(set(briefs)) == len(briefs), command["path"]
        assert "h" not in briefs and "help" not in names, command["path"]


def test_no_trailing_spaces_and_no_long_lines(kourou, commands):
    groups = {" ".join(c["path"].split()[:n]) for c in commands for n in (1, 2) if n < len(c["path"].split())}
    for path in ["", *groups, *(command["path"] for command in commands)]:
        for line in kourou(*path.split(), "--help", check=0).stdout.splitlines():
            assert line == line.rstrip(), (path, line)


def test_width_of_the_terminal(kourou, monkeypatch):
    monkeypatch.setenv("KOUROU_CLI_COLUMN_WIDTH", "60")
    text = kourou("secret", "update", "--help", check=0).stdout
    assert max(len(line) for line in text.splitlines() if not line.startswith(("Usage", "  kourou "))) <= 60


def test_the_first_page_names_every_group_and_command(kourou, commands):
    text = kourou("--help", check=0).stdout
    for word in {command["path"].split()[0] for command in commands}:
        assert re.search(rf"^  {word} ", text, re.M), word


def manual_pages(root):
    text = (root / "src/cli/meson.build").read_text()
    return re.findall(r"'(kourou[a-z-]*)'", text.split("man_pages = [")[1].split("]")[0])


def test_every_group_has_a_manual_page(root, kourou, commands):
    text = kourou("--help", check=0).stdout
    groups = {c["path"].split()[0] for c in commands if " " in c["path"]}
    assert all(re.search(rf"^  {group} ", text, re.M) for group in groups)
    assert set(manual_pages(root)) == {"kourou"} | {f"kourou-{group}" for group in groups}


def test_manual_pages_are_well_formed(root, kourou, commands, shell, tmp_path):
    man = shell("man")
    for page in manual_pages(root):
        source = kourou("__man", page, check=0).stdout
        (tmp_path / f"{page}.1").write_text(source)
        done = subprocess.run([man, "--warnings", "-E", "UTF-8", "-l", str(tmp_path / f"{page}.1")],
                              capture_output=True, text=True, check=True)
        assert done.stderr == ""
        for command in commands:
            if page == f"kourou-{command['path'].split()[0]}":
                for option in command["options"]:
                    assert f"--{option['name']}" in source.replace("\\-", "-"), (page, option["name"])
    assert kourou("__man", "kourou-none").returncode == 2


@pytest.mark.parametrize("path", ["deployment invoke", "secret create", "deployer register"])
def test_free_arguments_are_explained(kourou, path):
    text = kourou(*path.split(), "--help", check=0).stdout
    assert "[--KEY=VALUE]..." in text and "\n  --KEY=VALUE " in text
