# SPDX-License-Identifier: Apache-2.0
"""The one-shot programs, and what is said of Pythons that cannot run them.

    python _boot.py compile SOURCE --root DIR --output FILE [--config FILE.json] [--name NAME]
    python _boot.py worker ...       (docs/worker-protocol.md)
    python _boot.py check
    python _boot.py provides|add      (_packages.py)

The syntax is that of very old Pythons, so that those can say that they are too old.
"""
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional


def too_old():
    # type: () -> Optional[str]
    if sys.version_info >= (3, 9):
        return None
    return "Python %d.%d.%d at %s is too old; Kourou needs 3.9 or newer" % (
        sys.version_info[0], sys.version_info[1], sys.version_info[2], sys.executable)


def option(argv, name):
    # type: (List[str], str) -> Optional[str]
    for at, word in enumerate(argv):
        if word == name and at + 1 < len(argv):
            return argv[at + 1]
        if word.startswith(name + "="):
            return word[len(name) + 1:]
    return None


def refuse(command, argv, message):
    # type: (str, List[str], str) -> int
    import json
    output = option(argv, "--output")
    if command == "compile" and output:
        with open(output, "w") as file:
            json.dump({"error": {"kind": "python", "message": message}}, file)
    sys.stderr.write(message + "\n")
    return 1


def main(argv):
    # type: (List[str]) -> int
    command = argv[0] if argv else None
    if command not in ("compile", "worker", "check", "provides", "add"):
        sys.stderr.write("usage: _boot.py compile|worker|check|provides|add ...\n")
        return 2
    problem = too_old()
    if command == "check":
        return check()
    if problem:
        return refuse(command, argv, problem)
    if command in ("provides", "add"):
        from kourou import _packages
        return _packages.main(command)
    # What the user's code prints must not be taken for our result.
    sys.stdout.flush()
    os.dup2(2, 1)
    from kourou import compiler
    return compiler.main(argv[1:])


def check():
    # type: () -> int
    import json
    about = {"version": "%d.%d.%d" % sys.version_info[:3], "executable": sys.executable, "prefix": sys.prefix,
             "pydantic": None, "kourou": None}
    try:
        from pydantic.version import VERSION
        about["pydantic"] = VERSION
    except ImportError:
        pass
    if sys.version_info >= (3, 9):
        from kourou._version import __version__
        about["kourou"] = __version__
    print(json.dumps(about, sort_keys=True))
    return 0

