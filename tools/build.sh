#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh FOLDER [meson options]: configures FOLDER once, builds it, and puts the programs at its top.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
shift
# With the place: a folder that was moved or copied with its clone would build the former one.
options="${CC:-cc} $* in $PWD"
if [ "$(cat "$folder/.options" 2>/dev/null)" != "$options" ]; then
  rm -rf "$folder"
  log=$(mktemp)
  meson setup "$folder" "$@" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
  echo "$options" >"$folder/.options"
fi
ninja -C "$folder" --quiet
for program in src/cli/kourou src/serve/kourou-serve src/serve/kourou-native tests/serve/kourou-serve-dynamic; do
  ln -f "$folder/$program" "$folder/$(basename "$program")"
done
ln -sfn kourou "$folder/zenml"
ln -sfn ../python "$folder/python"
