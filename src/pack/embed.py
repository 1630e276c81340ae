# SPDX-License-Identifier: Apache-2.0
"""Writes a script as C text: embed.py OUT.c NAME SCRIPT.py"""
import pathlib
import sys

out, name, script = sys.argv[1:]
data = ",".join(map(str, pathlib.Path(script).read_bytes()))
pathlib.Path(out).write_text(f"extern const char {name}[];\nconst char {name}[] = {{{data},0}};\n")
