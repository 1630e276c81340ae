# SPDX-License-Identifier: Apache-2.0
"""docs/settings.md is what the program says."""
import subprocess
import sys


def test_page_of_settings_is_current(root, build_dir, home):
    made = subprocess.run([sys.executable, root / "tools/settings-doc.py", build_dir / "kourou"], capture_output=True,
                          text=True, check=True, timeout=120)
    assert made.stdout == (root / "docs/settings.md").read_text(), \
        "run: tools/settings-doc.py build/kourou > docs/settings.md"
