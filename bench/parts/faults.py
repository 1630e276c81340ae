# SPDX-License-Identifier: Apache-2.0
"""Whether the service is there while a model does not let go of the interpreter, and after a worker was killed."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

from bench import load, servers

NAME = "faults"
TITLE = "Faults survived"
GIL = "/health while the interpreter is held"
KILLED = "killed worker"
POST = ("import http.client,sys;c=http.client.HTTPConnection('127.0.0.1',int(sys.argv[1]));"
        "c.request('POST',sys.argv[2],sys.argv[3],{'Content-Type':'application/json'});sys.exit(c.getresponse().status!=200)")


def run(ctx):
    make = servers.Servers(ctx)
    servers.add_versions(ctx.results)
    count = held_count(make.python, 5)
    calls = {"kourou": (lambda: make.kourou("bench_plain.spin"), "/invoke", 0.5),
             "FastAPI": (lambda: make.uvicorn("peers:app"), f"/spin?count={count}", 0.5),
             "ZenML": (lambda: make.zenml("spin"), "/invoke", 2.0)}
    running = servers.start_all(ctx, NAME, {name: one[0] for name, one in calls.items()})
    try:
        for name, server in running.items():
            held(ctx, name, server, calls[name][1], json.dumps({"parameters": {"count": count}}), calls[name][2])
    finally:
        servers.stop_all(running)
    killed_worker(ctx, make)
    killed_uvicorn(ctx, make)


def held_count(python, seconds):
    """How far sum(range(n)), which never lets go of the interpreter, gets in so many seconds here."""
    code = "import time; t = time.perf_counter(); sum(range(20_000_000)); print(time.perf_counter() - t)"
    took = float(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    return int(20_000_000 / took * seconds)


def held(ctx, name, server, path, body, head):
    """`head`: seconds that the server needs at most until the step runs."""
    status, _ = load.request(server.port, "GET", "/health")
    if status != 200:
        raise load.Failed(f"{name}: /health is {status}")
    spin = subprocess.Popen([sys.executable, "-c", POST, str(server.port), path, body])
    time.sleep(head)
    one = load.wrk(server.port, "/health", 4, 2)
    still = spin.poll() is None
    began = time.perf_counter()
    load.request(server.port, "GET", "/health", timeout=120)
    wait = (time.perf_counter() - began) * 1e3
    spin.wait(300)
    if not still:
        ctx.results.note(NAME, f"{name}: the step ended before the measurement did, so its figure is too good")
    ctx.results.add(NAME, GIL, name, "answers", "1/s", [one["rate"]])
    ctx.results.add(NAME, GIL, name, "errors", "", [one["errors"]])
    ctx.results.add(NAME, GIL, name, "one call", "ms", [wait])
    if one["p99"] is None:
        ctx.results.note(NAME, f"{name} answers no /health within 2 s while a step holds the interpreter; "
                               f"the next one waited {wait / 1e3:.1f} s, until the step was done")
    else:
        ctx.results.add(NAME, GIL, name, "p99", "ms", [one["p99"] / 1e3])


def open_call(port, path, body):
    """A connection with a request on its way."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                 % (path, len(body), body))
    return sock


def idle(server):
    """Waits until the replaced worker has been loaded."""
    load.settle(server.pid, 10)


def killed_worker(ctx, make):
    for workers, metric in ((1, "next request, one worker"), (2, "next request, two workers")):
        server = make.kourou("bench_plain.spin", "--workers", str(workers)).wait()
        try:
            idle(server)
            for _ in range(4 if ctx.quick else 9):
                sock = open_call(server.port, b"/invoke", b'{"parameters":{"count":4000000000}}')
                time.sleep(0.15)
                busy = max(load.tree(server.pid)[1:], key=lambda pid: load.cpu_seconds(pid, [pid]))
                began = time.perf_counter()
                os.kill(busy, signal.SIGKILL)
                text = sock.recv(65536)
                ctx.results.add(NAME, KILLED, "kourou", "answer to the waiting client", "ms",
                                [(time.perf_counter() - began) * 1e3])
                check_answer(text)
                sock.close()
                sock = open_call(server.port, b"/invoke", b'{"parameters":{"count":1}}')
                text = sock.recv(65536)
                ctx.results.add(NAME, KILLED, "kourou", metric, "ms", [(time.perf_counter() - began) * 1e3])
                if not text.startswith(b"HTTP/1.1 200"):
                    raise load.Failed(f"after a killed worker: {text!r}")
                sock.close()
                idle(server)
        finally:
            server.stop()


def check_answer(text):
    """502 with a JSON body that says whether the call may be repeated."""
    head, _, body = text.partition(b"\r\n\r\n")
    answer = json.loads(body or b"{}")
    if not head.startswith(b"HTTP/1.1 502") or not answer.get("detail") or type(answer.get("retryable")) is not bool:
        raise load.Failed(f"a killed worker's client got {text!r}")


def killed_uvicorn(ctx, make):
    """With one process the service is gone. With two, uvicorn has a supervisor; the waiting client's connection just ends."""
    try:
        server = make.uvicorn("peers:app", "--workers", "2").wait()
    except (load.Failed, OSError) as error:
        ctx.results.note(NAME, f"FastAPI could not be measured: {error}")
        return
    try:
        idle(server)
        sock = open_call(server.port, b"/spin?count=4000000000", b"{}")
        time.sleep(0.5)
        busy = max(load.tree(server.pid)[1:], key=lambda pid: load.cpu_seconds(pid, [pid]))
        began = time.perf_counter()
        os.kill(busy, signal.SIGKILL)
        try:
            text = sock.recv(65536)
        except OSError:
            text = b""
        ctx.results.note(NAME, "FastAPI (uvicorn): with one process nothing answers any more after a kill; with two, the "
                               f"waiting client gets {'no answer, its connection ends' if not text else repr(text[:40])}")
        while time.perf_counter() - began < 60 and len(workers_of(server) - {busy}) < 2:
            time.sleep(0.01)
        ctx.results.add(NAME, KILLED, "FastAPI, two processes", "lost process replaced after", "ms",
                        [(time.perf_counter() - began) * 1e3])
    finally:
        server.stop()


def workers_of(server):
    """Living children that run the app: the multiprocessing tracker has no pipe to us and uses no CPU."""
    found = set()
    for pid in load.tree(server.pid)[1:]:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if b"spawn_main" in line and state != "Z":
            found.add(pid)
    return found
