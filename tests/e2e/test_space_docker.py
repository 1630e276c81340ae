# SPDX-License-Identifier: Apache-2.0
"""Spaces that are really built from what was committed, and run as the Hub runs them."""
import json
import pathlib
import shutil
import threading
import urllib.error
import urllib.request

import pytest

SPACE = "alice/zenml-my_deployment"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def post(url, body, headers=None):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
    try:
        with OPENER.open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as wrong:
        return wrong.code, wrong.read()


def cmdlines(mark):
    """Of the processes that have this in their environment: other tests run beside this one."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in (path.parent / "environ").read_bytes():
                yield path.read_bytes()
        except OSError:
            pass


def test_from_nothing_to_deleted(real, docker_hub, token, tmp_path):
    seen, stop = set(), threading.Event()

    def sample():
        while not stop.is_set():
            seen.update(line for line in cmdlines(str(tmp_path).encode()) if b"tests.hub" not in line)  # told its users
            stop.wait(0.05)

    sampler = threading.Thread(target=sample)
    sampler.start()
    done = real.deploy("--timeout", "240", check=0, timeout=280)
    stop.set()
    sampler.join()
    url = real.row()["url"]
    status, body = post(url + "/invoke", {"parameters": {"name": "Ada"}})
    assert status == 200 and body["outputs"]["greet.output"] == "Hello, Ada!", body
    assert "pip install" in done.stderr or "RUN" in done.stderr, "the build log is shown while it happens"
    answer = json.loads(real.run("deployment", "invoke", "my_deployment", "--name=Bob", check=0).stdout)
    assert answer["success"] and answer["outputs"]["count.output"] == len("Hello, Bob!")
    assert "worker" in real.run("deployment", "logs", "my_deployment", check=0).stdout
    assert "Build Queued" in real.run("deployment", "logs", "my_deployment", "--build", check=0).stdout
    assert docker_hub.counters()["builds"] == 1
    real.run("deployment", "delete", "my_deployment", "-y", check=0)
    assert docker_hub.spaces() == []
    assert any(b"kourou" in line for line in seen)
    assert not any(token.encode() in line for line in seen), "the token stood in a process's arguments"


def test_update_in_place_while_requests_run(real, docker_hub):
    real.deploy("--timeout", "240", check=0, timeout=280)
    url, wrong, stop, answered = real.row()["url"], [], threading.Event(), []

    def ask():
        while not stop.is_set():
            status, body = post(url + "/invoke", {"parameters": {"name": "Ada"}})
            (answered if status == 200 else wrong).append((status, body))
            stop.wait(0.05)

    asker = threading.Thread(target=ask)
    asker.start()
    real.change()
    real.deploy("--timeout", "240", check=0, timeout=280)
    stop.set()
    asker.join()
    assert answered and answered[-1][1]["outputs"]["greet.output"] == "Bonjour, Ada!"
    assert len(wrong) <= 2, wrong[:5]  # the Hub's own switch from one container to the next


def test_private_space_with_auth_key_and_secret(real, docker_hub, token):
    real.run("secret", "create", "app", "--api_key=a-value-that-is-printed", check=0)
    real.run("deployer", "update", "hf", "--private=True", "--auth_key=my-own-auth-key-123", "--secret", "app", check=0)
    module = real.folder / "my_module.py"
    module.write_text("import os\n" + module.read_text().replace(
        "    return f", "    print('the key is', os.environ['api_key'], flush=True)\n    return f"))
    real.deploy("--timeout", "240", check=0, timeout=280)
    url = real.row()["url"]
    body = {"parameters": {"name": "Ada"}}
    assert post(url + "/invoke", body)[0] == 404, "outsiders do not even see it"
    hub_token = {"Authorization": f"Bearer {token}"}
    assert post(url + "/invoke", body, hub_token)[0] == 401
    assert post(url + "/invoke", body, {**hub_token, "X-API-Key": "my-own-auth-key-123"})[0] == 200
    assert json.loads(real.run("deployment", "invoke", "my_deployment", "--name=Ada", check=0).stdout)["success"]
    log = real.run("deployment", "logs", "my_deployment", check=0).stdout
    assert "the key is ***" in log and "a-value-that-is-printed" not in log, log


def test_digits_example(real, docker_hub, root):
    for name in ("digits.py", "requirements.txt", "sample.json"):
        shutil.copy(root / "examples/digits" / name, real.folder)
    real.run("pipeline", "deploy", "--python", real.python, "--name", "digits", "--timeout", "280", "digits.predict_digit",
             check=0, timeout=290)
    answer = json.loads(real.run("deployment", "invoke", "digits", "--image=@sample.json", check=0).stdout)
    assert answer["success"] and 0 <= answer["outputs"]["prediction"]["digit"] <= 9


def test_native_pipeline_needs_no_python(real, docker_hub, root):
    import subprocess

    source = real.folder / "native"
    shutil.copytree(root / "examples/native", source, ignore=shutil.ignore_patterns("*.so"))
    makefile = (source / "Makefile").read_text()
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", f"-I{root}/include", "-o", real.folder / "libanomaly.so",
                    source / "anomaly.c", "-lm"], check=True)
    assert makefile
    done = real.run("pipeline", "deploy", "--name", "native", "--timeout", "240", "libanomaly.so", check=0, timeout=280)
    assert "pip install" not in done.stderr
    status, body = post(json.loads(real.run("deployment", "describe", "native", "-o", "json", check=0).stdout)["url"] + "/invoke",
                        {"parameters": {"values": [1, 1, 1, 1, 1, 1, 1, 1, 1, 50]}})
    assert status == 200 and body["success"], body


def test_failing_build_names_the_requirement(real, docker_hub):
    (real.folder / "requirements.txt").write_text("no-such-package-anywhere==9.9\n")
    done = real.deploy("--timeout", "240", timeout=280)
    assert done.returncode == 1
    error = [line for line in done.stderr.splitlines() if line.startswith("Error: ")][0]
    assert "no-such-package-anywhere" in error and "cache miss" not in error, error


def test_import_error_in_the_space_is_shown(real, docker_hub):
    module = real.folder / "my_module.py"
    module.write_text("import os\nif os.environ.get('SPACE_ID'):\n    import not_there_in_the_space\n" + module.read_text())
    docker_hub.settings(launch_timeout=8)
    done = real.deploy("--timeout", "60", timeout=200)
    error = [line for line in done.stderr.splitlines() if line.startswith("Error: ")][0]
    assert done.returncode == 1 and "not_there_in_the_space" in error, done.stderr


def test_src_layout(real, docker_hub):
    """Packages below `src` and files that they read are found where they were found on this machine."""
    package = real.folder / "src/my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.txt").write_text("Servus")
    (package / "words.py").write_text(
        "from importlib import resources\nWORD = resources.files('my_package').joinpath('words.txt').read_text()\n")
    module = (real.folder / "my_module.py").read_text()
    (package / "main.py").write_text("from my_package.words import WORD\n" + module.replace("Hello", "{WORD}"))
    (real.folder / "my_module.py").unlink()
    real.run("pipeline", "deploy", "--python", real.python, "--name", "my_deployment", "--timeout", "240",
             "my_package.main.my_pipeline", check=0, timeout=280, env={"PYTHONPATH": "src"})
    status, body = post(real.row()["url"] + "/invoke", {"parameters": {"name": "Ada"}})
    assert status == 200 and body["outputs"]["greet.output"] == "Servus, Ada!", body
