# SPDX-License-Identifier: Apache-2.0
"""isolation: process. A template has loaded the pipeline, never runs it, and forks the processes that do.

They are children of the front, not of the template (which may end without them): each is forked by a process that ends at once,
and the front takes up what has no parent. A process with threads is not forked: what other threads hold at that moment, locks above
all, stays held in the child for ever.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found,unused-ignore]  # a part of signal in C, which no stubs describe
import _socket
import os
import sys

from . import forked
from .frames import T_HELLO, T_REFUSED, T_SPAWNED, U32, VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple

    from .worker import Channel

PR_SET_PDEATHSIG = 1


def serve(channel: Channel, runner: Half, descriptors: Tuple[int, ...]) -> None:
    """Forks as often as the front asks. Returns when it asks for an end."""
    prctl, front = _prctl(), os.getppid()
    while channel.read():
        while channel.spawns:
            rid, fds = channel.spawns.popleft()
            try:
                _spawn(channel, rid, fds, (runner, prctl, front, descriptors))
            finally:
                for fd in fds:
                    if fd >= 0:
                        os.close(fd)
        if channel.draining:
            return


def _prctl() -> Any:
    """To end with the front in whatever it does; without it, a child ends when it reads next."""
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None


def _obstacle() -> Optional[str]:
    """Why this process cannot be forked, or None."""
    try:
        threads = len(os.listdir("/proc/self/task"))
        if threads > 1:
            return f"loading the pipeline started {threads - 1} thread{'s' if threads > 2 else ''}"
        for fd in os.listdir("/proc/self/fd"):
            try:
                if os.readlink("/proc/self/fd/" + fd).startswith(("/dev/nvidia", "/dev/kfd")):
                    return "loading the pipeline opened a GPU"
            except OSError:
                continue
    except OSError as error:
        return f"/proc cannot be read: {error}"
    return None


def _spawn(channel: Channel, rid: int, fds: List[int], what: Tuple[Half, Any, int, Tuple[int, ...]]) -> None:
    problem = "the template has no descriptor left" if min(fds) < 0 else _obstacle()
    if problem is not None:
        channel.send(T_REFUSED, rid, problem.encode())
        return
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(read)
        child = os.fork()
        if child == 0:
            os.close(write)
            try:
                _worker(fds, os.getppid(), *what)
            except BaseException as error:  # noqa: BLE001 - it must not become a second template
                forked.leave(error)
            os._exit(0)
        os.write(write, U32.pack(child))
        os._exit(0)
    os.close(write)
    try:
        pid = os.read(read, 4)
    finally:
        os.close(read)
    os.waitpid(between, 0)
    if len(pid) == 4:
        channel.send(T_SPAWNED, rid, pid)
    else:
        channel.send(T_REFUSED, rid, b"a process cannot be forked: no memory or no process left")


def _worker(fds: List[int], parent: int, runner: Half, prctl: Any, front: int, descriptors: Tuple[int, ...]) -> None:
    """The forked process, from here to its end."""
    from .worker import Channel, hello, ready, run

    os.setpgid(0, 0)
    while os.getppid() == parent and parent != front:
        os.sched_yield()  # until the process between has ended
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, int(_signal.SIGKILL))
    if os.getppid() != front:
        os._exit(126)
    for fd in descriptors:  # of the template
        try:
            os.close(fd)
        except OSError:
            pass
    sock, console, mark = map(os.dup, fds)
    for fd in fds:
        os.close(fd)
    os.dup2(console, 1)
    os.dup2(console, 2)
    os.close(console)
    wake_r, wake_w = os.pipe()
    forked.is_worker_now(sock, wake_r, wake_w)
    channel = Channel(_socket.socket(fileno=sock))
    channel.send(T_HELLO, 0, hello(), VERSION)
    own = Half(runner.whole, shared=False)
    own.start()
    ready(channel, runner)
    run(channel, own, wake_r, wake_w, mark, 1)
    forked.leave()


class Half:
    """A runner whose start and end are those of what is shared, or of what a process has of its own."""

    def __init__(self, runner: Any, shared: bool) -> None:
        self.whole = self._runner = runner
        self._which = {"shared": shared, "own": not shared}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def start(self) -> None:
        self._runner.start(**self._which)

    def stop(self) -> None:
        self._runner.stop(**self._which)
