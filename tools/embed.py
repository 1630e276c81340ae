#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns files into a C array of texts: embed.py OUTPUT HEADER ARRAY FILE...

OUTPUT defines `const char *const ARRAY[]` (NUL-terminated texts, in the order given) and
`const size_t ARRAY_count`, as HEADER declares them.
"""
import pathlib
import sys


def main():
    output, header, array, *files = sys.argv[1:]
    lines = [f'#include "{header}"', ""]
    names = []
    for number, name in enumerate(files):
        names.append(f"text_{number}")
        data = pathlib.Path(name).read_bytes() + b"\0"
        lines.append(f"static const char {names[-1]}[] = {{ /* {pathlib.Path(name).name} */")
        for at in range(0, len(data), 24):
            lines.append("    " + ",".join(str(b if b < 128 else b - 256) for b in data[at:at + 24]) + ",")
        lines.append("};")
    lines.append(f"const char *const {array}[] = {{{', '.join(names)}}};")
    lines.append(f"const size_t {array}_count = {len(names)};")
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
