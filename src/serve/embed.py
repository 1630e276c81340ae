# SPDX-License-Identifier: Apache-2.0
"""Turns page files into C strings: embed.py OUTPUT NAME=FILE..."""
import sys


def main() -> None:
    parts = ["/* Generated from src/serve/pages. */\n", '#include "serve/pages.h"\n']
    for spec in sys.argv[2:]:
        name, path = spec.split("=", 1)
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        parts.append(f"\nconst char kr_page_{name}[] =")
        for line in lines:
            text = line.strip().replace("\\", "\\\\").replace('"', '\\"').replace("??", '?""?')
            parts.append(f'\n    "{text}\\n"')
        parts.append(";\n")
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("".join(parts))


main()
