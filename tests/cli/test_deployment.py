# SPDX-License-Identifier: Apache-2.0
"""pipeline and deployment commands against a real deployment on this machine."""
import getpass
import json
import os
import signal
import sqlite3
import subprocess
import time
import uuid

import pytest
import yaml


def test_life_of_a_deployment(kourou, project, rows):
    """The documented commands, called as zenml."""
    def zenml(*args, check=0):
        return kourou(*args, prog="zenml", check=check)

    done = zenml("pipeline", "deploy", "--name", "my_deployment", "my_module.my_pipeline")
    lines = done.stdout.splitlines()
    assert lines[0] == "my_deployment running"
    facts = dict(line.split(None, 1) for line in lines[1:5])
    assert facts["Pipeline"] == "my_pipeline" and facts["Stack"] == "default"
    assert "  zenml deployment invoke my_deployment --name=World --times=1" in lines
    assert any(line.startswith("  curl ") for line in lines)
    assert "  zenml deployment logs my_deployment -f" in lines
    try:
        listed = rows("deployment", "list")
        assert [(row["name"], row["status"], row["pipeline"]) for row in listed] == [
            ("my_deployment", "running", "my_pipeline")]
        assert zenml("deployment", "describe", "my_deployment").stdout.splitlines()[0] == lines[0]
        answer = json.loads(zenml("deployment", "invoke", "my_deployment", "--name=Ada", "--times=2").stdout)
        assert answer["success"] is True and answer["outputs"] == {"output": "HELLO ADA!HELLO ADA!"}
        assert "greeting Ada" in zenml("deployment", "logs", "my_deployment").stdout
    finally:
        done = zenml("deployment", "delete", "my_deployment", "--yes")
    assert "Deleted the deployment 'my_deployment'\n" in done.stderr
    assert rows("deployment", "list") == []


def test_failed_pipeline_is_a_failed_command(kourou, deployed):
    done = kourou("deployment", "invoke", deployed, "--name=boom", check=1)
    assert json.loads(done.stdout)["success"] is False
    assert "boom it is" in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1] == f"  'kourou deployment logs {deployed}' shows more"


@pytest.mark.parametrize("args,piece", [
    (["--times=many"], "times"), (["--nmae=x"], "nmae"),
])
def test_bad_parameters(kourou, deployed, args, piece):
    done = kourou("deployment", "invoke", deployed, *args, check=1)
    assert done.stdout == "" and piece in done.stderr


def test_answers_that_are_no_error_go_to_stdout_alone(kourou, deployed):
    done = kourou("deployment", "invoke", deployed, check=0)
    assert done.stderr == "" and json.loads(done.stdout)["success"] is True


def test_describe(kourou, deployed):
    row = json.loads(kourou("deployment", "describe", deployed, "-o", "json", check=0).stdout)
    assert row["status"] == "running" and row["url"].startswith("http://127.0.0.1:")
    text = kourou("deployment", "describe", deployed, check=0).stdout
    assert f"  Endpoint    {row['url']}\n" in text and f"  API docs    {row['url']}/docs\n" in text
    assert "\nHistory\n" in text and "Input schema" not in text
    text = kourou("deployment", "describe", deployed, "-sc", "-m", "-nt", check=0).stdout
    assert "\nInput schema\n" in text and '"times"' in text and "\nMetadata\n" in text
    assert yaml.safe_load(kourou("deployment", "describe", deployed, "-o", "yaml", check=0).stdout)["name"] == deployed


def test_auth_key_is_masked_unless_asked_for(kourou, project):
    (project / "auth.yaml").write_text("settings:\n  deployer:\n    auth_key: k3y-for-the-test-only\n")
    try:
        done = kourou("pipeline", "deploy", "--name", "locked", "--config", "auth.yaml", "my_module.my_pipeline", check=0)
        assert "k3y-for-the-test-only" not in done.stdout + done.stderr
        for words in (["describe", "locked"], ["describe", "locked", "-o", "json"], ["refresh", "locked"],
                      ["list", "-c", "all", "-o", "json"], ["describe", "locked", "-m", "-nt"], ["logs", "locked"]):
            done = kourou("deployment", *words, check=0)
            assert "k3y-for-the-test-only" not in done.stdout + done.stderr, words
        assert "  (--show-secret shows it)" in kourou("deployment", "describe", "locked", check=0).stdout
        text = kourou("deployment", "describe", "locked", "--show-secret", check=0).stdout
        assert "  Auth key    k3y-for-the-test-only\n" in text
        assert json.loads(kourou("deployment", "invoke", "locked", check=0).stdout)["success"] is True
    finally:
        kourou("deployment", "delete", "locked", "-y", check=0)


def test_open_refresh_and_states(kourou, deployed, rows):
    url = rows("deployment", "list")[0]["url"]
    assert kourou("deployment", "open", deployed, check=0).stdout == f"{url}\n"
    assert json.loads(kourou("deployment", "refresh", deployed, "-o", "json", check=0).stdout)["status"] == "running"
    done = kourou("deployment", "deprovision", deployed, "-y", check=0)
    assert "Deprovisioned the deployment 'my_deployment'\n" in done.stderr
    assert rows("deployment", "list")[0]["status"] == "absent"
    assert kourou("deployment", "open", deployed, check=1).stderr.startswith("Error: the deployment 'my_deployment' has no address")
    assert kourou("deployment", "invoke", deployed, check=1).stdout == ""
    assert kourou("deployment", "provision", deployed, check=0).stdout.startswith("my_deployment running\n")


def test_redeploy_diff_and_rollback(kourou, project, deployed):
    row = json.loads(kourou("pipeline", "deploy", "--name", deployed, "my_module.my_pipeline", "-u", "--output", "json",
                            check=0).stdout)
    assert row["unchanged"] is True
    changes = json.loads(kourou("deployment", "diff", deployed, "-o", "json", check=0).stdout)
    assert changes["unchanged"] is True
    source = project / "my_module.py"
    source.write_text(source.read_text().replace("Hello", "Goodbye"))
    changes = json.loads(kourou("deployment", "diff", deployed, "-o", "json", check=0).stdout)
    assert changes["unchanged"] is False and "my_module.py" in json.dumps(changes)
    kourou("pipeline", "deploy", "--name", deployed, "my_module.my_pipeline", "-u", check=0)
    assert "GOODBYE" in kourou("deployment", "invoke", deployed, check=0).stdout
    done = kourou("deployment", "rollback", deployed, check=1)
    assert "Bring 'my_deployment' back to its previous snapshot?" in done.stderr
    kourou("deployment", "rollback", deployed, "-y", check=0)
    assert kourou("deployment", "rollback", "none", "-y", check=1).stderr.startswith("Error: ")


def test_update_asks(kourou, terminal, project, deployed):
    source = project / "my_module.py"
    source.write_text(source.read_text().replace("Hello", "Goodbye"))
    args = ["pipeline", "deploy", "--name", deployed, "my_module.my_pipeline"]
    done = kourou(*args, check=1)
    assert done.stdout == "" and "Error: " in done.stderr and "--update" in done.stderr
    t = terminal(*args).expect("[y/N]: ").type("\n")
    assert t.end() == 0 and "kourou pipeline deploy canceled" in t.seen
    assert "HELLO" in kourou("deployment", "invoke", deployed, check=0).stdout
    t = terminal(*args).expect("[y/N]: ").type("y\n")
    assert t.end() == 0 and "my_deployment 🟢 running" in t.text
    assert "GOODBYE" in kourou("deployment", "invoke", deployed, check=0).stdout


def test_dry_run_changes_nothing(kourou, project, rows):
    done = kourou("pipeline", "deploy", "--name", "x", "my_module.my_pipeline", "--dry-run", "--output", "json", check=0)
    plan = json.loads(done.stdout)
    assert plan["name"] == "x" and plan["deployer"] == "local"
    assert yaml.safe_load(kourou("pipeline", "deploy", "my_module.my_pipeline", "--dry-run", check=0).stdout)
    assert rows("deployment", "list") == []


@pytest.mark.parametrize("source,piece", [
    ("none.my_pipeline", "none"), ("my_module.none", "none"), ("my_module.greet", "greet"), ("my_module", "my_module"),
])
def test_sources_that_are_no_pipelines(kourou, project, rows, source, piece):
    done = kourou("pipeline", "deploy", source, check=1)
    assert piece in done.stderr and done.stdout == ""
    assert rows("deployment", "list") == []


def test_progress_away_from_a_terminal_is_plain(kourou, deployed):
    kourou("deployment", "deprovision", deployed, "-y", check=0)
    done = kourou("deployment", "provision", deployed, check=0)
    assert "\033" not in done.stderr and "\r" not in done.stderr
    assert "Starting the server\n" in done.stderr


def test_live_progress_on_a_terminal(kourou, terminal, deployed):
    kourou("deployment", "deprovision", deployed, "-y", check=0)
    t = terminal("deployment", "provision", deployed)
    assert t.end() == 0
    assert "\r\033[2K" in t.seen and "Starting the server" in t.seen and "✔" in t.seen
    plain = terminal("deployment", "deprovision", deployed, "-y", NO_COLOR="1")
    assert plain.end() == 0 and "\033[3" not in plain.seen


def test_bulk(kourou, project, rows):
    for name in ("one", "two"):
        kourou("pipeline", "deploy", "--name", name, "my_module.my_pipeline", check=0)
    done = kourou("deployment", "deprovision", "--all", check=1)
    assert "  one\n  two\n" in done.stderr and "Deprovision these 2 deployments?" in done.stderr
    done = kourou("deployment", "deprovision", "--mine", "-y", "-c", "1", check=0)
    assert "Warning: only the first 1 of 2 are taken, 1 are left; --max-count takes more\n" in done.stderr
    assert sorted(row["status"] for row in rows("deployment", "list")) == ["absent", "running"]
    kourou("deployment", "delete", "--all", "-y", check=0)
    assert rows("deployment", "list") == []
    assert kourou("deployment", "delete", "--all", "-y", check=1).stderr == "Error: there are no deployments\n"
    assert kourou("deployment", "delete", "--mine", "-y", check=1).stderr == "Error: there are no deployments of yours\n"
    assert kourou("deployment", "delete", check=2).stderr == (
        "Error: name a deployment, or give --all or --mine\n  'kourou deployment delete --help' shows how it is used\n")
    assert kourou("deployment", "delete", "x", "--all", check=2).stderr == (
        "Error: give either a name or --all or --mine\n  'kourou deployment delete --help' shows how it is used\n")


def test_all_are_all(kourou, build_dir, home, rows):
    """More than a page; records alone, as of deployments whose machines are gone."""
    database = sqlite3.connect(home / "kourou" / "store.db") if (home / "kourou" / "store.db").exists() else None
    assert database is None  # the first command makes it
    kourou("stack", "list", check=0)
    database = sqlite3.connect(home / "kourou" / "store.db")
    columns = [row[1] for row in database.execute("PRAGMA table_info(deployments)")]
    given = {"flavor": "local", "status": "absent", "created": "2026-11-30T00:00:00Z", "updated": "2026-11-30T00:00:00Z",
             "user": getpass.getuser(), "pipeline": "p"}
    for number in range(120):
        values = {**given, "id": str(uuid.uuid4()), "name": f"d{number:03}"}
        used = [column for column in columns if column in values]
        database.execute(f"INSERT INTO deployments ({','.join(used)}) VALUES ({','.join('?' * len(used))})",
                         [values[column] for column in used])
    database.commit()
    done = kourou("deployment", "delete", "-y", "d000", "d001", "d000", check=0)
    assert done.stderr.count("Deleted the deployment") == 2
    done = kourou("deployment", "delete", "-y", "d002", "none", "d003", check=1)
    assert "no deployment 'none'" in done.stderr and "Deleted" not in done.stderr
    done = kourou("deployment", "delete", "--all", "-y", check=0)
    assert done.stderr.count("Deleted the deployment") == 118
    assert rows("deployment", "list") == []


def test_bulk_goes_on_and_reports(kourou, project, rows, home):
    """A deployment whose deployer is gone cannot be stopped; the others are."""
    kourou("deployer", "register", "hf", "--flavor=huggingface", "--token=hf_aBcDeFgHiJkLmNoPqRsT", check=0)
    for name in ("one", "two", "three"):
        kourou("pipeline", "deploy", "--name", name, "my_module.my_pipeline", check=0)
    kourou("deployment", "deprovision", "one", "-y", check=0)  # no server is left of it
    database = sqlite3.connect(home / "kourou" / "store.db")
    (deployer,) = [row["id"] for row in rows("deployer", "list") if row["name"] == "hf"]
    database.execute("UPDATE deployments SET deployer_id = ?, flavor = 'huggingface', metadata = ? WHERE name = 'one'",
                     [deployer, json.dumps({"space_id": "alice/gone"})])
    database.commit()
    env = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = kourou("deployment", "delete", "--all", "-y", "--timeout", "1", env=env, check=1)
    assert "Deleted the deployment 'two'" in done.stderr and "Deleted the deployment 'three'" in done.stderr
    assert "Warning: 'one': " in done.stderr
    assert done.stderr.endswith("Error: 1 of 3 deployments are left\n"
                                "  the reasons stand above; the same command tries them again\n")
    assert [row["name"] for row in rows("deployment", "list")] == ["one"]
    kourou("deployment", "delete", "one", "-y", "--force", env=env, check=0)


def test_snapshots(kourou, project, rows):
    done = kourou("pipeline", "snapshot", "create", "my_module.my_pipeline", "--name", "kept", "-d", "first",
                  "-t", "a", "--tag", "b", check=0)
    assert "Created the snapshot 'kept' of the pipeline 'my_pipeline'\n" in done.stderr
    assert rows("pipeline", "snapshot", "list", "--name=kept", "-c", "name,tags") == [
        {"name": "kept", "tags": ["a", "b"]}]
    try:
        done = kourou("pipeline", "snapshot", "deploy", "kept", "--deployment", "from_snapshot", check=0)
        assert done.stdout.startswith("from_snapshot running\n")
    finally:
        kourou("deployment", "delete", "from_snapshot", "-y")
    kourou("pipeline", "snapshot", "delete", "kept", "-y", check=0)
    assert rows("pipeline", "snapshot", "list", "--name=kept") == []
    assert [row["name"] for row in rows("pipeline", "list")] == ["my_pipeline"]
    assert kourou("pipeline", "delete", "my_pipeline", "-y", check=0).stderr == "Deleted the pipeline 'my_pipeline'\n"
    assert rows("pipeline", "list") == []


def test_following_logs_ends_with_ctrl_c(terminal, deployed, kourou):
    t = terminal("deployment", "logs", deployed, "-f")
    kourou("deployment", "invoke", deployed, "--name=Follow", check=0)
    t.expect("greeting Follow").type("\x03")
    assert t.end() == 0


def test_tail(kourou, deployed):
    for name in ("a", "b", "c"):
        kourou("deployment", "invoke", deployed, f"--name={name}", check=0)
    assert len(kourou("deployment", "logs", deployed, "-t", "2", check=0).stdout.splitlines()) == 2
    assert len(kourou("deployment", "logs", deployed, check=0).stdout.splitlines()) > 3


def test_ctrl_c_during_a_deploy_can_be_continued(terminal, kourou, project):
    (project / "slow.py").write_text("import time\nprint('slow now', flush=True)\ntime.sleep(300)\n" + (project / "my_module.py").read_text())
    t = terminal("pipeline", "deploy", "--name", "slow", "slow.my_pipeline").expect("slow now")
    began = time.monotonic()
    t.type("\x03")
    assert t.end() == 130
    assert time.monotonic() - began < 20
    assert "Stopping; press Ctrl-C again to end at once" in t.seen and "Error: " in t.text
    assert "  the same command goes on from here\n" in t.text
    kourou("deployment", "list", check=0)


def test_second_ctrl_c_ends_at_once(terminal, project):
    (project / "deaf.py").write_text("import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                                     "print('deaf now', flush=True)\ntime.sleep(300)\n")
    t = terminal("pipeline", "deploy", "--name", "deaf", "deaf.my_pipeline").expect("deaf now")
    t.type("\x03").expect("Ctrl-C again").type("\x03")
    assert t.end() == 130


@pytest.mark.parametrize("number,status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_the_compiler_at_once(kourou, build_dir, project, home, number, status):
    """Only the program gets the signal, as from a supervisor; its child does not listen to any."""
    (project / "deaf.py").write_text("import os, signal, time\nfor n in (signal.SIGINT, signal.SIGTERM):\n"
                                     "    signal.signal(n, signal.SIG_IGN)\nprint('pid', os.getpid(), flush=True)\n"
                                     "time.sleep(300)\n")
    process = subprocess.Popen([build_dir / "kourou", "pipeline", "deploy", "--name", "deaf", "deaf.my_pipeline"],
                               cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    child = next(int(line.split()[-1]) for line in process.stderr if "pid" in line)
    began = time.monotonic()
    process.send_signal(number)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == status and time.monotonic() - began < 20, rest
    assert "Error: stopped\n  the same command goes on from here\n" in rest
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert not [path for path in (home / "kourou" / "tmp").iterdir() if path.name.startswith("compile-")]
    assert "deaf" not in kourou("pipeline", "list", check=0).stdout + kourou("deployment", "list", check=0).stdout


def test_runs_are_listed(kourou, deployed, rows):
    assert kourou("deployment", "invoke", deployed, "--name=Ada").returncode == 0
    assert kourou("deployment", "invoke", deployed, "--name=boom").returncode == 1
    deadline = time.monotonic() + 30  # runs are recorded in batches behind the answers
    while len(rows("pipeline", "runs", "list")) < 2 and time.monotonic() < deadline:
        pass
    listed = rows("pipeline", "runs", "list", "-c", "deployment,pipeline,status")
    assert sorted(row["status"] for row in listed) == ["completed", "failed"]
    assert {(row["deployment"], row["pipeline"]) for row in listed} == {("my_deployment", "my_pipeline")}
    assert len(rows("pipeline", "runs", "list", "--status=failed")) == 1


def test_build_takes_an_id_or_a_file(kourou, project):
    def deploy(build, check):
        return kourou("pipeline", "deploy", "--name", "built", "my_module.my_pipeline", "--dry-run", "--build", build,
                      check=check).stderr

    assert deploy("4f9c2a10", 1).endswith("Error: --build: no build '4f9c2a10'\n"
                                          "  it takes the id of a build (kourou pipeline builds list) or a file\n")
    (project / "build.yaml").write_text("other: 1\n")
    assert "Error: --build build.yaml names no image\n" in deploy("build.yaml", 1)
    (project / "build.yaml").write_text("image: docker.io/someone/app:1\n")
    assert "Warning: the local deployer runs the code itself: --build is not used\n" in deploy("build.yaml", 0)
