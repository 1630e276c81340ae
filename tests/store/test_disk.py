# SPDX-License-Identifier: Apache-2.0
"""A folder that cannot be written, a disk that is really full, a thousand processes."""
import concurrent.futures
import json
import os
import shutil

import pytest

from tests.conftest import needs
from tests.support.disk import Disk


@pytest.fixture
def small_disk(tmp_path):
    disk = Disk(tmp_path / "disk", 1 << 20)
    needs(disk.mounted, f"the right to mount a small file system: {disk.why_not}")
    yield disk
    disk.close()


def one_line_error(done, *parts):
    assert 0 < done.returncode < 100 and done.stdout == "", done
    assert done.stderr.startswith("Error: ") and all(part in done.stderr for part in parts), done
    assert len(done.stderr.strip().splitlines()) <= 3, done


def test_full_disk(store, small_disk):
    """Whatever space is left: a command either works or changes nothing and says why."""
    disk = store.copy_to(small_disk.folder / "home")
    worked = refused = 0
    disk.run("secret", "create", "first", "--key=kept")
    for n, leave in enumerate([0, 0, 1, 4096, 8192, 16384, 40960, 65536, 131072, 0]):
        small_disk.fill(leave)
        done = disk.run("secret", "create", f"s{n}", "--key=" + "v" * 3000, check=None)
        if done.returncode:
            one_line_error(done, "full")
            refused += 1
        else:
            worked += 1
        names = {row["name"] for row in disk.items("secret")}  # reading works on a full disk
        assert (f"s{n}" in names) == (done.returncode == 0) and disk.secret("first") == {"key": "kept"}
        small_disk.free()
        disk.check()
        disk.run("secret", "create", f"after-{n}", "--key=v")
        disk.run("secret", "delete", f"after-{n}", "--yes")
    print(f"{refused} commands were refused, {worked} worked")
    assert refused >= 3


def test_first_command_on_a_full_disk(store, small_disk):
    disk = store.copy_to(small_disk.folder / "home")
    for leave in (0, 4096, 12288, 65536):
        small_disk.fill(leave)
        one_line_error(disk.run("secret", "create", "s1", "--key=v", check=None))
        small_disk.free()
    disk.run("secret", "create", "s1", "--key=v")
    assert disk.secret("s1") == {"key": "v"}
    disk.check()


def test_read_only_file_system(store, small_disk):
    disk = store.copy_to(small_disk.folder / "home")
    disk.run("secret", "create", "s1", "--key=v")
    small_disk.remount("ro")
    one_line_error(disk.run("secret", "create", "s2", "--key=v", check=None))
    one_line_error(disk.run("deployer", "register", "d1", "--flavor=local", check=None))
    assert disk.secret("s1") == {"key": "v"}  # reading goes on
    assert [row["name"] for row in disk.items("secret")] == ["s1"]
    small_disk.remount("rw")
    disk.run("secret", "create", "s2", "--key=v")
    disk.check()


def test_read_only_folder(store):
    """As a user who may not write there."""
    needs(os.geteuid() == 0, "root, who can become another user")
    store.run("secret", "create", "s1", "--key=v")
    (store.folder / "bin").mkdir()
    store.program = shutil.copy(store.program, store.folder / "bin")  # where that user can reach it
    for path in (*store.home.rglob("*"), store.home):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in store.folder.parents:
        if path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
            path.chmod(0o755)
    one_line_error(store.run("secret", "create", "s2", "--key=v", check=None, user="nobody"))
    store.check()
    store.home.chmod(0o700)
    for path in store.home.iterdir():
        path.chmod(0o600)
    store.run("secret", "create", "s2", "--key=v")
    assert [row["name"] for row in store.items("secret")] == ["s2", "s1"]


def test_a_thousand_processes(store):
    """A hundred at once, ten times, from the very first command of a home on."""
    def create(n):
        return store.run("secret", "create", f"s{n}", f"--key=value-{n}", check=None)

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        done = list(pool.map(create, range(1000)))
    bad = [d for d in done if d.returncode]
    assert not bad, (len(bad), bad[0])
    store.check()
    rows = []
    for page in range(1, 6):
        rows += [row["name"] for row in json.loads(
            store.run("secret", "list", "--size", "200", "--page", str(page), "--output", "json").stdout)["items"]]
    assert sorted(rows) == sorted(f"s{n}" for n in range(1000))
    for n in range(0, 1000, 97):
        assert store.secret(f"s{n}") == {"key": f"value-{n}"}
    assert store.files() == {"encryption.key", "store.db", "store.db-shm", "store.db-wal", "store.db.lock"}
