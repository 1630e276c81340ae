# SPDX-License-Identifier: Apache-2.0
"""A gate lends its port to servers that come and go: nobody who connects is refused, whatever is restarted."""
import http.client
import signal
import subprocess
import threading

import pytest
from tests.serve.serve_harness import BIN, Server, make_snapshot, wait_for
from tests.support.ports import free_port


class Gate:
    def __init__(self, folder):
        self.socket, self.log, self.port = folder / "gate", folder / "gate.log", free_port()
        self.open()

    def open(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BIN, "--hold", str(self.socket), "--host", "127.0.0.1", "--port",
                                             str(self.port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: self.log.read_text().count("holding") > 0, "the gate")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0
        self.log.unlink()


@pytest.fixture
def gate(tmp_path):
    one = Gate(tmp_path)
    yield one
    if one.process.poll() is None:
        one.close()


@pytest.fixture
def serve(gate, tmp_path):
    servers = []

    def run(instance, *more):
        folder = tmp_path / f"{instance}-{len(servers)}"
        folder.mkdir()
        server = Server(folder, make_snapshot(), ["--gate", str(gate.socket), "--instance", instance, *more])
        servers.append(server)
        return server

    yield run
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def ask(gate, path="/health", body=None):
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=20)
    try:
        connection.request("POST" if body else "GET", path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-kourou-instance"), answer.read()
    finally:
        connection.close()


def test_who_connects_before_the_server_is_there_waits(gate, serve):
    box = {}
    thread = threading.Thread(target=lambda: box.update(answer=ask(gate)))
    thread.start()
    serve("first")
    thread.join(30)
    assert box["answer"][:2] == (200, "first"), box


def test_each_answer_names_the_start(gate, serve):
    serve("one-start").listen()
    for path in ("/health", "/nowhere", "/info"):
        assert ask(gate, path)[1] == "one-start"


def test_hand_over_without_a_lost_call(gate, serve, tmp_path):
    first = serve("first").ready()
    slow, failed, seen, over = {}, [], set(), threading.Event()
    thread = threading.Thread(target=lambda: slow.update(a=first.invoke("gate", gate=str(tmp_path / "go"))))
    thread.start()
    wait_for(lambda: first.metric("kourou_in_flight") == 1, "the slow call runs")

    def load():
        while not over.is_set():
            try:
                status, instance, _ = ask(gate, "/invoke", '{"parameters":{"op":"echo"}}')
                seen.add(instance)
                if status != 200:
                    failed.append(status)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for one in threads:
        one.start()
    previous = first
    for number in range(3):
        server = serve(f"next{number}")
        wait_for(lambda: f"next{number}" in seen, "the next one answers")  # noqa: B023
        wait_for(lambda: "draining" in previous.log(), "the former one drains")  # noqa: B023
        if previous is not first:
            assert previous.process.wait(20) == 0
        previous = server
    over.set()
    for one in threads:
        one.join()
    assert failed == [] and {"first", "next0", "next1", "next2"} <= seen
    assert first.process.poll() is None, "it still has a call"
    (tmp_path / "go").touch()
    thread.join(20)
    assert slow["a"].status == 200
    assert first.process.wait(20) == 0


def test_a_server_that_cannot_start_takes_nothing(gate, serve, tmp_path):
    serve("good").listen()
    bad = serve("bad", "--python", str(tmp_path / "no-such-python"))
    assert bad.process.wait(60) == 1
    assert ask(gate)[:2] == (200, "good")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_gate_is_restarted(gate, serve, how):
    server = serve("only").listen()
    gate.process.send_signal(how)
    gate.process.wait(20)
    wait_for(lambda: "the gate has gone" in server.log(), "the server sees it")
    gate.log.unlink()
    gate.open()
    assert ask(gate)[:2] == (200, "only")
    assert server.process.poll() is None


def test_the_server_is_restarted(gate, serve):
    server = serve("before").listen()
    server.process.kill()
    server.process.wait()
    box = {}
    thread = threading.Thread(target=lambda: box.update(answer=ask(gate)))
    thread.start()
    serve("after")
    thread.join(30)
    assert box["answer"][:2] == (200, "after"), box


def test_nobody_is_there_and_nobody_comes(gate, serve):
    status, instance, body = ask(gate)
    assert (status, instance) == (503, None) and b'"retryable":true' in body
    serve("late").listen()
    wait_for(lambda: ask(gate)[:2] == (200, "late"), "the server that came late")


@pytest.mark.parametrize("args,said", [
    (["--instance", "a b", "--snapshot", "x"], "--instance=a b"),
    (["--gate", "g", "--takeover", "t", "--snapshot", "x"], "exclude each other"),
])
def test_wrong_options(args, said):
    done = subprocess.run([BIN, *args], capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr, done.stderr
