# SPDX-License-Identifier: Apache-2.0
"""What is made from the tables of settings is what the program says."""
import shutil
import subprocess
import sys


def test_what_is_made_from_the_tables_is_current(root, build_dir, home):
    done = subprocess.run([sys.executable, root / "tools/generate-settings.py", "--check", build_dir / "kourou"],
                          capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_stale_is_named(root, build_dir, home, tmp_path):
    """A copy of the tree in which the files say something else; then they are written again."""
    made = ["python/kourou/_settings_classes.py", "python/kourou/config.schema.json", "docs/settings.md"]
    shutil.copytree(root / "python/kourou", tmp_path / "python/kourou")
    for name in ("tools/generate-settings.py", "docs/settings.md"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(root / name, tmp_path / name)
    for name in made:
        (tmp_path / name).write_text((tmp_path / name).read_text() + "# more\n")
    command = [sys.executable, tmp_path / "tools/generate-settings.py", "--check", build_dir / "kourou"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"{name} is not what the settings tables say: run tools/generate-settings.py" for name in made]
    subprocess.run([word for word in command if word != "--check"], check=True, timeout=120)
    assert all((tmp_path / name).read_text() == (root / name).read_text() for name in made)
    assert subprocess.run(command, timeout=120).returncode == 0


def test_run_args_are_those_of_the_page(root):
    """docs/images.md lists the options of `run_args` that the program passes on, all of them and no other."""
    import re

    table = (root / "src/deployers/docker_args.c").read_text().split("run_options[] = {")[1].split("};")[0]
    page = (root / "docs/images.md").read_text().split("by the program's names:")[1].split("; any other")[0]
    assert re.findall(r'\{"([a-z0-9-]+)"', table) == re.findall(r"`([a-z0-9-]+)`", page)
