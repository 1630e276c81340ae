# SPDX-License-Identifier: Apache-2.0
"""auto_reload: changed code is served without a deploy, no request is lost, and broken code changes nothing."""
import json
import os
import threading
import urllib.error
import urllib.request

import pytest

from .conftest import MODULE, wait_for


class Callers:
    """Threads that call a deployment all the time; `seen` are the answers, other outcomes included."""

    def __init__(self, url, threads=4):
        self.url, self.seen, self.stop = url + "/invoke", [], threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.stop.is_set():
            request = urllib.request.Request(self.url, b'{"parameters":{}}', {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self.seen.append(json.load(answer)["outputs"]["output"])
            except (OSError, urllib.error.HTTPError) as error:
                self.seen.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def expect(self, text):
        """From some answer on all are this one."""
        wait_for(lambda: self.seen[-20:] == [text] * 20, what=f"the answer {text!r}")


def log_of(project):
    return project.run("deployment", "logs", "app").stdout


def deploy(project, workers=1):
    project.write(json.dumps({"settings": {"deployer": {"auto_reload": True},
                                           "deployment": {"uvicorn_workers": workers}}}), "config.yaml")
    project.deploy("--config", "config.yaml")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_changed_file_is_served_and_no_request_is_lost(project, workers):
    deploy(project, workers)
    server = project.pid()
    with Callers(project.row()["url"]) as callers:
        callers.expect("hello world")
        project.write(MODULE.replace("hello", "good day"))
        callers.expect("good day world")
        (project.folder / "part").mkdir()
        project.write("WORD = 'servus'\n", "part/words.py")
        project.write(MODULE.replace('"hello "', 'WORD + " "').replace("from kourou", "from part.words import WORD\nfrom kourou"))
        callers.expect("servus world")
        new = project.folder / "words.new"
        new.write_text("WORD = 'moin moin'\n")
        os.replace(new, project.folder / "part" / "words.py")  # as editors write
        callers.expect("moin moin world")
    assert set(callers.seen) == {"hello world", "good day world", "servus world", "moin moin world"}
    assert project.pid() == server and len(project.servers()) == 1
    status, metrics = project.get("/metrics", headers={"Accept": "text/plain"})
    ready = f'kourou_workers{{state="ready"}} {workers}\n'.encode()
    wait_for(lambda: ready in project.get("/metrics", headers={"Accept": "text/plain"})[1], what="end of the former workers")
    assert status == 200 and b"kourou_worker_crashes_total 0\n" in metrics


def test_broken_code_leaves_the_workers_that_serve(project):
    deploy(project)
    with Callers(project.row()["url"], 2) as callers:
        callers.expect("hello world")
        project.write(MODULE + "\nthis is no Python\n")
        wait_for(lambda: "the workers go on with the code that they have" in log_of(project), what="the verdict")
        assert project.output() == "hello world" and project.row()["status"] == "running"
        assert "SyntaxError" in log_of(project) and "my_module.py" in log_of(project)
        project.write(MODULE.replace("hello", "mended"))
        callers.expect("mended world")
    assert set(callers.seen) == {"hello world", "mended world"}


def test_a_running_request_ends_with_the_code_it_began_with(project):
    project.write(MODULE.replace("    return \", \"", "    import pathlib, time\n    began = pathlib.Path('began')\n"
                                 "    if not began.exists():\n        began.touch()\n"
                                 "        while not pathlib.Path('go').exists():\n            time.sleep(0.01)\n"
                                 "    return \", \""))
    deploy(project)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(project.output()))
    thread.start()
    wait_for((project.folder / "began").exists, what="the run")
    project.write(MODULE.replace("hello", "new"))
    wait_for(lambda: project.output() == "new world", what="the new code")
    (project.folder / "go").touch()
    thread.join(60)
    assert answers == ["hello world"]


def test_other_files_and_caches_start_nothing(project):
    deploy(project)
    project.write("x", "notes.txt")
    for name in ("__pycache__", ".cache", "node_modules"):
        (project.folder / name).mkdir(exist_ok=True)
        project.write("x = 1", f"{name}/other.py")
    project.write(MODULE.replace("hello", "good day"))  # what came before was seen before
    wait_for(lambda: project.output() == "good day world", what="the new code")
    assert log_of(project).count("the code has changed") == 1
    project.run("deployment", "deprovision", "app", "--yes")
    project.write(MODULE.replace("hello", "servus"))
    project.run("deployment", "provision", "app")  # the folder is what is served, not a kept copy
    assert project.output() == "servus world"
