#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks of the tree itself: direction of dependencies, fences around libraries, sizes, layout.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 tools/check-layers.py
python3 tools/check-sizes.py
python3 tools/check-format.py
python3 tools/check-flavors.py
python3 tools/check-null-err.py
python3 tools/check-python.py
# What the program says of its settings needs the program.
tools/build.sh build --buildtype=release -Dstrip=true >/dev/null
python3 tools/generate-settings.py --check
