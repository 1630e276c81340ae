# SPDX-License-Identifier: Apache-2.0
"""How long the command line takes from start to end, and how much memory, with few and with many deployments."""
import sqlite3
import uuid

from bench import hubs

NAME = "cli"
TITLE = "Command line: whole process"
SIZES = (1, 10, 100, 1000)
HERE = hubs.ROOT / "bench"


def run(ctx):
    spawn = hubs.build_spawn(ctx.folder)
    project = hubs.Project(ctx.build, ctx.folder / "cli")
    project.deploy(name="d0")
    project.run("deployment", "deprovision", "d0", "--yes")
    commands = {("deployment list", "kourou"): ([project.kourou, "deployment", "list"], project.env),
                ("--help", "kourou"): ([project.kourou, "--help"], project.env),
                ("version", "kourou"): ([project.kourou, "version"], project.env)}
    if hubs.has_peers():
        commands.update(peers(ctx, ctx.folder / "cli"))
    else:
        ctx.results.note(NAME, "ZenML and the Hub's client are not installed: tools/setup.sh bench")
    rounds, own = (2, 10) if ctx.quick else (5, 20)
    for number in range(rounds):
        for key in list(commands)[:: -1 if number % 2 else 1]:
            once(ctx, spawn, *key, *commands[key], own if key[1] == "kourou" else 1)
    growth(ctx, spawn, project)


def once(ctx, spawn, case, subject, argv, env, count):
    """Runs it `count` times in a row and records every run."""
    times, peaks = hubs.spawned(hubs.run([spawn, count, *argv], env)[1])
    ctx.results.add(NAME, case, subject, "time", "ms", times)
    ctx.results.add(NAME, case, subject, "peak memory", "MB", peaks)


def peers(ctx, folder):
    env = hubs.peer_env(folder / "peers")
    zenml, client = hubs.ZENML_ENV / "bin" / "zenml", hubs.ZENML_ENV / "bin" / "hf"
    helper = [hubs.ZENML_ENV / "bin" / "python", HERE / "zenml_peer.py"]
    hubs.run([*helper, "seed", "1"], env, folder)  # also makes its store, so that no run pays for that
    for line in hubs.run([*helper, "versions"], env, folder)[1].splitlines():
        ctx.results.version(*line.split())
    return {("deployment list", "zenml"): ([zenml, "deployment", "list"], env),
            ("--help", "zenml"): ([zenml, "--help"], env),
            ("--help", "hf"): ([client, "--help"], env),
            ("version", "hf"): ([client, "version"], env)}


def fill(store, count):
    """Copies the one deployment until there are `count`. The programs are not running, so this is safe."""
    with sqlite3.connect(store) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(deployments)")]
        chosen = ", ".join("?" if column in ("id", "name") else column for column in columns)
        have = db.execute("SELECT count(*) FROM deployments").fetchone()[0]
        values = [(str(uuid.uuid4()), f"d{number}") for number in range(have, count)]
        if columns.index("id") > columns.index("name"):
            values = [pair[::-1] for pair in values]
        db.executemany(f"INSERT INTO deployments SELECT {chosen} FROM deployments WHERE name = 'd0'", values)
    db.close()


def growth(ctx, spawn, project):
    """The list with more and more deployments in the store; a page has 20 of them in both programs."""
    argv = [project.kourou, "deployment", "list"]
    helper = [hubs.ZENML_ENV / "bin" / "python", HERE / "zenml_peer.py"]
    peer = hubs.peer_env(ctx.folder / "cli" / "peers")
    for count in SIZES:
        fill(project.home / "kourou" / "store.db", count)
        case = f"deployment list, {count} in the store"
        for _ in range(1 if ctx.quick else 3):
            once(ctx, spawn, case, "kourou", argv, project.env, 10)
            if hubs.has_peers() and not ctx.quick and count in (1, 1000):
                hubs.run([*helper, "seed", str(count)], peer, ctx.folder / "cli")
                once(ctx, spawn, case, "zenml", [hubs.ZENML_ENV / "bin" / "zenml", "deployment", "list"], peer, 1)
        rows = hubs.run([*argv, "--size", "5000", "-o", "csv"], project.env)[1].count("\n") - 1
        if rows != count:
            raise hubs.Failed(f"the list has {rows} rows instead of {count}")
