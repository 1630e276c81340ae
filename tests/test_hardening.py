# SPDX-License-Identifier: Apache-2.0
"""What the built files themselves say about how they were hardened."""
import json
import platform
import re
import shlex
import subprocess

import pytest

from tests.conftest import needs

PROGRAMS = ("kourou", "kourou-serve", "kourou-native")
SERVE_MAX = 4 * 1024 * 1024
FLAGS = ("-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection", "-D_FORTIFY_SOURCE=2")


def readelf(option, path):
    done = subprocess.run(["readelf", "--wide", option, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def segments(path):
    """[(type, flags)] of the program headers."""
    return re.findall(r"^  ([A-Z_]+) +0x[0-9a-f]+ 0x[0-9a-f]+ 0x[0-9a-f]+ 0x[0-9a-f]+ 0x[0-9a-f]+ ([RWE ]{3}) ",
                      readelf("--program-headers", path), re.MULTILINE)


@pytest.fixture(params=PROGRAMS)
def program(build_dir, request):
    return build_dir / request.param


def test_is_position_independent(program):
    assert "DYN (Position-Independent Executable file)" in readelf("--file-header", program)
    assert "PIE" in readelf("--dynamic", program)


def test_tables_are_read_only_after_the_start(program):
    dynamic = readelf("--dynamic", program)
    assert "GNU_RELRO" in [kind for kind, _ in segments(program)]
    assert re.search(r"\(FLAGS_1\).*\bNOW\b", dynamic), dynamic
    assert "TEXTREL" not in dynamic


def test_no_memory_is_writable_and_executable(program):
    found = segments(program)
    assert ("GNU_STACK", "RW ") in found, found
    assert [flags for kind, flags in found if kind == "LOAD"], found
    assert not [entry for entry in found if "W" in entry[1] and "E" in entry[1]], found


def test_libraries_come_from_the_system_folders_alone(program):
    dynamic = readelf("--dynamic", program)
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


@pytest.mark.parametrize("name", ["kourou", "kourou-native"])
def test_calls_are_checked(build_dir, name):
    symbols = readelf("--dyn-syms", build_dir / name)
    assert "__stack_chk_fail" in symbols
    assert re.search(r" __\w+_chk@", symbols), "no call of a fortified function"


def test_server_is_one_static_file_of_bounded_size(build_dir):
    server = build_dir / "kourou-serve"
    assert "NEEDED" not in readelf("--dynamic", server)
    assert "INTERP" not in [kind for kind, _ in segments(server)]
    assert server.stat().st_size <= SERVE_MAX


def test_every_source_is_compiled_with_the_flags(build_dir, root):
    commands = json.loads((build_dir / "compile_commands.json").read_text())
    own = [entry for entry in commands if (build_dir / entry["file"]).resolve().is_relative_to(root / "src")]
    assert len(own) > 100
    for entry in own:
        words = shlex.split(entry["command"])
        missing = [flag for flag in FLAGS if flag not in words]
        assert not missing and {"-fPIE", "-fPIC"} & set(words), (entry["file"], missing)


def objects_of_the_server(build_dir):
    return sorted(path for part in ("serve", "http") for path in (build_dir / f"src/{part}/libkr-{part}.a.p").glob("*.o"))


def test_objects_of_the_server_have_stack_guards(build_dir):
    """A static file has no names left; its objects do."""
    symbols = {path.name: readelf("--symbols", path) for path in objects_of_the_server(build_dir)}
    guarded = [name for name, text in symbols.items() if "__stack_chk_fail" in text]
    assert {"request.c.o", "scan.c.o"} & set(guarded), guarded
    assert any(re.search(r" __\w+_chk$", text, re.MULTILINE) for text in symbols.values()), "no fortified call"


def test_jumps_have_targets(build_dir):
    """Control flow protection: every own object says so. (A whole program says it where the C library does, too.)"""
    needs(platform.machine() == "x86_64", "a machine with control flow protection")
    objects = objects_of_the_server(build_dir)
    assert len(objects) > 20
    for path in objects:
        assert re.search(r"x86 feature: IBT, SHSTK", readelf("--notes", path)), path.name


def test_every_program_is_looked_at(root):
    """What is installed is in PROGRAMS."""
    rules = "".join(path.read_text() for path in (root / "src").rglob("meson.build"))
    names = re.findall(r"executable\('([^']+)'(?:(?!executable\().)*?install: true", rules, re.DOTALL)
    assert set(names) == set(PROGRAMS)
