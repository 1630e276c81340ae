# SPDX-License-Identifier: Apache-2.0
"""Clients that break off, lie, send garbage or poison: they get what they deserve, nobody else notices."""
from tests.serve.test_http import AMBIGUOUS, SMUGGLING

from .actor import Actor
from .good import JSON, KEY, Judge, WAIT, invocation, post
from .wire import Broken, Torn, Wire, request


class RudeClient(Actor):
    def __init__(self, soak, name):
        super().__init__(soak, name)
        self.judge = Judge(soak.ledger)
        self.kinds = [(self.cut_in_head, 6), (self.cut_in_body, 6), (self.leaves, 8), (self.cut_stream, 8),
                      (self.garbage, 5), (self.giant_header, 4), (self.many_headers, 4), (self.smuggling, 10),
                      (self.slow_head, 2), (self.slow_body, 2), (self.half_body, 4), (self.body_for_nobody, 4), (self.takes_nothing, 1), (self.only_connects, 4),
                      (self.pipelines_and_leaves, 4), (self.too_large, 3), (self.half_closed_in_head, 3)]

    def run(self):
        while True:
            with self.soak.gate.pass_through() as go:
                if not go:
                    return
                kind = self.choose(self.kinds)
                name = kind.__name__
                self.ledger.trying(name)
                wire = None
                try:
                    wire = Wire(self.soak.port, WAIT)
                    kind(wire)
                except (Torn, Broken, ValueError, KeyError) as error:
                    self.ledger.problem(f"{name}: {type(error).__name__}: {error}")
                except OSError:  # cut while this client was still sending
                    self.ledger.left(name)
                finally:
                    if wire is not None:
                        wire.close(reset=self.rng.random() < 0.3)
            self.soak.ending.wait(self.rng.uniform(0, 0.02))

    def one_of(self, kind, wire, *allowed):
        """Reads one answer, which must be one of these, and the end of the connection. Whoever still sends when it is
        cut may lose the answer."""
        try:
            answer = wire.answer()
        except Torn as error:
            if error.got:
                raise
            self.ledger.left(kind)
            return None
        self.ledger.answered(kind, answer)
        if answer.status not in allowed:
            self.ledger.problem(f"{kind}: wanted {allowed}, got {answer}")
        else:
            answer.json()
        if not answer.closes:
            self.ledger.problem(f"{kind}: the connection stays open after {answer}")
        elif wire.rest(40):
            self.ledger.problem(f"{kind}: bytes after the last answer")
        return answer

    def _pause(self):
        if self.rng.random() < 0.5:
            self.soak.ending.wait(self.rng.uniform(0, 0.05))

    # -- breaking off -----------------------------------------------------------------------------------------------

    def cut_in_head(self, wire):
        token = self.ledger.token()
        data = post("/invoke", invocation("token", token))
        wire.send(data[:self.rng.randrange(1, data.index(b"\r\n\r\n") + 3)])
        self._pause()
        self.ledger.expect(token, 0, 0)
        self.ledger.left("cut_in_head", 0)

    def cut_in_body(self, wire):
        token = self.ledger.token()
        size = self.rng.choice([10, 70_000, 400_000])
        data = post("/invoke", invocation("token", token, pad="p" * size), chunked=self.rng.choice([0, 0, 50, 70_000]))
        wire.send(data[:self.rng.randrange(data.index(b"\r\n\r\n") + 4, len(data) - 1)])
        self._pause()
        self.ledger.expect(token, 0, 0)
        self.ledger.left("cut_in_body", 0)

    def leaves(self, wire):
        token = self.ledger.token()
        self.ledger.expect(token, 0, 1)
        wire.send(post("/invoke", invocation("token", token, seconds=self.rng.choice([0, 0.01, 0.3]))))
        self._pause()
        self.ledger.left("leaves")

    def pipelines_and_leaves(self, wire):
        tokens = [self.ledger.token() for _ in range(self.rng.randint(2, 20))]
        for token in tokens:
            self.ledger.expect(token, 0, 1)
        wire.send(b"".join(post("/invoke", invocation("token", token)) for token in tokens))
        self._pause()
        self.ledger.left("pipelines_and_leaves", len(tokens))

    def cut_stream(self, wire):
        token = self.ledger.token()
        self.ledger.expect(token, 0, 1)
        self.ledger.left("cut_stream")
        wire.send(post("/invoke/stream", b'{"parameters":{"token":"%s","count":200,"pause":0.005,"pad":%d}}' % (
            token.encode(), self.rng.choice([0, 100, 20_000]))))
        status, headers = wire.head()
        if headers.get("transfer-encoding") != "chunked":
            return
        for n, _ in enumerate(wire.chunks()):
            if n >= self.rng.randrange(8):
                break

    def only_connects(self, wire):
        self._pause()
        self.ledger.left("only_connects", 0)

    def half_closed_in_head(self, wire):
        wire.send(b"POST /invoke HTTP/1.1\r\nHost: soak\r\n")
        wire.half_close()
        data = wire.rest(40)
        if data and b"HTTP/1.1 400" not in data:
            self.ledger.problem(f"half_closed_in_head: {data[:200]!r}")
        self.ledger.left("half_closed_in_head")

    # -- breaking rules ---------------------------------------------------------------------------------------------

    def garbage(self, wire):
        data = bytes(self.rng.randrange(256) for _ in range(self.rng.randrange(1, 300))) + b"\r\n\r\n"
        if data.lstrip(b"\r\n"):
            wire.send(data)
            self.one_of("garbage", wire, 400, 405, 505)

    def giant_header(self, wire):
        data = request("GET", "/health", headers=[("X-Giant", "g" * self.rng.choice([40_000, 1_000_000]))])
        wire.send(data)
        self.one_of("giant_header", wire, 431)

    def many_headers(self, wire):
        wire.send(request("GET", "/health", headers=[(f"X-{i}", "a") for i in range(self.rng.choice([120, 1500]))]))
        self.one_of("many_headers", wire, 431)

    def smuggling(self, wire):
        shapes = {**SMUGGLING, **AMBIGUOUS}
        name = self.rng.choice(sorted(shapes))
        token = self.ledger.token()
        self.ledger.expect(token, 0, 0)
        shape = shapes[name].replace(b"Host: test\r\n", b"Host: test\r\nX-API-Key: soak-key\r\n")
        wire.send(shape + post("/invoke", invocation("token", token)))
        self.one_of(f"smuggling ({name})", wire, 400)

    def too_large(self, wire):
        wire.send(request("POST", "/invoke", headers=(JSON, KEY, ("Content-Length", "999999999")))
                  .replace(b"Content-Length: 0\r\n", b"") + b"x" * self.rng.choice([0, 100_000]))
        self.one_of("too_large", wire, 413)

    # -- slow -------------------------------------------------------------------------------------------------------

    def _drip(self, kind, wire, first):
        wire.send(first)
        wire.sock.settimeout(0.1)
        while not self.soak.ending.is_set():
            try:
                data = wire.sock.recv(4096)
                break
            except TimeoutError:
                wire.send(b"a")
        else:
            self.ledger.left(kind)
            return
        wire.sock.settimeout(WAIT)
        wire.buffer += data
        self.one_of(kind, wire, 408)

    def slow_head(self, wire):
        self._drip("slow_head", wire, b"GET /health HTTP/1.1\r\nHost: soak\r\nX-Slow: ")

    def slow_body(self, wire):
        framing = self.rng.choice([("Content-Length", "1000"), ("Content-Length", "8000000"), ("Transfer-Encoding", "chunked")])
        first = request("POST", "/invoke", headers=(JSON, KEY, framing)).replace(b"Content-Length: 0\r\n", b"")
        self._drip("slow_body", wire, first + (b"ffff\r\n" if framing[1] == "chunked" else b""))

    def half_body(self, wire):
        """Sends half and nothing more: it does not run, and the connection ends."""
        token = self.ledger.token()
        self.ledger.expect(token, 0, 0)
        size = self.rng.choice([10, 5_000, 70_000, 400_000])
        data = post("/invoke", invocation("token", token, pad="p" * size), chunked=self.rng.choice([0, 0, 50, 70_000]))
        start = data.index(b"\r\n\r\n") + 4
        wire.send(data[:start + (len(data) - start) // 2])
        self.one_of("half_body", wire, 408)

    def body_for_nobody(self, wire):
        """A body where none is taken is not waited for."""
        framing = self.rng.choice([("Content-Length", "268435456"), ("Content-Length", "2"), ("Transfer-Encoding", "chunked")])
        path = self.rng.choice(["/health", "/info", "/metrics", "/livez", "/openapi.json"])
        wire.send(request("GET", path, headers=(framing,)).replace(b"Content-Length: 0\r\n", b""))
        self.one_of("body_for_nobody", wire, 413)

    def takes_nothing(self, wire):
        """Asks for megabytes and reads none: it is closed after the write timeout."""
        token = self.ledger.token()
        self.ledger.expect(token, 0, 1)
        wire.send(post("/invoke", invocation("big", token, n=8_000_000)))
        self.soak.ending.wait(2.5)
        self.ledger.left("takes_nothing")


# A child that leaves the step by an exception; a thread that stays and holds the interpreter.
FORK = "import os, sys\npid = os.fork()\nif pid == 0:\n    sys.exit(7)\nresult = os.waitpid(pid, 0)[1] >> 8"
HOLDER = ("import threading, time\ndef hold():\n    time.sleep(0.05)\n    sum(range(10 ** 12))\n"
          "threading.Thread(target=hold, daemon=True).start()\nresult = 1")


class Poisoner(Actor):
    """Requests that hang, exit, abort or eat memory: they get 502 or 504, once."""

    def __init__(self, soak, name):
        super().__init__(soak, name)
        self.judge = Judge(soak.ledger)
        self.kinds = [("sleeps_too_long", "sleep", {"seconds": 60}, 0.3), ("spins", "spin", {"seconds": 60}, 0.3),
                      ("holds_the_gil", "spin_gil", {"n": 3e9}, 0.3), ("exits", "exit", {}, None),
                      ("aborts", "abort", {}, None), ("eats_memory", "eat", {}, None),
                      ("leaves_a_child", "child", {}, None), ("forks", "python", {"code": FORK}, None),
                      ("leaves_a_holder", "python", {"code": HOLDER}, None),
                      ("exits_in_a_stream", None, {"count": 9, "exit_at": 4, "pause": 0.002}, None)]

    def run(self):
        while True:
            with self.soak.gate.pass_through() as go:
                if not go:
                    return
                kind, op, parameters, timeout = self.rng.choice(self.kinds)
                self.ledger.trying(kind)
                try:
                    self._send(kind, op, parameters, timeout)
                except (Torn, Broken, OSError, ValueError, KeyError) as error:
                    self.ledger.problem(f"{kind}: {type(error).__name__}: {error}")
            self.soak.ending.wait(self.rng.uniform(0.2, 1.5))

    def _send(self, kind, op, parameters, timeout):
        token = self.ledger.token()
        self.ledger.expect(token, 0, 1)
        with Wire(self.soak.port, WAIT) as wire:
            wire.send(post("/invoke" if op else "/invoke/stream", invocation(op, token, timeout, **parameters)))
            answer = wire.answer()
        if op in ("child", "python") or op is None:
            self.ledger.answered(kind, answer)
            if op == "python" and answer.status not in (200, 502, 503, 504):
                self.ledger.problem(f"{kind}: {answer}")
            if answer.status == 200 and op is None and b"event: error" not in answer.body:
                self.ledger.problem(f"{kind}: the stream does not tell that it broke off: {answer.body[-300:]}")
        else:
            self.judge.judge(kind, [token], answer, 504 if timeout else 502)
