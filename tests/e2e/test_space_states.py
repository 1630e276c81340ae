# SPDX-License-Identifier: Apache-2.0
"""States of many Spaces at once, some of which cannot be read: each row is true, the wait is bounded, Ctrl-C ends it."""
import contextlib
import json
import signal
import sqlite3
import subprocess
import time
import uuid

import pytest

from tests.support.ports import free_port

RUNTIME = "/api/spaces/alice/zenml-{}/runtime"


def copy_records(project, count):
    """So many more deployments, each with a Space of its own name at the Hub, which need not exist."""
    with contextlib.closing(sqlite3.connect(project.env["KOUROU_HOME"] + "/store.db")) as store, store:
        store.row_factory = sqlite3.Row
        row = dict(store.execute("SELECT * FROM deployments WHERE name = 'my_deployment'").fetchone())
        names = []
        for i in range(count):
            name = f"copy{i:02}"
            text = json.dumps({**json.loads(row["metadata"]), "space_id": f"alice/zenml-{name}"})
            new = {**row, "id": str(uuid.uuid4()), "name": name, "metadata": text}
            store.execute(f"INSERT INTO deployments ({', '.join(new)}) VALUES ({', '.join('?' * len(new))})", list(new.values()))
            names.append(name)
    return names


def listed(project, *more):
    start = time.monotonic()
    done = project.run("deployment", "list", "--size=100", "-o", "json", "-c", "name,status,state_note", *more, check=0)
    took = time.monotonic() - start
    return {row["name"]: row for row in json.loads(done.stdout)["items"]}, done.stderr, took


@pytest.fixture
def several(ready):
    ready.deploy(check=0)
    copy_records(ready, 11)
    return ready


FAULTS = {
    "copy00": ({"kind": "stall", "seconds": 30}, "has not answered within 10 s"),
    "copy01": ({"kind": "status", "status": 503, "times": 99}, "503"),
    "copy02": ({"kind": "status", "status": 403, "times": 99}, "403"),
    "copy03": ({"kind": "cut_before", "times": 99}, "127.0.0.1"),
    "copy04": ({"kind": "garbage", "times": 99}, "not valid JSON"),
    "copy05": ({"kind": "rate_limit", "times": 99, "seconds": 60}, "rate limit"),
}


def test_each_state_is_true_or_says_why_it_is_not_known(several, hub):
    for name, (fault, _) in FAULTS.items():
        hub.fault(method="GET", path=RUNTIME.format(name), **fault)
    rows, said, took = listed(several)
    assert len(rows) == 12 and rows["my_deployment"]["status"] == "running"
    for name, row in rows.items():
        if name in FAULTS:
            assert row["status"] == "unknown", row
            assert row["state_note"].startswith("the state could not be read (last known: running): "), row
            assert FAULTS[name][1] in row["state_note"], row
            assert f"Warning: '{name}': {row['state_note']}\n" in said
        elif name != "my_deployment":
            assert row["status"] == "absent" and f"'{name}'" not in said, row
    assert "by the user" not in said and took < 15, (took, said)
    described = several.run("deployment", "describe", "copy02", "-o", "json", check=0)
    assert json.loads(described.stdout)["status"] == "unknown" and "403" in json.loads(described.stdout)["state_note"]
    refused = several.run("deployment", "refresh", "copy02", check=1)
    assert refused.stderr.startswith("Error: the state of 'copy02' could not be read: ") and "403" in refused.stderr


def test_a_filter_on_the_state_looks_once(several, hub):
    hub.fault(method="GET", path=RUNTIME.format("copy00"), kind="stall", seconds=30)
    hub.reset_counters()
    rows, said, took = listed(several, "--status=running")
    assert set(rows) == {"my_deployment", "copy00"} and rows["copy00"]["status"] == "unknown"
    assert took < 15 and hub.counters()["calls"] <= 12


def test_more_than_are_asked_at_once_do_not_wait_for_the_silent_ones(several, hub):
    names = copy_records_from(several, 60)
    for name in names[:40]:
        hub.fault(method="GET", path=RUNTIME.format(name), kind="stall", seconds=30)
    rows, said, took = listed(several)
    assert took < 15 and len(rows) == 72
    assert {row["status"] for name, row in rows.items() if name in names[40:]} == {"absent"}
    assert {row["status"] for name, row in rows.items() if name in names[:40]} == {"unknown"}


def copy_records_from(project, count):
    """As copy_records, under other names."""
    with contextlib.closing(sqlite3.connect(project.env["KOUROU_HOME"] + "/store.db")) as store, store:
        store.execute("UPDATE deployments SET name = 'first' || name WHERE name LIKE 'copy%'")
    return copy_records(project, count)


@pytest.mark.parametrize("words", [("list",), ("describe", "my_deployment"), ("refresh", "my_deployment"),
                                   ("open", "my_deployment"), ("list", "--status=running")])
def test_ctrl_c_ends_a_look_at_once(ready, hub, words):
    ready.deploy(check=0)
    hub.fault(method="GET", path=RUNTIME.format("my_deployment"), kind="stall", seconds=30)
    hub.reset_counters()
    looking = subprocess.Popen([str(ready.build_dir / "kourou"), "deployment", *words], cwd=ready.folder, env=ready.env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    limit = time.monotonic() + 30
    while hub.faults()[-1]["hits"] == 0:
        assert time.monotonic() < limit and looking.poll() is None
    start = time.monotonic()
    looking.send_signal(signal.SIGINT)
    out, _ = looking.communicate(timeout=30)
    assert time.monotonic() - start < 1 and looking.returncode == 130 and out == b""


def test_a_hub_that_refuses_connections_is_named(several):
    env = {"HF_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    start = time.monotonic()
    done = several.run("deployment", "list", "-o", "json", "-c", "name,status", env=env, check=0)
    assert time.monotonic() - start < 15
    assert {row["status"] for row in json.loads(done.stdout)["items"]} == {"unknown"}
    assert done.stderr.count("onnect") >= 12 and "by the user" not in done.stderr


def test_an_engine_that_is_silent(several, tmp_path):
    """The docker program waits for its engine as long as it likes; a look does not."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 300\n")
    program.chmod(0o755)
    with contextlib.closing(sqlite3.connect(several.env["KOUROU_HOME"] + "/store.db")) as store, store:
        store.execute("UPDATE deployments SET flavor = 'docker', deployer_id = NULL WHERE name LIKE 'copy%'")
    start = time.monotonic()
    done = several.run("deployment", "list", "-o", "json", "-c", "name,status,state_note", check=0,
                       env={"PATH": f"{program.parent}:{several.env['PATH']}", "DOCKER_HOST": "unix:///nowhere.sock"})
    took = time.monotonic() - start
    rows = {row["name"]: row for row in json.loads(done.stdout)["items"]}
    assert took < 15 and rows["my_deployment"]["status"] == "running"
    for name in (name for name in rows if name.startswith("copy")):
        assert rows[name]["status"] == "unknown" and "docker did not end within" in rows[name]["state_note"], rows[name]
