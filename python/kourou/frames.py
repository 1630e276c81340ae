# SPDX-License-Identifier: Apache-2.0
"""Codec of the worker protocol (docs/worker-protocol.md)."""

from __future__ import annotations

import os
from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    from ._typing import Headers

VERSION = 1

HEADER = Struct("<IIBBH")
REQUEST = Struct("<IIBBHI36s")
RESPONSE = Struct("<IIBBHI")
U32 = Struct("<I")
U64 = Struct("<Q")

T_REQUEST, T_CANCEL, T_DRAIN, T_PAUSE, T_RESUME, T_BODY, T_RECALL, T_PING, T_SPAWN = 1, 2, 3, 4, 5, 6, 7, 8, 9
T_HELLO, T_READY, T_FATAL, T_RESPONSE, T_CHUNK, T_TAKEN, T_RETURNED, T_PONG = 16, 17, 18, 19, 20, 21, 22, 23
T_SPAWNED, T_REFUSED = 24, 25

F_FD, F_RUN_OK, F_HEAD, F_OUTPUTS, F_MORE, F_CUT, F_FAILED = 1, 2, 4, 8, 16, 32, 64

K_INVOKE, K_STREAM, K_BATCH, K_CUSTOM, K_ARGUMENTS = 0, 1, 2, 3, 4

MAX_PAYLOAD = 16 * 1024 * 1024
FD_THRESHOLD = 256 * 1024


_seen_large = False


def _expect_large() -> None:
    """Where one large body was, there are more."""
    global _seen_large
    if not _seen_large:
        _seen_large = True
        from ._allocator import keep_freed

        keep_freed()


def memory_file(*parts: bytes) -> int:
    """An unlinked file that holds the parts; the caller closes it."""
    _expect_large()
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("kourou-body", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        for part in parts:
            view = memoryview(part)
            while len(view):
                view = view[os.write(fd, view) :]
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_memory_file(fd: int, size: int) -> bytes:
    """The first ``size`` bytes of a descriptor, which is closed."""
    try:
        _expect_large()
        parts = []
        at = 0
        while at < size:
            part = os.pread(fd, min(size - at, 1 << 24), at)
            if not part:
                raise EOFError("memory file is shorter than announced")
            parts.append(part)
            at += len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def head_lines(headers: Headers) -> bytes:
    """Headers (pairs of bytes) as the text of a HEAD block."""
    lines = []
    for name, value in headers:
        if b"\n" in name or b"\r" in name or b"\n" in value or b"\r" in value:
            raise ValueError("line break in a header")
        lines.append(name + b": " + value + b"\n")
    return b"".join(lines)


def split_custom(body: bytes) -> Tuple[List[str], Headers, bytes]:
    """(fields of the first line, headers, HTTP body) of a custom request's body."""
    (n,) = U32.unpack_from(body, 0)
    lines = bytes(body[4 : 4 + n]).split(b"\n")
    headers = []
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(b": ")
            headers.append((name, value))
    return lines[0].decode("latin-1").split("\t"), headers, body[4 + n :]
