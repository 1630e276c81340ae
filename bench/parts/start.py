# SPDX-License-Identifier: Apache-2.0
"""From starting the program to its first 200 on /health: it is ready to serve, its pipeline and libraries are loaded."""
import socket
import subprocess
import time

from bench import load, servers

NAME = "start"
TITLE = "Cold start"
METRIC = "exec to first 200"
ALONE = "the interpreter alone, python -I -S -c pass"  # how fast the machine is just now: no worker can be ready before


def run(ctx):
    make = servers.Servers(ctx)
    servers.add_versions(ctx.results)
    rounds = 5 if ctx.quick else 11
    starts = {"kourou, native": lambda: make.kourou("native"),
              "kourou, plain": lambda: make.kourou("bench_plain.plain"),
              "kourou, models": lambda: make.kourou("bench_pipeline.models"),
              "uvicorn bare ASGI": lambda: make.uvicorn("peer_asgi:bare"),
              "granian bare ASGI": lambda: make.granian("peer_asgi:bare"),
              "FastAPI": lambda: make.uvicorn("peers:app"),
              "LitServe": make.litserve, "BentoML": make.bentoml, "ZenML": make.zenml}
    some = {"LitServe", "BentoML", "ZenML"}
    for make_one in servers.start_all(ctx, NAME, starts).values():  # bytecode and what is made once
        make_one.stop()
    unable = [text for text in ctx.results.notes.get(NAME, []) if "could not" in text]
    starts = {name: one for name, one in starts.items() if not any(text.startswith(name) for text in unable)}
    for at in range(rounds):
        ctx.results.add(NAME, ALONE, "python", "start to end", "ms", [interpreter(make.python)])
        for name in list(starts)[:: -1 if at % 2 else 1]:
            if name not in some or at < (1 if ctx.quick else 3):
                ctx.results.add(NAME, "first 200", name, METRIC, "ms", [first_answer(starts[name])])


def interpreter(python):
    """Milliseconds."""
    began = time.perf_counter()
    subprocess.run([python, "-I", "-S", "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1e3


def first_answer(start):
    """Milliseconds. Asks no more than 1,000 times a second: the asking takes time of the cores that the server starts on."""
    server = start()
    began = server.began
    request = f"GET {server.health} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    try:
        while time.perf_counter() - began < 120:
            try:
                with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
                    sock.sendall(request)
                    if sock.recv(100).startswith(b"HTTP/1.1 200"):
                        return (time.perf_counter() - began) * 1e3
            except OSError:
                pass
            time.sleep(0.001)
        raise load.Failed("no answer within 120 s")
    finally:
        server.stop()
