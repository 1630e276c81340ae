# SPDX-License-Identifier: Apache-2.0
"""What a pyproject.toml, and the uv.lock beside it, say about requirements, as JSON.

    python -I -c SCRIPT FILE VERSION      VERSION: "3.11", of the Python they are installed for
"""
import codecs
import json
import os
import re
import sys

try:
    import tomllib as toml
except ImportError:
    try:
        import tomli as toml
    except ImportError:
        from pip._vendor import tomli as toml

PYPI = "https://pypi.org/simple"
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        return toml.loads(data.decode(encoding))
    except UnicodeDecodeError:
        sys.exit("it is not UTF-8 text; save it as UTF-8")
    except toml.TOMLDecodeError as error:
        sys.exit("it is not valid TOML: %s" % error)


def table(value, *keys):
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value):
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def workspace_of(path):
    """Folder whose uv.lock counts, and the document that has the workspace's sources, if there are any."""
    folder = os.path.dirname(os.path.abspath(path))
    own = folder
    while True:
        file = os.path.join(folder, "pyproject.toml")
        document = read(file) if os.path.isfile(file) and (folder == own or b"workspace" in open(file, "rb").read()) else {}
        if folder == own and os.path.isfile(os.path.join(folder, "uv.lock")):
            return folder, document
        if table(document, "tool", "uv", "workspace"):
            return folder, document
        if os.path.dirname(folder) == folder:
            return own, {}
        folder = os.path.dirname(folder)


def kind_of(source):
    """"git", "path", ..., "index:NAME" of an entry of [tool.uv.sources]."""
    for entry in items(source) if isinstance(source, list) else items([source]):
        for key in ("index", "git", "url", "path", "workspace"):
            if key in entry:
                return "index:%s" % entry[key] if key == "index" else key
    return "unknown"


def fits(wheel, minor):
    """How well a wheel fits CPython 3.<minor> on Linux with an x86-64 processor; 0: not at all."""
    parts = wheel[:-len(".whl")].split("-")
    if len(parts) < 5:
        return 0
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    if not any(p == "any" or (re.match("(many)?linux", p) and p.endswith("x86_64")) for p in platforms):
        return 0
    if "cp3%d" % minor in pythons and "cp3%d" % minor in abis:
        return 3
    older = [int(p[3:]) for p in pythons if re.fullmatch(r"cp3\d+", p)]
    if "abi3" in abis and any(number <= minor for number in older):
        return 2
    return 1 if "none" in abis and ("py3" in pythons or "py3%d" % minor in pythons) else 0


def address_of(package, minor):
    """`name @ address` of the file that fits, or None."""
    files = [(fits(os.path.basename(w.get("url", "")).split("?")[0], minor), w) for w in items(package.get("wheels"))]
    best = max(files, key=lambda found: found[0], default=(0, None))
    chosen = best[1] if best[0] else table(package, "sdist")
    if not chosen.get("url"):
        return None
    check = chosen.get("hash", "")
    return "%s @ %s%s" % (package["name"], chosen["url"],
                          "#" + check.replace(":", "=", 1) if check.startswith("sha256:") else "")


def read_lock(path, default, minor):
    """The index that everything comes from that has no address of its own; addresses of the rest."""
    packages = items(read(path).get("package"))
    found = {table(p, "source")["registry"].rstrip("/") for p in packages if "registry" in table(p, "source")}
    index = found.pop() if len(found) == 1 else default
    elsewhere = {}
    for package in packages:
        registry = table(package, "source").get("registry")
        if registry is not None and registry.rstrip("/") != index and "version" in package:
            elsewhere["%s==%s" % (package["name"], package["version"])] = [registry, address_of(package, minor)]
    return {"index": None if index == PYPI else index, "elsewhere": elsewhere}


def main(path, version):
    document = read(path)
    project, tool = document.get("project"), table(document, "tool")
    home, outer = workspace_of(path)
    uv = [table(outer, "tool", "uv"), table(tool, "uv")]
    sources = {}
    indexes = []
    for level in uv:
        sources.update({name: kind_of(source) for name, source in table(level, "sources").items()})
        indexes += [entry for entry in items(level.get("index")) if entry not in indexes]
    default = next((entry.get("url", PYPI) for entry in indexes if entry.get("default")), PYPI).rstrip("/")
    lock = os.path.join(home, "uv.lock")
    json.dump({
        "project": project is not None,
        "dependencies": table({"p": project}, "p").get("dependencies", []),
        "dynamic": "dependencies" in table({"p": project}, "p").get("dynamic", []),
        "poetry": "dependencies" in table(tool, "poetry"),
        "sources": sources,
        "indexes": [str(entry.get("name") or entry.get("url")) for entry in indexes]
        + [str(entry.get("name") or entry.get("url")) for key in ("pdm", "poetry") for entry in items(table(tool, key).get("source"))],
        "lock": read_lock(lock, default, int(version.split(".")[1])) if os.path.isfile(lock) else None,
    }, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
