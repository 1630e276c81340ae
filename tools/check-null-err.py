#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No call gives NULL for the error unless the declaration of what is called says KR_ERR_OPTIONAL.

A function reads err->code when something below it failed, so NULL there is a crash in the place of a reason. The bodies of
those that may get NULL are looked at too: they read err only behind a test for NULL."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOISE = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)
NAME = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof"}
# They fill the error and are born for callers that do not care (src/base/err.h).
BORN = {"kr_fail", "kr_fail_errno", "kr_wrap", "kr_hint"}


def blanked(text):
    """Strings and comments become blanks of the same length, but for the marker in comments."""
    return NOISE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def closing(text, at):
    """Index of the parenthesis that closes the one at `at`, or -1."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return -1


def last_argument(text):
    depth, start = 0, 0
    for i, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            start = i + 1
    return text[start:].strip()


def body_after(text, at):
    """The block that begins behind a function's head, or None for a declaration."""
    found = re.compile(r"[\s\w()]*\{").match(text, at)
    if not found:
        return None
    depth = 0
    for i in range(found.end() - 1, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return text[found.end():i]
    return None


def scan(text):
    """(name, offset, arguments, text behind) of everything that looks like a call or a head."""
    for found in NAME.finditer(text):
        end = closing(text, found.end() - 1)
        if end > 0 and found.group(1) not in KEYWORDS:
            yield found.group(1), found.start(), text[found.end():end], end + 1


def main(root):
    files = {path: blanked(path.read_text()) for path in sorted((root / "src").rglob("*.[ch]"))}
    takes, optional, bodies, problems = set(), set(BORN), {}, []
    for path, text in files.items():
        for name, _, arguments, end in scan(text):
            if re.fullmatch(r"struct kr_err \*\s*err", last_argument(arguments)):
                takes.add(name)
                if re.match(r"(\s*KR_MUST_USE)?\s*KR_ERR_OPTIONAL", text[end:]):
                    optional.add(name)
                body = body_after(text, end)
                if body is not None:
                    bodies[name] = (path, body)
    for path, text in files.items():
        for name, at, arguments, _ in scan(text):
            if name in takes - optional and last_argument(arguments) == "NULL":
                line = text.count("\n", 0, at) + 1
                problems.append(f"{path.relative_to(root)}:{line}: {name}() gets NULL for the error; give it one of this "
                                "function's own, or mark its declaration KR_ERR_OPTIONAL and let it bear that")
    for name in sorted(optional - BORN):
        path, body = bodies.get(name, (None, ""))
        reads = len(re.findall(r"\berr->", body)) - len(re.findall(r"\berr [!=]= NULL", body))
        if reads > 0:
            problems.append(f"{path.relative_to(root)}: {name}() says KR_ERR_OPTIONAL and reads err without a test for NULL")
        for called, _, arguments, _ in scan(body):
            if called in takes - optional and last_argument(arguments) == "err":
                problems.append(f"{path.relative_to(root)}: {name}() says KR_ERR_OPTIONAL and gives err to {called}(), which "
                                "does not")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
