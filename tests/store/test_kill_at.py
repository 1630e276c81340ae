# SPDX-License-Identifier: Apache-2.0
"""Commands are killed at every single change of a file, and at every one the disk is full: the store is sound, the
next command works, what was made is whole or not there."""
import dataclasses
import errno
import itertools
import os
import signal
import typing

import pytest



def secret_is(*allowed):
    """The secret s1 has one of these values; None: it may be missing."""
    def check(store):
        names = [row["name"] for row in store.items("secret")]
        value = store.secret("s1") if "s1" in names else None
        assert value in allowed, value
        return value
    return check


def row_is(entity, name, whole):
    """A row of that name is whole, or not there."""
    def check(store):
        rows = [row for row in store.items(*entity) if row["name"] == name]
        assert len(rows) <= 1 and all(whole(row) for row in rows), rows
        return rows[0] if rows else None
    return check


@dataclasses.dataclass
class Command:
    args: tuple
    check: typing.Callable          # what may be there after a stop; its result is what is there
    done: typing.Callable           # whether that result is what the command makes
    before: tuple = ()              # commands that make the home it starts with
    again: tuple = ()               # instead of the same command, when it has been done


SHARE = 1 if os.environ.get("KOUROU_TEST_ALL") else 0.5 if os.environ.get("CI") else 0.25
TIDYING = 8  # after so many places at which a command succeeds, there are no more
OLD, NEW = {"key": "old"}, {"key": "new-value"}
LOOK = ("secret", "list")  # makes the store
CREATE = ("secret", "create", "s1", "--key=old")
COMMANDS = {
    "first secret": Command(CREATE, secret_is(None, OLD), lambda value: value == OLD),
    "second secret": Command(CREATE, secret_is(None, OLD), lambda value: value == OLD,
                             (("secret", "create", "s0", "--a=b"),)),
    "secret update": Command(("secret", "update", "s1", "--key=new-value"), secret_is(OLD, NEW),
                             lambda value: value == NEW, (CREATE,)),
    "secret delete": Command(("secret", "delete", "s1", "--yes"), secret_is(None, OLD), lambda value: value is None,
                             (CREATE,)),
    "deployer register": Command(
        ("deployer", "register", "d1", "--flavor=local", "--port_range=[20000,30000]"),
        row_is(("deployer",), "d1", lambda row: row["config"] == {"port_range": [20000, 30000]}), bool, (LOOK,)),
    "stack register": Command(
        ("stack", "register", "k1", "-o", "default", "-a", "default", "-D", "d1"),
        row_is(("stack",), "k1", lambda row: len(row["components"]) == 3), bool,
        (("deployer", "register", "d1", "--flavor=local"),)),
}


def prepared(store, command, folder):
    for args in command.before:
        store.run(*args)
    clean = store.copy_to(folder)
    clean.run(*command.args)
    return clean.files()


def after(store, command, files, where):
    """What must hold after a stop: sound, whole, and the same command brings it to the end."""
    store.check()
    found = command.check(store)
    if not command.done(found):
        store.run(*command.args)
        assert command.done(command.check(store)), where
    store.check()
    assert store.files() <= files, where


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_every_change(store, tmp_path, rng, name):
    """Before the change, and after half of it."""
    command = COMMANDS[name]
    files = prepared(store, command, tmp_path / "clean")
    kills = 0
    for at in places(rng):
        half = kills % 2 == 1
        work = store.copy_to(tmp_path / "work")
        done = work.stopped(at, *command.args, half=half)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, (at, done)
        kills += 1
        after(work, command, files, f"{name}, killed at change {at}{', half done' if half else ''}")
    print(f"{name}: killed at {kills} places")
    assert kills > 5


@pytest.mark.parametrize("name", COMMANDS)
def test_every_change_fails_from_one_on(store, tmp_path, rng, name):
    """A disk is full, broken, or cannot be written any more: the command says in one line what happened; when the disk
    is well again, everything goes on."""
    command = COMMANDS[name]
    files = prepared(store, command, tmp_path / "clean")
    refused = worked = 0
    for at in places(rng):
        work = store.copy_to(tmp_path / "work")
        number = rng.choice([errno.ENOSPC, errno.EIO, errno.EROFS])
        done = work.stopped(at, *command.args, errno=number)
        where = f"{name}, changes fail from {at} on: {done}"
        if done.returncode == 0:  # the last changes only tidy up
            assert command.done(command.check(work)), where
            after(work, command, files, where)
            worked += 1
            if worked == TIDYING:
                break
            continue
        refused += 1
        assert 0 < done.returncode < 100, where
        lines = done.stderr.strip().splitlines()
        assert lines and lines[0].startswith("Error: ") and len(lines) <= 3, where
        assert "Sanitizer" not in done.stderr, where
        after(work, command, files, where)
    print(f"{name}: refused at {refused} places")
    assert refused > 3


def places(rng):
    """The first ones, and then about every fourth, in CI every second. The store is made in about 150 changes, what it
    is used for in about twenty. KOUROU_TEST_ALL=1 takes every one."""
    for at in itertools.count(1):
        if at <= 25 or rng.random() < SHARE:
            yield at
