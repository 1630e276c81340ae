# SPDX-License-Identifier: Apache-2.0
"""What more files and more megabytes cost, beside upload_folder of huggingface_hub with the same files and Hub."""
import random
import time

from bench import hubs

NAME = "growth_deploy"
TITLE = "Deploying more files and larger ones"
FILES = (1, 10, 100, 1000, 10000)
SIZES = (1, 10, 100, 500)
FILE = 2000  # bytes of a file, as of a small module
MEGABYTE = 1_000_000
HERE = hubs.ROOT / "bench"


def run(ctx):
    folder = ctx.folder / "growth"
    folder.mkdir()
    spawn = hubs.build_spawn(folder)
    with hubs.Hub(folder / "hub") as hub:
        hub.settings(repo_limit=100_000 * MEGABYTE)
        measure(ctx, hub, spawn, folder / "warm", "", lambda data: files(data, 1), record=False)
        for count in FILES[:4] if ctx.quick else FILES:
            for number in range(1 if ctx.quick or count > 1000 else 3):
                measure(ctx, hub, spawn, folder / f"files-{count}-{number}", f"{count} files",
                        lambda data: files(data, count))
        for size in SIZES[:3] if ctx.quick else SIZES:
            for number in range(1 if ctx.quick or size > 100 else 3):
                measure(ctx, hub, spawn, folder / f"size-{size}-{number}", f"one file of {size} MB",
                        lambda data: large(data, size))
    ctx.results.note(NAME, "kourou's is a whole deploy: compiling in a Python process, which is also its peak of "
                           "memory, its own runtime as one more LFS file, and in 'time' the wait until the app answers; "
                           "upload_folder's is the upload alone, in a new Python process")


def files(data, count):
    """Small text files, not more than 100 in a folder, all different."""
    for number in range(count):
        place = data / f"part{number // 100}"
        place.mkdir(parents=True, exist_ok=True)
        line = f"value_{number} = {number}\n"
        (place / f"file{number}.txt").write_text(line * (FILE // len(line)))


def large(data, size):
    """One file of random bytes, so that no store has it already."""
    data.mkdir(parents=True, exist_ok=True)
    with open(data / "model.bin", "wb") as out:
        for _ in range(size):
            out.write(random.randbytes(MEGABYTE))


def measure(ctx, hub, spawn, folder, case, make, record=True):
    """A first deploy and one after a change of code, and the peer's uploads of the same files."""
    project = hubs.Project(ctx.build, folder, HF_ENDPOINT=hub.url)
    project.hub_stack()
    make(project.folder / "data")
    size = sum(path.stat().st_size for path in project.folder.rglob("*") if path.is_file())
    name = folder.name
    argv = [project.kourou, "pipeline", "deploy", "--python", hubs.PYTHON, "--name", name, "--update",
            "my_module.my_pipeline"]
    rows = twice(hub, project, [spawn, 1, *argv], project.env, "kourou")
    if hubs.has_peers():
        renew(project.folder / "data")
        argv = [hubs.ZENML_ENV / "bin" / "python", HERE / "upload_peer.py", f"alice/upload-{name}", project.folder]
        env = hubs.peer_env(project.home / "peer", HF_ENDPOINT=hub.url, HF_TOKEN=hubs.TOKEN)
        rows += twice(hub, project, [spawn, 1, *argv], env, "huggingface_hub upload_folder")
    for what, subject, values in rows if record else ():
        for metric, unit, value in values:
            ctx.results.add(NAME, f"{case}, {what}", subject, metric, unit, [value])
        if what == "first":
            ctx.results.add(NAME, f"{case}, {what}", subject, "rate", "MB/s", [size / 1e6 / values[0][2]])
    for path in (project.folder / "data").rglob("*.bin"):
        path.unlink()


def renew(data):
    """Another large file of the same size: the Hub would not want the one that it has already."""
    for path in data.rglob("*.bin"):
        with open(path, "r+b") as file:
            file.write(random.randbytes(64))


def twice(hub, project, argv, env, subject):
    """Runs it, changes one file, runs it again: [(what, subject, [(metric, unit, value)])]."""
    rows = []
    for what in ("first", "after a change of one file"):
        hub.reset_counters()
        began = time.time()
        times, peaks = hubs.spawned(hubs.run(argv, env, project.folder)[1])
        counts = hubs.counted(hub)
        rows.append((what, subject, [("until all is sent", "s", hubs.sent_after(hub, began)),
                                     ("time", "s", times[0] / 1e3),
                                     ("calls", "", float(counts["calls"] + counts["LFS calls"])),
                                     ("peak memory", "MB", peaks[0])]))
        project.change()
    return rows
