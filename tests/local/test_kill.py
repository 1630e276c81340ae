# SPDX-License-Identifier: Apache-2.0
"""The program is killed at random moments; the next command always finds a store it can use, and no server is ever
left that nobody manages."""
import os
import random
import subprocess
import time

from .conftest import MODULE, servers_of, wait_for

KILLS = int(os.environ.get("KOUROU_TEST_KILLS", "200"))


def known_pids(project):
    return {row["name"]: row for row in project.rows("deployment")}


def test_killed_at_random_moments(project):
    seed = int(os.environ.get("KOUROU_TEST_SEED", "0")) or random.randrange(1 << 30)
    rng = random.Random(seed)
    print(f"seed {seed}")
    words = ["a", "bb", "ccc", "dddd"]
    landed = 0
    took = {"pipeline": [0.35], "other": [0.045]}  # seconds of those that came to their end
    for turn in range(KILLS):
        project.write(MODULE.replace("hello", rng.choice(words)))
        command = rng.choice([
            ("pipeline", "deploy", "--name", "app", "--update", "my_module.my_pipeline"),
            ("pipeline", "deploy", "--name", "app", "--update", "my_module.my_pipeline"),
            ("deployment", "delete", "app", "--yes"),
            ("deployment", "deprovision", "app", "--yes"),
            ("deployer", "register", f"d{turn}", "--flavor=local", "--port_range=[20000,30000]"),
            ("secret", "create", f"s{turn}", "--key=value-of-a-secret"),
        ])
        usual = took["pipeline" if command[0] == "pipeline" else "other"]
        moment, began = rng.uniform(0.0, 1.3 * rng.choice(usual[-10:])), time.monotonic()
        process = project.popen(*command)
        try:
            process.wait(moment)
            usual.append(time.monotonic() - began)
        except subprocess.TimeoutExpired:
            process.kill()
            landed += 1
        process.wait()
        rows = known_pids(project)  # asserts exit status 0: the store is usable
        if "app" not in rows:  # a child that was about to become a server finds nothing to serve
            wait_for(lambda: servers_of(project.home) == {}, 40, f"turn {turn}, seed {seed}: servers of no deployment")
    assert landed > KILLS / 10
    project.write(MODULE)
    project.deploy("--update")
    assert project.output() == "hello world"
    live = project.pid()
    # Whatever earlier turns left has been taken over or ended; replaced servers finish on their own.
    wait_for(lambda: set(project.servers()) == {live}, 40, f"seed {seed}: one server")
    project.run("deployment", "delete", "app", "--yes")
    assert project.servers() == {} and project.runtime_dirs == []
    assert list((project.home / "kourou" / "tmp").glob("*")) == []
    assert list((project.home / "kourou" / "code").glob("*")) == []
