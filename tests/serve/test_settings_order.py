# SPDX-License-Identifier: Apache-2.0
"""Who has the last word: the command line, then the environment, the snapshot, the default; and that it has an effect."""
import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.serve.serve_harness import BIN, make_snapshot, wait_for

# option: (key in the snapshot's settings, its value there, in the environment, as an option, as it is shown, default)
ROWS = {
    "host": ("uvicorn_host", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"),
    "port": ("uvicorn_port", 8001, "8002", "8003", "8000"),
    "log-level": ("log_level", "WARNING", "error", "debug", "info"),
    "workers": ("uvicorn_workers", 2, "3", "4", "1"),
    "threads": ("thread_pool_size", 1001, "7", "8", "40"),
    "worker-memory": ("memory", "2GiB", "3000", "4KB", "0"),
    "request-timeout": ("request_timeout", 301, "0.5", "7", "300"),
    "startup-timeout": ("startup_timeout", 10, "20", "30", "300"),
    "isolation": ("isolation", "process", "thread", "process", "thread"),
    "processes": ("processes", 3, "4", "5", "0"),
    "stall-timeout": ("stall_timeout", 11, "0.5", "20", "10"),
    "queue-size": ("max_queue", 5, "6", "7", "1024"),
    "max-body-size": ("max_body_size", 2048, "4096", "8KiB", str(256 << 20)),
}
SHOWN = {"2GiB": str(2 << 30), "4KB": "4000", "8KiB": "8192", "WARNING": "warning"}


def in_force(folder, settings=None, args=(), env=None, check=0):
    """{option: (value, who said it)}; or the message of the program when it refuses."""
    snapshot = make_snapshot()
    snapshot["settings"] = settings or {}
    (folder / "snapshot.json").write_text(json.dumps(snapshot))
    done = subprocess.run([BIN, "--snapshot", folder / "snapshot.json", "--settings", *args], capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", **(env or {})})
    assert done.returncode == check, done.stderr
    return {name: (value, source) for name, value, source in
            (line.split("\t") for line in done.stdout.splitlines())} if check == 0 else done.stderr


def as_settings(key, value):
    return {"resources" if key == "memory" else "deployment": {key: value}}


def test_every_row_is_tried(tmp_path):
    assert set(in_force(tmp_path)) == set(ROWS)


def test_a_server_started_by_hand_has_the_defaults_of_the_settings(tmp_path, build_dir):
    """But for the address: in a container it has to be reached from outside. Python's own server is no exception."""
    text = subprocess.run([build_dir / "kourou", "schema", "-o", "json"], capture_output=True, text=True, check=True).stdout
    tables = {table["table"]: {row["name"]: row["default"] for row in table["rows"]} for table in json.loads(text)["tables"]}
    shown = in_force(tmp_path)
    for name, (key, *_) in ROWS.items():
        want = {**tables["deployment"], "memory": 0}[key]
        assert shown[name] == (str(want).lower(), "default") or name == "host", (name, shown[name], want)
    asgi = (Path(__file__).resolve().parents[2] / "python/kourou/asgi.py").read_text()
    assert f'"invoke_url_path") or "{tables["deployment"]["invoke_url_path"]}")' in asgi
    assert f'"thread_pool_size") or {tables["deployment"]["thread_pool_size"]})' in asgi


@pytest.mark.parametrize("name", ROWS)
def test_the_operator_is_nearest(tmp_path, name):
    key, snapshot, environment, option, default = ROWS[name]
    settings, env = as_settings(key, snapshot), {"KOUROU_SERVE_" + name.upper().replace("-", "_"): environment}
    args = [f"--{name}={option}"]
    said = {"snapshot": settings, "environment": env, "option": args}
    values = {"default": default, "snapshot": snapshot, "environment": environment, "option": option}
    for given in (["snapshot"], ["environment"], ["option"], ["snapshot", "environment"], ["snapshot", "option"],
                  ["environment", "option"], ["snapshot", "environment", "option"], []):
        shown = in_force(tmp_path, said["snapshot"] if "snapshot" in given else None,
                         said["option"] if "option" in given else (), said["environment"] if "environment" in given else None)
        winner = given[-1] if given else "default"
        want = str(values[winner])
        assert shown.pop(name) == (SHOWN.get(want, want), winner)
        assert {source for _, source in shown.values()} == {"default"}
    assert in_force(tmp_path, as_settings(key, None))[name] == (default, "default")


@pytest.mark.parametrize("key, value", [("request_timeout", 0), ("request_timeout", 2 ** 62), ("uvicorn_workers", -3),
                                        ("max_body_size", -1), ("request_timeout", "soon"), ("uvicorn_workers", 257),
                                        ("thread_pool_size", 0), ("max_queue", 1.5), ("log_level", "LOUD"),
                                        ("uvicorn_port", 70000), ("max_body_size", []), ("memory", "much")])
def test_a_snapshot_with_a_wrong_value_is_refused(tmp_path, key, value):
    """It would have gone back to the default without a word."""
    message = in_force(tmp_path, as_settings(key, value), check=1)
    assert f"setting {key} of the snapshot" in message, message


@pytest.mark.parametrize("words", [["--workers=0"], ["--log-level=loud"], ["--threads=1025"], ["--request-timeout=0"],
                                   ["--max-body-size=0"]])
def test_an_option_with_a_wrong_value_is_wrong_usage(tmp_path, words):
    assert words[0] + ": not " in in_force(tmp_path, args=words, check=2)


@pytest.mark.parametrize("setting, args", [(1, ()), (300, ("--request-timeout", "1"))])
def test_the_time_for_a_request(start, setting, args, tmp_path):
    server = start({"request_timeout": setting}, args=args, check=False)
    assert server.invoke("gate", gate=str(tmp_path / "never")).status == 504


@pytest.mark.parametrize("setting, args", [(1, ()), (1000, ("--queue-size", "1"))])
def test_the_queue(start, setting, args, tmp_path):
    """What a worker has not been sent waits; of the others each is told to come again. Opened, all those are answered."""
    server = start({"max_queue": setting, "thread_pool_size": 1}, args=args)
    gate, statuses = tmp_path / "gate", []
    calls = [threading.Thread(daemon=True, target=lambda: statuses.append(server.invoke("gate", gate=str(gate)).status))
             for _ in range(60)]  # a worker is sent up to 32 ahead
    for call in calls:
        call.start()
    wait_for(lambda: statuses, "a refusal")
    wait_for(lambda: server.metric("kourou_queue_length") == 1, "one that waits")
    gate.touch()
    for call in calls:
        call.join()
    assert set(statuses) == {200, 503} and statuses.count(200) <= 34


def test_the_largest_body(start):
    body = {"parameters": {"op": "echo", "value": "x" * 3000}}
    server = start({"max_body_size": 2048})
    assert server.post("/invoke", body).status == 413
    server.close(), server.stop()
    server = start({"max_body_size": 2048}, args=["--max-body-size", "4096"])
    assert server.post("/invoke", body).status == 200


@pytest.mark.parametrize("level, seen", [("CRITICAL", False), ("ERROR", False), ("INFO", True)])
def test_the_least_level_of_the_log(start, level, seen):
    server = start({"log_level": level})
    server.invoke("print", text="said by a step")
    server.close(), server.stop()
    assert ("said by a step" in server.log()) is seen


def test_workers_and_their_threads(start):
    server = start({"uvicorn_workers": 3, "thread_pool_size": 3}, args=["--workers", "1", "--threads", "2"])
    worker, = server.workers()
    assert b"--threads\x002\x00" in Path(f"/proc/{worker}/cmdline").read_bytes()
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: server.invoke("meet", n=2).json()["outputs"]["output"], range(2)))
    assert 2 in both
