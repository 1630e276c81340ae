# SPDX-License-Identifier: Apache-2.0
"""What the parts around deploying share: a user's folder and home, the test Hub with a latency, counts from its log."""
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.hub.process import HubProcess  # noqa: E402  (the folder of the tests is not a package of its own)

ZENML_ENV = ROOT / ".bench-venv-zenml"
TOKEN = "hf_test_alice"
PYTHON = ROOT / ".venv" / "bin" / "python"
SEEN = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE")


def plain_env(home, **more):
    """An environment without anything of the surroundings that would steer one of the programs."""
    Path(home).mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in SEEN if name in os.environ}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", **{name: str(value) for name, value in more.items()}}


def peer_env(home, **more):
    """For ZenML and the Hub's official client: a store of their own, no analytics, nothing sent but to the test Hub."""
    return plain_env(home, ZENML_CONFIG_PATH=Path(home) / "zenml", ZENML_ANALYTICS_OPT_IN="false",
                     ZENML_LOGGING_VERBOSITY="ERROR", HF_HOME=Path(home) / "hf", HF_HUB_DISABLE_TELEMETRY="1",
                     HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_UPDATE_CHECK="1",
                     PYTHONWARNINGS="ignore", **more)


def has_peers():
    return (ZENML_ENV / "bin" / "zenml").exists()


class Failed(RuntimeError):
    """A program that was measured did not do its work."""


def run(argv, env, cwd=None, timeout=300):
    """Runs it; gives (seconds, output). Failed with the end of its messages when it does not end with 0."""
    began = time.perf_counter()
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, env=env, cwd=cwd, timeout=timeout, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    if done.returncode:
        said = f"{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        raise Failed(f"{' '.join(argv)} ended with {done.returncode}:\n{said}")
    return seconds, done.stdout


class Project:
    """The greeting example in a folder of its own, with a home of its own."""

    def __init__(self, build, folder, **env):
        self.kourou = Path(build) / "kourou"
        self.folder, self.home = Path(folder) / "project", Path(folder) / "home"
        shutil.copytree(ROOT / "examples" / "greeting", self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.env = plain_env(self.home, KOUROU_HOME=self.home / "kourou", **env)
        self.greeting = "Hello"

    def run(self, *args, timeout=300):
        return run([self.kourou, *args], self.env, self.folder, timeout)

    def deploy(self, *more, name="greeter", source="my_module.my_pipeline"):
        return self.run("pipeline", "deploy", "--python", PYTHON, "--name", name, "--update", *more, source)

    def hub_stack(self, name="hf", *more):
        """A stack whose deployer is the Hub of this environment."""
        self.run("deployer", "register", name, "--flavor=huggingface", f"--token={TOKEN}")
        self.run("stack", "register", name, "-D", name, "-a", "default", "-o", "default", *more, "--set")

    def change(self):
        """Another greeting than ever before."""
        path = self.folder / "my_module.py"
        text, old = path.read_text(), self.greeting
        self.greeting = f"Hello {time.perf_counter_ns()}"
        path.write_text(text.replace(f'"{old},', f'"{self.greeting},'))


class Hub(HubProcess):
    """The test Hub with scripted builds: what a Space does after a commit is played, at the same pace for everybody."""

    def __init__(self, folder):
        # No lag between a commit and the stage BUILDING: ZenML takes the stage from before for a failure and gives up.
        super().__init__(folder, "--no-docker", "--user", f"alice:{TOKEN}:write", "--set", "lag=0")

    def slow(self, seconds):
        """From now on every call of the Hub and of its storage takes so much longer."""
        self.clear_faults()
        for origin in ("hub", "lfs", "cdn") if seconds else ():
            self.fault("slow", seconds=seconds, times=-1, origin=origin)


def is_wait(call):
    """Looking how far the Hub is, after everything was sent."""
    return "/runtime" in call["path"] or "/logs/" in call["path"] or call["path"].endswith("/events")


def is_lfs(call):
    return call["origin"] in ("lfs", "cdn") or "info/lfs" in call["path"]


def sent_after(hub, began):
    """Seconds from `began` (time.time()) until the Hub had answered the last call that is not waiting."""
    return max(call["t"] for call in hub.log() if call["origin"] in ("hub", "lfs", "cdn") and not is_wait(call)) - began


def counted(hub):
    """What the Hub saw since its counters were reset: {"calls", "waiting", "lfs calls", "commits", ...}."""
    log = [call for call in hub.log() if call["origin"] in ("hub", "lfs", "cdn")]
    counters = hub.counters()
    return {"calls": sum(1 for call in log if not is_wait(call) and not is_lfs(call)),
            "looks while waiting": sum(1 for call in log if is_wait(call)),
            "LFS calls": sum(1 for call in log if is_lfs(call)),
            "commits": counters["commits"], "builds": counters["builds"], "restarts": counters["restarts"]}


def build_spawn(folder):
    """spawn.c as a program: it measures time and peak memory of what it starts."""
    program = Path(folder) / "spawn"
    source = ROOT / "bench" / "spawn.c"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", program, source], check=True)
    return program


def spawned(text):
    """What spawn printed: ([milliseconds], [peak memory in MB])."""
    rows = [line.split() for line in text.splitlines()]
    return [float(row[0]) for row in rows], [float(row[1]) / 1e3 for row in rows]
