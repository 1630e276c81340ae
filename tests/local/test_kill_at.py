# SPDX-License-Identifier: Apache-2.0
"""Deploying, updating and deleting are killed at chosen changes of a file, or all changes fail from there on (a full
disk): the store is sound, the next command ends what was begun, and no server is left that nobody manages."""
import errno
import os
import signal
import sqlite3

import pytest

from .conftest import MODULE, servers_of, wait_for

TURNS = 8 if os.environ.get("CI") else 4
COMMANDS = {
    "deploy": ("pipeline", "deploy", "--name", "app", "my_module.my_pipeline"),
    "update": ("pipeline", "deploy", "--name", "app", "--update", "my_module.my_pipeline"),
    "delete": ("deployment", "delete", "app", "--yes"),
}


def sound(project):
    with sqlite3.connect(project.home / "kourou" / "store.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def one_server(project, where):
    live = project.pid()
    wait_for(lambda: set(project.servers()) == {live}, 40, f"{where}: only the server of the deployment")


@pytest.mark.parametrize("name", COMMANDS)
def test_stopped_at_a_change_of_a_file(project, build_dir, tmp_path, rng, name):
    env = {"LD_PRELOAD": str(build_dir / "tests" / "store" / "kill-at.so"), "KILL_PROGRAM": "kourou",
           "KILL_COUNT": str(tmp_path / "count")}
    project.run("secret", "list")  # makes the store: tests/store has that
    if name != "deploy":
        project.deploy()
    project.write(MODULE.replace("hello", "first"))
    project.run(*COMMANDS[name], env={**env, "KILL_AT": "1000000"})
    changes = int((tmp_path / "count").read_text())
    assert changes > 10
    stopped = 0
    for turn in range(TURNS):
        at, full = rng.randint(1, changes), turn % 3 == 2
        where = f"{name}, turn {turn}, at {at} of {changes}" + (", full disk" if full else "")
        print(where)
        if name == "deploy":
            project.run("deployment", "delete", "app", "--yes", check=None)
            wait_for(lambda: project.servers() == {}, 40, where)
        else:
            project.deploy("--update")
        word = f"turn{turn}"
        project.write(MODULE.replace("hello", word))
        more = {"KILL_ERRNO": str(errno.ENOSPC)} if full else {"KILL_HALF": "1"} if turn % 2 else {}
        done = project.run(*COMMANDS[name], check=None, env={**env, **more, "KILL_AT": str(at)})
        assert done.returncode >= 0 if full else done.returncode in (0, -signal.SIGKILL), (where, done)
        if full and done.returncode:
            assert "Error: " in done.stderr and done.returncode < 100, (where, done)
        stopped += done.returncode != 0
        sound(project)
        if not project.rows("deployment"):
            wait_for(lambda: servers_of(project.home) == {}, 40, f"{where}: no server without a deployment")
        project.deploy("--update")
        assert project.output() == f"{word} world", where
        one_server(project, where)
        sound(project)
    print(f"{name}: stopped {stopped} times of {TURNS}")
    assert stopped >= 1
