# SPDX-License-Identifier: Apache-2.0
"""A bare git repository on disk, written object by object, that the `git` program can read and check."""

import dataclasses
import hashlib
import os
import pathlib
import time
import zlib


def object_id(kind, data):
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest()


def blob_oid(data):
    return object_id("blob", data)


def pointer(sha256, size):
    """The text that stands in git for a file kept in LFS storage."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file of a commit: `oid` is the git blob (for LFS the pointer's), `size` that of the content."""

    oid: str
    size: int
    sha256: str | None = None
    pointer_size: int = 0


@dataclasses.dataclass(frozen=True)
class Commit:
    oid: str
    tree: str
    parent: str | None
    title: str
    message: str
    author: str
    when: float
    files: dict  # path -> Entry


class Repository:
    """Blobs, trees, commits and refs. A commit's list of files is also kept in memory, flat."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.commits, self.refs, self.tree_of, self.last = {}, {}, {}, 0
        for folder in ("objects/pack", "objects/info", "refs/heads", "refs/tags"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        (self.path / "HEAD").write_text("ref: refs/heads/main\n")
        (self.path / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n")

    def _object_path(self, oid):
        return self.path / "objects" / oid[:2] / oid[2:]

    def write_object(self, kind, data):
        oid = object_id(kind, data)
        path = self._object_path(oid)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.{time.monotonic_ns()}")
            part.write_bytes(zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data, 1))
            part.rename(path)
        return oid

    def read_object(self, oid):
        return zlib.decompress(self._object_path(oid).read_bytes()).partition(b"\0")[2]

    def stored_size(self):
        return sum(path.stat().st_size for path in self.path.glob("objects/??/*"))

    def write_tree(self, files):
        """Writes the trees of a flat {path: Entry}; returns {folder path: tree oid}, "" is the root."""
        folders = {"": {}}
        for path, entry in files.items():
            parts = path.split("/")
            for depth in range(len(parts) - 1):
                here, name = "/".join(parts[:depth]), parts[depth]
                folders.setdefault(here, {})[name] = None
                folders.setdefault("/".join(parts[: depth + 1]), {})
            folders["/".join(parts[:-1])][parts[-1]] = entry.oid
        oids = {}
        for folder in sorted(folders, key=lambda item: (-item.count("/"), not item)):
            if folder:
                oids[folder] = self._tree(folder, folders[folder], oids)
        oids[""] = self._tree("", folders[""], oids)
        return oids

    def _tree(self, folder, names, oids):
        rows = []
        for name, oid in names.items():
            if oid is None:
                oid = oids[f"{folder}/{name}" if folder else name]
                rows.append((name.encode() + b"/", b"40000 " + name.encode() + b"\0" + bytes.fromhex(oid)))
            else:
                rows.append((name.encode(), b"100644 " + name.encode() + b"\0" + bytes.fromhex(oid)))
        return self.write_object("tree", b"".join(row for _, row in sorted(rows)))

    def commit(self, ref, files, title, message="", author="nobody"):
        """Makes a commit of `files` on the ref and moves it there."""
        parent = self.refs.get(ref)
        trees = self.write_tree(files)
        when = max(int(time.time()), self.last)
        self.last = when
        text = title + (f"\n\n{message}" if message else "") + "\n"
        person = f"{author} <{author}@users.noreply.hub.invalid> {when} +0000"
        lines = [f"tree {trees['']}"] + ([f"parent {parent}"] if parent else [])
        lines += [f"author {person}", f"committer {person}"]
        oid = None
        salt = 0
        # The same content committed twice within one second must still make two commits.
        while oid is None or oid in self.commits:
            extra = [f"x-sequence {len(self.commits)}-{salt}"] if salt else []
            oid = object_id("commit", ("\n".join(lines + extra) + "\n\n" + text).encode())
            data = ("\n".join(lines + extra) + "\n\n" + text).encode()
            salt += 1
        self.write_object("commit", data)
        self.commits[oid] = Commit(oid, trees[""], parent, title, message, author, time.time(), dict(files))
        self.tree_of[oid] = trees
        self.set_ref(ref, oid)
        return oid

    def set_ref(self, ref, oid):
        self.refs[ref] = oid
        path = self.path / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(oid + "\n")

    def delete_ref(self, ref):
        self.refs.pop(ref, None)
        (self.path / ref).unlink(missing_ok=True)

    def resolve(self, rev):
        """The commit id that a branch, tag, `refs/...` or (shortened) commit id names, or None."""
        if rev == "HEAD":
            return self.head()
        for ref in (rev, f"refs/heads/{rev}", f"refs/tags/{rev}"):
            if ref in self.refs:
                return self.refs[ref]
        if len(rev) >= 7 and all(char in "0123456789abcdef" for char in rev):
            found = [oid for oid in self.commits if oid.startswith(rev)]
            if len(found) == 1:
                return found[0]
        return None

    def head(self):
        return self.refs.get("refs/heads/main")

    def files(self, rev="main"):
        oid = self.resolve(rev)
        return self.commits[oid].files if oid else {}

    def history(self, oid):
        while oid:
            commit = self.commits[oid]
            yield commit
            oid = commit.parent
