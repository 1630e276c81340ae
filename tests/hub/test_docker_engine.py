# SPDX-License-Identifier: Apache-2.0
"""Spaces that are really built and run: build arguments, secret mounts, user 1000, environment, logs, failures."""

import json
import pathlib
import subprocess
import urllib.error
import urllib.request

import pytest
from huggingface_hub import HfApi, Volume

from tests.support import dockerd
from tests.support.ports import wait_for

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
README = b"---\ntitle: Demo\nsdk: docker\napp_port: 8099\n---\n"
APP = b"""import http.server, json, os, pathlib, sys, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        data = {"uid": os.getuid(), "env": dict(os.environ), "built": pathlib.Path("built").read_text(),
                "big": pathlib.Path("model.bin").stat().st_size, "forwarded": self.headers["X-Forwarded-For"]}
        body = json.dumps(data).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))[::-1]
        self.send_response(201); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): print("served", self.path, flush=True)
print("starting", flush=True)
http.server.ThreadingHTTPServer((sys.argv[1], 8099), H).serve_forever()
"""
DOCKERFILE = b"""FROM python:3.11-slim
WORKDIR /app
ARG GREETING
RUN --mount=type=secret,id=DB_PASSWORD,mode=0444,required=true \\
    echo "$GREETING $(wc -c < /run/secrets/DB_PASSWORD)" > built
COPY . .
CMD ["python", "-u", "app.py", "0.0.0.0"]
"""


@pytest.fixture
def api(docker_hub, token):
    docker_hub.settings(stop_grace=1)
    return HfApi(endpoint=docker_hub.url, token=token)


def deploy(api, docker_hub, files, name="alice/real", **options):
    api.create_repo(name, repo_type="space", space_sdk="docker", exist_ok=True, **options)
    return docker_hub.space(name), docker_hub.space(name).commit(files, "deploy")["commitOid"]


def get(url, **options):
    with OPENER.open(urllib.request.Request(url, **options), timeout=60) as answer:
        return answer.read()


def test_builds_and_runs_as_a_space_does(api, docker_hub, token):
    api.create_repo(
        "alice/real",
        repo_type="space",
        space_sdk="docker",
        space_secrets=[{"key": "DB_PASSWORD", "value": "geheim"}],
        space_variables=[{"key": "GREETING", "value": "good day"}],
    )
    api.upload_file(path_or_fileobj=b"\0" * 5000, path_in_repo="model.bin", repo_id="alice/real", repo_type="space")
    space = docker_hub.space("alice/real")
    oid = space.commit({"Dockerfile": DOCKERFILE, "app.py": APP, "README.md": README})["commitOid"]
    space.wait("RUNNING", seconds=120, sha=oid)
    seen = json.loads(get(space.app_url + "/"))
    assert seen["uid"] == 1000
    assert seen["built"] == "good day 6\n"
    assert seen["big"] == 5000, "LFS files are in place in the build"
    assert seen["forwarded"] == "127.0.0.1"
    env = seen["env"]
    assert env["DB_PASSWORD"] == "geheim" and env["GREETING"] == "good day"
    assert env["SPACE_ID"] == "alice/real" and env["SPACE_TITLE"] == "Demo" and env["ACCELERATOR"] == "none"
    assert env["SPACE_HOST"] == space.app_url.removeprefix("http://")
    assert env["SPACE_AUTHOR_NAME"] == "alice" and env["SPACE_REPO_NAME"] == "real"
    assert len(env["SPACE_CREATOR_USER_ID"]) == 24 and env["CPU_CORES"] == "2" and env["MEMORY"] == "16Gi"
    assert get(space.app_url + "/x", data=b"abc", method="POST") == b"cba"
    build = "".join(api.fetch_space_logs("alice/real", build=True))
    assert f"Commit SHA: {oid[:7]}" in build and "--> COPY . ." in build and "DONE" in build
    assert "geheim" not in build
    wait_for(lambda: "served /x\n" in space.state()["run_log"], 30, "the line of the request in the run log")
    run = space.state()["run_log"]
    assert run.startswith("===== Application Startup at ") and "starting\n" in run
    assert docker_hub.counters()["builds"] == 1 and docker_hub.counters()["restarts"] == 0

    # a secret: one restart, no build, new value in the environment
    api.add_space_secret("alice/real", "DB_PASSWORD", "other!!")
    space.wait("RUNNING", seconds=60)
    seen = json.loads(get(space.app_url + "/"))
    assert seen["env"]["DB_PASSWORD"] == "other!!" and seen["built"] == "good day 6\n"
    assert docker_hub.counters()["builds"] == 1 and docker_hub.counters()["restarts"] == 1

    # an update in place: the old app answers while the new one is built, and layers come from the cache
    second = space.commit({"note.txt": b"hello\n"})["commitOid"]
    answers = 0
    while (runtime := api.get_space_runtime("alice/real")).raw.get("sha") != second:
        assert runtime.stage != "BUILD_ERROR", runtime
        assert json.loads(get(space.app_url + "/"))["uid"] == 1000
        answers += 1
    assert answers > 3
    assert "RUNNING_BUILDING" in space.stages() and "RUNNING_APP_STARTING" in space.stages()
    assert "CACHED" in "".join(api.fetch_space_logs("alice/real", build=True))

    # factory restart builds without the cache
    api.restart_space("alice/real", factory_reboot=True)
    space.wait("RUNNING", seconds=120, sha=second)
    built = "".join(api.fetch_space_logs("alice/real", build=True))
    assert "> built\nDONE" in built, "the step was carried out again"
    before = {row["Id"] for row in docker_hub.stack.engine.containers("space=alice/real")}
    assert len(before) == 1
    api.delete_repo("alice/real", repo_type="space")
    wait_for(lambda: not docker_hub.stack.engine.containers("space=alice/real"), 30, "end of the container")
    with pytest.raises(urllib.error.HTTPError) as wrong:
        get(space_url(seen) + "/")
    assert wrong.value.code == 404


def space_url(seen):
    return "http://" + seen["env"]["SPACE_HOST"]


def test_a_failing_build_shows_its_error(api, docker_hub):
    space, _ = deploy(
        api,
        docker_hub,
        {
            "README.md": README,
            "Dockerfile": b"FROM python:3.11-slim\nRUN echo first\nRUN echo no such thing >&2; exit 7\n",
        },
    )
    runtime = space.wait("BUILD_ERROR", seconds=60)
    assert runtime["errorMessage"].startswith("Job failed with exit code: 1. Reason: cache miss: [")
    log = "".join(api.fetch_space_logs("alice/real", build=True))
    assert "no such thing\n" in log and "--> ERROR: " in log and "exit code: 7" in log
    assert "sha" not in runtime


def test_a_dockerfile_that_cannot_be_parsed(api, docker_hub):
    space, _ = deploy(api, docker_hub, {"README.md": README, "Dockerfile": b"FROM python:3.11-slim\nNONSENSE x\n"})
    space.wait("BUILD_ERROR", seconds=60)
    assert "dockerfile parse error" in "".join(api.fetch_space_logs("alice/real", build=True))


def test_a_base_image_behind_a_password_cannot_be_pulled(api, docker_hub):
    from tests.support import baseimage
    from tests.support.registry import Registry

    with Registry("bob", "secret") as private:
        reference = baseimage.push(private, ["team/app:1"])["team/app:1"]
        space, _ = deploy(api, docker_hub, {"README.md": README, "Dockerfile": f"FROM {reference}\n".encode()})
        space.wait("BUILD_ERROR", seconds=60)
        log = "".join(api.fetch_space_logs("alice/real", build=True))
        assert "401" in log or "authorization" in log or "unauthorized" in log


def test_apps_that_crash_or_listen_in_the_wrong_place(api, docker_hub):
    head = b"FROM python:3.11-slim\nWORKDIR /app\nRUN echo x > built\nCOPY . .\n"
    files = {"README.md": README, "app.py": APP, "model.bin": b"x"}
    space, _ = deploy(
        api, docker_hub, {**files, "Dockerfile": head + b'CMD ["python", "-c", "import sys; sys.exit(3)"]\n'}
    )
    assert space.wait("RUNTIME_ERROR", seconds=60)["errorMessage"].startswith("Exit code: 3. Reason: ")
    docker_hub.settings(launch_timeout=3)
    space.commit({"Dockerfile": head + b'CMD ["python", "-u", "app.py", "127.0.0.1"]\n'})
    space.wait("APP_STARTING", seconds=60)
    message = space.wait("RUNTIME_ERROR", seconds=60)["errorMessage"]
    assert message == "Launch timed out, workload was not healthy after 30 min"
    docker_hub.settings(launch_timeout=60)
    oid = space.commit({"Dockerfile": head + b'CMD ["python", "-u", "app.py", "0.0.0.0"]\n'})["commitOid"]
    space.wait("RUNNING", seconds=60, sha=oid)
    space.crash()
    assert space.wait("RUNTIME_ERROR", seconds=60)["errorMessage"].startswith("Exit code: 137. Reason: ")
    with pytest.raises(urllib.error.HTTPError) as wrong:
        get(space.app_url + "/")
    assert wrong.value.code == 503
    assert wrong.value.read() == b"Your space is in error, check its status on hf.co"


def test_image_user_and_volumes(api, docker_hub):
    docker_hub.settings(run_user="image")
    files = {
        "README.md": README,
        "app.py": APP,
        "model.bin": b"x",
        "Dockerfile": b"FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nRUN echo x > built\n"
        b'CMD ["sh", "-c", "date >> /data/starts; date >> here; wc -l < /data/starts > built; '
        b'wc -l < here >> built; exec python -u app.py 0.0.0.0"]\n',
    }
    space, oid = deploy(
        api, docker_hub, files, space_volumes=[Volume(type="bucket", source="alice/data", mount_path="/data")]
    )
    space.wait("RUNNING", seconds=60, sha=oid)
    seen = json.loads(get(space.app_url + "/"))
    assert seen["uid"] == 0 and seen["built"] == "1\n1\n"
    api.restart_space("alice/real")
    space.wait("RUNNING", seconds=60, sha=oid)
    assert json.loads(get(space.app_url + "/"))["built"] == "2\n1\n", "the volume outlives the container"


def surroundings():
    """What an engine could leave behind on this machine."""
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout
    forwarding = pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text()
    tables = [line for line in rules.splitlines() if not line.startswith(("#", ":"))]
    return tables, forwarding


def test_an_engine_leaves_nothing_behind():
    before = surroundings()
    with dockerd.Dockerd() as engine:
        folder, bridge = str(engine.folder), pathlib.Path("/sys/class/net") / engine.bridge
        assert engine.api("GET", "/info")["ServerVersion"] and bridge.exists()
        assert engine._ours()
    assert not engine._ours() and not bridge.exists() and not pathlib.Path(folder).exists()
    assert folder not in pathlib.Path("/proc/self/mounts").read_text()
    assert surroundings() == before
