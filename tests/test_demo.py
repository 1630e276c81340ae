# SPDX-License-Identifier: Apache-2.0
"""The two commands of the README, as a newcomer sees them."""
import json
import subprocess
import time


def test_demo_answers_and_is_quick_the_second_time(root, build_dir, home, kourou):
    for number in (1, 2):
        started = time.monotonic()
        done = subprocess.run(["tools/demo.sh"], cwd=root, capture_output=True, text=True, timeout=240,
                              stdin=subprocess.DEVNULL)
        took = time.monotonic() - started
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"success": true' in done.stdout
        assert "http://127.0.0.1:" in done.stdout and "deployment delete digits" in done.stdout
        assert number == 1 or took < 30
    rows = json.loads(kourou("deployment", "list", "-o", "json", check=0).stdout)["items"]
    assert [(row["name"], row["status"]) for row in rows] == [("digits", "running")]
    kourou("deployment", "delete", "digits", "--yes", check=0)
    assert json.loads(kourou("deployment", "list", "-o", "json", check=0).stdout)["items"] == []
