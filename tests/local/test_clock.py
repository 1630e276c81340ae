# SPDX-License-Identifier: Apache-2.0
"""The command line with a wall clock that jumps by a day, and one that stood still while it waited."""
import json
import os
import pty
import signal
import time

import pytest
from tests.local.conftest import MODULE, wait_for
from tests.serve.serve_harness import Preload

DAY = 86_400

SLOW = MODULE.replace("@pipeline\n", '''def load():
    import os, time
    open("@/loading", "w").close()
    while not os.path.exists("@/loaded"):
        time.sleep(0.02)


@pipeline(on_init=load)
''')


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["a day forwards", "a day back"])
def test_a_deployment_lives_through_a_jump(project, tmp_path, jump):
    """Deployed at one time, called, listed, updated, read and deleted at another, and locks are free."""
    preload = Preload(tmp_path)
    project.env.update(preload.env)
    project.deploy()
    assert project.output() == "hello world"
    before = project.pid()
    preload.shift_clock(jump)
    assert project.output("app", "--name=later") == "hello later"
    assert project.row()["status"] == "running" and project.pid() == before
    assert project.rows("deployment")[0]["name"] == "app"
    project.write(MODULE.replace("hello", "good day"))
    project.deploy("--update")
    assert project.output() == "good day world"
    assert "is ready after" in project.run("deployment", "logs", "app").stdout
    preload.shift_clock(0)
    assert project.output() == "good day world"
    project.run("deployment", "delete", "app", "--yes")
    assert project.rows("deployment") == []


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["a day forwards", "a day back"])
def test_the_line_that_moves_while_it_waits_moves_on(project, tmp_path, jump):
    """At its pace: neither once a day nor as fast as it can."""
    preload = Preload(tmp_path)
    preload.shift_clock(jump)
    project.write(SLOW.replace("@/", f"{project.folder}/"))
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(project.folder)
        argv = [str(project.build_dir / "kourou"), "pipeline", "deploy", "--name", "app", "my_module.my_pipeline"]
        os.execve(argv[0], argv, {**project.env, **preload.env, "TERM": "xterm", "COLUMNS": "80"})
    seen, since, until = b"", None, time.monotonic() + 60
    while time.monotonic() < until:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
        if since is None and (project.folder / "loading").exists():
            since, seen = time.monotonic(), b""
        elif since is not None and seen.count(b"\r\033[2K") > 10:
            (project.folder / "loaded").touch()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen[-2000:]
    os.close(fd)
    drawn, took = seen.count(b"\r\033[2K"), time.monotonic() - since
    assert drawn > 10 and drawn / took < 100, (drawn, took)


def test_a_deploy_that_stood_still_with_its_server_gives_it_its_time(project):
    """Command, server and worker are stopped for longer than the deploy may take, and go on together."""
    project.write(SLOW.replace("@/", f"{project.folder}/"))
    deploy = project.popen("pipeline", "deploy", "--name", "app", "--timeout", "4", "my_module.my_pipeline", stderr=-1)
    wait_for((project.folder / "loading").exists, what="the pipeline loads")
    everybody = {deploy.pid}
    for pid in project.servers():
        everybody |= {pid, *(int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split())}
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 6, what="they stand still for longer than that")
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    (project.folder / "loaded").touch()
    assert deploy.wait(60) == 0, deploy.stderr.read()
    deploy.stderr.close()
    assert project.output() == "hello world"
