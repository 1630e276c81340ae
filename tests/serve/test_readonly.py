# SPDX-License-Identifier: Apache-2.0
"""The server on a read-only root: one folder to write is enough, and none is needed when runs are kept in memory."""
import json
import os
import shutil
import subprocess

import pytest
from tests.conftest import needs
from tests.serve.serve_client import Client
from tests.serve.serve_harness import BIN, HERE, PYTHON, make_snapshot, wait_for

# A mount namespace in which everything is read-only but $1.
SCRIPT = """
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
while read -r _ _ _ _ place _; do
  case $place in /proc|/proc/*|/sys|/sys/*|/dev|/dev/*|"$1") continue;; esac
  mount -o remount,bind,ro "$place" 2>/dev/null || true
done </proc/self/mountinfo
shift
if touch /usr/written-by-a-test 2>/dev/null || touch /tmp/written-by-a-test 2>/dev/null; then
  echo "the root is not read-only" >&2
  exit 9
fi
exec "$@"
"""


@pytest.mark.parametrize("journal", [True, False])
def test_read_only_root(tmp_path, journal):
    needs(os.geteuid() == 0 and shutil.which("unshare"), "root and the program unshare")
    (tmp_path / "snapshot.json").write_text(json.dumps(make_snapshot()))
    data = tmp_path / "data"
    data.mkdir()
    more = ["--data-dir", data, "--log-file", data / "log"] if journal else []
    with open(tmp_path / "stderr", "ab") as log:
        process = subprocess.Popen(["unshare", "--mount", "sh", "-c", SCRIPT, "sh", data, BIN, "--snapshot",
                                    tmp_path / "snapshot.json", "--root", tmp_path, "--port", "0", "--port-file",
                                    data / "port", "--python", PYTHON, "--python-path", HERE / "tiny", *more],
                                   stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: (data / "port").exists() or process.poll() is not None, "it listens")
        assert process.poll() is None, (tmp_path / "stderr").read_text()
        client = Client(int((data / "port").read_text()))
        wait_for(lambda: client.get("/health").status == 200, "a ready worker", 20)
        assert client.invoke("echo", value=3).json()["outputs"]["output"] == 3
        assert client.invoke("length", value="x" * (3 << 20)).json()["outputs"]["output"] == 3 << 20
        assert len(client.invoke("big", n=3 << 20).body) > 3 << 20
        refused = client.invoke("python", code=f"open({str(tmp_path / 'new')!r}, 'w')")
        assert refused.status == 500 and "Read-only file system" in refused.json()["error"]
        assert client.get("/runs").json()["total"] == 4
    finally:
        process.terminate()
    assert process.wait(20) == 0
    written = {path.name for path in data.iterdir()} - {"port"}
    assert "log" in written and len(written) > 1 if journal else not written, written
