# SPDX-License-Identifier: Apache-2.0
"""Requests per second, latency, CPU and memory of a two-step pipeline with typed inputs, all servers in turn.

The order is reversed every repetition. "models" takes and gives pydantic models, "plain" built-in types, "native" is written
in C. The bare C server and nginx answer a constant and mark the limit of this machine and load generator.
"""
import re

from bench import load, servers

NAME = "serve"
TITLE = "Serving: two-step pipeline"
SLOW = ("BentoML", "LitServe", "ZenML")
# connections: (repetitions, seconds) of the full and of the quick run
PLAN = {64: ((5, 2), (3, 1)), 16: ((2, 2), (1, 1)), 1: ((4, 2), (3, 1))}


def subjects(make):
    """name: (function that starts it, path, body)."""
    models, plain = servers.MODELS_BODY, servers.PLAIN_BODY
    return {
        "bare C": (make.bare_c, "/invoke", plain),
        "nginx, constant": (make.nginx, "/invoke", plain),
        "kourou, native": (lambda: make.kourou("native"), "/invoke", plain),
        "kourou, plain": (lambda: make.kourou("bench_plain.plain"), "/invoke", plain),
        "kourou, plain, no journal": (lambda: make.kourou("bench_plain.plain", "--runs-kept", "0"), "/invoke", plain),
        "uvicorn bare ASGI, plain": (lambda: make.uvicorn("peer_asgi:bare"), "/plain", plain),
        "FastAPI, plain": (lambda: make.uvicorn("peers:app"), "/plain", plain),
        "kourou, models": (lambda: make.kourou("bench_pipeline.models"), "/invoke", models),
        "uvicorn bare ASGI, models": (lambda: make.uvicorn("peer_asgi:bare"), "/invoke", models),
        "granian bare ASGI, models": (lambda: make.granian("peer_asgi:bare"), "/invoke", models),
        "FastAPI, models": (lambda: make.uvicorn("peers:app"), "/invoke", models),
        "LitServe, models": (make.litserve, "/invoke", models),
        "BentoML, models": (make.bentoml, "/invoke", servers.BENTOML_BODY),
        "ZenML, models": (make.zenml, "/invoke", models),
    }


def run(ctx):
    make = servers.Servers(ctx)
    servers.add_versions(ctx.results)
    calls = subjects(make)
    running = servers.start_all(ctx, NAME, {name: one[0] for name, one in calls.items()})
    try:
        for name in [*running]:
            prepare(ctx, name, running, *calls[name][1:])
        for server in running.values():
            server.pause()  # some poll all the time; only the one that is measured runs
        for connections, plan in PLAN.items():
            compare(ctx, running, calls, connections, *plan[1 if ctx.quick else 0])
    finally:
        servers.stop_all(running)
    ctx.results.add(NAME, "file", "kourou-serve", "size", "MB", [(ctx.build / "kourou-serve").stat().st_size / 1e6])
    remarks(ctx)


def remarks(ctx):
    for text in ("One process each and no access log. LitServe and BentoML have their processes beside it (an inference "
                 "worker; a supervisor), Kourou its front: their CPU and memory count.",
                 "ZenML is the process that its local deployer starts, with its SQLite store; it records runs and artifacts "
                 "of every step in it and on disk. It is so slow that every client sends one request and waits for it (five "
                 "with one client), once, instead of a load for some seconds.",
                 "Load generator and servers share the cores, so ratios count, not rates."):
        ctx.results.note(NAME, text)


def prepare(ctx, name, running, path, body):
    """Memory while idle, a right answer, and some load."""
    server = running[name]
    status, answer = load.request(server.port, "POST", path, body)
    if status != 200 or (re.search("nginx|bare C", name) is None and b"Ada Lovelace" not in answer):
        if name.startswith("kourou"):
            raise load.Failed(f"{name} answers {status}: {answer[:300]}")
        ctx.results.note(NAME, f"{name} could not be measured: it answers {status}: {answer[:200].decode(errors='replace')}")
        running.pop(name).stop()
        return
    ctx.results.add(NAME, "idle", name, "memory", "MB", [load.rss_mb(server.pid)])
    if name.startswith("ZenML"):
        load.wave(server.port, path, 1, 2, body)
    else:
        load.wrk(server.port, path, 16, 1, body, ctx.folder)
    load.settle(server.pid)


def compare(ctx, running, calls, connections, repetitions, seconds):
    """All servers in turn, several times; the slow ones not more than twice."""
    case = f"{connections} connection{'s' if connections > 1 else ''}"
    for at in range(repetitions):
        for name in list(running)[:: -1 if at % 2 else 1]:
            slow = name.startswith(SLOW)
            if ctx.quick and connections == 64 and name.startswith("ZenML"):
                ctx.results.note(NAME, "ZenML with 64 connections takes about a minute: only in the full run")
                continue
            if not slow or at < (1 if name.startswith("ZenML") else 2):
                once(ctx, case, name, running[name], calls[name][1:], connections, seconds, slow)


def once(ctx, case, name, server, call, connections, seconds, slow):
    path, body = call
    server.resume()
    before, pids = load.cpu_seconds(server.pid), load.tree(server.pid)
    if name.startswith("ZenML"):
        one = load.wave(server.port, path, connections, 5 if connections == 1 else 1, body)
    else:
        one = load.wrk(server.port, path, connections, seconds, body, ctx.folder)
    cpu = load.cpu_seconds(server.pid, pids) - before
    if not one["count"]:
        ctx.results.note(NAME, f"{name}, {case}: no request was answered")
    add = ctx.results.add
    add(NAME, case, name, "throughput", "req/s", [one["rate"]])
    for metric in ("p50", "p99"):
        if one[metric] is not None:
            add(NAME, case, name, metric, "µs", [one[metric]])
    if one["count"]:
        add(NAME, case, name, "CPU per request", "µs", [cpu / one["count"] * 1e6])
    add(NAME, case, name, "errors", "", [one["errors"]])
    if connections == 64:
        add(NAME, "after load", name, "memory", "MB", [load.rss_mb(server.pid)])
    if slow:
        load.settle(server.pid)
    server.pause()
