# SPDX-License-Identifier: Apache-2.0
"""Lays packages out below a folder as pip of an image would put them into the image: lay.py PLAN.json

The plan names the image's places (purelib, platlib, scripts, headers, data, executable), "out", and either "wheels", a
folder of wheels, or "prefix", what uv installed. Nothing of a package is executed. One line says what is wrong.
"""
import base64
import configparser
import csv
import email.parser
import hashlib
import io
import json
import os
import posixpath
import re
import shutil
import stat
import sys
import urllib.parse
import urllib.request
import zipfile

SCHEMES = ("purelib", "platlib", "scripts", "headers", "data")
SHEBANG_MAX = 127  # as the kernel reads it; the launcher of longer ones is the shell
SCRIPT = """# -*- coding: utf-8 -*-
import re
import sys
from {module} import {name}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
"""
# Notes of uv about how and from what a package was installed here.
LOCAL_NOTES = ("uv_cache.json", "uv_build.json")


class Wrong(Exception):
    pass


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(data):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def checked(path, where):
    """A path of an archive that stays below its folder."""
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts) or "\0" in path or "\\" in path:
        raise Wrong(f"{where}: '{path}' is no path inside of the package")
    return path


class Image:
    """The places of the image, and the folder that stands for its root."""

    def __init__(self, plan):
        self.plan, self.out = plan, plan["out"]

    def place(self, scheme, path, package):
        base = self.plan[scheme]
        return posixpath.join(base, package, path) if scheme == "headers" else posixpath.join(base, path)

    def write(self, place, source, executable):
        disk = self.out + place
        os.makedirs(os.path.dirname(disk), exist_ok=True)
        if os.path.lexists(disk):
            os.unlink(disk)
        with open(disk, "xb") as out:
            if isinstance(source, bytes):
                out.write(source)
            else:
                shutil.copyfileobj(source, out, 1 << 20)
        os.chmod(disk, 0o755 if executable else 0o644)

    def shebang(self):
        program = self.plan["executable"]
        if " " not in program and len(program) + 3 <= SHEBANG_MAX:
            return b"#!" + os.fsencode(program) + b"\n"
        return b"#!/bin/sh\n'''exec' " + os.fsencode(f'"{program}" "$0" "$@"') + b"\n' '''\n"


class Laid:
    """The files of one package as they are put, and its RECORD."""

    def __init__(self, image, package, root, rows, info, keeps=True):
        self.image, self.package, self.root, self.rows, self.info = image, package, root, rows, info
        self.keeps = keeps  # rows of files that are not there stay, as with pip
        self.put, self.sums = {}, {}  # path in the package: where it went; where it went: (digest, size)

    def add(self, key, scheme, path, source, executable, changed=False):
        place = self.image.place(scheme, path, self.package)
        self.image.write(place, source, executable)
        self.put[key] = place
        if changed:
            self.sums[place] = (digest(source), str(len(source)))

    def note(self, name, data):
        self.add(f"{self.info}/{name}", self.root, f"{self.info}/{name}", data, False, changed=True)

    def record(self):
        base, rows, left = self.image.plan[self.root], [], dict(self.put)
        def shown(place):
            return posixpath.relpath(place, base)
        for row in self.rows:
            place = left.pop(row[0], None)
            sums = tuple((row + ["", ""])[1:3])
            if place is not None:
                rows.append((shown(place), *self.sums.get(place, sums)))
            elif self.keeps and posixpath.basename(row[0]) != "RECORD":
                rows.append((row[0], *sums))
        rows += [(shown(place), *self.sums.get(place, ("", ""))) for place in left.values()]
        own = posixpath.join(base, self.info, "RECORD")
        rows.append((shown(own), "", ""))
        text = io.StringIO(newline="")
        csv.writer(text).writerows(sorted(rows))
        self.image.write(own, text.getvalue().encode(), False)


# -- wheels ------------------------------------------------------------------------------------------


def message(text):
    return email.parser.Parser().parsestr(text)


class Wheel:
    def __init__(self, path):
        self.path, self.file = path, os.path.basename(path)
        self.zip = zipfile.ZipFile(path)
        self.names = [name for name in self.zip.namelist() if not name.endswith("/")]
        project = canonical(self.file.split("-")[0])
        infos = sorted({name.split("/")[0] for name in self.names if name.split("/")[0].endswith(".dist-info")})
        infos = [info for info in infos if canonical(info).startswith(project)] or infos
        if len(infos) != 1:
            raise Wrong(f"{self.file}: one .dist-info folder is needed, and there are {len(infos)}")
        self.info = infos[0]
        self.metadata = message(self.text("METADATA"))
        self.name = self.metadata["Name"] or self.file.split("-")[0]
        wheel = message(self.text("WHEEL"))
        if (wheel["Wheel-Version"] or "").split(".")[0] != "1":
            raise Wrong(f"{self.file}: Wheel-Version '{wheel['Wheel-Version']}' is not known")
        self.pure = (wheel["Root-Is-Purelib"] or "").strip().lower() == "true"

    def text(self, name, needed=True):
        try:
            return self.zip.read(f"{self.info}/{name}").decode()
        except KeyError:
            if needed:
                raise Wrong(f"{self.file}: there is no {self.info}/{name}") from None
            return ""

    def needs(self):
        for line in self.metadata.get_all("Requires-Dist") or ():
            if "extra" not in line.partition(";")[2]:
                yield canonical(re.match(r"\s*([\w.-]*)", line)[1])

    def entry_points(self):
        """{"name": "module:function"} of both kinds of scripts."""
        parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        parser.optionxform = str
        parser.read_string(self.text("entry_points.txt", needed=False))
        return {name: value for section in ("console_scripts", "gui_scripts") if parser.has_section(section)
                for name, value in parser.items(section)}


def programs(entries, minor):
    """Names as pip generates them: its own and easy_install's carry the version of the image's Python."""
    entries = dict(entries)
    pip = entries.pop("pip", None)
    if pip:
        entries = {name: value for name, value in entries.items() if not re.fullmatch(r"pip(\d+(\.\d+)?)?", name)}
        entries.update({name: pip for name in ("pip", "pip3", f"pip3.{minor}")})
    easy = entries.pop("easy_install", None)
    if easy:
        entries = {name: value for name, value in entries.items() if not re.fullmatch(r"easy_install(-\d+\.\d+)?", name)}
        entries.update({"easy_install": easy, f"easy_install-3.{minor}": easy})
    return entries


def is_wrapper(name, entries):
    """What setuptools makes for an entry point: EP, EP.exe, EP-script.py."""
    lower = name.lower()
    for ending in (".exe", "-script.py", ".pya"):
        if lower.endswith(ending):
            return name[:-len(ending)] in entries
    return name in entries


def split(wheel, path):
    """(scheme, path below it) of a file in a wheel."""
    top, _, rest = path.partition("/")
    if not top.endswith(".data"):
        return ("purelib" if wheel.pure else "platlib"), path
    scheme, _, rest = rest.partition("/")
    if scheme not in SCHEMES or not rest:
        raise Wrong(f"{wheel.file}: '{path}' belongs to no scheme of a wheel ({', '.join(SCHEMES)})")
    return scheme, rest


def lay_file(laid, wheel, entry, entries):
    scheme, path = split(wheel, checked(entry.filename, wheel.file))
    mode = entry.external_attr >> 16
    executable = bool(mode and stat.S_ISREG(mode) and mode & 0o111)
    if scheme == "scripts" and is_wrapper(posixpath.basename(path), entries):
        return
    with wheel.zip.open(entry) as source:
        if scheme != "scripts":
            laid.add(entry.filename, scheme, path, source, executable)
            return
        data = source.read()
    first, _, rest = data.partition(b"\n")
    changed = first.startswith(b"#!python")
    laid.add(entry.filename, scheme, path, laid.image.shebang() + rest if changed else data, executable, changed)


def lay_programs(laid, wheel, entries, minor):
    for name, value in programs(entries, minor).items():
        module, _, function = value.partition("[")[0].strip().partition(":")
        module, function = module.strip(), function.strip()
        if not re.fullmatch(r"\w+(\.\w+)*", module) or not re.fullmatch(r"\w+(\.\w+)*", function):
            raise Wrong(f"{wheel.file}: entry point '{name} = {value}' names no function")
        text = SCRIPT.format(module=module, name=function.split(".")[0], function=function)
        checked(name, wheel.file)
        laid.add(("program", name), "scripts", name, laid.image.shebang() + text.encode(), True, changed=True)


def lay_wheel(image, wheel, asked):
    rows = [row for row in csv.reader(io.StringIO(wheel.text("RECORD"), newline="")) if row]
    laid = Laid(image, wheel.name, "purelib" if wheel.pure else "platlib", rows, wheel.info)
    entries = wheel.entry_points()
    for path in wheel.names:
        if path != f"{wheel.info}/RECORD":
            lay_file(laid, wheel, wheel.zip.getinfo(path), entries)
    lay_programs(laid, wheel, entries, image.plan["minor"])
    laid.note("INSTALLER", b"pip\n")
    origin = asked.get(canonical(wheel.name))
    if origin:
        laid.note("direct_url.json", origin(wheel))
    if origin is not None:
        laid.note("REQUESTED", b"")
    laid.record()


def archive_origin(url):
    def origin(wheel):
        with open(wheel.path, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        return json.dumps({"archive_info": {"hash": f"sha256={found}", "hashes": {"sha256": found}}, "url": url},
                          sort_keys=True).encode()
    return origin


def repository_origin(kind, url, resolved):
    """What pip knows of a repository: the commit is in its own words, or it was asked for."""
    place, _, wish = url.partition("#")[0].rpartition("@") if "@" in url.rpartition("/")[2] else (url.partition("#")[0], "", "")
    commit = resolved.get(place, wish if re.fullmatch(r"[0-9a-f]{40}", wish) else None)
    if commit is None:
        return False
    info = {"commit_id": commit, "vcs": kind}
    if wish:
        info["requested_revision"] = wish
    return lambda wheel: json.dumps({"url": place, "vcs_info": info}, sort_keys=True).encode()


def origin_of(line, resolved):
    """(name or None, how to write its direct_url.json or False) of a requirement. A place on this machine is nobody's
    business, and neither is a password."""
    line = re.split(r"\s+--\w", line)[0].strip()
    name, _, url = (part.strip() for part in line.partition("@"))
    if not re.fullmatch(r"[\w.-]+\s*(\[[^\]]*\])?", name):
        name, url = None, line
    url = url.split(" ;")[0].strip()
    kind, plus, rest = url.partition("+")
    if name is None and "://" not in url and not url.endswith(".whl"):
        return re.match(r"[\w.-]*", line)[0] or None, False
    if name is None:
        egg = re.search(r"[#&]egg=([\w.-]+)", url)
        file = posixpath.basename(urllib.parse.urlsplit(url).path)
        name = egg[1] if egg else urllib.parse.unquote(file).split("-")[0]
    name = name.split("[")[0].strip()
    if "${" in url or "://" not in url or "file:" in url:
        return name, False
    if plus and kind in ("git", "hg", "svn", "bzr"):
        return name, repository_origin(kind, rest, resolved)
    return name, archive_origin(url.partition("#")[0]) if url.startswith(("http://", "https://")) else False


def requested(plan):
    asked = {}
    for line in plan["requirements"].splitlines():
        line = re.split(r"(^|\s)#", line)[0].strip()
        if line and (not line.startswith("-") or re.match(r"(-e|--editable)[ =]", line)):
            name, origin = origin_of(re.sub(r"^(-e|--editable)[ =]\s*", "", line), plan.get("resolved", {}))
            if name:
                asked[canonical(name)] = origin
    return asked


def in_order(wheels):
    """What others need comes first, as pip has it: of files that two packages have, the later one's stays."""
    by_name = {canonical(wheel.name): wheel for wheel in wheels}
    kept, done, order, weight = {}, set(), [], dict.fromkeys(by_name, 0)

    def visit(name, above):
        needed = sorted({other for other in by_name[name].needs() if other in by_name})
        kept[name] = [other for other in needed if other not in above]  # no rings
        for other in kept[name]:
            if other not in kept:
                visit(other, above | {other})
        order.append(name)

    for name in sorted(by_name):
        if name not in kept:
            visit(name, {name})
    for name in reversed(order):
        for other in kept[name]:
            if other not in done:
                weight[other] = max(weight[other], weight[name] + 1)
        done.add(name)
    return [by_name[name] for name in sorted(by_name, key=lambda name: (weight[name], name), reverse=True)]


def lay_wheels(image):
    folder, asked = image.plan["wheels"], requested(image.plan)
    wheels = [Wheel(os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if name.endswith(".whl")]
    for wheel in in_order(wheels):
        lay_wheel(image, wheel, asked)


# -- what uv installed -------------------------------------------------------------------------------


def scheme_of(path, site, prefix):
    """(scheme, path below it, package of headers) of a file that uv put below its prefix."""
    inside = os.path.relpath(path, prefix)
    headers = re.match(r"include/site/python3\.\d+t?/([^/]+)/(.+)", inside)
    if path.startswith(site + "/"):
        return "purelib", os.path.relpath(path, site), None
    if inside.startswith("bin/"):
        return "scripts", inside[4:], None
    return ("headers", headers[2], headers[1]) if headers else ("data", inside, None)


def own_shebang(data, image):
    """The first line without the interpreter of this machine: plain, or by way of the shell."""
    long = re.match(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n", data)
    if long:
        return image.shebang() + data[long.end():], True
    first, _, rest = data.partition(b"\n")
    if first.startswith(b"#!") and os.fsencode(image.plan["local"]) in first:
        return image.shebang() + rest, True
    return data, False


def lay_installed(image, site, info):
    prefix = image.plan["prefix"]
    with open(os.path.join(site, info, "METADATA"), encoding="utf-8") as file:
        name = message(file.read())["Name"] or info.split("-")[0]
    with open(os.path.join(site, info, "RECORD"), encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    with open(os.path.join(site, info, "WHEEL"), encoding="utf-8") as file:
        pure = (message(file.read())["Root-Is-Purelib"] or "").strip().lower() == "true"
    root = "purelib" if pure else "platlib"
    laid = Laid(image, name, root, rows, info, keeps=False)
    for row in rows:
        path = os.path.normpath(os.path.join(site, row[0]))
        if not path.startswith(prefix + "/"):
            raise Wrong(f"{info}: '{row[0]}' is no path inside of the package")
        base = os.path.basename(path)
        if not os.path.isfile(path) or (os.path.dirname(path) == os.path.join(site, info) and (
                base in LOCAL_NOTES or base == "RECORD" or (base == "direct_url.json" and is_local_note(path)))):
            continue
        lay_moved(laid, row[0], path, scheme_of(path, site, prefix))
    laid.record()


def is_local_note(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file).get("url", "").startswith("file:")


def lay_moved(laid, key, path, place):
    scheme, inside, package = place
    executable = bool(os.stat(path).st_mode & 0o111)
    if package:
        laid.package = package
    if scheme == "purelib":
        scheme = laid.root
    with open(path, "rb") as source:
        if scheme != "scripts":
            laid.add(key, scheme, inside, source, executable)
            return
        data, changed = own_shebang(source.read(), laid.image)
    laid.add(key, scheme, inside, data, executable, changed)


def lay_prefix(image):
    lib = os.path.join(image.plan["prefix"], "lib")
    for version in sorted(os.listdir(lib) if os.path.isdir(lib) else ()):
        site = os.path.join(lib, version, "site-packages")
        for info in sorted(os.listdir(site) if os.path.isdir(site) else ()):
            if info.endswith(".dist-info") and os.path.isfile(os.path.join(site, info, "RECORD")):
                lay_installed(image, site, info)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        image = Image(json.load(file))
    try:
        os.umask(0o022)
        (lay_wheels if "wheels" in image.plan else lay_prefix)(image)
    except (Wrong, zipfile.BadZipFile, UnicodeDecodeError, configparser.Error, csv.Error, OSError) as wrong:
        print(" ".join(str(wrong).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
