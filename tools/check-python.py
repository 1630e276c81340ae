#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs ruff, mypy and pyright over the Python package, as python/pyproject.toml says; nothing when what they read is as it was
when they last had nothing to say (.mypy_cache has that, and pyright itself)."""
import hashlib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
CACHE = ROOT / ".mypy_cache"
CHECKS = {
    "ruff": ["-m", "ruff", "check", "--config", "python/pyproject.toml", "--quiet", "--no-cache", "python"],
    "mypy": ["-m", "mypy", "--config-file", "python/pyproject.toml", "--no-error-summary", "python/kourou", "python/zenml"],
    "pyright": ["-m", "pyright", "--pythonpath", str(BIN / "python"), "-p", "python"],
}


def state():
    """Digest of all that the checks depend on."""
    found = hashlib.sha256()
    for path in [*sorted((ROOT / "python").rglob("*.py")), ROOT / "python" / "pyproject.toml",
                 ROOT / "tools" / "requirements-test.txt", pathlib.Path(__file__)]:
        found.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def main():
    now, stamp = state(), CACHE / "kourou-checked"
    if stamp.exists() and stamp.read_text() == now:
        return 0
    if not (BIN / "mypy").exists():
        print("check-python: the checkers are missing; tools/setup.sh test installs them", file=sys.stderr)
        return 1
    env = {**os.environ, "PYRIGHT_PYTHON_CACHE_DIR": str(CACHE / "pyright"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    for name, arguments in CHECKS.items():
        done = subprocess.run([BIN / "python", *arguments], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if done.returncode != 0:
            print(f"{done.stdout}check-python: {name} has something to say", file=sys.stderr)
            return 1
    stamp.write_text(now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
