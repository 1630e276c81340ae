# SPDX-License-Identifier: Apache-2.0
"""What a command costs does not grow with what the store holds."""
import os
import sqlite3
import subprocess
import uuid

import pytest

FEW, MANY = 10, 10000


def fill(path, name, count):
    """Copies of the deployment `first` and its snapshot, each with code of its own. Returns their names."""
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row

    def insert(table, row):
        database.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values()))

    deployment = dict(database.execute("SELECT * FROM deployments WHERE name = 'first'").fetchone())
    snapshot = dict(database.execute("SELECT * FROM snapshots WHERE id = ?", [deployment["snapshot_id"]]).fetchone())
    names = [f"{name}{number}" for number in range(count)]
    for one in names:
        own, digest = str(uuid.uuid4()), f"sha256:{uuid.uuid4().hex * 2}"
        insert("snapshots", {**snapshot, "id": own, "name": one, "digest": digest, "code_digest": digest})
        insert("deployments", {**deployment, "id": str(uuid.uuid4()), "name": one, "snapshot_id": own, "status": "absent",
                               "metadata": "{}", "url": None})
    database.commit()
    database.close()
    return names


@pytest.mark.timeout(280)
def test_ten_thousand_deployments(build_dir, kourou, project, home):
    """Processor time: how long it takes on the clock says more about what else runs."""
    def cost(*words):
        before = os.times()
        subprocess.run([str(build_dir / "kourou"), *words], check=True, capture_output=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    def costs(names):
        """The least of three, of each command."""
        found = {}
        for turn in range(3):
            for what, words in {"deploy": ["pipeline", "deploy", "--name", "own", "my_module.my_pipeline"],
                                "describe": ["deployment", "describe", "own"],
                                "list": ["deployment", "list"],
                                "delete": ["deployment", "delete", "own", "-y"],
                                "delete another": ["deployment", "delete", names[turn], "-y"],
                                "delete a snapshot": ["pipeline", "snapshot", "delete", names[turn], "-y"]}.items():
                found[what] = min(cost(*words), found.get(what, 99.0))
        return found

    kourou("pipeline", "deploy", "--name", "first", "my_module.my_pipeline", check=0)
    store = home / "kourou" / "store.db"
    try:
        few = costs(fill(store, "few", FEW))
        many = costs(fill(store, "many", MANY))
    finally:
        kourou("deployment", "delete", "first", "-y")
    assert {what: (few[what], many[what]) for what in few if many[what] > 2 * few[what] + 0.03} == {}
