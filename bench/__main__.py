# SPDX-License-Identifier: Apache-2.0
"""Measures Kourou beside its peers in one run and writes the report: a table here, report.json and report.html.

Everything runs on this machine, load generator and servers together, so ratios count, not rates.
"""
import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from bench import budgets, machine, parts, report_html, report_text
from bench.results import Results

ROOT = Path(__file__).resolve().parent.parent
FAILED = "FAILED"


@dataclass
class Context:
    """What a part gets."""

    results: Results
    quick: bool
    build: Path
    folder: Path
    root: Path = ROOT


def arguments(argv):
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repetitions")
    parser.add_argument("--check", action="store_true", help="exit 1 when a budget is missed or a part failed")
    parser.add_argument("--only", action="append", choices=parts.NAMES, help="this part only; may be given again")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "out", help="folder of the report")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="build folder that is measured")
    parser.add_argument("--report", type=Path, action="append",
                        help="measure nothing, make one report of this report.json and of those that are given with it")
    return parser.parse_args(argv)


def measure(options):
    """Runs the parts. A part that fails is reported and does not stop the others."""
    results = Results()
    results.machine = machine.describe()
    results.machine["used by others"] = f"{machine.busy():.0f} %"
    machine.add_versions(results, options.build)
    for name in options.only or parts.NAMES:
        part = parts.load(name)
        print(f"{part.TITLE} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                part.run(Context(results, options.quick, options.build.resolve(), Path(folder)))
            except Exception as error:
                traceback.print_exc()
                results.note(name, f"{FAILED}: {error}")
        results.seconds[name] = time.monotonic() - began
    return results


def main(argv=None):
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a deployment has its bytecode
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers have sessions of their own: they end with us
    options = arguments(argv)
    if options.report:
        results = Results.from_json(options.report[0].read_text())
        for more in options.report[1:]:
            results.merge(Results.from_json(more.read_text()))
    else:
        results = measure(options)
    failed = [part for part, notes in results.notes.items() if any(note.startswith(FAILED) for note in notes)]
    lines = budgets.judge(results)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(
        json.dumps(results.to_json() | {"budgets": [line.to_json() for line in lines]}, indent=1) + "\n")
    (options.out / "report.html").write_text(report_html.page(results, lines, failed))
    print(report_text.text(results, lines, failed))
    print(f"report: {options.out / 'report.html'}, {options.out / 'report.json'}")
    missed = [line for line in lines if line.state == "missed"]
    return 1 if options.check and (missed or failed) else 0


if __name__ == "__main__":
    sys.exit(main())
