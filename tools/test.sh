#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole test command: set-up, checks of the tree, three builds (gcc, clang, sanitizers), then
# every test under one runner, whose closing line has the numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh test
tools/lint.sh
tools/build.sh build --buildtype=release -Dstrip=true
CC=clang tools/build.sh build-clang --buildtype=debugoptimized
tools/build.sh build-asan --buildtype=debugoptimized -Db_sanitize=address,undefined
exec .venv/bin/python -m pytest "$@"
