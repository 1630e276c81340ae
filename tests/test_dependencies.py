# SPDX-License-Identifier: Apache-2.0
"""docs/dependencies.md names all that the programs are made of and all that tests and benchmarks install."""
import pathlib
import re

import pytest

from tests.conftest import module_at


@pytest.fixture(scope="module")
def tool(root):
    return module_at(root / "tools/dependencies.py")


@pytest.fixture(scope="module")
def listed(root):
    """First cells of the page's tables, and all code words in them."""
    names = set()
    for line in (root / "docs/dependencies.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 3:
            names |= set(re.findall(r"`([^`]+)`", cells[0])) or {cells[0]}
    return names


def test_linked_libraries(tool, listed, build_dir):
    used = tool.linked(build_dir)
    assert "libcrypto.so.3" in used and "kourou" in used["libcrypto.so.3"]
    assert not set(used) - listed
    assert not [name for name, programs in used.items() if "kourou-serve" in programs]


def test_libraries_that_are_loaded_later(tool, listed):
    used = {name for files in tool.lazy() for name in files}
    assert {"libcurl.so.4", "libarchive.so.13"} <= used
    assert not used - listed


def test_what_is_inside_the_server(tool, listed, build_dir):
    archives, sources = tool.inside(build_dir)
    used = {pathlib.Path(path).name for path in [*archives, *sources]}
    assert {"libc.a", "libsqlite3.a", "libjansson.a", "llhttp.c"} <= used
    assert not used - listed


def test_what_is_installed(tool, listed):
    used = {name for _, names in tool.python_lists() for name in names}
    assert {"pydantic", "pytest"} <= used
    used |= {name for names in tool.setup_lists().values() for name in names} | {row[0] for row in tool.javascript()}
    assert "libcmocka-dev" in used
    assert not used - listed


def test_every_row_has_a_version_and_a_licence(root):
    rows = [line for line in (root / "docs/dependencies.md").read_text().splitlines() if line.startswith("| ")]
    bad = [line for line in rows if "| - " in line or "see its" in line or line.count(" | ") < 2]
    assert len(rows) > 60 and not bad, bad
