#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/dependencies.md from what is installed: dependencies.py --build build >docs/dependencies.md

Libraries come from the built programs and from the files that load some when they are first used; everything else
from the lists by which tools/setup.sh installs it. Versions and licences are those of Debian's packages, of the
metadata of Python's packages and of package.json.
"""
import argparse
import functools
import importlib.metadata
import json
import pathlib
import re
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ("kourou", "kourou-serve", "kourou-native")
# Copyright files that are free text, or whose first line is about the tools beside the library.
LICENCES = {
    "libc6": "LGPL-2.1+", "libc6-dev": "LGPL-2.1+", "libgcc-s1": "GPL-3+ with the GCC runtime exception",
    "libstdc++6": "GPL-3+ with the GCC runtime exception", "libgnutls30": "LGPL-2.1+", "libacl1": "LGPL-2.1+",
    "libidn2-0": "LGPL-3+ or GPL-2+", "libkeyutils1": "LGPL-2+", "librtmp1": "LGPL-2.1+", "libcom-err2": "MIT",
    "libgssapi-krb5-2": "MIT", "libk5crypto3": "MIT", "libkrb5-3": "MIT", "libkrb5support0": "MIT",
    "python3": "PSF-2.0", "python3-venv": "PSF-2.0", "clang": "Apache-2.0 with LLVM exception",
    "clang-format": "Apache-2.0 with LLVM exception", "libclang-rt-14-dev": "Apache-2.0 with LLVM exception",
    "libp11-kit0": "BSD-3-clause", "liblzma5": "public-domain", "libbz2-1.0": "bzip2-1.0.6", "libicu72": "Unicode",
    "libxml2": "MIT",
}
FOREIGN_LAZY = "native/load.c"  # loads the user's own pipelines

HEAD = """# Dependencies

Made by `tools/dependencies.py` from a machine with Debian 12; other versions of the same libraries do as well. A test
(`tests/test_dependencies.py`) fails when something that is linked, loaded or installed is missing here.
"""

NOTES = """\
`kourou-serve` is linked statically, with the C library (LGPL) too: whoever passes the program on passes on these
sources or says where they are, so that it can be linked again with another C library.

`kourou-native` also loads what a pipeline written in C is linked with. The licence is the one of most files of the
source package; `/usr/share/doc/<package>/copyright` has all of it.
"""


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# -- what is used ---------------------------------------------------------------------------------

def linked(build):
    """{shared library: {program}} of the built programs."""
    found = {}
    for program in PROGRAMS:
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "--wide", "--dynamic", str(build / program))):
            found.setdefault(name, set()).add(program)
    return found


def lazy():
    """Shared libraries that are loaded when they are first used; of several, any one does."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.c")):
        text = path.read_text()
        for files in re.findall(r"struct kr_lazy \w+ = \{\.files = \{([^}]*)\}", text):
            found.append(re.findall(r'"([^"]+)"', files))
        if "dlopen(" in text and not str(path).endswith(FOREIGN_LAZY):
            raise SystemExit(f"{path}: dlopen() outside of base/lazy.h: teach tools/dependencies.py")
    return found


def inside(build):
    """Archives that the linker put into kourou-serve, and sources from outside of the tree."""
    rule = re.search(r"^build src/serve/kourou-serve: .*?\n((?: .*\n)+)", (build / "build.ninja").read_text(), re.M)
    words = re.search(r"LINK_ARGS = (.*)", rule.group(1)).group(1).split()
    archives = [word for word in words if word.startswith("/") and word.endswith(".a")]
    folders = [re.search(r"-L(\S+)", word).group(1) for word in words if word.startswith("-L")]
    for name in (word[2:] for word in words if word.startswith("-l")):
        known = run("cc", *[f"-L{folder}" for folder in folders], f"-print-file-name=lib{name}.a").strip()
        archives.append(known)
    archives.append(run("cc", "-print-file-name=libc.a").strip())
    commands = json.loads((build / "compile_commands.json").read_text())
    sources = {str((build / one["file"]).resolve()) for one in commands}
    return sorted(set(archives)), sorted(path for path in sources if not path.startswith(str(ROOT)))


def setup_lists():
    """{"build": [Debian packages], ...} of tools/setup.sh."""
    text = (ROOT / "tools/setup.sh").read_text()
    return {name: re.sub(r"#.*", "", words).split() for name, words in re.findall(r"^(\w+)_packages=\((.*?)\)", text,
                                                                                   re.M | re.S)}


def requirement(line):
    return re.match(r"[A-Za-z0-9._-]+", line.strip()).group(0)


def python_lists():
    """[(what for, [names])] of Python packages."""
    project = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]
    lists = [("at run time", [requirement(line) for line in project["dependencies"]])]
    for name, lines in sorted(project.get("optional-dependencies", {}).items()):
        lists.append((f"optional: `kourou[{name}]`", [requirement(line) for line in lines]))
    files = [("build and demo", ROOT / "tools/requirements-build.txt"), ("tests", ROOT / "tools/requirements-test.txt")]
    for path in sorted((ROOT / "bench").glob("requirements*.txt")):  # each has an environment of its own
        files.append((f"benchmark: `{path.name}`", path))
    for what, path in files:
        lines = [re.sub(r"#.*", "", line).strip() for line in path.read_text().splitlines()]
        lists.append((what, [requirement(line) for line in lines if line and not line.startswith("-")]))
    return lists


# -- what is known about it -----------------------------------------------------------------------

@functools.cache
def package_of(path):
    """Debian's package of a file, also where /lib leads to /usr/lib."""
    real = str(pathlib.Path(path).resolve())
    for name in (real, real.removeprefix("/usr"), str(path), str(path).removeprefix("/usr")):
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise SystemExit(f"{path} belongs to no package")


def shared(name):
    """Path of a shared library of this machine, or None."""
    match = re.search(rf"^\s*{re.escape(name)} .*=> (\S+)$", run("/sbin/ldconfig", "-p"), re.M)
    return match.group(1) if match else None


def debian(package):
    """(version, licence); what is not installed has neither."""
    done = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", package], capture_output=True,
                          text=True)
    status, _, version = done.stdout.partition(" ")
    return (version, debian_licence(package)) if status == "installed" else ("-", "-")


def debian_licence(package):
    """What the copyright file says about most files; for texts without form, the licence they name."""
    if package in LICENCES:
        return LICENCES[package]
    path = pathlib.Path(f"/usr/share/doc/{package}/copyright")
    if not path.exists():
        return "-"
    text = path.read_text(errors="replace")
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(r"^Files:\s*(.*\s)?\*(\s|$)", paragraph, re.M) and (
                name := re.search(r"^License:[ \t]*(\S[^\n]*)", paragraph, re.M)):
            return name.group(1).strip()
    names = re.findall(r"^License:[ \t]*(\S[^\n]*)", text, re.M)
    if names:
        return names[0].strip()
    flat = " ".join(text.split()).lower()
    for words, name in (("lesser general public license", "LGPL"), ("library general public license", "LGPL"),
                        ("apache license", "Apache-2.0"), ("general public license", "GPL"),
                        ("mozilla public license", "MPL"), ("python software foundation license", "PSF"),
                        ("permission is hereby granted, free of charge", "MIT"),
                        ("redistribution and use in source and binary forms", "BSD")):
        if words in flat:
            return name
    return "see its copyright file"


def python_packages():
    environments = [*sorted(ROOT.glob(".bench-venv*"), reverse=True), ROOT / ".venv"]  # the last one wins
    folders = [str(path) for env in environments for path in env.glob("lib/python3*/site-packages")]
    return {re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one.metadata
            for one in importlib.metadata.distributions(path=folders)}


def python_licence(metadata):
    if metadata is None:
        return "-"
    if metadata.get("License-Expression"):
        return metadata["License-Expression"]
    classes = [line.rsplit(" :: ", 1)[1] for line in metadata.get_all("Classifier", []) if "License ::" in line]
    text = (metadata.get("License") or "").strip()
    return ", ".join(classes) or (text if text and len(text) < 60 else "see its licence file")


# -- the page -------------------------------------------------------------------------------------

def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]) + "\n"


def libraries(build):
    rows = []
    for name, programs in sorted(linked(build).items()):
        package = package_of(shared(name))
        rows.append([f"`{name}`", "linked by " + ", ".join(f"`{p}`" for p in sorted(programs)), package,
                     *debian(package)])
    for files in lazy():
        path = next(filter(None, map(shared, files)))
        package = package_of(path)
        rows.append([" or ".join(f"`{name}`" for name in files), "loaded by `kourou` when it is first used", package,
                     *debian(package)])
    archives, sources = inside(build)
    for path in archives:
        package = package_of(path)
        rows.append([f"`{pathlib.Path(path).name}`", "inside `kourou-serve`", package, *debian(package)])
    for package in sorted({package_of(path) for path in sources}):
        files = sorted(pathlib.Path(path).name for path in sources if package_of(path) == package)
        rows.append([", ".join(f"`{name}`" for name in files), "compiled into `kourou-serve`", package,
                     *debian(package)])
    return rows


def further(build):
    """Packages of the libraries that our libraries bring along."""
    names = [files[0] for files in lazy()]
    paths = [str(build / "kourou"), *filter(None, map(shared, names))]
    found = {path for one in paths for path in re.findall(r"=> (/\S+)", run("ldd", one))}
    direct = set(linked(build)) | set(names)
    packages = sorted({package_of(path) for path in found if pathlib.Path(path).name not in direct})
    return [[package, *debian(package)] for package in packages]


def javascript():
    wanted = json.loads((ROOT / "tests/hub/js/package.json").read_text())["dependencies"]
    rows = []
    for name in sorted(wanted):
        path = ROOT / "tests/hub/js/node_modules" / name / "package.json"
        about = json.loads(path.read_text()) if path.exists() else {}
        rows.append([name, about.get("version", "-"), about.get("license", "-")])
    return rows


def page(build):
    packages = python_packages()
    parts = [HEAD, "## Libraries of the programs\n", table(
        ["file", "how", "Debian package", "version", "licence"], libraries(build)),
        NOTES,
        "## What these bring along\n", table(["Debian package", "version", "licence"], further(build)),
        "## Python packages\n"]
    for what, names in python_lists():
        rows = []
        for name in names:
            about = packages.get(re.sub(r"[-_.]+", "-", name).lower())
            rows.append([name, about["Version"] if about else "-", python_licence(about)])
        parts += [f"### {what[0].upper()}{what[1:]}\n", table(["package", "version", "licence"], rows)]
    parts += ["The example `digits` needs scikit-learn; integrations install what the user asks for.\n",
              "## JavaScript packages of the tests\n", table(["package", "version", "licence"], javascript())]
    for what, names in setup_lists().items():
        parts += [f"## Debian packages: {what}\n",
                  table(["package", "version", "licence"], [[name, *debian(name)] for name in names])]
    return "\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    print(page(parser.parse_args().build.resolve()), end="")
