#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [TARGET...]: builds the fuzz targets with clang, libFuzzer, ASan and UBSan, and runs each (all
# without arguments) for SECONDS (60). Prints executions and findings; exits 1 when there are any. What
# is found, and new inputs, stay in build-fuzz/found and build-fuzz/corpora.
set -euo pipefail
cd "$(dirname "$0")/.."
# The shell has a variable of that name, its clock: what counts is the environment.
seconds=$(printenv SECONDS || true)
[[ $seconds =~ ^[1-9][0-9]*$ ]] || seconds=60
build=${FUZZ_BUILD:-build-fuzz}

if [ ! -f "$build/build.ninja" ]; then
  CC=clang meson setup "$build" -Db_sanitize=address,undefined -Db_lundef=false \
    --buildtype=debugoptimized -Dfuzz=true >/dev/null
fi
targets=("$@")
if [ $# = 0 ]; then
  for source in fuzz/fuzz_*.c; do
    name=${source#fuzz/fuzz_}
    targets+=("${name%.c}")
  done
fi
ninja -C "$build" --quiet "${targets[@]/#/fuzz/fuzz-}"

export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# Inputs that took long are kept, too, and say nothing on a busy machine; hangs are called timeout-...
count() { find "$1" -type f ! -name 'slow-unit-*' | wc -l; }
total=0 findings=0
for name in "${targets[@]}"; do
  new=$build/corpora/$name found=$build/found/$name log=$build/found/$name.log
  mkdir -p "$new" "$found"
  before=$(count "$found")
  "$build/fuzz/fuzz-$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
    -print_final_stats=1 -artifact_prefix="$found/" "$new" "fuzz/corpora/$name" >"$log" 2>&1 || true
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  after=$(count "$found")
  total=$((total + ${runs:-0})) findings=$((findings + after - before))
  printf '%-12s %12s executions  %s findings\n' "$name" "${runs:-0}" "$((after - before))"
  if [ "$after" != "$before" ]; then
    grep -m 3 -E 'does not hold|runtime error|ERROR: ' "$log" || true
  elif [ -z "$runs" ]; then
    echo "$name did not run:" >&2
    tail -5 "$log" >&2
    exit 1
  fi
done
echo "$total executions, $findings findings"
[ "$findings" = 0 ]
