# SPDX-License-Identifier: Apache-2.0
"""Memory files, which carry large bodies between server and worker."""
import json
import os
import subprocess
import sys

import pytest
from kourou import frames

from .conftest import PYTHON

FAULTS = """
import json, os, resource
from kourou import frames

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        one = bytearray(2 << 20)
        other = bytes(one)
        del one, other
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
os.close(frames.memory_file(b"x"))
faults()
print(json.dumps([first, faults()]))
"""


def test_a_memory_file_holds_its_parts():
    body = os.urandom(3 << 20)
    assert frames.read_memory_file(frames.memory_file(body[:5], b"", body[5:]), len(body)) == body
    assert frames.read_memory_file(frames.memory_file(b"abc"), 2) == b"ab"


def test_a_memory_file_that_is_too_short_is_an_error_and_is_closed():
    fd = frames.memory_file(b"abc")
    with pytest.raises(EOFError, match="shorter than announced"):
        frames.read_memory_file(fd, 4)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.skipif(not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
                    reason="another C library than GNU's")
def test_memory_of_large_bodies_is_used_again():
    """With its own policy the library gives the pages back, and each is faulted in anew."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True,
                          env=os.environ | {"PYTHONPATH": str(PYTHON)})
    first, then = json.loads(done.stdout)
    assert first > 20 * 512 and then < 512, (first, then)
