# SPDX-License-Identifier: Apache-2.0
"""Transcripts with the real binary: a project folder, prepared homes, and a terminal."""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import textwrap
import time

import pytest

MODULE = """
    from kourou import pipeline, step

    @step
    def greet(name: str) -> str:
        print("greeting", name)
        if name == "boom":
            raise ValueError("boom it is")
        return f"Hello {name}"

    @step
    def shout(text: str, times: int = 1) -> str:
        return (text.upper() + "!") * times

    @pipeline
    def my_pipeline(name: str = "World", times: int = 1) -> str:
        return shout(greet(name), times)

    @pipeline
    def old_pipeline(name: str = "World") -> str:
        return greet(name)
"""


@pytest.fixture
def project(tmp_path, root, monkeypatch):
    """A source root with my_module.my_pipeline; the current folder of the test."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "my_module.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.setenv("VIRTUAL_ENV", str(root / ".venv"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def deployed(kourou, project):
    """my_deployment of my_module.my_pipeline runs on this machine; gone afterwards."""
    kourou("pipeline", "deploy", "--name", "my_deployment", "my_module.my_pipeline", check=0)
    yield "my_deployment"
    kourou("deployment", "delete", "--all", "--yes", "--ignore-errors", "--force")


@pytest.fixture(scope="session")
def commands(build_dir):
    """The table of commands, as the binary has it."""
    done = subprocess.run([str(build_dir / "kourou"), "__table"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture
def rows(kourou):
    """rows("secret", "list") gives the items of a list command."""

    def get(*args):
        return json.loads(kourou(*args, "--output", "json", check=0).stdout)["items"]

    return get


class Terminal:
    """A program on a pseudo-terminal: what it printed, and typing into it."""

    def __init__(self, argv, **env):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", **env})
            os.execv(argv[0], argv)

    def read(self, wait):
        ready, _, _ = select.select([self.fd], [], [], wait)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, text, deadline=60):
        end = time.monotonic() + deadline
        while text not in self.seen:
            assert time.monotonic() < end, f"no {text!r} in {self.seen!r}"
            assert self.read(0.1) or text in self.seen, f"ended without {text!r}: {self.seen!r}"
        return self

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    @property
    def text(self):
        """What was printed, without escape sequences."""
        return re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", self.seen).replace("\r\n", "\n")

    def end(self, deadline=60):
        """Waits for the end of the program; its exit status."""
        limit = time.monotonic() + deadline
        while self.read(0.1):
            assert time.monotonic() < limit, self.seen
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def terminal(build_dir, home):
    """terminal("secret", "delete", "x") starts the binary on a terminal."""

    def start(*args, prog="kourou", **env):
        return Terminal([str(build_dir / prog), *args], **env)

    return start


@pytest.fixture
def shell():
    """Skips, or fails in CI, when the named program is missing."""

    def need(name):
        from tests.conftest import needs

        path = shutil.which(name)
        needs(path is not None, name)
        return path

    return need
