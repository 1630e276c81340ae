#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make bench: every benchmark, each next to its peers in the same run. BENCH_ARGS go to the server's benchmark.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python bench/serve_bench.py ${BENCH_ARGS:-}
