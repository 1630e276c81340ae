# SPDX-License-Identifier: Apache-2.0
"""Entry of the programs that Kourou runs with the user's Python (_oneshot.py has their usage).

Runs as a plain script with any Python, also where the package is not installed. What is installed wins over the
files beside this one. Python reads a script anew each time, so what a worker's start does not need is elsewhere.
"""
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

HERE = os.path.dirname(os.path.realpath(__file__))


def prepare_path():
    # type: () -> None
    # Python puts the resolved folder of a script first; ours has a `types.py` that must not hide Python's.
    if sys.path and os.path.realpath(sys.path[0] or ".") == HERE:
        del sys.path[0]
    parent = os.path.dirname(HERE)
    if parent not in sys.path:
        sys.path.append(parent)


def main(argv):
    # type: (List[str]) -> int
    prepare_path()
    if argv[:1] == ["worker"] and sys.version_info >= (3, 9):
        from kourou import worker
        return worker.main(argv[1:])
    sys.path.insert(0, HERE)
    if TYPE_CHECKING:
        from kourou import _oneshot
    else:
        import _oneshot
    sys.path.remove(HERE)
    return _oneshot.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
