# SPDX-License-Identifier: Apache-2.0
"""The fuzz targets are complete, and their frames mean the same to the Python worker's codec."""
import re

import pytest

from tests.conftest import module_at


@pytest.fixture(scope="module")
def frames(root):
    return module_at(root / "python/kourou/frames.py")


def split(frames, data):
    while data:
        size, number, kind, flags, status = frames.HEADER.unpack_from(data)
        yield number, kind, flags, status, data[frames.HEADER.size : frames.HEADER.size + size]
        data = data[frames.HEADER.size + size :]


def test_every_target_is_built_and_has_a_corpus(root):
    sources = {path.stem.removeprefix("fuzz_") for path in (root / "fuzz").glob("fuzz_*.c")}
    listed = set(re.findall(r"^  '(\w+)': \[", (root / "fuzz/meson.build").read_text(), re.MULTILINE))
    corpora = {path.name for path in (root / "fuzz/corpora").iterdir() if any(path.iterdir())}
    assert sources and sources == listed == corpora


def test_corpora_are_small(root):
    sizes = {path: path.stat().st_size for path in (root / "fuzz/corpora").rglob("*") if path.is_file()}
    assert max(sizes.values()) <= 64 * 1024 and sum(sizes.values()) <= 1024 * 1024


def test_python_writes_the_frames_that_c_reads(root, frames):
    folder = root / "fuzz/corpora/frame"
    payload = b'{"parameters":{}}'
    request = frames.REQUEST.pack(frames.REQUEST.size - frames.HEADER.size + len(payload), 7, frames.T_REQUEST, 0,
                                  frames.K_INVOKE, 30000, b"0" * 36) + payload
    assert (folder / "request").read_bytes() == request
    answer = frames.RESPONSE.pack(4 + 7, 7, frames.T_RESPONSE, frames.F_RUN_OK, 200, 12) + b'{"a":1}'
    chunk = frames.HEADER.pack(4, 8, frames.T_CHUNK, 0, 0) + b"data"
    cancel = frames.HEADER.pack(0, 8, frames.T_CANCEL, 0, 0)
    assert (folder / "response").read_bytes() == answer + chunk + cancel
    parts = frames.HEADER.pack(3, 9, frames.T_BODY, frames.F_MORE, 0) + b"abc" + \
        frames.HEADER.pack(0, 9, frames.T_BODY, 0, 0) + \
        frames.HEADER.pack(4, 9, frames.T_TAKEN, 0, 0) + frames.U32.pack(3) + \
        frames.HEADER.pack(11, 9, frames.T_CHUNK, frames.F_HEAD, 200) + frames.U32.pack(5) + b"a: b\nxy" + \
        frames.RESPONSE.pack(4, 9, frames.T_RESPONSE, frames.F_CUT, 200, 7) + \
        frames.HEADER.pack(0, 9, frames.T_CANCEL, frames.F_MORE, 0)
    assert (folder / "parts").read_bytes() == parts


def test_python_reads_the_first_words_of_a_worker(root, frames):
    hello, ready = split(frames, (root / "fuzz/corpora/frame/hello").read_bytes())
    assert hello == (0, frames.T_HELLO, 0, 0, b'{"protocol":1,"worker":"python"}')
    assert ready == (0, frames.T_READY, 0, 0, b"{}")
