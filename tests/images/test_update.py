# SPDX-License-Identifier: Apache-2.0
"""Updates of a container: a version that cannot start never interrupts the one that runs, a good one does so shortly."""
import json
import threading
import time
import urllib.error

from tests.images.test_docker import NETWORK, container
from tests.support.ports import OPENER


class Watch:
    """Calls an address again and again; `gaps` are the times without an answer, in seconds."""

    def __init__(self, url):
        self.url, self.gaps, self.answers, self.over = url, [], 0, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        since = None
        while not self.over.is_set():
            try:
                with OPENER.open(self.url, timeout=10) as answer:
                    good = answer.status == 200
            except (OSError, urllib.error.HTTPError, ValueError):
                good = False
            now = time.monotonic()
            if good:
                self.answers += 1
                if since is not None:
                    self.gaps.append(now - since)
                since = None
            elif since is None:
                since = now
            self.over.wait(0.02)
        if since is not None:
            self.gaps.append(time.monotonic() - since)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def names(project):
    return [one["Names"][0] for one in project.images.engine.containers("kourou.deployment.id")]


def break_it(project):
    source = project.folder / "my_module.py"
    good = source.read_text()
    source.write_text(good + "\nimport os\nif os.path.exists('/opt/kourou'):\n    raise RuntimeError('boom')\n")
    return source, good


def test_a_version_that_cannot_start_interrupts_nothing(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    good, url = container(project), project.row()["url"]
    source, text = break_it(project)
    with Watch(url + "/health") as watch:
        done = project.deploy(check=1)
    assert "boom" in done.stderr and "the former one goes on" in done.stderr, done.stderr
    assert watch.gaps == [] and watch.answers > 10
    now = container(project)
    assert now["Id"] == good["Id"] and now["State"]["StartedAt"] == good["State"]["StartedAt"]
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"

    source.write_text(text)
    project.change()
    with Watch(url + "/health") as watch:
        project.deploy(check=0)
    print(f"without an answer for {sum(watch.gaps):.2f} s in an update")
    assert sum(watch.gaps) < 20 and project.row()["url"] == url
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Bonjour, Ada!"
    assert len(names(project)) == 1


def test_where_two_cannot_run_at_once_the_former_one_comes_back(project, tmp_path):
    (tmp_path / "shared").mkdir()
    volumes = {str(tmp_path / "shared"): {"bind": "/shared", "mode": "rw"}}
    project.stack("docker", f"--run_args={json.dumps({**NETWORK, 'volumes': volumes})}")
    done = project.deploy(check=0)
    good = container(project)
    break_it(project)
    done = project.deploy(check=1)
    assert "boom" in done.stderr and "beside the running one" not in done.stderr, done.stderr
    now = container(project)
    assert now["Id"] == good["Id"] and now["State"]["Running"] and now["State"]["StartedAt"] != good["State"]["StartedAt"]
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
    assert len(names(project)) == 1


def test_a_trial_that_was_cut_off_is_cleared_away(project):
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}")
    project.deploy(check=0)
    one = container(project)
    name, image = one["Name"].removeprefix("/"), one["Image"]
    project.images.engine.api("POST", f"/containers/create?name={name}-next", {"Image": image, "Labels": {
        "kourou.deployment.id": one["Config"]["Labels"]["kourou.deployment.id"]}})
    project.change()
    project.deploy(check=0)
    assert names(project) == [f"/{name}"]
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Bonjour, Ada!"


def test_what_ran_comes_back_and_not_what_was_tried(project):
    """A failed update, then the good container dies: `provision` starts the good version, with its key."""
    project.stack("docker", f"--run_args={json.dumps(NETWORK)}", "--auth_key=the-former-key-1")
    project.deploy(check=0)
    good = project.row()
    break_it(project)
    project.run("deployer", "update", "images", "--auth_key=the-next-key-2", check=0)
    assert "boom" in project.deploy(check=1).stderr
    row = project.row()
    assert row["snapshot_id"] == good["snapshot_id"] and row["tried_snapshot_id"] not in (None, good["snapshot_id"])
    assert row["status"] == "running" and "boom" in row["error"]
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!", "with the key that runs"
    project.images.engine.api("DELETE", f"/containers/{container(project)['Id']}?force=1")
    assert project.row()["status"] != "running"
    project.run("deployment", "provision", "greeter", check=0)
    assert project.invoke(name="Ada")["outputs"]["greeting"] == "Hello, Ada!"
    row = project.row()
    assert row["snapshot_id"] == good["snapshot_id"] and "tried_snapshot_id" not in row and row["error"] is None
