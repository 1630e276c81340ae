# SPDX-License-Identifier: Apache-2.0
"""Turns page files into C strings: embed.py OUTPUT COMMON NAME=FILE...

A line that is no more than /*KOUROU_COMMON*/ stands for the lines of the file COMMON, which the pages share.
"""
import sys


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def main() -> None:
    common = lines_of(sys.argv[2])
    parts = ["/* Generated from src/serve/pages. */\n", '#include "serve/pages.h"\n']
    for spec in sys.argv[3:]:
        name, path = spec.split("=", 1)
        page = lines_of(path)
        at = page.index("/*KOUROU_COMMON*/")
        lines = page[:at] + common + page[at + 1:]
        parts.append(f"\nconst char kr_page_{name}[] =")
        for line in lines:
            text = line.strip().replace("\\", "\\\\").replace('"', '\\"').replace("??", '?""?')
            parts.append(f'\n    "{text}\\n"')
        parts.append(";\n")
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("".join(parts))


main()
