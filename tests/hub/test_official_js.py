# SPDX-License-Identifier: Apache-2.0
"""The official JavaScript client against the test Hub; its tests are in js/conformance.test.mjs."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.hub.process import without_hub_variables

HERE = pathlib.Path(__file__).resolve().parent / "js"


@pytest.fixture(scope="session")
def packages():
    """node_modules as the lock file says; installed again only when that file changed."""
    if not (shutil.which("node") and shutil.which("npm")):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("missing on this machine: node and npm")
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = HERE / "node_modules" / ".stamp"
    if not stamp.exists() or stamp.read_text() != lock:
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stdout + done.stderr
        stamp.write_text(lock)
    return HERE


def test_official_javascript_client(hub, token, packages):
    hub.make_user("bob")
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", "conformance.test.mjs"],
        cwd=packages,
        timeout=240,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**without_hub_variables(), "HUB_URL": hub.url, "HUB_CONTROL": hub.control, "HUB_TOKEN": token},
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    counts = dict(re.findall(r"^# (tests|pass|fail|skipped|todo) (\d+)$", done.stdout, re.M))
    assert int(counts["pass"]) == int(counts["tests"]) >= 10, counts
