# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark, in the order in which they run and are reported.

A part is a module with NAME, TITLE and run(ctx). It adds samples to ctx.results; it prints nothing. When a peer cannot run, it
says so with ctx.results.note() and goes on without its figure.
"""
import importlib
import importlib.util

NAMES = ("serve", "start", "faults", "growth_serve", "cli", "deploy", "images", "growth_deploy")


def load(name):
    """The module of a part, or None while it does not exist."""
    if importlib.util.find_spec(f"{__name__}.{name}") is None:
        return None
    return importlib.import_module(f"{__name__}.{name}")
