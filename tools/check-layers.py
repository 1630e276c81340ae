#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a folder of src/ includes from one it may not use, or a library leaves its fence.

The two tables below are the one place that states the direction of dependencies; docs/architecture.md
draws them.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# folder: folders it may include from (itself is always allowed)
MAY_USE = {
    "base": set(),
    "core": {"base"},
    "store": {"core", "base"},
    "net": {"core", "base"},
    "hub": {"net", "core", "base"},
    "oci": {"net", "core", "base"},
    "pack": {"core", "base"},
    "deployers": {"hub", "oci", "pack", "net", "core", "base"},
    "app": {"deployers", "hub", "oci", "pack", "net", "store", "core", "base"},
    "cli": {"app", "core", "store", "base"},
    "http": {"base"},
    "serve": {"http", "base"},
}

# header prefix: files that may include it
FENCES = {
    "jansson.h": {"base/json.h"},
    "yaml.h": {"base/yaml.c"},
    "openssl/": {"base/digest.c"},
    "curl/": {"net/http_curl.c", "net/curl_lazy.c"},
    "sqlite3.h": {"store/sql.h", "serve/journal_db.c"},
    "sodium": {"store/crypt.c"},
    "archive": {"oci/tar.c", "oci/archive_lazy.c"},
    "zstd": {"oci/compress.c"},
    "libdeflate": {"oci/compress.c"},
    "zlib.h": {"oci/compress.c"},
    "llhttp.h": {"http/request.h"},
}

# Public headers under include/ belong to the pipeline author's side.
PUBLIC = "kourou/"

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def problems():
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        name = path.relative_to(ROOT / "src").as_posix()
        folder = name.split("/")[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            kind, target = found.groups()
            where = f"src/{name}:{number}"
            if kind == '"':
                other = target.split("/")[0]
                if (ROOT / "src" / target).is_file() and other != folder and other not in MAY_USE[folder]:
                    yield f"{where}: {folder} may not include {target}"
                elif not (ROOT / "src" / target).is_file() and "/" in target and not target.startswith(PUBLIC):
                    yield f"{where}: {target} does not exist below src/"
            for prefix, allowed in FENCES.items():
                if kind == "<" and target.startswith(prefix) and name not in allowed:
                    yield f"{where}: <{target}> belongs to {', '.join(sorted(allowed))}"


def main():
    found = list(problems())
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
