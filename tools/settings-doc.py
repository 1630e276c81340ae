#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints docs/settings.md from what the program itself says: settings-doc.py path/to/kourou > docs/settings.md"""
import json
import subprocess
import sys

GROUPS = ("deployer", "container-registry", "image-builder", "artifact-store", "orchestrator")


def ask(program, *words):
    done = subprocess.run([program, *words, "-o", "json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def cell(value):
    return "" if value is None else str(value).replace("|", "\\|")


def rows(flavor):
    for row in flavor["attributes"]:
        default = "" if row["default"] is None else f"`{json.dumps(row['default'])}`"
        marks = [word for word in ("required", "sensitive") if row[word]]
        kind = row["type"] + (", " + ", ".join(marks) if marks else "")
        yield f"| `{row['attribute']}` | {cell(kind)} | {cell(default)} | {cell(row['help'])} | {cell(row['reader'] and '`' + row['reader'] + '`')} |"


def page(program):
    yield "# Settings of components\n"
    yield "Made by `tools/settings-doc.py` from the program's own tables. Each row is an option of `register` and `update`"
    yield "(`--space_hardware=t4-small`); rows of deployers are settings in code and YAML too (`settings: deployer: ...`)."
    yield "Who sets a row without an effect is told so. Each row names the file that reads it, below `src` or `python`."
    yield "A value may be a reference to a secret: `{{secret_name.key}}`.\n"
    for group in GROUPS:
        for name in sorted(item["name"] for item in ask(program, group, "flavor", "list")["items"]):
            flavor = ask(program, group, "flavor", "describe", name)
            yield f"## {group} `{name}`\n\n{flavor['about']}.\n"
            if not flavor["attributes"]:
                yield "No settings.\n"
                continue
            yield "| setting | type | default | meaning | read by |\n|---|---|---|---|---|"
            yield from rows(flavor)
            yield ""


if __name__ == "__main__":
    print("\n".join(page(sys.argv[1])).rstrip())
