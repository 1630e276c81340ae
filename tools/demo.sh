#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Deploys examples/digits on the default stack, asks it about a real image, and says how to go on.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
kourou=$root/build/kourou
name=digits

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "Deploying examples/digits as '$name'"
cd examples/digits
"$kourou" pipeline deploy --name "$name" --update --stack default --python "$root/.venv/bin/python" digits.predict_digit

say "Asking it about a handwritten digit of the data set"
"$kourou" deployment invoke "$name" --image=@sample.json

url=$("$kourou" deployment describe "$name" -o json | "$root/.venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["url"])')
say "It runs at $url (open it in a browser), with its API described at $url/docs"
cat <<TEXT
  $kourou deployment list
  $kourou deployment logs -f $name
  $kourou deployment delete $name --yes     stops it and removes everything
TEXT
