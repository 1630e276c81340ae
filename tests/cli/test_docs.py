# SPDX-License-Identifier: Apache-2.0
"""Every command that the documentation names exists, with the options that it is given."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md",
         *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
# Written for all commands, or for one that the page makes.
PLACES = {"COMMAND", "GROUP", "..."}


def named(text):
    """Commands in code: spans, and lines of blocks."""
    blocks = re.findall(r"^```(?:sh|shell|bash|console|)\n(.*?)^```", text, re.M | re.S)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    for line in [*lines, *spans]:
        match = re.match(r"(?:kourou|zenml) ([a-z].*)", line.split("#")[0].strip())
        if match:
            yield match.group(1).split("|")[0].split(" > ")[0].split(" < ")[0].strip()


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_documentation(root, commands, page):
    table = {command["path"]: command for command in commands}
    groups = {" ".join(path.split()[:n]) for path in table for n in (1, 2) if n < len(path.split())}
    for line in named((root / page).read_text()):
        words = line.split()
        n = max((n for n in range(1, 4) if " ".join(words[:n]) in table), default=0)
        rest = [word for word in words if not word.startswith("-") and word not in PLACES]
        if n == 0:
            assert " ".join(rest) in groups or words[0] == "help" or set(words) & PLACES, f"{page}: kourou {line}"
            continue
        command = table[" ".join(words[:n])]
        if command["free"] or "..." in words:
            continue
        names = {name.replace("_", "-") for option in command["options"] for name in (option["name"], option["alias"]) if name}
        for word in words[n:]:
            if word.startswith("--") and len(word) > 2:
                name = word[2:].split("=")[0].rstrip(",;").replace("_", "-")
                assert name in names | {"help", "quiet", "verbose", "version"}, f"{page}: kourou {line}"
