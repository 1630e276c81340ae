# SPDX-License-Identifier: Apache-2.0
"""Build and run logs as event streams, and the endless event and metric streams."""

import json
import secrets
import threading
import time

from .core import HttpError, Response, route
from .state import ANONYMOUS_TEXT, iso


class LogStream:
    """Lines with their times; readers follow it until it is closed."""

    def __init__(self):
        self.lines, self.closed, self.changed = [], False, threading.Condition()

    def add(self, text):
        with self.changed:
            self.lines.append((text if text.endswith("\n") else text + "\n", iso()))
            self.changed.notify_all()

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def text(self):
        with self.changed:
            return "".join(text for text, _ in self.lines)

    def follow(self, hub, tail=None):
        """Yields events; an empty `data:` when nothing came for a while."""
        with self.changed:
            at = 0 if tail is None else max(0, len(self.lines) - tail)
        while not hub.stopping.is_set():
            idle = False
            with self.changed:
                if at >= len(self.lines):
                    if self.closed:
                        return
                    idle = not self.changed.wait(min(hub.state.settings.keepalive, 1e6))
                fresh = self.lines[at:]
                at += len(fresh)
            for text, when in fresh:
                yield b"data: " + json.dumps({"data": text, "timestamp": when}).encode() + b"\n\n"
            if idle and not fresh:
                yield b"data:\n\n"


def sse(events):
    return Response(
        200, events, "text/event-stream; charset=utf-8", [("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
    )


@route("GET", "/api/spaces/{ns}/{name}/logs/{kind}")
def logs(ctx, ns, name, kind):
    space = ctx.space(ns, name)
    if ctx.settings.require_logs_token and ctx.caller.user is None:
        raise HttpError(401, ANONYMOUS_TEXT, message_header=True)
    if ctx.state.role_in(space.owner, ctx.caller) is None and ctx.caller.user is not None:
        raise HttpError(403, "You don't have the required permissions to see the logs of this Space")
    if kind not in ("build", "run"):
        raise HttpError(404, "Sorry, we can't find the page you are looking for.")
    if space.sdk == "static":
        raise HttpError(400, "SSE is not enabled")
    tail = ctx.request.arg("tail")
    if tail is not None and not tail.isdigit():
        raise HttpError(400, '"tail" must be an integer that is not negative')
    return sse(_following(ctx.hub, space, kind, int(tail) if tail is not None else None))


def _following(hub, space, kind, tail):
    stream = space.runtime.wait_for_log(kind)
    if stream is not None:
        yield from stream.follow(hub, tail)


@route("GET", "/api/spaces/{ns}/{name}/events")
def events(ctx, ns, name):
    space = ctx.space(ns, name)
    return sse(_stages(ctx.hub, space))


def _stages(hub, space):
    shown, beat = None, time.monotonic()
    while not hub.stopping.is_set():
        stage = space.runtime.stage
        if stage != shown:
            shown, beat = stage, time.monotonic()
            yield f"event: stage\ndata: {stage}\n\n".encode()
        elif time.monotonic() - beat > hub.state.settings.keepalive:
            beat = time.monotonic()
            yield b"data:\n\n"
        else:
            space.runtime.wait_for_change(0.25)


@route("GET", "/api/spaces/{ns}/{name}/metrics")
def metrics(ctx, ns, name):
    space = ctx.space(ns, name)
    if space.sdk == "static":
        raise HttpError(406, "Not Acceptable")
    return sse(_metrics(ctx.hub))


def _metrics(hub):
    replica = secrets.token_hex(3)[:5]
    while not hub.stopping.is_set():
        value = {
            "cpu_usage_pct": 0,
            "cpu_millicores": 2000,
            "memory_used_bytes": 1417216,
            "memory_total_bytes": 17179869184,
            "rx_bps": 0,
            "tx_bps": 0,
            "gpus": {},
            "replica": replica,
        }
        yield b"event: metric\ndata: " + json.dumps(value).encode() + b"\n\n"
        hub.stopping.wait(hub.state.settings.metric_interval)
