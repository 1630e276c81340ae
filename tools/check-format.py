#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails on C files that are not as `.clang-format` says. Releases of clang-format differ in details, so
only the one that the tests install decides; with another one this is no check, except in CI."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("bench", "examples", "fuzz", "include", "src", "tests")
RELEASE = "14"


def missing():
    """Why this machine cannot tell, or None."""
    try:
        said = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return "there is no clang-format"
    found = re.search(r"version (\d+)", said)
    if found is None or found[1] != RELEASE:
        return f"clang-format is not of release {RELEASE}: {said.strip()}"
    return None


def unformatted():
    files = [str(path.relative_to(ROOT)) for top in FOLDERS for path in sorted((ROOT / top).rglob("*.[ch]"))
             if "node_modules" not in path.parts]
    done = subprocess.run(["clang-format", "--dry-run", *files], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(set(re.findall(r"^(\S+?):\d+:\d+: warning: code should be clang-formatted", done.stderr, re.M)))


def main():
    reason = missing()
    if reason is not None:
        print(f"check-format: {'failed' if os.environ.get('CI') else 'skipped'}: {reason}", file=sys.stderr)
        return bool(os.environ.get("CI"))
    wrong = unformatted()
    for name in wrong:
        print(f"{name}: not as .clang-format says; `clang-format -i {name}` mends it", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
