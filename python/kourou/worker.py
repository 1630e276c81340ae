# SPDX-License-Identifier: Apache-2.0
"""The worker loop: reads requests from kourou-serve, runs them, answers (docs/worker-protocol.md).

One thread leads at a time. It reads frames and runs short requests itself; before a long one it
lets another thread lead. The leader *offers* the leadership while it runs a request by putting a token into ``_offer``;
whoever pops it leads. List and deque operations used here are atomic, so no lock is taken per request.

A worker's start is on the way of every restart, so nothing is imported before READY that costs milliseconds and is not
needed: `_socket` and `_signal` are used without the enums of `socket` and `signal`, JSON is read by the C scanner alone,
`threading` comes when the server already knows that the worker is ready. It has to come on the main thread all the same:
it takes the thread that imports it for the main one.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found,unused-ignore]  # a part of signal in C, which no stubs describe
import _socket
import gc
import os
import sys
from _thread import allocate_lock
from time import perf_counter

from . import forked
from .context import cancelled_runs
from .frames import (
    F_FAILED, F_FD, F_HEAD, F_MORE, F_RUN_OK, FD_THRESHOLD, HEADER, K_ARGUMENTS, K_BATCH, K_CUSTOM, K_INVOKE, K_STREAM,
    MAX_PAYLOAD, REQUEST, RESPONSE, T_BODY, T_CANCEL, T_CHUNK, T_DRAIN, T_FATAL, T_HELLO, T_PAUSE, T_PING, T_PONG,
    T_READY, T_RECALL, T_SPAWN, T_REQUEST, T_RESPONSE, T_RESUME, T_RETURNED, U32, U64, VERSION, head_lines, memory_file,
    read_memory_file, split_custom,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from types import ModuleType
    from typing import Any, Dict, List, Optional, Set, Tuple, Union

    from ._typing import Answer
    from .wire import Wire
else:
    from _collections import deque

SLOW = 0.001  # seconds: longer runs hand the leadership over before they start
HOLD = 0.0002  # seconds an answer may wait for others to be sent with it
READ_SIZE = 128 * 1024
FDS_SPACE = _socket.CMSG_SPACE(8 * 4)
PAUSE_LIMIT = 60  # seconds in which this process runs
FREED_MAX = 64  # abandoned requests that do not count among the threads
DROPPED, RECALLED = -1, -2  # kinds of requests that are not run

_JSON = b'{"detail":"%s"}'
_NOT_SENT = b"The worker has no descriptor or no memory left to send this answer"
_NOT_TAKEN = b"The worker has no descriptor or no memory left to take this request"


def _threading() -> ModuleType:
    import threading

    return threading


def wire_for(channel: Channel, rid: int, body: Optional[bytes], head: bytes = b"") -> Wire:
    """A Wire; the module is imported when the first is needed."""
    from .wire import Wire

    return Wire(channel, rid, body, head)


class _Running:
    """What a thread that leads, or has led, runs at this moment; id 0: nothing."""

    __slots__ = ("id", "run_id")

    def __init__(self) -> None:
        self.id, self.run_id = 0, ""


class Channel:
    """The socket: reads frames into ``pending``, writes answers in batches."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.pending: deque[Any] = deque()  # (id, kind, run id, body)
        self.outbox: List[bytes] = []
        self.running: List[_Running] = []  # a _Running for each thread that leads or has led
        self.cancelled: Set[int] = set()  # ids of running requests that nobody waits for
        self.paused: Dict[int, Any] = {}  # id of a running stream: what it waits for
        self.wires: Dict[int, Wire] = {}  # by id: requests that are answered on the event loop, or whose body is still coming
        self.spawns: deque[Tuple[int, List[int]]] = deque()  # of a template: (id, descriptors) of the processes that are to be forked
        self.draining = False
        self._fds: deque[int] = deque()
        self._buf = bytearray(READ_SIZE + 64)
        self._view = memoryview(self._buf)
        self._have = 0
        self._write_lock = allocate_lock()

    def read(self, flags: int = 0) -> bool:
        """Waits for bytes and puts complete requests into pending. False: no more will come."""
        have = self._have
        try:
            n, anc, seen, _ = self.sock.recvmsg_into((self._view[have:-64],), FDS_SPACE, flags)
        except BlockingIOError:
            return True
        except (ConnectionResetError, InterruptedError):
            n, anc, seen = 0, [], 0
        if n == 0:
            self.draining = True
            return False
        for _level, _type, data in anc:
            for at in range(0, len(data) - 3, 4):
                self._fds.append(int.from_bytes(data[at : at + 4], sys.byteorder))
        if seen & _socket.MSG_CTRUNC:  # no descriptor is left here: those that come later keep their places
            self._fds.append(-1)
        self._parse(have + n)
        return True

    def _parse(self, have: int) -> None:
        buf, view, pending = self._buf, self._view, self.pending
        at = 0
        while have - at >= 12:
            size, rid, ftype, flags, kind, _left, run_id = REQUEST.unpack_from(buf, at)
            end = at + 12 + size
            if end > have:
                if size > MAX_PAYLOAD:
                    raise ValueError("frame too long")
                break
            if ftype == T_REQUEST:
                body: Any = bytes(view[at + 52 : end])
                if flags & F_FD:
                    body = (self._fds.popleft(), U64.unpack(body)[0])
                elif flags & F_MORE:
                    body = self.wires[rid] = wire_for(self, rid, None, body)
                pending.append((rid, kind, run_id.decode(), body))
            elif rid in self.wires and ftype != T_RECALL:
                self._tell(self.wires[rid], rid, ftype, flags, bytes(view[at + 12 : end]))
            else:
                self._control(ftype, rid, flags)
            at = end
        rest = have - at
        if at and rest:
            view[:rest] = bytes(view[at:have])
        self._have = rest
        if rest >= 12:
            self._grow(HEADER.unpack_from(self._buf, 0)[0] + 12)

    def _grow(self, need: int) -> None:
        if need + 64 <= len(self._buf):
            return
        bigger = bytearray(need + READ_SIZE + 64)
        bigger[: self._have] = self._view[: self._have]
        self._buf, self._view = bigger, memoryview(bigger)

    def _control(self, ftype: int, rid: int, flags: int = 0) -> None:
        if ftype == T_CANCEL and flags & F_MORE:
            return  # the client sends nothing more, but takes its answer
        if ftype == T_CANCEL:
            if not self._mark_pending(rid, DROPPED):
                self._cancel_running(rid)
            self._resume(rid)
        elif ftype == T_PAUSE:
            if self._runs(rid):
                self.paused[rid] = _threading().Event()
                if not self._runs(rid):  # it has ended just now
                    self.paused.pop(rid, None)
        elif ftype == T_RESUME:
            self._resume(rid)
        elif ftype == T_RECALL:
            self._mark_pending(rid, RECALLED)
        elif ftype == T_PING:
            self.send(T_PONG, rid)
        elif ftype == T_DRAIN:
            self.draining = True
        elif ftype == T_SPAWN:
            self.spawns.append((rid, [self._fds.popleft() if self._fds else -1 for _ in range(3)]))

    def _tell(self, wire: Wire, rid: int, ftype: int, flags: int, data: bytes) -> None:
        if ftype == T_BODY:
            wire.put(data, not flags & F_MORE)
        elif ftype == T_CANCEL:
            taken = bool(flags & F_MORE)
            if not taken and wire.run_id:
                cancelled_runs.add(wire.run_id)
            elif not taken:  # not started yet
                self._mark_pending(rid, DROPPED)
            wire.leave(taken)
        elif ftype in (T_PAUSE, T_RESUME):
            wire.pause(ftype == T_PAUSE)

    def wire_ended(self) -> None:
        """The last one of a channel that drains lets its reader go."""
        if self.draining and not self.wires:
            try:
                self.sock.shutdown(_socket.SHUT_RD)
            except OSError:
                pass

    def _resume(self, rid: int) -> None:
        resume = self.paused.pop(rid, None)
        if resume is not None:
            resume.set()

    def _runs(self, rid: int) -> Optional[_Running]:
        """The _Running of a request that runs, or None."""
        for one in tuple(self.running):
            if one.id == rid:
                return one
        return None

    def _mark_pending(self, rid: int, kind: int) -> bool:
        """A request that is not started is answered in its turn, but not run."""
        pending = self.pending
        for at, request in enumerate(pending):
            if request[0] == rid:
                pending[at] = (rid, kind, request[2], request[3])
                return True
        return False

    def _cancel_running(self, rid: int) -> None:
        one = self._runs(rid)
        if one is None:
            return
        run_id = one.run_id
        self.cancelled.add(rid)
        cancelled_runs.add(run_id)
        if one.id != rid:  # it has ended just now, and may not have seen that
            self.forget(rid, run_id)

    def forget(self, rid: int, run_id: str) -> None:
        """A cancelled request has ended."""
        self.cancelled.discard(rid)
        cancelled_runs.discard(run_id)

    def flush(self) -> None:
        """Sends what is in the outbox."""
        with self._write_lock:
            out = self.outbox
            items = out[:]
            del out[: len(items)]
            if items:
                self._send(items[0] if len(items) == 1 else b"".join(items))

    def _send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.draining = True

    def send(self, ftype: int, rid: int, payload: bytes = b"", status: int = 0, flags: int = 0) -> None:
        """Sends one frame at once."""
        with self._write_lock:
            self._send(HEADER.pack(len(payload), rid, ftype, flags, status) + payload)

    def send_chunk(self, rid: int, data: bytes, status: int = 0, flags: int = 0) -> None:
        """Sends bytes of an answer in parts, in more than one frame if they are many."""
        for at in range(0, len(data) or 1, MAX_PAYLOAD):
            self.send(T_CHUNK, rid, data[at : at + MAX_PAYLOAD], status, 0 if at else flags)

    def send_large(self, rid: int, status: int, flags: int, run_us: int, parts: Tuple[bytes, ...]) -> None:
        """Sends a RESPONSE whose body travels as a memory file; in the frame, when no descriptor can be had or sent."""
        try:
            self._send_file(rid, status, flags, run_us, parts)
        except OSError as error:
            print(f"an answer cannot be sent as a memory file: {error}", file=sys.stderr, flush=True)
            if sum(map(len, parts)) > MAX_PAYLOAD - 4:
                parts, status, flags = (_NOT_SENT,), 502, F_FAILED
            body = b"".join(parts)
            with self._write_lock:
                self._send(RESPONSE.pack(len(body) + 4, rid, T_RESPONSE, flags, status, run_us) + body)

    def _send_file(self, rid: int, status: int, flags: int, run_us: int, parts: Tuple[bytes, ...]) -> None:
        fd = memory_file(*parts)
        size = sum(map(len, parts))
        data = RESPONSE.pack(12, rid, T_RESPONSE, flags | F_FD, status, run_us) + U64.pack(size)
        try:
            with self._write_lock:
                rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
                sent = self.sock.sendmsg([data], rights)
                if sent < len(data):
                    self._send(data[sent:])
        except (BrokenPipeError, ConnectionResetError):
            self.draining = True
        finally:
            os.close(fd)


class Worker:
    """Runs requests of one channel on up to ``threads`` threads."""

    def __init__(self, channel: Channel, runner: Any, wake_r: int, wake_w: int, mark: memoryview, threads: int) -> None:
        self._channel = channel
        self._runner = runner
        self._wake_r, self._wake_w = wake_r, wake_w
        self._mark = mark
        self._threads = threads
        # Threads that may still be created. Cancelled requests that run on do not count, up to a number, and one thread is there to
        # read when all others run something. Whoever asked for one request at a time gets that.
        self._spare = threads + min(threads, FREED_MAX) if threads > 1 else 0
        self._all = self._spare + 1
        self._idle = 0  # threads that wait for the leadership
        self._away = 0  # requests that run, and not in the leader
        self._looping = 0  # of these, on the event loop: they hold no thread
        self._offer: List[None] = []
        self._mean = [0.0, 1.0, 0.0, 0.0, 0.0]  # seconds per kind, moving average; streams are always long
        self._state = _threading().Condition()
        self._done = False

    def run(self) -> None:
        """Returns when the channel has drained and every request is answered."""
        self._add_thread()
        if not self._lead():
            self._stand_by(False)

    # -- leadership ---------------------------------------------------------------------------

    def _add_thread(self) -> None:
        with self._state:
            if self._spare <= 0 or self._idle > 0:
                return
            self._spare -= 1
            self._idle += 1
        _threading().Thread(target=self._thread, daemon=True).start()

    def _thread(self) -> None:
        try:
            self._stand_by(True)
        except BaseException as error:
            self._broken(error)

    def _broken(self, error: BaseException) -> None:
        """Nobody would lead any more: the process ends, and the front starts another."""
        forked.leave(error)

    def _full(self) -> bool:
        """Whether as many requests run as may; the leader's own counts."""
        return self._away - self._looping + 1 >= self._threads + min(len(self._channel.cancelled), self._threads, FREED_MAX)

    def _stand_by(self, counted: bool) -> None:
        """Waits for the leadership, leads, and again. Returns when the worker is done."""
        while True:
            with self._state:
                if self._done:
                    return
                self._idle += 0 if counted else 1
            counted = False
            byte = os.read(self._wake_r, 1)
            with self._state:
                self._idle -= 1
                if self._done or not byte:
                    return
                # "a": the leader's request was cancelled, and what says so waits in the socket
                if byte != b"a" and self._full():
                    continue
                try:
                    self._offer.pop()
                except IndexError:
                    continue
                self._away += 1
            self._add_thread()
            if self._lead(byte == b"a"):
                return

    def _hand_over(self) -> None:
        if (self._idle > 0 or self._spare > 0) and not self._full():
            os.write(self._wake_w, b"h")

    def _step_down(self) -> bool:
        """Another thread leads by now."""
        with self._state:
            self._away -= 1
            self._state.notify_all()
        return False

    def _finish(self) -> bool:
        """Drained: waits for the threads that still run something and lets the others go."""
        with self._state:
            while self._away > 0:
                self._state.wait()
            self._done = True
        os.write(self._wake_w, b"q" * self._all)
        return True

    def _lead(self, read_first: bool = False) -> bool:
        """Leads until drained (True) or until another thread has taken over (False)."""
        me = _Running()
        self._channel.running.append(me)
        try:
            if read_first and not self._channel.draining:
                self._channel.read(_socket.MSG_DONTWAIT)
            return self._lead_as(me)
        finally:
            self._channel.running.remove(me)

    def _lead_as(self, me: _Running) -> bool:
        channel = self._channel
        pending, outbox, cancelled = channel.pending, channel.outbox, channel.cancelled
        offer, mean, mark = self._offer, self._mean, self._mark
        short: List[Any] = [None] * 5  # by kind: what runs it and gives the whole answer at once
        short[K_INVOKE], short[K_ARGUMENTS] = self._runner.invoke, getattr(self._runner, "invoke_arguments", None)
        pack = RESPONSE.pack
        clock, read, flush = perf_counter, channel.read, channel.flush
        process, process_of_this = os.getpid, os.getpid()
        first = 0.0  # when the oldest answer in the outbox was made
        while True:
            if not pending:
                if outbox:
                    flush()
                if (channel.draining and not channel.wires) or not read():
                    if not pending:
                        return self._finish()
                continue
            rid, kind, run_id, body = pending.popleft()
            if kind < 0:
                self._skip(rid, kind, body)
                continue
            me.run_id = run_id
            me.id = mark[0] = rid
            t0 = clock()
            if outbox and (t0 - first > HOLD or mean[kind] > HOLD):
                flush()
            offer.append(None)
            if mean[kind] > SLOW:
                self._hand_over()
            invoke = short[kind]
            if invoke is not None and type(body) is bytes:
                try:
                    status, data, flags = invoke(body, run_id)
                except BaseException as error:
                    status, data, flags = 500, self._failure(error), 0
                t1 = clock()
                if process() != process_of_this:
                    forked.leave()
                if len(data) > FD_THRESHOLD:
                    self._answer(rid, status, data, flags, t1 - t0)
                else:
                    if not outbox:
                        first = t1
                    outbox.append(
                        pack(len(data) + 4, rid, T_RESPONSE, flags, status, int((t1 - t0) * 1e6)) + data)
            else:
                self._other(rid, kind, run_id, body, t0)
                t1 = first = clock()
                if process() != process_of_this:
                    forked.leave()
            me.id = 0
            if cancelled:
                channel.forget(rid, run_id)
            if kind != K_STREAM:
                mean[kind] += (t1 - t0 - mean[kind]) * 0.125
            try:
                offer.pop()
            except IndexError:
                flush()
                return self._step_down()

    # -- everything but small invocations -------------------------------------------------------

    def _skip(self, rid: int, kind: int, body: Any) -> None:
        if type(body) is tuple and body[0] >= 0:
            os.close(body[0])
        self._channel.wires.pop(rid, None)
        if kind == RECALLED:
            self._channel.send(T_RETURNED, rid)
        else:
            self._answer(rid, 499, b"", False, 0.0)

    def _answer(self, rid: int, status: int, data: bytes, ok: Union[bool, int], seconds: float,
                head: Optional[bytes] = None) -> None:
        flags = (F_RUN_OK if ok else 0) | (0 if head is None else F_HEAD)
        run_us = min(int(seconds * 1e6), 0xFFFFFFFF)
        parts = (data,) if head is None else (U32.pack(len(head)), head, data)
        size = sum(map(len, parts))
        if size > FD_THRESHOLD:
            self._channel.send_large(rid, status, flags, run_us, parts)
        else:
            self._channel.outbox.append(
                RESPONSE.pack(size + 4, rid, T_RESPONSE, flags, status, run_us) + b"".join(parts))

    def _failure(self, error: BaseException) -> bytes:
        if forked.in_child():
            forked.leave(error)
        import json

        text = f"{type(error).__name__}: {error}".split("\n", 1)[0]
        print(f"request failed outside of the pipeline: {text}", file=sys.stderr, flush=True)
        return json.dumps({"detail": text}).encode()

    def _other(self, rid: int, kind: int, run_id: str, body: Any, t0: float) -> None:
        head = None
        if type(body) is tuple and body[0] < 0:
            self._channel.outbox.append(RESPONSE.pack(len(_NOT_TAKEN) + 4, rid, T_RESPONSE, F_FAILED, 503, 0) + _NOT_TAKEN)
            return
        try:
            if type(body) is tuple:
                body = read_memory_file(*body)
            if kind == K_INVOKE:
                status, data, ok = self._runner.invoke(body, run_id)
            elif kind == K_BATCH:
                status, data = self._runner.batch(body, run_id)[:2]
                ok = status == 200
            elif kind == K_STREAM:
                status, data, ok = self._stream(rid, run_id, body)
            elif kind == K_CUSTOM:
                answer = self._custom(rid, run_id, body, t0)
                if answer is None:
                    return
                status, out, data = answer
                head, ok = head_lines(out), status < 400
            else:
                status, data, ok = 501, _JSON % b"unknown kind of request", False
        except BaseException as error:
            status, data, ok, head = 500, self._failure(error), False, None
        self._answer(rid, status, data, ok, perf_counter() - t0, head)

    def _custom(self, rid: int, run_id: str, body: Any, t0: float) -> Optional[Answer]:
        """(status, headers, body); None when the event loop goes on with it."""
        wire = None if type(body) is bytes else body
        fields, headers, content = split_custom(body if wire is None else wire.first)
        if getattr(self._runner, "uploads", None) is None:
            whole: Optional[Answer] = self._runner.custom(*fields[:3], headers, content, run_id)
            return whole

        def open_wire() -> Wire:
            one = wire or wire_for(self._channel, rid, content)
            self._open(one, rid, run_id, t0)
            return one

        answer: Optional[Answer] = self._runner.custom(*fields[:3], headers, content if wire is None else None, run_id, fields[3:],
                                                       open_wire)
        return answer

    def _open(self, wire: Wire, rid: int, run_id: str, t0: float) -> None:
        """The request goes on by itself: the worker does not end before it."""
        channel = self._channel
        with self._state:
            self._away += 1
            self._looping += 1
        wire.run_id = run_id
        wire.on_done = lambda: self._loop_done(run_id)
        channel.wires[rid] = wire
        if rid in channel.cancelled:
            channel.cancelled.discard(rid)
            wire.leave(False)
        wire.seconds = perf_counter() - t0

    def _loop_done(self, run_id: str) -> bool:
        cancelled_runs.discard(run_id)
        with self._state:
            self._looping -= 1
        return self._step_down()

    def _stream(self, rid: int, run_id: str, body: bytes) -> Tuple[int, bytes, bool]:
        """Sends the blocks of a stream as they come. The result ends the request."""
        channel = self._channel
        result = self._runner.stream(body, run_id)
        if isinstance(result, tuple):  # refused before it began: an ordinary answer
            return result
        last = b""
        for block in result:
            resume = channel.paused.get(rid)
            if resume is not None and not any(resume.wait(1.0) for _ in range(PAUSE_LIMIT)):
                channel.cancelled.add(rid)
            if rid in channel.cancelled:
                last = b""
                result.close()
                break
            channel.send_chunk(rid, block, 200)
            last = block
        channel.paused.pop(rid, None)
        channel.cancelled.discard(rid)
        return 200, b"", b'"success":true' in last


class _Options:
    """The arguments of docs/worker-protocol.md."""

    snapshot: Any = None
    root: Any = None
    deployment = "{}"
    fd = wake_r = wake_w = mark = -1
    threads = 40
    template = 0

    def __init__(self, argv: List[str]) -> None:
        for name, value in zip(argv[::2], argv[1::2]):
            field = name[2:].replace("-", "_")
            if not name.startswith("--") or not hasattr(_Options, field):
                raise SystemExit(f"kourou worker: unknown option {name}")
            setattr(self, field, int(value) if isinstance(getattr(_Options, field), int) else value)
        if min(self.fd, self.wake_r, self.wake_w, self.mark) < 0 or None in (self.snapshot, self.root):
            raise SystemExit("kourou worker: this program is started by kourou-serve")


def _on_sigterm(runner: Any) -> None:
    """SIGTERM cleans up without finishing requests."""

    def stop(_signum: int, _frame: object) -> None:
        if forked.in_child():
            os._exit(143)
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
        try:
            runner.stop()
        finally:
            sys.stderr.flush()
            os._exit(143)

    _signal.signal(_signal.SIGTERM, stop)


def _start(channel: Channel, options: _Options) -> Any:
    """The started runner, or None after a FATAL frame. A template starts only what can be shared."""
    # What is imported stays: collecting garbage meanwhile would only look at it again and again.
    gc.disable()
    try:
        from . import runtime
        from ._source import Loading
        from .lite import parse

        with open(options.snapshot, encoding="utf-8") as file:
            snapshot = parse(file.read())
        with Loading():
            runner: Any = runtime.load(snapshot, options.root, parse(options.deployment))
        gc.enable()
        if options.template:
            from .template import Half

            runner = Half(runner, shared=True)
        runner.start()
        if forked.in_child():  # forked while it loaded, and not ended
            forked.leave()
        gc.freeze()  # nor do the collections of later requests look at it
    except BaseException as error:
        if forked.in_child():
            forked.leave(error)
        import json
        import traceback

        trace = getattr(error, "traceback", None) or traceback.format_exc()
        fatal = {
            "kind": getattr(error, "kind", "init"),
            "message": getattr(error, "message", None) or f"{type(error).__name__}: {error}",
            "traceback": trace if isinstance(trace, str) else "",
        }
        print(trace, file=sys.stderr, flush=True)
        channel.send(T_FATAL, 0, json.dumps(fatal).encode())
        return None
    if options.template:
        channel.send(T_READY, 0, b"{}")
    else:
        ready(channel, runner)
    return runner


def ready(channel: Channel, runner: Any) -> None:
    """Says what the front needs to know to send requests."""
    routes = list(getattr(runner, "routes", None) or ())
    middleware = bool(getattr(runner, "middleware", None))
    text = '"routes":[],"middleware":false'
    if routes or middleware:
        import json

        text = json.dumps({"routes": routes, "middleware": middleware})[1:-1]
    text += ',"pings":true,"frees":true'
    arguments = getattr(runner, "arguments", None)
    if arguments is not None:
        text += f',"arguments":{arguments}'
    uploads = getattr(runner, "uploads", None)
    if uploads is not None:
        import json

        text += f',"bodies":true,"uploads":{json.dumps(uploads)},"loop":{json.dumps(runner.on_loop)}'
    channel.send(T_READY, 0, f"{{{text}}}".encode())


def hello() -> bytes:
    return b'{"language":"python %s"}' % sys.version.split(" ", 1)[0].encode()


def main(argv: Optional[List[str]] = None) -> int:
    """Runs a worker on inherited descriptors; the result is the exit status."""
    options = _Options(sys.argv[2:] if argv is None else argv)
    for fd in (options.fd, options.wake_r, options.wake_w, options.mark):
        os.set_inheritable(fd, False)
    forked.is_worker_now(options.fd, options.wake_r, options.wake_w)
    channel = Channel(_socket.socket(fileno=options.fd))
    channel.send(T_HELLO, 0, hello(), VERSION)
    runner = _start(channel, options)
    if runner is None:
        return 1
    if options.template:
        from . import template

        _on_sigterm(runner)
        template.serve(channel, runner, (options.fd, options.wake_r, options.wake_w, options.mark))
        runner.stop()
        return 0
    run(channel, runner, options.wake_r, options.wake_w, options.mark, max(1, options.threads))
    return 0


def run(channel: Channel, runner: Any, wake_r: int, wake_w: int, mark: int, threads: int) -> None:
    """From READY to the end of a worker."""
    import mmap  # as late as `threading`

    page = memoryview(mmap.mmap(mark, 4096)).cast("I")
    _on_sigterm(runner)
    Worker(channel, runner, wake_r, wake_w, page, threads).run()
    runner.stop()
