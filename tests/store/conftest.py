# SPDX-License-Identifier: Apache-2.0
"""A home folder that commands are killed in, and what must hold of it afterwards."""
import json
import os
import shutil
import sqlite3
import subprocess

import pytest


class Store:
    """One KOUROU_HOME and the program."""

    def __init__(self, build_dir, folder):
        self.program, self.folder, self.home = build_dir / "kourou", folder, folder / "kourou"
        self.shim = build_dir / "tests" / "store" / "kill-at.so"
        assert self.shim.exists(), f"{self.shim} is missing: run make"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "KOUROU_HOME": str(self.home), "LANG": "C.UTF-8"}

    def run(self, *args, check=0, env=None, user=None):
        done = subprocess.run([str(self.program), *args], env={**self.env, **(env or {})}, cwd=self.folder, user=user,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
        if check is not None:
            assert done.returncode == check, (args, done.returncode, done.stdout, done.stderr)
        return done

    def stopped(self, at, *args, half=False, errno=0):
        """Runs a command that is killed at its at-th change of a file, or whose changes fail from there on."""
        env = {"LD_PRELOAD": str(self.shim), "KILL_AT": str(at), "KILL_PROGRAM": "kourou"}
        if half:
            env["KILL_HALF"] = "1"
        if errno:
            env["KILL_ERRNO"] = str(errno)
        return self.run(*args, check=None, env=env)

    def items(self, *what):
        return json.loads(self.run(*what, "list", "--columns", "all", "--output", "json").stdout)["items"]

    def secret(self, name):
        return json.loads(self.run("secret", "get", name, "--output", "json").stdout)["values"]

    def check(self):
        """The file is sound, by SQLite's own checks."""
        path = self.home / "store.db"
        if path.exists() and path.stat().st_size:
            with sqlite3.connect(path) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert db.execute("PRAGMA foreign_key_check").fetchall() == []

    def files(self):
        return {str(path.relative_to(self.home)) for path in self.home.rglob("*")}

    def copy_to(self, folder):
        other = object.__new__(Store)
        other.__dict__.update(self.__dict__, folder=folder, home=folder / "kourou")
        other.env = {**self.env, "HOME": str(folder), "KOUROU_HOME": str(other.home)}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if self.home.exists():
            shutil.copytree(self.home, other.home)
        return other


@pytest.fixture
def store(build_dir, tmp_path, home):
    folder = tmp_path / "store"
    folder.mkdir()
    return Store(build_dir, folder)
