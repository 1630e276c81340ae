# SPDX-License-Identifier: Apache-2.0
"""Patterns of `.gitattributes` and `.gitignore`."""

import functools
import re

DEFAULT_LFS = """*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy
*.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite
*.tgz *.wasm *.xz *.zip *.zst *tfevents*""".split()
LFS_RULE = " filter=lfs diff=lfs merge=lfs -text"
DEFAULT_GITATTRIBUTES = "".join(f"{pattern}{LFS_RULE}\n" for pattern in DEFAULT_LFS)


@functools.lru_cache(4096)
def regex(pattern):
    """A git glob as a compiled expression over a whole path."""
    anchored = "/" in pattern.rstrip("/")
    pattern = pattern.strip("/") if anchored else pattern.rstrip("/")
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            out, at = out + ".*", at + 2
        elif char == "*":
            out, at = out + "[^/]*", at + 1
        elif char == "?":
            out, at = out + "[^/]", at + 1
        elif char == "[" and "]" in pattern[at + 2 :]:
            end = pattern.index("]", at + 2)
            inner = pattern[at + 1 : end].replace("\\", "\\\\")
            out, at = out + "[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]", end + 1
        elif char == "\\" and at + 1 < len(pattern):
            out, at = out + re.escape(pattern[at + 1]), at + 2
        else:
            out, at = out + re.escape(char), at + 1
    return re.compile(("" if anchored else "(?:.*/)?") + out + r"\Z", re.S)


def is_lfs(attributes, path):
    """Whether `.gitattributes` text sends the path to LFS; the last matching line decides."""
    answer = False
    for line in attributes.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        if regex(words[0]).match(path):
            if "filter=lfs" in words[1:]:
                answer = True
            elif any(word in ("-filter", "!filter") or word.startswith("filter=") for word in words[1:]):
                answer = False
    return answer


def add_lfs(attributes, path):
    """The text extended by a line for exactly this path."""
    quoted = re.sub(r"([\[\]*?\\ ])", r"\\\1", path)
    return attributes + ("" if not attributes or attributes.endswith("\n") else "\n") + quoted + LFS_RULE + "\n"


def is_ignored(ignore, path):
    """Whether `.gitignore` text leaves the path out; a file in an ignored folder is ignored too."""
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        here, folder = "/".join(parts[:depth]), depth < len(parts)
        answer = False
        for line in ignore.splitlines():
            line = line.rstrip()
            if not line or line.startswith("#"):
                continue
            negated, rule = line.startswith("!"), line.lstrip("!")
            if rule.endswith("/") and not folder:
                continue
            if regex(rule).match(here):
                answer = not negated
        if answer:
            return True
    return False
