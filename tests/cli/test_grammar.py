# SPDX-License-Identifier: Apache-2.0
"""Words of the command line: spellings, suggestions, exit statuses, values."""
import re
import subprocess

import pytest


def failed(done, status, message):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == f"Error: {message}"


@pytest.mark.parametrize("args,message", [
    (["deployr"], "'kourou' has no command 'deployr'; did you mean 'deployer'?"),
    (["deploy"], "'kourou' has no command 'deploy'; did you mean 'pipeline deploy'?"),
    (["list"], "'kourou' has no command 'list'; 'kourou --help' lists them"),
    (["deployer", "regster"], "'kourou deployer' has no command 'regster'; did you mean 'register'?"),
    (["deployer", "flavor", "lst"], "'kourou deployer flavor' has no command 'lst'; did you mean 'list'?"),
    (["nonsense"], "'kourou' has no command 'nonsense'; 'kourou --help' lists them"),
    (["--hlp"], "'kourou' has no option '--hlp'; did you mean '--help'?"),
    (["stack", "list", "--colums=id"], "'kourou stack list' has no option '--colums'; did you mean '--columns'?"),
    (["stack", "list", "--xyzzy"], "'kourou stack list' has no option '--xyzzy'; 'kourou stack list --help' lists what it takes"),
    (["stack", "list", "-x"], "'kourou stack list' has no option '-x'; 'kourou stack list --help' lists what it takes"),
    (["stack", "list", "-al"], "'kourou stack list' has no option '-al'; 'kourou stack list --help' lists what it takes"),
    (["stack", "list", "extra"], "'kourou stack list' does not expect the argument 'extra'"),
    (["stack", "list", "--page"], "--page needs a value"),
    (["stack", "list", "--page=0"], "--page is a whole number from 1, not '0'"),
    (["stack", "list", "--size", "many"], "--size is a whole number from 1, not 'many'"),
    (["stack", "list", "-o", "xml"], "-o is one of table|json|yaml|csv|tsv|wide, not 'xml'"),
    (["stack", "list", "--logical_operator=xor"], "--logical_operator is one of and|or, not 'xor'"),
    (["deployer", "register"], "'kourou deployer register' needs the argument NAME"),
    (["deployer", "register", "x"], "'kourou deployer register' needs the option --flavor"),
    (["stack", "register", "x", "-a", "default"], "'kourou stack register' needs the option --orchestrator"),
    (["stack", "register", "x", "-al", "y"], "-al cannot be used: there are no alerters here"),
    (["stack", "register", "x", "-an=y"], "-an cannot be used: there are no annotators here"),
    (["stack", "register", "x", "--data-validator", "y"],
     "--data-validator cannot be used: there are no data validators here"),
    (["deployer", "register", "x", "-f", "local", "-c", "y"], "-c cannot be used: there are no service connectors "
     "(--KEY={{SECRET.KEY}} refers to a secret) here"),
    (["init", "--template=x"], "--template cannot be used: there are no templates (the folder examples of the source has "
     "pipelines) here"),
    (["stack", "delete", "default", "--yes=1"], "--yes takes no value"),
    (["secret", "get", "x", "-p", "perhaps"], "-p is true or false, not 'perhaps'"),
    (["pipeline", "deploy", "a.b", "--config", "none.yaml"], "--config: there is no file 'none.yaml'"),
    (["deployer", "register", "x", "-f", "local", "--label=nothing"], "--label needs KEY=VALUE, not 'nothing'"),
    (["completion", "tcsh"], "there is no completion for 'tcsh', only for bash, zsh and fish"),
])
def test_usage_errors(kourou, args, message):
    done = kourou(*args)
    failed(done, 2, message)
    assert "--help'" in done.stderr, "it names the page that says more"


def test_messages_use_the_name_of_the_call(kourou):
    failed(kourou("deployr", prog="zenml"), 2, "'zenml' has no command 'deployr'; did you mean 'deployer'?")
    assert kourou("--help", prog="zenml", check=0).stdout.startswith("Usage: zenml ")


def test_a_group_without_command_shows_its_help_and_is_a_usage_error(kourou):
    done = kourou("deployment", check=2)
    assert done.stdout.startswith("Usage: kourou deployment COMMAND")
    assert done.stderr == ("Error: 'kourou deployment' needs a command\n"
                           "  'kourou deployment --help' lists the commands\n")
    assert kourou(check=0).stdout == kourou("--help", check=0).stdout


@pytest.mark.parametrize("args", [["-v"], ["--version"], ["stack", "list", "--version"], ["deployer", "-v"], ["deployer", "--version"],
                                  ["secret", "create", "x", "--version"]])
def test_version_everywhere(kourou, args):
    assert kourou(*args, check=0).stdout == "kourou, version 0.1.0\n"


@pytest.mark.parametrize("spelling", [
    ["--container_registry", "r"], ["--container-registry", "r"], ["--container_registry=r"],
    ["--container-registry=r"], ["-c", "r"], ["-cr"],
])
def test_hyphen_and_underscore_are_the_same(kourou, rows, spelling):
    kourou("container-registry", "register", "r", "--flavor=default", "--uri=docker.io/someone", check=0)
    kourou("stack", "register", "s", "-a", "default", "-o", "default", *spelling, check=0)
    assert rows("stack", "list", "--name=s", "-c", "container_registry") == [{"container_registry": "r"}]


def test_arguments_and_options_in_any_order(kourou, rows):
    kourou("deployer", "register", "--port=8123", "-f", "local", "one", "--label", "a=b", check=0)
    kourou("deployer", "register", "two", "--label=a=b", "--flavor", "local", "--lcm-timeout=5", check=0)
    assert {row["name"] for row in rows("deployer", "list")} == {"default", "one", "two"}
    assert rows("deployer", "list", "--name=one", "-c", "labels") == [{"labels": {"a": "b"}}]
    assert rows("deployer", "list", "--name=two", "-c", "config") == [{"config": {"lcm_timeout": 5}}]


def test_short_flags_may_be_joined(kourou, rows):
    kourou("stack", "copy", "default", "s", check=0)
    kourou("stack", "delete", "-ry", "s", check=0)
    assert [row["name"] for row in rows("stack", "list")] == ["default"]


def test_multi_letter_flags(kourou, tmp_path):
    target = tmp_path / "r.txt"
    target.write_text("old")
    kourou("integration", "export-requirements", "sklearn", "-o", target, "-ov", check=0)
    assert target.read_text() == "scikit-learn\n"


class TestFreeArguments:
    def test_values(self, kourou, tmp_path):
        (tmp_path / "key.pem").write_text("line one\nline two\n")
        kourou("secret", "create", "s", "--plain=a=b c", f"--file=@{tmp_path}/key.pem", "--at=@@home", "--empty=",
               check=0)
        out = kourou("secret", "get", "s", "-o", "json", check=0).stdout
        import json
        assert json.loads(out)["values"] == {"plain": "a=b c", "file": "line one\nline two\n", "at": "@home",
                                             "empty": ""}

    def test_home_is_expanded(self, kourou, home):
        (home / "token").write_text("from-home")
        kourou("secret", "create", "s", "--token=@~/token", check=0)
        assert "from-home" in kourou("secret", "get", "s", check=0).stdout

    def test_file_limit(self, kourou, tmp_path):
        (tmp_path / "fits").write_bytes(b"x" * 10240)
        (tmp_path / "large").write_bytes(b"x" * 10241)
        kourou("secret", "create", "fits", f"--v=@{tmp_path}/fits", check=0)
        failed(kourou("secret", "create", "s", f"--v=@{tmp_path}/large"), 2,
               f"--v: the file '{tmp_path}/large' is larger than 10240 bytes")
        failed(kourou("secret", "create", "s", f"--v=@{tmp_path}/none"), 2, f"--v: there is no file '{tmp_path}/none'")
        failed(kourou("secret", "create", "s", f"--v=@{tmp_path}"), 2, f"--v: '{tmp_path}' is a folder, not a file")

    def test_binary_file(self, kourou, tmp_path):
        (tmp_path / "zeros").write_bytes(b"a\0b")
        (tmp_path / "latin").write_bytes(b"\xe4\xf6")
        failed(kourou("secret", "create", "s", f"--v=@{tmp_path}/zeros"), 2, f"--v: the file '{tmp_path}/zeros' is not text")
        failed(kourou("secret", "create", "s", f"--v=@{tmp_path}/latin"), 2, "the value of --v is not UTF-8 text")

    @pytest.mark.parametrize("word,message", [
        ("--token", "'--token' needs its value behind '=': --token=VALUE"),
        ("--9x=1", "the key '9x' must consist of letters, digits and '_' and not begin with a digit"),
        ("--a.b=1", "the key 'a.b' must consist of letters, digits and '_' and not begin with a digit"),
        ("--my-key=1", "the key 'my-key' must consist of letters, digits and '_' and not begin with a digit"),
    ])
    def test_bad_words(self, kourou, word, message):
        failed(kourou("secret", "create", "s", word), 2, message)

    def test_attributes_take_hyphens(self, kourou, rows):
        kourou("deployer", "register", "d", "-f", "huggingface", "--secret-name=t", "--space_hardware=t4-small", check=0)
        assert rows("deployer", "list", "--name=d", "-c", "config") == [
            {"config": {"secret_name": "t", "space_hardware": "t4-small"}}]

    def test_behind_two_hyphens_options_are_parameters(self, kourou, deployed):
        done = kourou("deployment", "invoke", deployed, "--", "--timeout=5")
        assert done.returncode == 1
        assert "timeout" in done.stderr

    def test_values_are_blanked_out_in_the_process_list(self, build_dir, home):
        import subprocess
        import time
        fifo = home / "fifo"
        import os
        os.mkfifo(fifo)
        child = subprocess.Popen([str(build_dir / "kourou"), "secret", "create", "s", "--a=very-secret-value",
                                  f"--b=@{fifo}"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 30
            while True:  # --b is read behind --a: once the reader waits for the pipe, --a is blanked
                try:
                    pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
                    break
                except OSError:
                    assert time.monotonic() < deadline
            line = open(f"/proc/{child.pid}/cmdline", "rb").read()
            assert b"very-secret-value" not in line
            assert b"--a=*" in line
            os.write(pipe, b"x")
            os.close(pipe)
            _, err = child.communicate(timeout=30)
            assert child.returncode == 0, err
        finally:
            child.kill()
            child.wait()


@pytest.mark.parametrize("words,instead", [
    (["deployer", "connect", "d", "--connector=c"], "there are no service connectors: give credentials as attributes that "
     "refer to a secret, --KEY={{SECRET.KEY}} of register or update"),
    (["image-builder", "logs"], "components write no log; zenml deployment logs NAME shows that of a deployment"),
    (["deployer", "flavor", "register", "my.Flavor"],
     "flavors are part of the program; zenml deployer flavor list shows those of deployers"),
    (["secret", "backup", "-i", "true"], "secrets have one store and no second one to copy to; zenml secret export NAME "
     "writes one to a file"),
    (["pipeline", "run", "a.b"], "a pipeline runs when its deployment is called: zenml pipeline deploy SOURCE, then zenml "
     "deployment invoke NAME; in Python, calling it runs it there"),
    (["pipeline", "runs", "stop", "x"], "a run ends with its request: at its timeout, or when the caller goes away"),
    (["step-operator", "list"], "there are no step operators here; see the groups in zenml --help"),
    (["login"], "there is no server to connect to: everything is kept on this machine, see zenml status"),
])
def test_what_does_not_exist_here_names_what_does(kourou, words, instead):
    path = " ".join(words[:next((i for i, word in enumerate(words) if word in ("connect", "logs", "register", "backup", "run",
                                                                              "stop", "step-operator", "login")), 0) + 1])
    failed(kourou(*words, prog="zenml"), 2, f"no 'zenml {path}': {instead}")


def test_commands_that_messages_name_exist(kourou, build_dir):
    """Each command that the messages name exists."""
    text = (build_dir / "kourou").read_bytes().decode("utf-8", "replace")
    named = set(re.findall(r"\{prog\} ((?:deployment|pipeline|secret|stack|deployer)(?: [a-z-]+){1,2}|status|doctor|init)", text))
    assert len(named) > 8
    for words in named:
        words = words.split()
        done = subprocess.run([build_dir / "kourou", *words, "--help"], capture_output=True, text=True)
        if done.returncode:  # a further word of the sentence
            done = subprocess.run([build_dir / "kourou", *words[:-1], "--help"], capture_output=True, text=True)
        assert done.returncode == 0, words


def test_notes_come_behind_the_data_where_both_go_to_one_place(kourou):
    done = kourou("stack", "list", "-c", "name", check=0, capture_output=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.stdout == "NAME\ndefault\nPage `(1/1)`, `1` items found for the applied filters.\n"


def test_a_source_without_a_dot_gets_the_form(kourou, project):
    done = kourou("pipeline", "deploy", "my_module", check=1)
    assert done.stderr.endswith("Error: my_module: pipeline 'my_module' is not like module.name\n"
                                "  name a function with @pipeline, as package.module.function\n")
