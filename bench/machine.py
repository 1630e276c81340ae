# SPDX-License-Identifier: Apache-2.0
"""What machine this is, and the versions of what is measured on it."""
import os
import platform
import re
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def first_match(path, pattern):
    found = re.search(pattern, Path(path).read_text(), re.M)
    return found[1].strip() if found else "unknown"


def describe():
    """{"CPU", "cores", "memory", "kernel", "system", "time"} as text."""
    kib = int(first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)"))
    return {"CPU": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.*)"), "cores": str(os.cpu_count()),
            "memory": f"{kib / 2**20:.0f} GiB", "kernel": f"{platform.system()} {platform.release()}",
            "system": first_match("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
            "time": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}


def busy(seconds=2):
    """What share of all cores other programs use, in percent; to be called while nothing is measured."""
    def read():
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    before = read()
    time.sleep(seconds)
    total, idle = (now - then for now, then in zip(read(), before))
    return 100 * (1 - idle / max(1, total))


def output(*argv):
    """First line that a program prints, None when it cannot be run."""
    try:
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    text = (done.stdout + done.stderr).strip()
    return text.splitlines()[0] if text else None


def packages(results, python, names):
    """Versions of distributions in the environment of a Python."""
    code = ("import importlib.metadata as m, sys\n"
            "for n in sys.argv[1:]:\n"
            "    try: print(n, m.version(n))\n"
            "    except m.PackageNotFoundError: pass")
    if not Path(python).exists():
        return
    done = subprocess.run([str(python), "-c", code, *names], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        results.version(*line.split(" ", 1))


def add_versions(results, build):
    """Of Kourou and of the tools; the parts add their own peers."""
    results.version("kourou", (output(Path(build) / "kourou", "version") or "unknown").removeprefix("kourou "))
    commit = output("git", "-C", ROOT, "rev-parse", "--short", "HEAD")
    if commit and re.fullmatch(r"[0-9a-f]+", commit):
        results.version("kourou, commit", commit)
    results.version("python", output(ROOT / ".venv" / "bin" / "python", "--version").removeprefix("Python "))
    results.version("wrk", (output("wrk", "-v") or "not installed").removeprefix("wrk ").split(" [")[0])
