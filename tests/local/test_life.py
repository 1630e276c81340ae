# SPDX-License-Identifier: Apache-2.0
"""The life of a local deployment: start, change, stop, return, end."""
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

from tests.support.ports import free_port

from .conftest import MODULE, servers_of, wait_for


def test_whole_life(project):
    shown = project.deploy()
    assert "running" in shown.stdout and "http://127.0.0.1:" in shown.stdout
    [row] = project.rows("deployment")
    assert (row["name"], row["pipeline"], row["status"]) == ("app", "my_pipeline", "running")
    assert project.output("app", "--name=bob", "--times=2") == "hello bob, hello bob"
    log = project.run("deployment", "logs", "app", "--tail", "5").stdout
    assert "POST /invoke 200" in log
    [folder] = project.runtime_dirs
    assert (folder.stat().st_mode & 0o777) == 0o700
    assert {oct(path.stat().st_mode & 0o777) for path in folder.glob("snapshot.*.json")} == {"0o600"}
    project.run("deployment", "delete", "app", "--yes")
    assert project.rows("deployment") == [] and project.servers() == {} and project.runtime_dirs == []


def test_unchanged_redeploy_changes_nothing(project):
    project.deploy()
    before, history = project.pid(), project.row()["history"]
    again = project.deploy()
    assert "Nothing changed" in again.stderr
    assert project.pid() == before and project.row()["history"] == history
    assert len(project.rows("pipeline", "snapshot")) == 1


def test_restart(project):
    project.deploy()
    before = project.pid()
    project.run("deployment", "restart", "app")
    assert project.pid() != before and project.output() == "hello world"
    refused = project.run("deployment", "restart", "app", "--factory", check=1)
    assert "builds nothing in place" in refused.stderr and "--prevent-build-reuse" in refused.stderr


def test_update_asks_and_declining_changes_nothing(project):
    project.deploy()
    before = project.pid()
    project.write(MODULE.replace("hello", "good day"))
    refused = project.deploy(check=1)
    assert "was not changed" in refused.stderr and "--update" in refused.stderr
    assert project.pid() == before and project.output() == "hello world"
    project.deploy("--update")
    assert project.output() == "good day world"


def test_update_refuses_no_connection(project):
    project.deploy()
    url = project.row()["url"] + "/invoke"
    outcomes, stop = [], threading.Event()

    def call():
        while not stop.is_set():
            request = urllib.request.Request(url, data=b'{"parameters":{}}', headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    outcomes.append(json.load(answer)["outputs"]["output"])
            except OSError as error:
                outcomes.append(repr(error))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for word in ("good day", "servus", "moin"):
            project.write(MODULE.replace("hello", word))
            project.deploy("--update")
            wait_for(lambda: outcomes[-1] == word + " world", what=f"the answer {word}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(outcomes) == {"hello world", "good day world", "servus world", "moin world"}
    wait_for(lambda: len(project.servers()) == 1, 40, "end of the former servers")


def test_broken_update_leaves_the_old_one(project):
    project.deploy()
    project.write(MODULE + "\nimport sys\nif 'worker' in sys.argv:\n    raise RuntimeError('boom at start')\n")
    failed = project.deploy("--update", check=1)
    assert "the pipeline cannot start" in failed.stderr and "boom at start" in failed.stderr
    assert "goes on answering" in failed.stderr
    row = project.row()
    assert row["status"] == "running" and "boom at start" in row["error"]
    assert project.output() == "hello world"
    wait_for(lambda: len(project.servers()) == 1, 40, "one server")
    project.write(MODULE.replace("hello", "mended"))
    project.deploy("--update")
    assert project.output() == "mended world" and project.row()["error"] is None


def test_broken_first_start_shows_the_traceback(project):
    project.write(MODULE + "\nimport sys\nif 'worker' in sys.argv:\n    raise RuntimeError('boom at start')\n")
    failed = project.deploy(check=1)
    assert "my_module.py:" in failed.stderr and "RuntimeError: boom at start" in failed.stderr
    assert project.row()["status"] == "error" and project.servers() == {}
    project.write(MODULE)
    project.deploy()
    assert project.output() == "hello world"


def test_provision_after_the_process_is_lost(project):
    project.deploy()
    port = project.row()["url"]
    os.kill(project.pid(), signal.SIGKILL)
    wait_for(lambda: not project.servers(), what="end of the server")
    row = project.row()
    assert row["status"] == "error" and "has ended" in row["state_note"]
    gone = project.run("deployment", "invoke", "app", check=1)
    assert "does not run" in gone.stderr and "deployment provision app" in gone.stderr
    project.run("deployment", "provision", "app")
    assert project.row()["url"] == port and project.output() == "hello world"


def test_deprovision_keeps_the_record(project):
    project.deploy(*project.settings(port=free_port()))  # nobody else takes it meanwhile
    url = project.row()["url"]
    project.run("deployment", "deprovision", "app", "--yes")
    assert project.servers() == {} and project.row()["status"] == "absent"
    project.run("deployment", "deprovision", "app", "--yes")
    project.run("deployment", "provision", "app")
    assert project.row()["url"] == url and project.output() == "hello world"


def test_rollback_brings_back_code_and_settings(project):
    project.deploy()
    nothing = project.run("deployment", "rollback", "app", "--yes", check=1)
    assert "no previous snapshot" in nothing.stderr
    project.write(MODULE.replace("hello", "good day"))
    project.deploy("--update")
    project.run("deployment", "rollback", "app", "--yes")
    assert project.output() == "hello world"
    project.run("deployment", "rollback", "app", "--yes")
    assert project.output() == "good day world"


def test_provision_brings_back_what_ran_and_not_what_was_tried(project):
    project.deploy()
    good = project.row()["snapshot_id"]
    project.write(MODULE + "\nraise RuntimeError('boom at start')\n")
    project.deploy("--update", check=1)
    assert project.row()["snapshot_id"] == good and project.output() == "hello world"
    os.kill(project.pid(), signal.SIGKILL)
    wait_for(lambda: not project.servers(), what="end of the server")
    project.run("deployment", "provision", "app")
    assert project.output() == "hello world"


def test_diff_names_what_would_change(project):
    project.deploy()
    same = json.loads(project.run("deployment", "diff", "app", "--output", "json").stdout)
    assert same["unchanged"] is True and same["changes"] == []
    project.write(MODULE.replace("hello", "good day").replace("times: int = 1", "times: int = 2"))
    project.write("x = 1\n", "other.py")
    changed = json.loads(project.run("deployment", "diff", "app", "--output", "json").stdout)
    assert {"path": "other.py", "change": "added"} in changed["files"]
    assert {"path": "my_module.py", "change": "changed"} in changed["files"]
    assert any(change["path"].startswith("parameters.times") for change in changed["changes"])
    assert project.output() == "hello world"


def test_dry_run_sends_nothing(project):
    plan = json.loads(project.deploy("--dry-run", "--output", "json").stdout)
    assert plan["new"] is True and plan["steps"][0]["call"] == "start"
    assert project.rows("deployment") == [] and project.rows("pipeline") == [] and project.servers() == {}


def test_interrupt_and_go_on(project):
    slow = MODULE.replace("@pipeline\n", "def wait():\n    import time\n    time.sleep(60)\n\n\n@pipeline(on_init=wait)\n")
    project.write(slow)
    process = project.popen("pipeline", "deploy", "--name", "app", "my_module.my_pipeline", stderr=subprocess.PIPE)
    wait_for(project.servers, what="the server's start")
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=60)
    assert process.returncode != 0 and "the same command goes on" in text
    assert project.servers() == {}
    assert project.row()["history"][-1]["what"] == "stopped"
    project.write(MODULE)
    project.deploy()
    assert project.output() == "hello world"


def test_two_deploys_of_one_name_at_once(project):
    go = project.home / "go"
    project.write(MODULE.replace("@pipeline\n", "def wait():\n    import pathlib, time\n"
                                 f"    while not pathlib.Path({str(go)!r}).exists():\n        time.sleep(0.01)\n\n\n"
                                 "@pipeline(on_init=wait)\n"))
    first = project.popen("pipeline", "deploy", "--name", "app", "my_module.my_pipeline")
    wait_for(project.servers, what="the server's start")
    second = project.deploy(check=1)
    assert "is being worked on" in second.stderr and str(first.pid) in second.stderr
    go.touch()
    assert first.wait(60) == 0
    assert project.output() == "hello world"


def test_server_ends_when_its_folder_is_removed(project):
    project.deploy()
    [folder] = project.runtime_dirs
    shutil.rmtree(folder)
    wait_for(lambda: not project.servers(), what="end of the server")


def test_leftovers_of_a_removed_store_go(project):
    project.deploy()
    for path in (project.home / "kourou").glob("store.db*"):
        path.unlink()
    assert project.rows("deployment") == []
    assert project.servers() == {} and project.runtime_dirs == []


def test_other_stores_are_left_alone(project):
    project.deploy()
    project.run("deployment", "list", env={"KOUROU_STORE_URL": str(project.home / "other.db")})
    assert project.output() == "hello world"


def test_deep_data_folder(project):
    deep = project.home / ("d" * 100) / ("e" * 100)
    project.env["KOUROU_HOME"] = str(deep)
    project.deploy()
    project.write(MODULE.replace("hello", "good day"))
    project.deploy("--update")
    assert project.output() == "good day world"
    project.run("deployment", "delete", "app", "--yes")
    wait_for(lambda: servers_of(project.home) == {}, 40, "end of the servers")


def test_list_is_not_held_up_by_a_hung_server(project):
    project.deploy(name="good")
    project.deploy(name="bad")
    os.kill(project.pid("bad"), signal.SIGSTOP)
    try:
        begun = time.monotonic()
        states = {row["name"]: row["status"] for row in project.rows("deployment")}
        assert time.monotonic() - begun < 20
        assert states == {"good": "running", "bad": "pending"}
    finally:
        os.kill(project.pid("bad"), signal.SIGCONT)


def test_hung_server_is_replaced(project):
    project.deploy()
    os.kill(project.pid(), signal.SIGSTOP)
    project.write(MODULE.replace("hello", "good day"))
    project.deploy("--update")
    assert project.output() == "good day world"
    wait_for(lambda: len(project.servers()) == 1, 40, "one server")


def test_runs_of_all_deployments(project):
    project.deploy(name="one")
    project.deploy(name="two")
    for name in ("one", "two", "two"):
        project.invoke(name)
    runs = wait_for(lambda: (lambda rows: len(rows) == 3 and rows)(project.rows("pipeline", "runs")), what="three runs")
    assert sorted(run["deployment"] for run in runs) == ["one", "two", "two"]
    assert {run["status"] for run in runs} == {"completed"}
    page = json.loads(project.run("pipeline", "runs", "list", "--size", "2", "--page", "2", "--output", "json").stdout)
    assert len(page["items"]) == 1 and page["pagination"]["total"] == 3


def test_logs_follow_through_rotation(project):
    project.deploy()
    [folder] = project.runtime_dirs
    follower = project.popen("deployment", "logs", "app", "-f", "--tail", "1", stdout=subprocess.PIPE)
    try:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(follower.stdout.readline, "")), daemon=True)
        reader.start()
        wait_for(lambda: lines, what="the first line")
        log = folder / "server.log"
        with log.open("a") as file:
            file.write("before rotation\n")
        log.rename(folder / "server.log.1")
        log.write_text("after rotation\n")
        wait_for(lambda: "after rotation\n" in lines, what="the line behind the rotation")
        assert "before rotation\n" in lines
        assert lines.index("before rotation\n") < lines.index("after rotation\n")
    finally:
        follower.send_signal(signal.SIGINT)
        assert follower.wait(60) == 0
    both = project.run("deployment", "logs", "app", "--tail", "2").stdout.splitlines()
    assert both == ["before rotation", "after rotation"]


def test_blocking_stays_until_interrupted(project):
    config = project.settings(blocking=True)
    process = project.popen("pipeline", "deploy", "--name", "app", "my_module.my_pipeline", *config, stderr=subprocess.PIPE)
    # The deploy itself says when it runs, and stays from then on and shows the log.
    stays = next(line for line in process.stderr if line.startswith("running at http://"))
    assert stays == f"running at {project.row()['url']}; Ctrl-C stops it\n"
    assert process.poll() is None and project.output() == "hello world"
    assert next(line for line in process.stderr if "POST /invoke 200" in line)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert project.servers() == {} and project.row()["status"] == "absent"


@pytest.mark.parametrize("what", ["deploy", "delete"])
def test_kill_then_again(project, what):
    """A single kill at a known point: while the server starts, and while it is stopped."""
    project.write(MODULE.replace("@pipeline\n", "def wait():\n    import time\n    time.sleep(1)\n\n\n@pipeline(on_init=wait)\n"))
    if what == "deploy":
        process = project.popen("pipeline", "deploy", "--name", "app", "my_module.my_pipeline")
        wait_for(project.servers, what="the server's start")
        process.kill()
        process.wait()
        project.deploy()
        assert project.output() == "hello world" and len(project.servers()) == 1
    else:
        project.deploy()
        process = project.popen("deployment", "delete", "app", "--yes")
        time.sleep(0.01)
        process.kill()
        process.wait()
        project.run("deployment", "delete", "app", "--yes", check=None)
        assert project.rows("deployment") == [] and project.servers() == {}
