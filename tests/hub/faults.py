# SPDX-License-Identifier: Apache-2.0
"""Faults on demand, and the log of requests that tests count."""

import dataclasses
import fnmatch
import itertools
import threading
import time

KINDS = {
    "cut_before": "the connection is reset before the request is read",
    "cut_during": "the connection is reset in the middle of the request's body",
    "cut_after": "the request is carried out, then the connection is reset without an answer",
    "cut_mid": "the request is carried out, and the answer breaks off in the middle of its body",
    "cut_stream": "a streamed answer is reset after `count` pieces",
    "status": "answers `status` without doing anything; `html`, `body`, `headers` shape the answer",
    "status_after": "the request is carried out, then `status` is answered",
    "slow": "waits `seconds`, then goes on as usual",
    "slow_body": "the answer's body takes `seconds`",
    "stall": "no answer for `seconds`, then the connection is reset",
    "stall_after": "the request is carried out, then no answer for `seconds`, then the connection is reset",
    "rate_limit": "429 with r=0 and t=`seconds`",
    "action_quota": "429 with r>0",
    "race_commit": "somebody else's commit lands just before this one is carried out",
    "race_412": "412 although no parentCommit was given",
    "create_conflict": "409 with the text of a conflicting operation",
    "garbage": "200 with a body that is not JSON",
    "refuse": "when `after_calls` calls were answered, connections are refused for `seconds`",
}


@dataclasses.dataclass
class Fault:
    kind: str
    method: str = "*"
    path: str = "*"  # shell pattern over the path as sent, without the query
    origin: str = "hub"  # hub, lfs, cdn or app
    nth: int = 1  # the first matching call that is hit
    times: int = 1  # how many calls from there on; -1 for all
    status: int = 500
    html: bool = False
    body: str | None = None
    headers: dict = dataclasses.field(default_factory=dict)
    seconds: float = 1.0
    count: int = 1
    after_calls: int = 0
    id: int = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind}; known are {', '.join(sorted(KINDS))}")


class Faults:
    def __init__(self):
        self.lock, self.numbers, self.active = threading.Lock(), itertools.count(1), []

    def add(self, **fields):
        fault = Fault(**fields)
        with self.lock:
            fault.id = next(self.numbers)
            self.active.append(fault)
        return fault

    def clear(self):
        with self.lock:
            self.active = []

    def take(self, origin, method, path):
        """The faults that hit this call. Every matching fault counts the call."""
        out = []
        with self.lock:
            for fault in self.active:
                if fault.kind == "refuse" or fault.origin != origin.split(":")[0]:
                    continue
                if fault.method not in ("*", method) or not fnmatch.fnmatchcase(path, fault.path):
                    continue
                fault.seen += 1
                if fault.seen >= fault.nth and (fault.times < 0 or fault.seen < fault.nth + fault.times):
                    fault.hits += 1
                    out.append(fault)
        return out

    def refuses(self, calls):
        """The fault that shuts the door after this many calls, if there is one."""
        with self.lock:
            for fault in self.active:
                if fault.kind == "refuse" and not fault.hits and calls >= fault.after_calls:
                    fault.hits = 1
                    return fault
        return None

    def listed(self):
        with self.lock:
            return [dataclasses.asdict(fault) for fault in self.active]


class RequestLog:
    """Every request with what it carried. Tokens appear by name or digest only."""

    def __init__(self):
        self.lock, self.entries, self.base = threading.Lock(), [], 0

    def add(self, **fields):
        with self.lock:
            entry = {"n": self.base + len(self.entries) + 1, "t": time.time(), **fields}
            self.entries.append(entry)
        return entry

    def clear(self):
        with self.lock:
            self.base += len(self.entries)
            self.entries = []

    def list(self, origin=None):
        with self.lock:
            return [dict(entry) for entry in self.entries if origin is None or entry["origin"].split(":")[0] == origin]

    def calls(self):
        """Answered calls of the Hub's own origin."""
        with self.lock:
            return sum(1 for entry in self.entries if entry["origin"] == "hub")
