# SPDX-License-Identifier: Apache-2.0
"""Processes and ports of the supporting programs."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request

GIVEN = set()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    """One that nobody gets by chance until it is used: it lies below those that the system gives away, and below those
    that deployments take by themselves."""
    while True:
        port = random.randrange(10000, 20000)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def die_with_parent():
    """For preexec_fn: the child gets SIGTERM when the test process dies, however that happens."""
    os.setsid()
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)


def start_program(command, log, **options):
    """Starts a supporting program whose output goes to the end of the file `log`; it ends with the test process."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=die_with_parent, **options
        )


def end_program(process, seconds):
    """SIGTERM, and SIGKILL when it is still there after `seconds`."""
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_for(condition, seconds, what, process=None, log=None):
    """Waits until condition() is true; TimeoutError, with the end of the log, when it does not come."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > until:
            tail = log.read_text(errors="replace")[-3000:] if log and log.exists() else ""
            raise TimeoutError(f"{what} {'ended' if ended else 'did not come'}\n{tail}")
        time.sleep(0.05)
