# SPDX-License-Identifier: Apache-2.0
"""Pages of long lists: the same rows in the same order as the whole list, without reading what is not on them."""
import json
import sqlite3
import uuid

import pytest

COUNT = 1000
INDEXES = {"deployments_created", "snapshots_created", "builds_created", "runs_started"}
LOOKUPS = {"components_name", "snapshots_name", "snapshots_code"}


@pytest.fixture
def store(store):
    """Deployments that were never launched; several have the same time."""
    store.run("secret", "list")
    with sqlite3.connect(store.home / "store.db") as db:
        db.executemany(
            "INSERT INTO deployments (id, name, pipeline, flavor, metadata, user, created, updated) "
            "VALUES (?, ?, ?, 'local', ?, 'me', ?, ?)",
            [(str(uuid.uuid4()), f"d{i}", f"p{i % 7}", json.dumps({"long": "x" * 3000}),
              f"2026-01-{i % 20 + 1:02d} 10:00:00.000000", "2026-01-01 10:00:00.000000") for i in range(COUNT)])
    db.close()
    return store


def page(store, *more):
    return json.loads(store.run("deployment", "list", "--output", "json", *more).stdout)


@pytest.mark.parametrize("more", [(), ("--sort_by", "asc:name"), ("--sort_by", "desc:pipeline"), ("--sort_by", "stack"),
                                  ("--pipeline", "p3"), ("--name", "contains:7", "--pipeline", "p1", "--logical_operator", "or")])
def test_pages_make_up_the_whole_list(store, more):
    whole = page(store, "--size", "5000", *more)
    assert whole["pagination"]["total"] == len(whole["items"]) > 100
    parts, at, size = [], 1, 130
    while len(parts) < len(whole["items"]):
        one = page(store, "--size", str(size), "--page", str(at), *more)
        assert one["pagination"] == {"index": at, "max_size": size, "total": len(whole["items"]),
                                     "total_pages": -(-len(whole["items"]) // size)}
        assert one["items"]
        parts += one["items"]
        at += 1
    assert parts == whole["items"]
    assert page(store, "--page", "999", *more)["items"] == []


def test_newest_first_needs_no_sorting(store):
    db = sqlite3.connect(store.home / "store.db")
    for table, column in (name.split("_") for name in INDEXES):
        plan = db.execute(f"EXPLAIN QUERY PLAN SELECT t.rowid FROM {table} t ORDER BY t.{column} DESC, t.rowid DESC LIMIT 20")
        text = " ".join(row[3] for row in plan)
        assert f"{table}_{column}" in text and "TEMP B-TREE" not in text
    db.close()


def test_a_store_of_the_first_format_is_brought_up(store):
    db = sqlite3.connect(store.home / "store.db", isolation_level=None)
    for name in INDEXES | LOOKUPS:
        db.execute(f"DROP INDEX {name}")
    db.execute("UPDATE snapshots SET document = json_set(document, '$.code', json_object('digest', 'sha256:' || id))")
    db.execute("ALTER TABLE snapshots DROP COLUMN code_digest")
    db.execute("PRAGMA user_version = 1")
    before = db.execute("SELECT * FROM deployments ORDER BY id").fetchall()
    snapshots = db.execute("SELECT count(*) FROM snapshots").fetchone()
    db.close()
    assert page(store)["pagination"]["total"] == COUNT
    db = sqlite3.connect(store.home / "store.db")
    assert db.execute("PRAGMA user_version").fetchone() == (3,)
    assert INDEXES | LOOKUPS <= {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert [row[:2] for row in db.execute("SELECT * FROM deployments ORDER BY id")] == [row[:2] for row in before]
    assert db.execute("SELECT count(*) FROM snapshots WHERE code_digest = 'sha256:' || id").fetchone() == snapshots
    db.close()
