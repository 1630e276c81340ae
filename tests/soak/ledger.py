# SPDX-License-Identifier: Apache-2.0
"""What was tried, what came back, and a gate that lets all clients stand still for a count."""
import collections
import contextlib
import itertools
import threading


class Ledger:
    """All methods may be called by every thread."""

    def __init__(self):
        self.lock = threading.Lock()
        self.tried = collections.Counter()      # by kind
        self.outcome = collections.Counter()    # (kind, status)
        self.seen = collections.Counter()       # (generation, status): whole answers that clients read
        self.unseen = 0                         # requests whose answer nobody waited for
        self.tokens = {}                        # token: how often it may have been executed, (least, most)
        self.runs = {}                          # run id: HTTP status of its answer
        self.retried = 0                        # kept connections that ended in a reload before they were used
        self.problems = []
        self._numbers = itertools.count(1)

    def token(self):
        return f"t{next(self._numbers)}-"

    def trying(self, kind):
        with self.lock:
            self.tried[kind] += 1

    def answered(self, kind, answer):
        with self.lock:
            self.outcome[kind, answer.status] += 1
            self.seen[answer.generation, answer.status] += 1

    def left(self, kind, requests=1):
        """The client went away without the answers of so many requests."""
        with self.lock:
            self.outcome[kind, "left"] += 1
            self.unseen += requests

    def expect(self, token, least, most):
        with self.lock:
            self.tokens[token] = (least, most)

    def run(self, run_id, status):
        with self.lock:
            if run_id in self.runs:
                self.problems.append(f"run id {run_id} was given twice")
            self.runs[run_id] = status

    def retry(self):
        with self.lock:
            self.retried += 1

    def problem(self, text):
        with self.lock:
            self.problems.append(text)


class Gate:
    """Clients act inside of `with gate.pass_through()`; close() returns when none does."""

    def __init__(self):
        self.condition = threading.Condition()
        self.open, self.inside, self.stopped = True, 0, False

    @contextlib.contextmanager
    def pass_through(self, before_waiting=None):
        """Yields False when the soak ends. A client that must wait drops its connection first."""
        with self.condition:
            if not self.open and before_waiting is not None:
                before_waiting()
            self.condition.wait_for(lambda: self.open or self.stopped)
            go = not self.stopped
            self.inside += go
        try:
            yield go
        finally:
            if go:
                with self.condition:
                    self.inside -= 1
                    self.condition.notify_all()

    def close(self, seconds=90):
        with self.condition:
            self.open = False
            if not self.condition.wait_for(lambda: self.inside == 0, seconds):
                raise AssertionError(f"{self.inside} clients have not come to an end within {seconds} s")

    def reopen(self):
        with self.condition:
            self.open = True
            self.condition.notify_all()

    def stop(self):
        with self.condition:
            self.stopped = True
            self.condition.notify_all()
