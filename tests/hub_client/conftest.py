# SPDX-License-Identifier: Apache-2.0
"""The Hub client alone: tests/tools/hubctl.c against the test Hub."""
import dataclasses
import itertools
import json
import os
import pathlib
import subprocess
import urllib.request

import pytest

from tests.hub.fixtures import ALICE, QUICK
from tests.hub.process import HubProcess, without_hub_variables

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = itertools.count(1)


def program():
    """The sanitized build when there is one: these tests are its best exercise."""
    named = [os.environ["KOUROU_BUILD"]] if os.environ.get("KOUROU_BUILD") else []
    for folder in [*named, ROOT / "build-asan", ROOT / "build"]:
        path = pathlib.Path(folder) / "tests" / "tools" / "hubctl"
        if path.exists():
            return path.resolve()
    raise AssertionError("tests/tools/hubctl is not built: run make")


@dataclasses.dataclass
class Answer:
    status: int
    out: dict
    error: dict
    stderr: str

    def __getitem__(self, key):
        return self.out[key]


class Client:
    """Runs hubctl as one user: client("create", "alice/x", input={...}) gives its answer."""

    def __init__(self, hub, token, home):
        self.hub, self.token, self.home = hub, token, home
        self.extra = {}

    def environment(self):
        env = {**without_hub_variables(), **self.hub.env(self.token), "HOME": str(self.home),
               "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1"}
        for name in ("XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "http_proxy", "https_proxy",
                     "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            env.pop(name, None)
        return {**env, **self.extra}

    def start(self, *args, **options):
        return subprocess.Popen([str(program()), *map(str, args)], env=self.environment(), text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, *args, input=None):
        done = subprocess.run([str(program()), *map(str, args)], env=self.environment(), capture_output=True, text=True,
                              timeout=120, input=json.dumps(input) if input is not None else "")
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        assert not self.token or self.token not in done.stderr + done.stdout
        last = done.stderr.strip().splitlines()[-1:] or [""]
        error = json.loads(last[0]) if done.returncode and last[0].startswith("{") else {}
        assert done.returncode in (0, 1) and (done.returncode == 0 or error), (done.returncode, done.stderr)
        return Answer(done.returncode, json.loads(done.stdout) if done.returncode == 0 else {}, error, done.stderr)

    def __call__(self, *args, input=None):
        """As run, but it must succeed."""
        answer = self.run(*args, input=input)
        assert answer.status == 0, answer.error
        return answer

    def api(self, method, path, body):
        """A call of the Hub by other means than the client under test."""
        request = urllib.request.Request(self.hub.url + path, json.dumps(body).encode(), method=method, headers={
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.read()

    def fails(self, code, *args, input=None):
        answer = self.run(*args, input=input)
        assert answer.status == 1 and answer.error["code"] == code, (answer.out, answer.error)
        return answer.error


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory):
    """One Hub for a module: each test takes a Space of its own."""
    options = ("--set", "multipart_size=300000", "--set", "chunk_size=100000")
    with HubProcess(tmp_path_factory.mktemp("hub"), "--no-docker", *ALICE, *QUICK, *options) as process:
        yield process


@pytest.fixture
def client(shared_hub, tmp_path):
    shared_hub.clear_faults()
    shared_hub.reset_counters()
    yield Client(shared_hub, "hf_test_alice", tmp_path)
    shared_hub.clear_faults()


@pytest.fixture
def space_id():
    return f"alice/space-{next(NAMES)}"


@pytest.fixture
def folder(tmp_path):
    """A small app: text, an empty file, a file by LFS in one piece and one in parts."""
    root = tmp_path / "app"
    (root / "pkg").mkdir(parents=True)
    (root / "README.md").write_text("---\ntitle: Demo\nsdk: docker\napp_port: 7860\n---\n")
    (root / "Dockerfile").write_text("FROM python:3.11-slim\nCMD sleep 1\n")
    (root / "pkg" / "empty.py").write_text("")
    (root / "pkg" / "é ü.py").write_text("print('ü')\n")
    (root / "model.bin").write_bytes(os.urandom(200_000))
    (root / "parts.bin").write_bytes(os.urandom(450_001))
    return root
