#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make bench: everything beside its peers in one run, one report. BENCH_ARGS: --quick, --check, --only PART, --out FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck disable=SC2086
exec .venv/bin/python -m bench ${BENCH_ARGS:-}
