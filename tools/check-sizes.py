#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails on a C file over 600 lines, a header over 200, or a function over 60 lines. No exceptions."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = {".c": 600, ".h": 200}
FUNCTION_LIMIT = 60
OPENS = re.compile(r"^\{\s*$")


def functions(lines):
    """Yields (name, first line, length) of functions: a lone { in column 0 to its } in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if OPENS.match(line):
            start = number
        elif line.startswith("}") and start is not None:
            if line.rstrip() == "}":
                head = lines[start - 2] if start >= 2 else ""
                yield head.strip(), start, number - start - 1
            start = None


def problems():
    for top in ("src", "include"):
        for path in sorted((ROOT / top).rglob("*.[ch]")):
            name = path.relative_to(ROOT).as_posix()
            lines = path.read_text().splitlines()
            limit = LIMIT[path.suffix]
            if len(lines) > limit:
                yield f"{name}: {len(lines)} lines (limit {limit})"
            for head, line, length in functions(lines):
                if length > FUNCTION_LIMIT:
                    yield f"{name}:{line}: function of {length} lines (limit {FUNCTION_LIMIT}): {head}"


def main():
    found = list(problems())
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
