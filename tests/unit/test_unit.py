# SPDX-License-Identifier: Apache-2.0
"""Runs every C unit test of the sanitizer build as one test here."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-asan"


def c_tests():
    if not BUILD.is_dir():
        return []
    listed = subprocess.run(["meson", "introspect", "--tests", str(BUILD)], capture_output=True, text=True, check=True)
    return [(test["name"], test["cmd"], test["env"]) for test in json.loads(listed.stdout)]


@pytest.mark.parametrize("name,command,env", [pytest.param(*t, id=t[0]) for t in c_tests()])
def test_c(name, command, env):
    run = subprocess.run(command, capture_output=True, text=True, timeout=280,
                         env={**os.environ, **env, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                              "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
    output = run.stdout + run.stderr
    assert run.returncode == 0, output[-8000:]
    assert "Sanitizer" not in output and "runtime error" not in output, output[-8000:]


def test_the_sanitizer_build_has_tests():
    assert c_tests(), "build-asan has no tests: run make asan"
