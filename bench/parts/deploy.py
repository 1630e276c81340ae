# SPDX-License-Identifier: Apache-2.0
"""What a deploy to a Space costs: calls, commits, builds, restarts and seconds, near to the Hub and far from it.

Both programs are run whole, as a user runs them, against the test Hub. ZenML is given an image (`skip_build`), so
that its time has no image build in it; Kourou uploads the source and the Hub plays the build at the same pace for both.
"""
import json
import time

from bench import hubs

NAME = "deploy"
TITLE = "Deploying to a Space"
LATENCIES = (0, 50, 200)
IMAGE = "docker.io/someone/zenml:my_pipeline"
HERE = hubs.ROOT / "bench"


class Kourou:
    subject = "kourou"

    def __init__(self, ctx, hub, folder):
        self.project = hubs.Project(ctx.build, folder, HF_ENDPOINT=hub.url)
        self.project.hub_stack()

    def deploy(self, name):
        return self.project.deploy(name=name)[0]

    def change(self):
        self.project.change()


class Zenml:
    subject = "zenml"

    def __init__(self, ctx, hub, folder):
        self.folder, self.number = folder / "project", 0
        self.folder.mkdir(parents=True)
        (self.folder / ".zen").mkdir()  # what `zenml init` makes: this is the source root
        self.env = hubs.peer_env(folder / "home", HF_ENDPOINT=hub.url)
        self.source = self.folder / "my_module.py"
        example = (ctx.root / "examples/greeting/my_module.py").read_text()
        self.source.write_text(example.replace("from kourou import", "from zenml import"))
        docker = {"skip_build": True, "parent_image": IMAGE}
        (self.folder / "config.yaml").write_text(json.dumps({"settings": {"docker": docker}}))
        helper = [hubs.ZENML_ENV / "bin" / "python", HERE / "zenml_peer.py"]
        hubs.run([*helper, "stack", hubs.TOKEN], self.env, self.folder)
        for line in hubs.run([*helper, "versions"], self.env, self.folder)[1].splitlines():
            ctx.results.version(*line.split())

    def deploy(self, name):
        argv = [hubs.ZENML_ENV / "bin" / "zenml", "pipeline", "deploy", "my_module.my_pipeline", "--name", name]
        return hubs.run([*argv, "--config", "config.yaml", "--update"], self.env, self.folder)[0]

    def change(self):
        self.number += 1
        old = "Hello" if self.number == 1 else f"Hello {self.number - 1}"
        self.source.write_text(self.source.read_text().replace(f'"{old},', f'"Hello {self.number},'))


def run(ctx):
    latencies = (0, 200) if ctx.quick else LATENCIES
    folder = ctx.folder / "deploy"
    with hubs.Hub(folder / "hub") as hub:
        subjects = [Kourou(ctx, hub, folder / "kourou")]
        if hubs.has_peers():
            subjects.append(Zenml(ctx, hub, folder / "zenml"))
            ctx.results.note(NAME, "zenml runs with skip_build and a ready image, so its seconds hold no image build; "
                                   "after a change of code a real user would build and push an image first. "
                                   "Its program does not wait for the app to answer, Kourou's does.")
        else:
            ctx.results.note(NAME, "ZenML is not installed: tools/setup.sh bench")
        for subject in subjects:
            subject.deploy("warm")  # caches of both programs and their bytecode
        for number in range(1 if ctx.quick else 2):
            for latency in latencies:
                hub.slow(latency / 1e3)
                for subject in subjects[:: -1 if number % 2 else 1]:
                    measure(ctx, hub, subject, latency, f"n{number}-{latency}")
                    # an own deploy takes a tenth of a second, so it may be repeated
                    for more in range(3 if subject.subject == "kourou" else 0):
                        measure(ctx, hub, subject, latency, f"n{number}-{latency}-{more}")


def measure(ctx, hub, subject, latency, name):
    """First deploy, the same again, and again after a change of code."""
    case = f"{latency} ms per call"
    for what in ("first deploy", "redeploy unchanged", "redeploy changed code"):
        if what.endswith("code"):
            if subject.subject != "kourou" and (ctx.quick or not name.startswith("n0-")):
                continue  # a deploy of the peer takes long, and this one hardly differs from the one before
            subject.change()
        hub.reset_counters()
        began = time.time()
        seconds = subject.deploy(name)
        found = hubs.counted(hub)
        sent = hubs.sent_after(hub, began)
        ctx.results.add(NAME, f"{what}, {case}", subject.subject, "until all is sent", "s", [sent])
        ctx.results.add(NAME, f"{what}, {case}", subject.subject, "time", "s", [seconds])
        for metric, value in found.items():
            ctx.results.add(NAME, f"{what}, {case}", subject.subject, metric, "", [float(value)])
        settle(hub, seconds=20)


def settle(hub, seconds):
    """Waits until no Space is being built or started any more, so that counts of one deploy do not reach the next."""
    end = time.monotonic() + seconds
    while True:
        stages = {hub.space(one).stage for one in hub.spaces()}
        if not any("BUILDING" in stage or "STARTING" in stage for stage in stages):
            return
        if time.monotonic() > end:
            raise hubs.Failed(f"Spaces do not come to rest: {stages}")
        time.sleep(0.05)
