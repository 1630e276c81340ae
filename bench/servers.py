# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured: Kourou and its peers, each started in one way for every part."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from bench import machine
from bench.load import Failed, free_port, is_up
from bench.zenml_app import ZenmlApps

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ROOT / ".bench-venv" / "bin"
BENTOML = ROOT / ".bench-venv-bentoml" / "bin"

PERSON = {"name": "ada lovelace of the analytical engine", "age": 36, "tags": ["first", "programmer", "poetical"]}


def call(parameters):
    """The body of an invocation."""
    return json.dumps({"parameters": parameters, "run_name": None, "timeout": None,
                       "skip_artifact_materialization": False})


MODELS_BODY = call({"person": PERSON})
PLAIN_BODY = call({"name": PERSON["name"], "age": 36})
BENTOML_BODY = json.dumps({"parameters": {"person": PERSON}})


class Running:
    """A server process with a port; its messages are in a file for the error that says it does not start."""

    def __init__(self, argv, port, folder, env=None, cwd=None, health="/health"):
        self.port, self.health = port, health
        self.log = Path(folder) / f"server-{port}.log"
        with self.log.open("wb") as log:
            self.began = time.perf_counter()
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=os.environ | {"HOME": str(folder)} | (env or {}), cwd=cwd,
                                            start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def wait(self, seconds=90):
        end = time.monotonic() + seconds
        while not is_up(self.port, self.health):
            if time.monotonic() > end or self.process.poll() is not None:
                self.stop()
                raise Failed(f"does not start: {self.process.args[0]}: {self.log.read_text(errors='replace')[-600:]}")
            time.sleep(0.02)
        return self

    def pause(self):
        """Takes it off the cores, with whatever it started, until resume()."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self):
        """SIGTERM, and after 5 seconds SIGKILL for it and whatever it started."""
        if self.process.poll() is None:
            self.resume()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Servers:
    """Everything that is made before something can be measured; every method starts one server and does not wait for it."""

    def __init__(self, ctx):
        self.ctx, self.build, self.folder = ctx, ctx.build, ctx.folder
        self.python = ROOT / ".venv" / "bin" / "python"
        self.cc = os.environ.get("CC", "cc")
        self.made = set()
        self.zenml_apps = ZenmlApps(ctx)

    def once(self, name, argv, **options):
        if name not in self.made:
            subprocess.run([str(word) for word in argv], check=True, capture_output=True, **options)
            self.made.add(name)

    def kourou(self, source, *args, pipelines=HERE / "pipelines"):
        """`source` is a pipeline of the folder `pipelines`, or "native"."""
        root = self.folder if source == "native" else pipelines
        snapshot = self.folder / f"{source}.json"
        if source == "native":
            self.once("libgreet.so", [self.cc, "-O2", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o",
                                      self.folder / "libgreet.so", HERE / "native_greet.c"])
            if not snapshot.exists():
                snapshot.write_bytes(subprocess.run([self.build / "kourou-native", "--describe", "libgreet.so", "--root",
                                                     self.folder], check=True, capture_output=True).stdout)
        else:
            self.once(source, [self.python, ROOT / "python/kourou/_boot.py", "compile", source, "--root", root,
                               "--output", snapshot])
        port = free_port()
        return Running([self.build / "kourou-serve", "--snapshot", snapshot, "--root", root, "--python", self.python,
                        "--python-path", ROOT / "python", "--port", port, *args], port, self.folder)

    def bare_c(self):
        self.once("bare", [self.cc, "-O2", "-D_GNU_SOURCE", "-o", self.folder / "bare", HERE / "bare.c"])
        port = free_port()
        return Running([self.folder / "bare", port], port, self.folder)

    def nginx(self):
        """One worker that answers a constant."""
        port, home = free_port(), self.folder / "nginx"
        home.mkdir(exist_ok=True)
        answer = json.dumps({"success": True, "outputs": {"greeting": "x" * 260}})
        (home / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off; default_type application/json; keepalive_requests 100000000;\n"
            + "".join(f"{kind}_temp_path {home}/{kind};\n" for kind in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{answer}'; }} }} }}\n")
        return Running(["/usr/sbin/nginx", "-p", home, "-c", home / "nginx.conf"], port, self.folder)

    def uvicorn(self, app, *more):
        port = free_port()
        return Running([PEERS / "python", "-m", "uvicorn", app, "--port", port, "--no-access-log", "--log-level",
                        "warning", *more], port, self.folder, cwd=HERE)

    def granian(self, app):
        port = free_port()
        return Running([PEERS / "granian", "--interface", "asgi", "--port", port, "--workers", "1", "--log-level", "warning",
                        app], port, self.folder, cwd=HERE)

    def litserve(self):
        port = free_port()
        return Running([PEERS / "python", HERE / "peer_litserve.py", port], port, self.folder, cwd=self.folder)

    def bentoml(self):
        port = free_port()
        env = {"BENTOML_HOME": str(self.folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True",
               "BENTOML_CONFIG_OPTIONS": "api_server.logging.access.enabled=false"}
        return Running([BENTOML / "bentoml", "serve", "peer_bentoml:Greeter", "--port", port, "--host", "127.0.0.1",
                        "--working-dir", HERE], port, self.folder, env=env, cwd=HERE, health="/livez")

    def zenml(self, pipeline="models"):
        port = free_port()
        argv, env, cwd = self.zenml_apps.command(pipeline, port)
        return Running(argv, port, self.folder, env=env, cwd=cwd)


PACKAGES = {"fastapi": PEERS, "uvicorn": PEERS, "uvloop": PEERS, "httptools": PEERS, "pydantic": PEERS, "granian": PEERS,
            "litserve": PEERS, "bentoml": BENTOML, "zenml": ROOT / ".bench-venv-zenml" / "bin"}


def add_versions(results):
    for name, folder in PACKAGES.items():
        machine.packages(results, folder / "python", [name])
    text = machine.output("/usr/sbin/nginx", "-v")
    if text:
        results.version("nginx", text.rsplit("/", 1)[-1])
    results.version("pydantic (kourou)", machine.output(ROOT / ".venv/bin/python", "-c",
                                                        "import pydantic; print(pydantic.VERSION)") or "unknown")


def start_all(ctx, part, makers):
    """Starts servers, a table of name to function, and waits for each. {name: Running}; a peer that cannot run is named with
    its reason and is missing. Failed when it is Kourou that cannot."""
    running = {}
    try:
        for name, make in makers.items():
            try:
                running[name] = make().wait()
            except (Failed, OSError, subprocess.SubprocessError) as error:
                if name.startswith("kourou"):
                    raise
                ctx.results.note(part, f"{name} could not be measured: {' '.join(str(error).split())}")
    except BaseException:
        stop_all(running)
        raise
    return running


def stop_all(running):
    for server in running.values():
        server.stop()
