#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole test command: set-up, checks of the tree, three builds (gcc, clang, sanitizers), then
# every test under one runner, whose closing line has the numbers. Tests wait more than they compute,
# so there are more of them at a time than cores (KOUROU_TEST_JOBS); a file's tests stay together
# because they share what they start.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh test
tools/lint.sh
tools/build.sh build --buildtype=release -Dstrip=true
CC=clang tools/build.sh build-clang --buildtype=debugoptimized
tools/build.sh build-asan --buildtype=debugoptimized -Db_sanitize=address,undefined
jobs=${KOUROU_TEST_JOBS:-$(($(nproc) + 1))}
exec .venv/bin/python -m pytest -n "$jobs" --dist loadfile --no-loadscope-reorder "$@"
