# SPDX-License-Identifier: Apache-2.0
"""What was deployed is what is served, whatever becomes of the folder that is worked in."""
import os
import shutil
import signal
import threading

import pytest

from tests.local.conftest import wait_for
from tests.local.test_native import deploy as deploy_native
from tests.local.test_native import native  # noqa: F401 (a fixture)

READER = """\
import os
import pathlib

from kourou import pipeline, step

ONE = "deployed"


@step
def read() -> str:
    beside = pathlib.Path(__file__).with_name("prompt.txt").read_text()
    return " ".join([ONE, open("prompt.txt").read(), beside, open("data/rows.csv").read(), str(os.path.exists(".env"))])


@pipeline
def my_pipeline() -> str:
    return read()
"""

SLOW = """\
import time

from kourou import pipeline, step


@step
def wait(seconds: float) -> str:
    open("started", "w").close()
    time.sleep(seconds)
    import late
    return late.TEXT


@pipeline
def my_pipeline(seconds: float = 0) -> str:
    return wait(seconds)
"""


def workers(project):
    """Processes of the server that the deployment has."""
    server, found = project.pid(), set()
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()[1]) == server:
                found.add(int(entry))
        except OSError:
            continue
    return found


def replace_worker(project):
    former = workers(project)
    assert former
    for pid in former:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: workers(project) - former and project.get("/health")[0] == 200, what="another worker")


@pytest.fixture
def reader(project):
    project.write(READER)
    project.write("before", "prompt.txt")
    (project.folder / "data").mkdir()
    project.write("rows", "data/rows.csv")
    project.write("data/\n", ".gitignore")
    project.write("A=1\n", ".env")
    project.deploy()
    assert project.output() == "deployed before before rows True"
    return project


@pytest.mark.parametrize("change", ["edited", "half-typed", "removed"])
def test_a_new_worker_serves_what_was_deployed(reader, change):
    if change == "edited":
        reader.write(READER.replace('"deployed"', '"edited"'))
        reader.write("after", "prompt.txt")
    elif change == "half-typed":
        reader.write(READER + "\n\ndef unfinished(")
    elif change == "removed":
        (reader.folder / "my_module.py").unlink()
        (reader.folder / "prompt.txt").unlink()
    replace_worker(reader)
    assert reader.output() == "deployed before before rows True"


def test_the_folder_may_move_away(project):
    project.deploy()
    away = project.folder.with_name("away")
    project.folder.rename(away)
    project.folder = away
    replace_worker(project)
    assert project.output() == "hello world"


def test_a_new_file_changes_nothing(reader):
    """Not even one that would stand before the standard library."""
    reader.write("raise RuntimeError('not deployed')\n", "pathlib.py")
    replace_worker(reader)
    assert reader.output() == "deployed before before rows True"
    stopped = reader.run("deployment", "deprovision", "app", "--yes")
    assert stopped.returncode == 0
    reader.run("deployment", "provision", "app")
    assert reader.output() == "deployed before before rows True"


def test_an_update_serves_the_new_code_and_leaves_one_copy(reader):
    reader.write(READER.replace('"deployed"', '"updated"'))
    reader.deploy("--update")
    assert reader.output() == "updated before before rows True"
    (folder,) = reader.runtime_dirs
    wait_for(lambda: len(reader.servers()) == 1, what="the former server's end")
    reader.write(READER.replace('"deployed"', '"third"'))
    reader.deploy("--update")
    wait_for(lambda: len(reader.servers()) == 1, what="the former server's end")
    generation = reader.row()["metadata"]["live"]["generation"]
    assert f"code.{generation}" in [path.name for path in folder.glob("code.*")]
    assert f"code.{generation - 2}" not in [path.name for path in folder.glob("code.*")]


def test_a_former_server_has_its_code_until_it_has_answered(project):
    project.write(SLOW)
    project.write("TEXT = 'first'\n", "late.py")
    project.deploy()
    answers = []
    caller = threading.Thread(target=lambda: answers.append(project.output("app", "--seconds=6")))
    caller.start()
    (folder,) = project.runtime_dirs
    wait_for(lambda: (folder / "code.1/started").exists(), what="the call")
    project.write("TEXT = 'second'\n", "late.py")
    project.deploy("--update")
    assert project.output() == "second"
    caller.join()
    assert answers == ["first"]


def test_large_data_is_used_where_it_lies(project):
    project.write(READER.replace('open("data/rows.csv").read()', 'str(os.path.getsize("weights.bin"))'))
    project.write("p", "prompt.txt")
    with open(project.folder / "weights.bin", "wb") as file:
        file.truncate(17 << 20)
    project.deploy()
    assert project.output() == f"deployed p p {17 << 20} False"
    (folder,) = project.runtime_dirs
    (code,) = folder.glob("code.*")
    assert (code / "weights.bin").is_symlink() and not (code / "my_module.py").is_symlink()


def test_code_that_is_too_large_to_copy_is_said(project):
    for i in range(5):
        with open(project.folder / f"part{i}.bin", "wb") as file:
            file.truncate(15 << 20)
    done = project.deploy()
    assert "is larger than 64 MB: it is served from there, with every change of it" in done.stderr
    (folder,) = project.runtime_dirs
    assert not list(folder.glob("code.*")) and project.output() == "hello world"


def test_reload_serves_the_folder(project):
    project.deploy(*project.settings(auto_reload=True))
    (folder,) = project.runtime_dirs
    assert not list(folder.glob("code.*"))


def test_a_library_that_is_built_again(native):  # noqa: F811
    """Written over while it is loaded, and replaced by something that is none."""
    deploy_native(native)
    library = native.folder / "lib/libanomaly.so"
    values = "--values=[1,1,1,1,1,1,1,1,9,1]"
    data = library.read_bytes()
    with open(library, "r+b") as file:
        file.write(b"\0" * len(data))
    assert native.invoke("app", values, "--window=5")["outputs"]["count"] == 1
    replace_worker(native)
    assert native.invoke("app", values, "--window=5")["outputs"]["count"] == 1


def test_delete_takes_the_copy_along(reader):
    (folder,) = reader.runtime_dirs
    reader.run("deployment", "delete", "app", "--yes")
    assert not folder.exists() and (reader.folder / "data/rows.csv").exists()
    shutil.rmtree(reader.folder / "data")
