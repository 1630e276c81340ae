# SPDX-License-Identifier: Apache-2.0
"""The flavor of docs/adding-a-deployer.md is added as the page says, built, and deployed with."""
import json
import os
import re
import shutil
import subprocess
import textwrap

import pytest

BLOCK = re.compile(r"^   ```c (\S+)\n(.*?)^   ```$", re.M | re.S)


def blocks(page):
    return {name: textwrap.dedent(text) for name, text in BLOCK.findall(page)}


def follow(page, clone):
    parts = blocks(page)
    assert sorted(parts) == ["src/core/deployer_flavors.h", "src/core/deployer_settings.c", "src/deployers/bottle.c"]
    row = parts.pop("src/core/deployer_flavors.h").strip()
    flavors = clone / "src/core/deployer_flavors.h"
    text, n = re.subn(r"( X\(\w+, .*\))\n\n", lambda last: f"{last.group(1)} \\\n    {row}\n\n", flavors.read_text())
    assert n == 1, "no last row was found"
    flavors.write_text(text)
    settings = clone / "src/core/deployer_settings.c"
    settings.write_text(settings.read_text() + "\n" + parts.pop("src/core/deployer_settings.c"))
    (clone / "src/deployers/bottle.c").write_text(parts.pop("src/deployers/bottle.c"))
    meson = clone / "src/deployers/meson.build"
    text, n = re.subn(r"files\(", "files('bottle.c', ", meson.read_text(), count=1)
    assert n == 1
    meson.write_text(text)


@pytest.mark.skipif(not os.environ.get("KOUROU_TEST_ALL"), reason="builds the program anew: KOUROU_TEST_ALL=1")
def test_the_page_is_followed(root, tmp_path):
    clone = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        if name.startswith("fuzz/corpora/") or not (root / name).is_file():
            continue
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, clone / name)
    (clone / "fuzz/corpora").mkdir(exist_ok=True)
    follow((root / "docs/adding-a-deployer.md").read_text(), clone)
    subprocess.run(["meson", "setup", "build", "--buildtype=release"], cwd=clone, check=True, capture_output=True)
    built = subprocess.run(["ninja", "-C", "build", "src/cli/kourou", "src/serve/kourou-serve"], cwd=clone,
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-3000:]

    home = tmp_path / "home"
    env = {**os.environ, "KOUROU_HOME": str(home), "KOUROU_PYTHON_PATH": str(clone / "python")}

    def kourou(*words):
        done = subprocess.run([clone / "build/src/cli/kourou", *words], cwd=root / "examples/greeting", env=env,
                              capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    assert "bottle" in kourou("deployer", "flavor", "list")
    assert "What stands on the bottle" in kourou("deployer", "flavor", "describe", "bottle")
    kourou("deployer", "register", "shelf", "--flavor=bottle", "--sticker=red")
    kourou("stack", "register", "cellar", "-D", "shelf", "-a", "default", "-o", "default", "--set")
    kourou("pipeline", "deploy", "my_module.my_pipeline", "--name", "one")
    (bottle,) = home.rglob("*.bottle")
    row = json.loads(kourou("deployment", "describe", "one", "--output", "json"))
    assert row["status"] == "running" and row["url"] == f"file://{bottle}"
    assert bottle.read_text() == f"red {row['snapshot_id']}\n"
    kourou("deployment", "delete", "one", "--yes")
    assert not list(home.rglob("*.bottle"))
