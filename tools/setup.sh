#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what this tree needs and nothing else: `setup.sh build` for building and the demo,
# `setup.sh test` for the tests too, `setup.sh bench` for the peers of the benchmark. Quick when
# nothing is missing; safe to run again after it was interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."

level=${1:-build}

build_packages=(
  build-essential meson ninja-build pkg-config ca-certificates
  libcurl4-openssl-dev libsqlite3-dev libjansson-dev libyaml-dev libsodium-dev libssl-dev
  libarchive-dev libdeflate-dev zlib1g-dev libzstd-dev node-llhttp
  libcmocka-dev python3 python3-venv
)
test_packages=(
  clang clang-format libclang-rt-14-dev git curl wrk skopeo docker.io docker-registry iptables
  apache2-utils debootstrap iproute2 chromium chromium-driver openssh-client procps zsh fish
)
bench_packages=(wrk nginx-light hyperfine)

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else
    echo "setup: these packages are missing and need root to install: ${missing[*]}" >&2
    exit 1
  fi
}

install_packages() {
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || {
    echo "setup: not a Debian system; please install: ${missing[*]}" >&2
    exit 1
  }
  echo "setup: installing ${#missing[@]} packages: ${missing[*]}" >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
  # docker.io must not start a system-wide engine: the tests run their own.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null
}

# A virtual environment is made again when one of the files that describe it changed, or when its
# clone was moved or copied: its programs name the folder that it was made in.
python_env() {
  local folder=$1 stamp
  shift
  stands_here() { grep -qsF "$(realpath "$1")" "$1/bin/activate"; }
  stamp=$(cat "$@" tools/setup.sh 2>/dev/null | sha256sum | cut -d' ' -f1)
  [ "$(cat "$folder/.stamp-$level" 2>/dev/null)" = "$stamp" ] && stands_here "$folder" && return 0
  echo "setup: preparing Python environment $folder" >&2
  [ -x "$folder/bin/python" ] && stands_here "$folder" || /usr/bin/python3 -m venv --clear "$folder"
  local args=() file
  for file in "$@"; do
    case $file in *.txt) args+=(-r "$file") ;; esac
  done
  "$folder/bin/python" -m pip install -q --disable-pip-version-check "${args[@]}"
  echo "$stamp" >"$folder/.stamp-$level"
}

# `. .venv/bin/activate; python my_module.py` finds the packages of this tree.
own_packages() {
  local site
  site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  [ "$(cat "$site/kourou-tree.pth" 2>/dev/null)" = "$PWD/python" ] || echo "$PWD/python" >"$site/kourou-tree.pth"
}

node_tools() {
  command -v node >/dev/null && command -v npm >/dev/null || install_packages nodejs npm
}

case $level in
  build)
    install_packages "${build_packages[@]}"
    python_env .venv tools/requirements-build.txt
    own_packages
    ;;
  test)
    install_packages "${build_packages[@]}" "${test_packages[@]}"
    node_tools
    python_env .venv tools/requirements-build.txt tools/requirements-test.txt bench/requirements-report.txt
    own_packages
    ;;
  bench)
    install_packages "${build_packages[@]}" "${bench_packages[@]}"
    python_env .venv tools/requirements-build.txt bench/requirements-report.txt
    # Peers whose requirements clash have an environment each.
    python_env .bench-venv bench/requirements.txt
    python_env .bench-venv-bentoml bench/requirements-bentoml.txt
    python_env .bench-venv-zenml bench/requirements-zenml.txt
    ;;
  *)
    echo "usage: setup.sh build|test|bench" >&2
    exit 2
    ;;
esac
