# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark, in the order in which they run and are reported.

A part is a module with NAME, TITLE and run(ctx). It adds samples to ctx.results; it prints nothing. When a peer cannot run, it
says so with ctx.results.note() and goes on without its figure.
"""
import importlib

NAMES = ("serve", "start", "faults", "growth_serve", "cli", "deploy", "images", "growth_deploy")


def load(name):
    """The module of a part."""
    return importlib.import_module(f"{__name__}.{name}")
