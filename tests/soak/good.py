# SPDX-License-Identifier: Apache-2.0
"""Clients that keep to the rules: each of their requests must get exactly its own answer."""
import json

from .actor import Actor
from .wire import Broken, Torn, Wire, request

KEY = ("X-API-Key", "soak-key")
JSON = ("Content-Type", "application/json")
WAIT = 40.0


def invocation(op, token, timeout=None, **parameters):
    body = {"parameters": {"op": op, "token": token, **parameters}}
    if timeout:
        body["timeout"] = timeout
    return json.dumps(body).encode()


def post(path, body, *headers, **more):
    return request("POST", path, body, (JSON, KEY, *headers), **more)


class Judge:
    """Decides whether an answer is one that its request may get, and notes what must have been executed."""

    def __init__(self, ledger):
        self.ledger = ledger

    def failure(self, kind, tokens, answer):
        """502, 503, 504: JSON that says whether the request may be sent again."""
        doc = answer.json()
        if not isinstance(doc.get("detail"), str) or not isinstance(doc.get("retryable"), bool):
            self.ledger.problem(f"{kind}: {answer} does not say whether to try again")
            return
        if answer.status == 503 and "retry-after" not in answer.headers:
            self.ledger.problem(f"{kind}: 503 without Retry-After")
        for token in tokens:
            self.ledger.expect(token, 0, 0 if doc["retryable"] else 1)
        if "run_id" in doc:
            self.ledger.run(doc["run_id"], answer.status)

    def judge(self, kind, tokens, answer, want=200, check=None):
        self.ledger.answered(kind, answer)
        if answer.status in (502, 503, 504):
            self.failure(kind, tokens, answer)
            return
        if answer.status != want:
            self.ledger.problem(f"{kind}: wanted {want}, got {answer}")
            return
        executed = 1 if want in (200, 500) else 0
        for token in tokens:
            self.ledger.expect(token, executed, executed)
        if check is not None:
            problem = check(answer)
            if problem:
                self.ledger.problem(f"{kind}: {problem}: {answer}")


def output(answer):
    return answer.json()["outputs"]["output"]


def belongs_to(token):
    """A check for the judge."""
    return lambda answer: None if output(answer) == token else f"the answer of another request, not of {token}"


class GoodClient(Actor):
    """Requests of many kinds, one after the other, over a connection that is kept or not."""

    def __init__(self, soak, name):
        super().__init__(soak, name)
        self.judge = Judge(soak.ledger)
        self.wire = None
        self.count = 0
        self.kinds = [(self.echo, 40), (self.batch, 6), (self.stream, 8), (self.large, 3), (self.chunked, 6),
                      (self.raises, 4), (self.invalid, 4), (self.no_key, 4), (self.unknown, 3), (self.pipeline, 8),
                      (self.half_closed, 4), (self.by_bytes, 3), (self.old_version, 3), (self.expects, 3),
                      (self.sleeps, 5), (self.large_answer, 2)]

    def run(self):
        while True:
            with self.soak.gate.pass_through(self.drop) as go:
                if not go:
                    break
                self._one()
            self.soak.ending.wait(self.rng.uniform(0, 0.006))
        self.drop()

    def _one(self):
        kind = self.choose(self.kinds)
        name = kind.__name__.strip("_")
        self.ledger.trying(name)
        try:
            kind()
            if self.rng.random() < 0.1:
                self.drop()
        except (Torn, Broken, OSError, ValueError, KeyError) as error:
            self.ledger.problem(f"{name}: {type(error).__name__}: {error}")
            self.drop()

    def drop(self):
        if self.wire is not None:
            self.wire.close()
        self.wire = None

    def kept(self):
        """The kept connection, or a new one."""
        if self.wire is not None and not self.wire.nothing_more():
            self.drop()
        if self.wire is None:
            self.wire = Wire(self.soak.port, WAIT)
        return self.wire

    def exchange(self, data, no_body=False):
        """One request, one answer. A kept connection that a reload ends before the server has read the request may be
        replaced once: then nothing of an answer came, and the token shows that nothing was executed."""
        reloads = self.soak.reloading.count
        wire = self.kept()
        used = wire.answers > 0
        try:
            wire.send(data)
            answer = wire.answer(no_body)
        except (Torn, OSError) as error:
            self.drop()
            if getattr(error, "got", b"") or not used or not self.soak.reloading.since(reloads):
                raise
            self.ledger.retry()
            wire = self.kept()
            wire.send(data)
            answer = wire.answer(no_body)
        if answer.closes:
            self.drop()
        return answer

    def ask(self, kind, op, want=200, path="/invoke", check=None, send=None, **parameters):
        token = self.ledger.token()
        answer = self.exchange((send or post)(path, invocation(op, token, **parameters)))
        self.judge.judge(kind, [token], answer, want, check or belongs_to(token))
        if answer.status in (200, 500):
            self.ledger.run(answer.json()["metadata"]["run_id"], answer.status)

    # -- kinds ------------------------------------------------------------------------------------------------------

    def echo(self):
        self.ask("echo", "token")

    def sleeps(self):
        self.ask("sleeps", "token", seconds=self.rng.uniform(0.001, 0.15))

    def large(self):
        size = self.rng.choice([5_000, 262_100, 300_000, 1_500_000])
        self.ask("large", "length", value="v" * size,
                 check=lambda a: None if output(a) == size else f"not {size} bytes")

    def large_answer(self):
        size = self.rng.choice([5_000, 262_100, 300_000, 1_500_000])
        self.ask("large_answer", "big", n=size,
                 check=lambda a: None if len(output(a)) == size else f"not {size} bytes")

    def chunked(self):
        size = self.rng.choice([1, 7, 100])
        self.ask("chunked", "token", send=lambda path, body: post(path, body, chunked=size))

    def raises(self):
        self.ask("raises", "raise", 500, check=lambda a: None if a.json()["success"] is False else "success")

    def invalid(self):
        answer = self.exchange(post("/invoke", b'{"parameters": '))
        self.judge.judge("invalid", [], answer, 422)

    def no_key(self):
        token = self.ledger.token()
        headers = self.rng.choice([(JSON,), (JSON, ("X-API-Key", "wrong")), (JSON, ("Authorization", "Bearer soak"))])
        answer = self.exchange(request("POST", "/invoke", invocation("token", token), headers))
        self.judge.judge("no_key", [token], answer, 401)

    def unknown(self):
        answer = self.exchange(request("GET", "/nothing"))
        self.judge.judge("unknown", [], answer, 404)

    def old_version(self):
        token = self.ledger.token()
        self.drop()
        answer = self.exchange(post("/invoke", invocation("token", token), version="1.0"))
        self.judge.judge("old_version", [token], answer, check=belongs_to(token))
        self.drop()

    def batch(self):
        tokens = [self.ledger.token() for _ in range(self.rng.randint(1, 5))]
        body = json.dumps([{"parameters": {"op": "token", "token": token}} for token in tokens]).encode()
        answer = self.exchange(post("/invoke/batch", body))
        self.judge.judge("batch", tokens, answer, check=lambda a: None if [
            item["outputs"]["output"] for item in a.json()] == tokens else "not the answers of this batch")

    def stream(self):
        token, count = self.ledger.token(), self.rng.randint(1, 20)
        body = json.dumps({"parameters": {"token": token, "count": count, "pad": self.rng.choice([0, 10, 3000])}})
        answer = self.exchange(post("/invoke/stream", body.encode()))
        if answer.status == 200 and b"event: error" in answer.body:
            self.ledger.answered("stream", answer)
            self.ledger.expect(token, 0, 1)
            return

        def check(a):
            whole = a.body.count(b"event: user_message\n") == count and a.body.count(b"event: run_finished\n") == 1
            return None if whole and token.encode() in a.body else "not the events of this stream"
        self.judge.judge("stream", [token], answer, check=check)

    def _in_order(self, kind, wire, tokens):
        """Takes the answers of requests that were sent at once: they come in order. What stands behind a
        `connection: close` was not executed. Gives whether there was one."""
        closed = False
        for token in tokens:
            if closed:
                self.ledger.expect(token, 0, 0)
                continue
            answer = wire.answer()
            self.judge.judge(kind, [token], answer, check=belongs_to(token))
            closed = answer.closes
        return closed

    def pipeline(self):
        """Many requests at once."""
        tokens = [self.ledger.token() for _ in range(self.rng.randint(2, 40))]
        self.drop()
        wire = self.kept()
        wire.send(b"".join(post("/invoke", invocation("token", token)) for token in tokens))
        if self._in_order("pipeline", wire, tokens):
            self.drop()

    def half_closed(self):
        """Sends its requests, ends its sending side, and still gets every answer."""
        tokens = [self.ledger.token() for _ in range(self.rng.choice([1, 1, 3]))]
        with Wire(self.soak.port, WAIT) as wire:
            wire.send(b"".join(post("/invoke", invocation("token", token)) for token in tokens))
            wire.half_close()
            self._in_order("half_closed", wire, tokens)
            if wire.rest(5):
                raise Broken("bytes after the last answer")

    def by_bytes(self):
        """Slow, but within the limits."""
        token = self.ledger.token()
        with Wire(self.soak.port, WAIT) as wire:
            data = post("/invoke", invocation("token", token))
            for i in range(len(data)):
                wire.send(data[i:i + 1])
                if i % 16 == 0:
                    self.soak.ending.wait(0.002)
            self.judge.judge("by_bytes", [token], wire.answer(), check=belongs_to(token))

    def expects(self):
        token = self.ledger.token()
        with Wire(self.soak.port, WAIT) as wire:
            data = post("/invoke", invocation("token", token), ("Expect", "100-continue"))
            head, _, body = data.partition(b"\r\n\r\n")
            wire.send(head + b"\r\n\r\n")
            self.soak.ending.wait(0.01)
            wire.send(body)
            self.judge.judge("expects", [token], wire.answer(), check=belongs_to(token))
