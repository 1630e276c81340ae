# SPDX-License-Identifier: Apache-2.0
"""Every budget of the design in one table, and whether the results hold it."""
from dataclasses import dataclass, field

OK, MISSED, UNKNOWN = "ok", "missed", "not measured"
NEAR, FAR = "first deploy, 0 ms per call", "redeploy unchanged, 0 ms per call"


def value(part, case, subject, metric):
    """A median."""
    return lambda results: results.median(part, case, subject, metric)


def worst(part, case, subject, metric):
    """The largest value, for counts that may never be exceeded."""
    return lambda results: max(results.values(part, case, subject, metric), default=None)


def ratio(part, case, mine, other, metric):
    """Median of one subject over that of another. Either may be a (case, subject)."""
    def of(results):
        above, below = (results.median(part, *(one if isinstance(one, tuple) else (case, one)), metric)
                        for one in (mine, other))
        return above / below if above is not None and below else None
    return of


def loss(part, case, mine, other, metric):
    """What part of the other's median is missing, in percent."""
    quotient = ratio(part, case, mine, other, metric)
    return lambda results: None if quotient(results) is None else 100 * (1 - quotient(results))


def errors(part, prefix):
    """All errors of the subjects with a prefix, None when there is none of them."""
    def of(results):
        found = [one for one in results.of(part) if one.metric == "errors" and one.subject.startswith(prefix)]
        return sum(sum(one.values) for one in found) if found else None
    return of


@dataclass(frozen=True)
class Budget:
    """`limit` is in `unit`; the value has to be at least or at most as large."""

    id: str
    part: str
    text: str
    value: object = field(repr=False)
    limit: float
    unit: str
    at_least: bool = False


@dataclass
class Line:
    """A budget and what was measured."""

    budget: Budget
    value: float | None

    @property
    def state(self):
        if self.value is None:
            return UNKNOWN
        fine = self.value >= self.budget.limit if self.budget.at_least else self.value <= self.budget.limit
        return OK if fine else MISSED

    @property
    def sign(self):
        return "≥" if self.budget.at_least else "≤"

    def to_json(self):
        return {"id": self.budget.id, "part": self.budget.part, "text": self.budget.text, "value": self.value,
                "limit": self.budget.limit, "unit": self.budget.unit, "at_least": self.budget.at_least, "state": self.state}


def serving():
    many, one, rate = "64 connections", "1 connection", "throughput"
    for kind in ("models", "plain"):
        mine = f"kourou, {kind}"
        yield Budget(f"serve-fastapi-{kind}", "serve", f"invoke, {kind}, 64 connections: throughput beside uvicorn+FastAPI",
                     ratio("serve", many, mine, f"FastAPI, {kind}", rate), 4, "×", True)
        yield Budget(f"serve-asgi-{kind}", "serve", f"invoke, {kind}, 64 connections: throughput beside bare ASGI uvicorn",
                     ratio("serve", many, mine, f"uvicorn bare ASGI, {kind}", rate), 1.3, "×", True)
    yield Budget("serve-bare", "serve", "invoke, plain, 64 connections: throughput beside a bare C server with a constant",
                 ratio("serve", many, "kourou, plain", "bare C", rate), 0.55, "×", True)
    yield Budget("serve-native", "serve", "invoke, native C pipeline, 64 connections: throughput beside that bare C server",
                 ratio("serve", many, "kourou, native", "bare C", rate), 0.65, "×", True)
    for kind in ("models", "plain"):
        yield Budget(f"serve-single-{kind}", "serve", f"invoke, {kind}, 1 connection: p50 beside bare ASGI uvicorn's",
                     ratio("serve", one, f"kourou, {kind}", f"uvicorn bare ASGI, {kind}", "p50"), 1, "×")
    yield Budget("serve-recording", "serve", "recording every run: share of throughput",
                 loss("serve", many, "kourou, plain", "kourou, plain, no journal", rate), 10, "%")
    yield Budget("serve-errors", "serve", "invoke: failed requests", errors("serve", "kourou"), 0, "")
    yield Budget("serve-memory", "serve", "memory: front and one idle worker",
                 value("serve", "idle", "kourou, plain", "memory"), 25, "MB")
    yield Budget("serve-size", "serve", "kourou-serve: size of the static file",
                 value("serve", "file", "kourou-serve", "size"), 4, "MB")


def starting():
    metric = "exec to first 200"
    yield Budget("start-plain", "start", "exec to first 200 on /health with a ready worker, without pydantic",
                 value("start", "first 200", "kourou, plain", metric), 20, "ms")
    yield Budget("start-models", "start", "the same with pydantic, beside uvicorn+FastAPI",
                 ratio("start", "first 200", "kourou, models", "FastAPI", metric), 0.25, "×")


def faults():
    held, killed = "/health while the interpreter is held", "killed worker"
    yield Budget("fault-gil", "faults", "/health p99 while every worker holds the GIL",
                 value("faults", held, "kourou", "p99"), 5, "ms")
    yield Budget("fault-gil-errors", "faults", "/health: failures meanwhile", worst("faults", held, "kourou", "errors"), 0, "")
    yield Budget("fault-answer", "faults", "killed worker: 502 to the waiting client, says whether to repeat",
                 value("faults", killed, "kourou", "answer to the waiting client"), 5, "ms")
    yield Budget("fault-next", "faults", "killed worker: next request served",
                 value("faults", killed, "kourou", "next request, one worker"), 30, "ms")
    yield Budget("fault-second", "faults", "killed worker: next request where a second worker stands",
                 value("faults", killed, "kourou", "next request, two workers"), 5, "ms")


def command_line():
    case = "deployment list"
    yield Budget("cli-time", "cli", "kourou deployment list, whole process", value("cli", case, "kourou", "time"), 10, "ms")
    yield Budget("cli-ratio", "cli", "kourou deployment list beside zenml deployment list",
                 ratio("cli", case, "kourou", "zenml", "time"), 0.01, "×")
    yield Budget("cli-memory", "cli", "kourou deployment list, peak memory",
                 worst("cli", case, "kourou", "peak memory"), 15, "MB")


def deploying():
    for name, case, text, calls, commits, builds in (
            ("first", NEAR, "first deploy to the Hub", 8, 1, 1), ("again", FAR, "redeploy unchanged", 5, 0, 0)):
        for metric, limit in (("calls", calls), ("commits", commits), ("builds", builds), ("restarts", 0)):
            yield Budget(f"deploy-{name}-{metric}", "deploy", f"{text}: {metric}" + (" before waiting" * (metric == "calls")),
                         worst("deploy", case, "kourou", metric), limit, "")
    yield Budget("images-ratio", "images", "image build and push after a change of code, beside docker build + docker push",
                 ratio("images", "change of code only", "kourou daemonless", "docker build + push", "time"), 0.2, "×")


TABLE = (*serving(), *starting(), *faults(), *command_line(), *deploying())


def judge(results):
    """A Line for every budget, in the order of the table."""
    return [Line(budget, budget.value(results)) for budget in TABLE]
