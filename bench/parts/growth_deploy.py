# SPDX-License-Identifier: Apache-2.0
"""What more files and more megabytes cost, beside upload_folder of huggingface_hub with the same files and the same Hub."""
import random
import sys

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
    with hubs.Hub(folder / "hub") as hub:
        hub.settings(repo_limit=100_000 * MEGABYTE)
        measure(ctx, hub, folder / "warm", "", lambda data: files(data, 1), record=False)
        for count in FILES[:4] if ctx.quick else FILES:
            for number in range(1 if ctx.quick or count > 1000 else 3):
                measure(ctx, hub, folder / f"files-{count}-{number}", f"{count} files", lambda data: files(data, count))
        for size in SIZES[:3] if ctx.quick else SIZES:
            for number in range(1 if ctx.quick or size > 100 else 3):
                measure(ctx, hub, folder / f"size-{size}-{number}", f"one file of {size} MB",
                        lambda data: large(data, size))
    ctx.results.note(NAME, "kourou's time is the whole first deploy, with compiling, its own runtime as one more LFS file, and "
                           "waiting until the app answers; upload_folder's is the upload alone, in a new Python process")


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


def measure(ctx, hub, folder, case, make, record=True):
    """The first deploy, the deploy of the unchanged rest after a change of code, and the peer's upload of the same files."""
    project = hubs.Project(ctx.build, folder, HF_ENDPOINT=hub.url)
    project.hub_stack()
    make(project.folder / "data")
    size = sum(path.stat().st_size for path in project.folder.rglob("*") if path.is_file())
    name = folder.name
    spawn = [sys.executable, "-c", MEMORY]
    found = {}
    for what in ("first", "after a change of one file"):
        hub.reset_counters()
        argv = [project.kourou, "pipeline", "deploy", "--python", hubs.PYTHON, "--name", name, "--update",
                "my_module.my_pipeline"]
        seconds, text = hubs.run([*spawn, *argv], project.env, project.folder)
        found[f"{case}, {what}", "kourou"] = seconds, hubs.counted(hub), float(text.split()[-1])
        project.change()
    if hubs.has_peers():
        upload(hub, project, name, case, spawn, found)
    for (title, subject), (seconds, counts, memory) in found.items() if record else ():
        ctx.results.add(NAME, title, subject, "time", "s", [seconds])
        ctx.results.add(NAME, title, subject, "calls", "", [counts["calls"] + counts["LFS calls"]])
        ctx.results.add(NAME, title, subject, "peak memory", "MB", [memory / 1e3])
        ctx.results.add(NAME, title, subject, "rate", "MB/s", [size / 1e6 / seconds])
    for path in (project.folder / "data").rglob("*.bin"):
        path.unlink()


def upload(hub, project, name, case, spawn, found):
    """The Hub's own client: the first upload and one after a change of one file. Its large file is another one, because the
    Hub has the first already; that makes no difference to anybody's time."""
    env = hubs.peer_env(project.home / "peer", HF_ENDPOINT=hub.url, HF_TOKEN=hubs.TOKEN)
    for path in (project.folder / "data").rglob("*.bin"):
        with open(path, "r+b") as file:
            file.write(random.randbytes(64))
    for what in ("first", "after a change of one file"):
        hub.reset_counters()
        argv = [hubs.ZENML_ENV / "bin" / "python", HERE / "upload_peer.py", f"alice/upload-{name}", project.folder]
        seconds, text = hubs.run([*spawn, *argv], env, project.folder.parent)
        found[f"{case}, {what}", "huggingface_hub upload_folder"] = seconds, hubs.counted(hub), float(text.split()[-1])
        project.change()


# Peak of the largest process of the tree; the start of this little Python costs the same for both.
MEMORY = ("import os,resource,subprocess,sys;"
          "done=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL);"
          "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);sys.exit(done.returncode)")
