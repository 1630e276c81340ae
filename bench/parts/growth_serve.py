# SPDX-License-Identifier: Apache-2.0
"""Time of one request as its body grows and as the pipeline has more steps, one client at a time."""
import json

from bench import load, servers

NAME = "growth_serve"
TITLE = "Serving as the work grows"
SIZES = {"200 B": 200, "20 KB": 20_000, "2 MB": 2_000_000}
STEPS = (1, 10, 100)


def run(ctx):
    make = servers.Servers(ctx)
    servers.add_versions(ctx.results)
    starts = {("kourou", "size"): lambda: make.kourou("bench_growth.size"), ("FastAPI", ""): lambda: make.uvicorn("peers:app")}
    for count in STEPS:
        starts[("kourou", count)] = lambda count=count: make.kourou(f"bench_growth.steps{count}")
    running = servers.start_all(ctx, NAME, {" ".join(map(str, key)): start for key, start in starts.items()})
    try:
        cases = [(f"body of {name}", running["kourou size"], "/size", sized(count), b"%d" % len(filler(count)))
                 for name, count in SIZES.items()]
        cases += [(f"{count} step{'s' if count > 1 else ''}", running[f"kourou {count}"], f"/steps/{count}",
                   servers.call({"start": 1}), b"%d" % (count + 1)) for count in STEPS]
        for at in range(1 if ctx.quick else 3):
            for case, server, path, body, expected in cases:
                pairs = [("kourou", server, "/invoke"), ("FastAPI", running.get("FastAPI "), path)]
                for subject, one, where in pairs[:: -1 if at % 2 else 1]:
                    if one:
                        measure(ctx, case, subject, one, where, body, expected)
    finally:
        servers.stop_all(running)


def filler(count):
    """Text that makes a body of `count` bytes."""
    return "x" * (count - len(servers.call({"text": ""})))


def sized(count):
    return servers.call({"text": filler(count)})


def measure(ctx, case, subject, server, path, body, expected):
    status, answer = load.request(server.port, "POST", path, body)
    if status != 200 or expected not in answer or not json.loads(answer)["success"]:
        raise load.Failed(f"{subject}, {case}: {status} {answer[:300]}")
    load.wrk(server.port, path, 1, 1, body, ctx.folder)
    one = load.wrk(server.port, path, 1, 1 if ctx.quick else 2, body, ctx.folder)
    if one["errors"]:
        raise load.Failed(f"{subject}, {case}: {one['errors']} errors")
    ctx.results.add(NAME, case, subject, "p50", "µs", [one["p50"]])
    ctx.results.add(NAME, case, subject, "p99", "µs", [one["p99"]])
