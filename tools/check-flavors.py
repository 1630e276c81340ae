#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a folder that works for every deployer names one of them.

What a flavor needs of the others it says itself (struct kr_deployer_traits), so that adding one touches its folder,
its rows in src/core and its page. A name that means something else there stands in ALLOWED with the reason.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("app", "cli", "pack")

# (file, name): what it means there
ALLOWED = {
    ("app/app.c", "local"): "flavor of the default stack's orchestrator and artifact store",
    ("app/build.c", "local"): "flavor of an image builder",
    ("app/build.h", "local"): "flavor of an image builder",
    ("app/doctor.c", "docker"): "the program, and the check about it",
    ("app/make.c", "docker"): "section of the settings",
    ("app/build.c", "docker"): "section of the settings",
    ("app/build_key.c", "docker"): "section of the settings",
    ("app/build_local.c", "docker"): "section of the settings",
    ("app/needs.c", "docker"): "section of the settings",
    ("app/packages.c", "docker"): "section of the settings",
    ("app/packages_add.c", "docker"): "section of the settings",
    ("pack/launch.c", "docker"): "section of the settings",
    ("pack/integration.c", "docker"): "integration of that name",
    ("pack/integration.c", "huggingface"): "integration of that name",
    ("pack/space_readme.c", "docker"): "kind of a Space",
    ("cli/cmd_flavor.c", "huggingface"): "example in a help text",
    ("cli/cmd_flavor.c", "local"): "example in a help text",
}

FLAVOR = re.compile(r'\bX\(\w+, "(\w[\w-]*)"')
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def flavors():
    return FLAVOR.findall((ROOT / "src/core/deployer_flavors.h").read_text())


def problems():
    names = set(flavors())
    used = set()
    for folder in FOLDERS:
        for path in sorted((ROOT / "src" / folder).rglob("*.[ch]")):
            name = path.relative_to(ROOT / "src").as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                for literal in LITERAL.findall(line):
                    if literal not in names:
                        continue
                    used.add((name, literal))
                    if (name, literal) not in ALLOWED:
                        yield (
                            f'src/{name}:{number}: names the deployer flavor "{literal}": '
                            "ask kr_deployer_traits(), or say in tools/check-flavors.py what it means"
                        )
    for name, literal in sorted(set(ALLOWED) - used):
        yield f'tools/check-flavors.py: src/{name} does not name "{literal}" any more'


def main():
    if not flavors():
        print("tools/check-flavors.py: src/core/deployer_flavors.h lists no deployer flavor", file=sys.stderr)
        return 1
    found = list(problems())
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
