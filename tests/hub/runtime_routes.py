# SPDX-License-Identifier: Apache-2.0
"""Runtime of a Space over HTTP: state, pause, restart, sleep time, replicas, dev mode, storage."""

from .core import HttpError, Response, route
from .state import ANONYMOUS_TEXT

QUOTA_TEXT = (
    "You've reached your cpu-basic quota limit, please upgrade your account, or pause your previous Spaces "
    "to restart this one"
)


def live_space(ctx, ns, name, oauth_refused=False):
    """The Space for a change of its runtime: not for static ones, and not always for OAuth tokens."""
    if oauth_refused and ctx.caller.token is not None and ctx.caller.token.kind == "oauth":
        raise HttpError(401, ANONYMOUS_TEXT, message_header=True)
    space = ctx.space(ns, name, "write")
    if space.sdk == "static":
        raise HttpError(400, "This operation is not available for static Spaces")
    return space


@route("GET", "/api/spaces/{ns}/{name}/runtime")
def runtime(ctx, ns, name):
    return Response.json(ctx.space(ns, name).runtime.describe(ctx.caller))


@route("POST", "/api/spaces/{ns}/{name}/pause")
def pause(ctx, ns, name):
    space = live_space(ctx, ns, name)
    space.counts["pauses"] += 1
    space.runtime.pause()
    return Response.json(space.runtime.describe(ctx.caller))


@route("POST", "/api/spaces/{ns}/{name}/restart")
def restart(ctx, ns, name):
    space = live_space(ctx, ns, name, oauth_refused=True)
    if space.runtime.over_quota():
        raise HttpError(403, QUOTA_TEXT)
    space.runtime.restart("factory" if ctx.request.arg("factory") in ("true", "True", "1") else "restart")
    return Response.json(space.runtime.describe(ctx.caller))


@route("POST", "/api/spaces/{ns}/{name}/sleeptime")
def sleeptime(ctx, ns, name):
    space = live_space(ctx, ns, name, oauth_refused=True)
    seconds = ctx.request.json().get("seconds")
    if not isinstance(seconds, int) or (seconds <= 0 and seconds != -1):
        raise HttpError(400, '"seconds" must be greater than 0, or -1')
    if space.hardware == "cpu-basic":
        if ctx.settings.sleeptime_basic_refused:
            raise HttpError(400, "The sleep time of cpu-basic cannot be changed")
    else:
        space.sleep_seconds = None if seconds == -1 else seconds
    return Response.json(space.runtime.describe(ctx.caller))


@route("POST", "/api/spaces/{ns}/{name}/replicas")
def replicas(ctx, ns, name):
    space = live_space(ctx, ns, name)
    number = ctx.request.json().get("replicas")
    if not isinstance(number, int) or not 1 <= number <= 10:
        raise HttpError(400, '"replicas" must be a number from 1 to 10')
    if space.hardware == "cpu-basic":
        raise HttpError(400, "Replicas are available on paid hardware only")
    space.replicas = number
    space.runtime.restart("replicas")
    return Response.json(space.runtime.describe(ctx.caller))


@route("POST", "/api/spaces/{ns}/{name}/dev-mode")
def dev_mode(ctx, ns, name):
    space = live_space(ctx, ns, name)
    enabled = ctx.request.json().get("enabled")
    if not isinstance(enabled, bool):
        raise HttpError(400, '"enabled" must be a boolean')
    if enabled and ctx.settings.enforce_plan and ctx.state.accounts[space.owner].plan == "free":
        raise HttpError(402, "Dev mode requires a PRO subscription")
    space.dev_mode = enabled
    return Response.json(space.runtime.describe(ctx.caller))


@route("POST|DELETE", "/api/spaces/{ns}/{name}/storage")
def storage(ctx, ns, name):
    space = live_space(ctx, ns, name)
    if ctx.settings.storage_routes == "gone":
        raise HttpError(410, "Persistent storage is no longer available, mount a Storage Bucket instead")
    if ctx.request.method == "POST":
        tier = ctx.request.json().get("tier")
        if tier not in ("small", "medium", "large"):
            raise HttpError(400, 'Invalid option: expected one of "small"|"medium"|"large"')
        space.storage = tier
    else:
        space.storage = None
    space.runtime.restart("storage")
    return Response.json(space.runtime.describe(ctx.caller))
