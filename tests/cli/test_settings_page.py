# SPDX-License-Identifier: Apache-2.0
"""docs/settings.md is what the program says."""
import subprocess
import sys


def test_page_of_settings_is_current(root, build_dir, home):
    made = subprocess.run([sys.executable, root / "tools/settings-doc.py", build_dir / "kourou"], capture_output=True,
                          text=True, check=True, timeout=120)
    assert made.stdout == (root / "docs/settings.md").read_text(), \
        "run: tools/settings-doc.py build/kourou > docs/settings.md"


def test_run_args_are_those_of_the_page(root):
    """docs/images.md lists the options of `run_args` that the program passes on, all of them and no other."""
    import re

    table = (root / "src/deployers/docker_args.c").read_text().split("run_options[] = {")[1].split("};")[0]
    page = (root / "docs/images.md").read_text().split("by the program's names:")[1].split("; any other")[0]
    assert re.findall(r'\{"([a-z0-9-]+)"', table) == re.findall(r"`([a-z0-9-]+)`", page)
