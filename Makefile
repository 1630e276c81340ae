# SPDX-License-Identifier: Apache-2.0
# A thin face over Meson: see CONTRIBUTING.md for what each target does.
.PHONY: all build setup demo test test-all lint bench fuzz soak install clean clang asan
.DEFAULT_GOAL := all

BUILD  := build
PREFIX ?= /usr/local
PYTEST_ARGS ?=

all: setup build

setup:
	@tools/setup.sh build

# The programs are linked into the top of the build folder: `build/kourou`, `build/zenml`.
build:
	@tools/build.sh $(BUILD) --buildtype=release -Dstrip=true

clang: setup
	@CC=clang tools/build.sh build-clang --buildtype=debugoptimized

asan: setup
	@tools/build.sh build-asan --buildtype=debugoptimized -Db_sanitize=address,undefined

demo: all
	@tools/demo.sh

test:
	@tools/test.sh $(PYTEST_ARGS)

# What needs long: every place of a failure instead of a part of them, ten minutes of soak.
test-all:
	@CI=1 KOUROU_TEST_ALL=1 KOUROU_SOAK_SECONDS=$(or $(SECONDS),600) tools/test.sh $(PYTEST_ARGS)

lint:
	@tools/setup.sh test
	@tools/lint.sh

bench: all
	@tools/setup.sh bench
	@bench/run.sh

fuzz:
	@tools/setup.sh test
	@fuzz/run.sh

# SECONDS=600 SEED=7: how long, and which choices.
soak: all
	@tools/setup.sh test
	@.venv/bin/python -m tests.soak --seconds $(or $(SECONDS),120) $(if $(SEED),--seed $(SEED))

# ZENML=1: the program is called zenml, too.
install: all
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@DESTDIR="$(DESTDIR)" meson install -C $(BUILD) --quiet
	@$(if $(ZENML),ln -sfn kourou "$(DESTDIR)$(abspath $(PREFIX))/bin/zenml")

clean:
	rm -rf build build-asan build-clang
