# SPDX-License-Identifier: Apache-2.0
"""A clone that was moved or copied with its build folder builds itself, not the former one."""
import os
import shutil
import subprocess

# What meson and ninja were asked to do is written down; a build makes the programs.
FAKE = """#!/bin/sh
echo "$(basename "$0") $* in $PWD" >>"$TOLD"
case $0 in *meson) folder=$2 ;; *) folder=$2; touch "$folder/src/cli/kourou" "$folder/src/serve/kourou-serve" \
"$folder/src/serve/kourou-native" "$folder/tests/serve/kourou-serve-dynamic" ;; esac
mkdir -p "$folder/src/cli" "$folder/src/serve" "$folder/tests/serve"
"""


def test_the_build_notices(root, tmp_path):
    programs, told = tmp_path / "bin", tmp_path / "told"
    programs.mkdir()
    for name in ("meson", "ninja"):
        (programs / name).write_text(FAKE)
        (programs / name).chmod(0o755)

    def build(clone):
        told.write_text("")
        subprocess.run([clone / "tools/build.sh", "build", "--buildtype=release"], check=True, cwd=tmp_path,
                       env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TOLD": str(told)})
        return told.read_text().splitlines()

    first, copy, moved = tmp_path / "first", tmp_path / "copy", tmp_path / "moved"
    (first / "tools").mkdir(parents=True)
    shutil.copy(root / "tools/build.sh", first / "tools")
    ninja = "ninja -C build --quiet in "
    assert build(first) == [f"meson setup build --buildtype=release in {first}", ninja + str(first)]
    assert build(first) == [ninja + str(first)]
    shutil.copytree(first, copy, symlinks=True)
    first.rename(moved)
    for clone in (copy, moved):
        assert build(clone) == [f"meson setup build --buildtype=release in {clone}", ninja + str(clone)]
        assert build(clone) == [ninja + str(clone)]


def test_so_does_the_environment(root, tmp_path):
    """The programs of a virtual environment name the folder that it was made in."""
    script = (root / "tools/setup.sh").read_text()
    start = script.index("python_env() {")
    function = script[start:script.index("\n}\n", start) + 3]
    clone, moved = tmp_path / "clone", tmp_path / "moved"
    clone.mkdir()
    (clone / "none.txt").write_text("# nothing is needed\n")

    def prepare(folder):
        said = subprocess.run(["bash", "-euc", f"level=build\n{function}\npython_env .venv none.txt"], cwd=folder, check=True,
                              capture_output=True, text=True).stderr
        activated = subprocess.run(["bash", "-c", ". .venv/bin/activate; command -v python"], cwd=folder, check=True,
                                   capture_output=True, text=True).stdout.strip()
        assert activated == f"{folder}/.venv/bin/python"
        return said

    assert "preparing" in prepare(clone)
    assert prepare(clone) == ""
    clone.rename(moved)
    assert "preparing" in prepare(moved)
    assert prepare(moved) == ""
