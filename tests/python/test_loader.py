# SPDX-License-Identifier: Apache-2.0
"""Compiled files of the user's modules: told apart by the text of their source, and by nothing else."""
import importlib.util
import os
import sys

import pytest

MODULE = '''\
from kourou import pipeline, step
{more}

@step
def one() -> str:
    return "x"


@pipeline
def p(word: str = "{word}") -> str:
    return one()
'''
STAMP = 1_700_000_000_000_000_000


@pytest.fixture(autouse=True)
def python_writes(monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)


def put(project, text, name="mod"):
    path = project.write(text, name)
    os.utime(path, ns=(STAMP, STAMP))
    return path


def cache_of(path):
    return importlib.util.cache_from_source(str(path))


def flags_of(path):
    with open(cache_of(path), "rb") as file:
        data = file.read()
    assert data[:4] == importlib.util.MAGIC_NUMBER
    return data[4], data[8:16]


def written(path):
    found = os.stat(cache_of(path))
    return found.st_ino, found.st_mtime_ns


def word(project):
    return project.snapshot()["parameters"]["word"]


def test_same_size_and_time(project):
    for text in ("aaa", "bbb", "aaa", "ccc"):
        path = put(project, MODULE.format(word=text, more=""))
        assert word(project) == text
        assert flags_of(path) == (3, importlib.util.source_hash(path.read_bytes()))


def test_an_unchanged_source_is_not_compiled_again(project):
    path = put(project, MODULE.format(word="aaa", more=""))
    project.snapshot()
    was = written(path)
    os.utime(path)  # only its time is another
    assert word(project) == "aaa"
    assert written(path) == was


def test_a_damaged_compiled_file_is_replaced(project):
    path = put(project, MODULE.format(word="aaa", more=""))
    project.snapshot()
    with open(cache_of(path), "rb") as file:
        whole = file.read()
    for damaged in (whole[:16], whole[:40], whole[:16] + b"\xff" * 40, whole[:7], b"", whole[:16] + b"N"):
        with open(cache_of(path), "wb") as file:
            file.write(damaged)
        assert word(project) == "aaa"
        with open(cache_of(path), "rb") as file:
            assert file.read() == whole


def test_what_is_made_to_be_never_checked_is_checked(project):
    import py_compile

    path = put(project, MODULE.format(word="aaa", more=""))
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    was = written(path)
    assert word(project) == "aaa" and written(path) == was
    put(project, MODULE.format(word="bbb", more=""))
    assert word(project) == "bbb"


def test_installed_packages_below_the_root_stay_as_they_are(project):
    below = f"env.lib.python{sys.version_info[0]}_{sys.version_info[1]}.site-packages"
    installed = put(project, "VALUE = 'vvv'\n", f"{below}.library")
    more = f"import sys\nsys.path.append({str(installed.parent)!r})\nimport library\n"
    path = put(project, MODULE.format(word="aaa", more=more))
    assert word(project) == "aaa"
    assert flags_of(path)[0] == 3 and flags_of(installed)[0] == 0


def test_nothing_is_written_where_python_is_told_so(project):
    path = put(project, MODULE.format(word="aaa", more=""))
    assert project.compile(env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})[0] == 0
    assert not os.path.exists(cache_of(path))


def test_a_folder_for_compiled_files_is_used(project, tmp_path):
    path = put(project, MODULE.format(word="aaa", more=""))
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    for text in ("aaa", "bbb"):
        put(project, MODULE.format(word=text, more=""))
        status, document = project.compile(env=env)
        assert status == 0 and document["parameters"]["word"] == text
    assert not os.path.exists(cache_of(path))
    assert [file for file in (tmp_path / "compiled").rglob("mod.*.pyc")]
