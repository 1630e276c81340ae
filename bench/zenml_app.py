# SPDX-License-Identifier: Apache-2.0
"""ZenML's own local deployment: deployed by its command, then started again exactly as its local deployer started it."""
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from bench.load import Failed

HERE = Path(__file__).resolve().parent
ENV = HERE.parent / ".bench-venv-zenml" / "bin"
SEEK = ("import json, sys; from zenml.client import Client; d = Client().get_deployment(sys.argv[1]); "
        "print(json.dumps(d.deployment_metadata))")


class ZenmlApps:
    """A store of its own under the temporary folder, without analytics."""

    def __init__(self, ctx):
        self.home, self.project = ctx.folder / "zenml", ctx.folder / "zenml-project"
        self.known = {}
        self.env = {"HOME": str(self.home), "ZENML_CONFIG_PATH": str(self.home / "config"),
                    "ZENML_ANALYTICS_OPT_IN": "false", "ZENML_LOGGING_VERBOSITY": "ERROR", "PYTHONWARNINGS": "ignore",
                    "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

    def run(self, *argv):
        done = subprocess.run([str(word) for word in argv], env=self.env, cwd=self.project, capture_output=True, text=True,
                              timeout=240, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Failed(f"{argv[0]}: {(done.stdout + done.stderr)[-600:]}")
        return done.stdout

    def deploy(self, pipeline):
        """(command line, environment) of the process that `zenml pipeline deploy` leaves; the process is ended."""
        if not (ENV / "zenml").exists():
            raise Failed("not installed: tools/setup.sh bench")
        self.home.mkdir(exist_ok=True)
        (self.project / ".zen").mkdir(parents=True, exist_ok=True)
        for name in ("zenml_models.py", "people.py"):
            shutil.copy(HERE / "pipelines" / name, self.project)
        self.run(ENV / "zenml", "pipeline", "deploy", f"zenml_models.{pipeline}", "--name", pipeline)
        pid = json.loads(self.run(ENV / "python", "-c", SEEK, pipeline).strip().splitlines()[-1])["pid"]
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        env = dict(one.split("=", 1) for one in Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0") if one)
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 20
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.05)
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
        return argv, env

    def command(self, pipeline, port):
        """(argv, environment, folder) that start the app of a pipeline on a port."""
        if pipeline not in self.known:
            self.known[pipeline] = self.deploy(pipeline)
        argv, env = self.known[pipeline]
        return [*argv[:argv.index("--port")], "--port", str(port)], env, self.project
