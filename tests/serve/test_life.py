# SPDX-License-Identifier: Apache-2.0
"""Start, drain, hand-over, control socket, log file."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from tests.serve.serve_client import head
from tests.serve.serve_harness import BIN, HERE, Server, make_snapshot, wait_for


def control(path, line):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(path))
        sock.sendall(line.encode() + b"\n")
        return json.loads(sock.recv(4096))


def test_drain_finishes_what_runs(start, tmp_path):
    server = start(check=False)
    box = {}
    thread = threading.Thread(target=lambda: box.update(a=server.invoke("gate", gate=str(tmp_path / "go"))))
    thread.start()
    wait_for(lambda: server.metric("kourou_in_flight") == 1, "the request runs")
    kept = server.connection()
    assert server.get("/health", connection=kept).status == 200
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.log(), "it drains")
    answer = server.get("/health", connection=kept)  # a kept connection may ask once more
    assert answer.headers["connection"] == "close" and answer.json()["status"] == "draining"
    with pytest.raises(OSError):
        server.socket(1)
    (tmp_path / "go").touch()
    thread.join()
    assert box["a"].status == 200
    assert server.process.wait(30) == 0
    assert "tiny runner stops" in server.log()


def test_drain_timeout_ends_what_does_not_end(start):
    server = start(args=["--drain-timeout", "0.5"], check=False)
    sock = server.socket()
    body = b'{"parameters":{"op":"sleep","seconds":60}}'
    sock.sendall(head("POST", "/invoke", "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
    wait_for(lambda: server.metric("kourou_in_flight") == 1, "the request runs")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    sock.close()


def test_control_socket(start, tmp_path):
    path = tmp_path / "c"
    server = start(args=["--control", str(path)])
    assert path.stat().st_mode & 0o077 == 0
    status = control(path, "status")
    assert status["pid"] == server.pid and status["port"] == server.port and status["ready"] == 1
    assert "error" in control(path, "dance")
    assert control(path, "drain") == {"draining": True}
    assert server.process.wait(30) == 0 and not path.exists()


def test_takeover_under_load_fails_no_request(start, tmp_path):
    path = tmp_path / "c"
    old = start(args=["--control", str(path)], check=False)
    stop, bad, count = threading.Event(), [], [0]

    def load(keep):
        connection = old.connection()
        while not stop.is_set():
            try:
                answer = old.invoke("echo", value=3, _connection=connection)
            except Exception as error:  # noqa: BLE001 - any failure is what the test is about
                bad.append(repr(error))
                connection.close()
                continue
            if answer.status != 200:
                bad.append(answer)
            count[0] += 1
            if not keep:
                connection.close()
        connection.close()

    threads = [threading.Thread(target=load, args=(i % 2 == 0,)) for i in range(6)]
    for thread in threads:
        thread.start()
    servers = [old]
    for _ in range(3):
        folder = tmp_path / f"new{len(servers)}"
        folder.mkdir()
        new = Server(folder, make_snapshot(), ["--takeover", str(path), "--control", str(path)])
        servers.append(new)
        new.ready()
        assert new.port == old.port
        assert servers[-2].process.wait(40) == 0
        wait_for(lambda n=new: control(path, "status")["pid"] == n.pid, "the control socket leads to the new one")
        wait_for(lambda more=count[0] + 40: count[0] > more or bad, "requests to the new one")
    stop.set()
    for thread in threads:
        thread.join()
    servers[-1].stop()
    assert not path.exists()
    for server in servers[1:-1]:
        server.stop()
    assert not bad, bad[:5]
    assert count[0] > 100


def test_failed_successor_leaves_the_old_server_alone(start, tmp_path):
    path = tmp_path / "c"
    old = start(args=["--control", str(path)])
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "mode").write_text("fatal")
    new = Server(folder, make_snapshot(), ["--takeover", str(path), "--control", str(path)])
    assert new.process.wait(60) == 1
    assert "no module named nothing" in new.log()
    assert old.invoke("echo", value=1).status == 200
    assert control(path, "status")["pid"] == old.pid


def test_takeover_from_nobody_is_an_error(tmp_path):
    new = Server(tmp_path, make_snapshot(), ["--takeover", str(tmp_path / "nothing")])
    assert new.process.wait(30) == 1 and "take over from" in new.log()


def test_log_file_is_rotated(start, tmp_path):
    log = tmp_path / "serve.log"
    server = start(args=["--log-file", str(log), "--log-size", "8KB", "--log-files", "2"])
    began = time.monotonic()
    while not (tmp_path / "serve.log.2").exists() and time.monotonic() - began < 60:
        server.invoke("print", text="x" * 500)
    server.check_clean()
    server.stop()  # nothing is written, and no file is moved, behind this
    assert (tmp_path / "serve.log.1").exists() and (tmp_path / "serve.log.2").exists()
    assert not (tmp_path / "serve.log.3").exists()
    assert log.stat().st_mode & 0o077 == 0
    for line in log.read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("args,part", [
    ([], "--snapshot FILE is missing"),
    (["--nonsense", "1"], "unknown option --nonsense"),
    (["--snapshot", "/nowhere/x.json"], "snapshot"),
    (["--port", "99999", "--snapshot", "x"], "--port=99999"),
])
def test_bad_command_lines(args, part):
    done = subprocess.run([BIN, *args], capture_output=True, text=True, timeout=20)
    assert done.returncode in (1, 2) and part in done.stderr and done.stdout == ""


def test_port_taken_is_said(start, tmp_path):
    first = start()
    folder = tmp_path / "second"
    folder.mkdir()
    second = Server(folder, make_snapshot(), ["--port", str(first.port)])
    assert second.process.wait(30) == 1
    assert "Address already in use" in second.log()


def test_options_come_from_the_environment(start):
    server = start(env={"KOUROU_SERVE_DEPLOYMENT_NAME": "from-env", "KOUROU_SERVE_WORKERS": "2"})
    assert server.get("/info").json()["deployment"]["name"] == "from-env"
    wait_for(lambda: server.metric('kourou_workers{state="ready"}') == 2, "two workers")


def test_folders_may_be_relative(tmp_path):
    """Workers run in the source root; what the options name is meant from where the server was started."""
    server = Server(tmp_path, make_snapshot(), python_path=os.path.relpath(HERE / "tiny"))
    try:
        server.ready()
        assert server.post("/invoke", {"parameters": {"op": "echo"}}).status == 200
        server.close()
    finally:
        server.stop()


def test_help_and_version():
    done = subprocess.run([BIN, "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "--takeover" in done.stdout
    done = subprocess.run([BIN, "--version"], capture_output=True, text=True, timeout=20)
    assert done.stdout.startswith("kourou-serve ")


