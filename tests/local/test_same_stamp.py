# SPDX-License-Identifier: Apache-2.0
"""A source that changes without changing its size or its time: Python alone would run the former compiled code."""
import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

from .conftest import MODULE, wait_for

WORDS = ["hello", "first", "other", "again"]
STAMP = 1_700_000_000_123_456_789


def put(project, text, name="my_module.py"):
    """Writes a module whose times are always the same."""
    path = project.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(STAMP, STAMP))


def use_plain_python(project, code="import my_module"):
    """The user's own Python run, which leaves compiled files that are told apart by second and size."""
    done = subprocess.run([sys.executable, "-c", code], cwd=project.folder, capture_output=True, text=True,
                          env={**project.env, "PYTHONPATH": str(ROOT / "python")})
    assert done.returncode == 0, done
    return done.stdout


def caches(project):
    return sorted(project.folder.rglob("*.pyc"))


def test_every_redeploy_serves_the_new_words(project):
    for word in WORDS:
        put(project, MODULE.replace("hello", word))
        project.deploy("--update")
        assert project.output() == f"{word} world"


def test_words_of_a_module_below(project):
    put(project, MODULE.replace('"hello "', 'WORD + " "').replace("from kourou", "from part.words import WORD\nfrom kourou"))
    for word in WORDS:
        put(project, f"WORD = {word!r}\n", "part/words.py")
        project.deploy("--update")
        assert project.output() == f"{word} world"


def test_the_snapshot_is_of_the_source_that_stands_there(project):
    for default in ("aaaaa", "bbbbb", "ccccc"):
        put(project, MODULE.replace('"world"', repr(default)))
        use_plain_python(project)
        put(project, MODULE.replace('"world"', repr(default[::-1].upper())))
        project.deploy("--update")
        assert project.output() == f"hello {default.upper()}"


def test_compiled_files_of_a_plain_python_are_not_trusted(project):
    put(project, MODULE)
    use_plain_python(project)
    put(project, MODULE.replace("hello", "first"))
    project.deploy()
    assert project.output() == "first world"
    put(project, MODULE.replace("hello", "other"))
    use_plain_python(project)
    # What Kourou left there tells a plain Python the truth, too.
    assert use_plain_python(project, "import my_module; print(my_module.greet.entrypoint('x', 1))") == "other x\n"


def test_back_to_an_earlier_source_and_provision(project):
    for word in ("hello", "first", "hello"):
        put(project, MODULE.replace("hello", word))
        project.deploy("--update")
        assert project.output() == f"{word} world"
    put(project, MODULE.replace("hello", "later"))
    project.run("deployment", "deprovision", "app", "--yes")
    project.run("deployment", "provision", "app")  # the kept copy: the folder has changed
    assert project.output() == "hello world"


def test_auto_reload(project):
    put(project, MODULE)
    use_plain_python(project)
    put(project, json.dumps({"settings": {"deployer": {"auto_reload": True}}}), "config.yaml")
    project.deploy("--config", "config.yaml")
    for word in WORDS[1:]:
        put(project, MODULE.replace("hello", word))
        wait_for(lambda w=word: project.output() == f"{w} world", what=f"the answer with {word}")


@pytest.mark.parametrize("kill", [False, True])
def test_a_worker_that_starts_again_uses_what_was_compiled(project, kill):
    put(project, MODULE)
    project.deploy()
    files = caches(project)
    assert [file.name.split(".")[0] for file in files] == ["my_module"]
    was = files[0].stat()
    if kill:
        children = int(project.pid())
        workers = subprocess.run(["pgrep", "-P", str(children)], capture_output=True, text=True, check=True).stdout.split()
        for pid in workers:
            os.kill(int(pid), 9)
        wait_for(lambda: project.get("/health")[0] == 200, what="the next worker")
    else:
        project.deploy("--update")
    assert project.output() == "hello world"
    assert caches(project) == files and files[0].stat().st_mtime_ns == was.st_mtime_ns
