# SPDX-License-Identifier: Apache-2.0
"""Secrets, variables and volumes of a Space."""

import re

from .core import HttpError, Response, route
from .state import iso

KEY = re.compile(r"[a-zA-Z][_a-zA-Z0-9]*")
VOLUME_TYPES = ("bucket", "model", "dataset", "space")


def check_key(key):
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise HttpError(400, f'Invalid key "{key}": it must match /^[a-zA-Z][_a-zA-Z0-9]*$/')


def stored(item, old):
    """What is kept of a key; a description that is not given again stays."""
    description = item.get("description") if item.get("description") is not None else (old or {}).get("description")
    kept = {"value": item.get("value") or "", "updatedAt": iso()}
    return {**kept, "description": description} if description is not None else kept


def _body(ctx):
    body = ctx.request.json()
    check_key(body.get("key"))
    if ctx.request.method == "POST" and not isinstance(body.get("value", ""), str):
        raise HttpError(400, '"value" must be a string')
    return body


def _change(ctx, space, table, what):
    body = _body(ctx)
    with space.lock:
        if ctx.request.method == "POST":
            table[body["key"]] = stored(body, table.get(body["key"]))
            changed = True
        else:
            changed = table.pop(body["key"], None) is not None
    if changed:
        space.counts[f"{what}_changes"] += 1
        space.runtime.restart(what)


@route("POST|DELETE", "/api/spaces/{ns}/{name}/secrets")
def change_secret(ctx, ns, name):
    space = ctx.space(ns, name, "write")
    _change(ctx, space, space.secrets, "secret")
    return Response.json({})


@route("GET", "/api/spaces/{ns}/{name}/secrets")
def secrets(ctx, ns, name):
    space = ctx.space(ns, name, "write")
    return Response.json(
        {
            key: {"key": key, **{field: value[field] for field in ("description", "updatedAt") if field in value}}
            for key, value in space.secrets.items()
        }
    )


@route("POST|DELETE", "/api/spaces/{ns}/{name}/variables")
def change_variable(ctx, ns, name):
    space = ctx.space(ns, name, "write")
    _change(ctx, space, space.variables, "variable")
    return Response.json(_variables(space))


@route("GET", "/api/spaces/{ns}/{name}/variables")
def variables(ctx, ns, name):
    return Response.json(_variables(ctx.space(ns, name)))


def _variables(space):
    return {key: {"key": key, **value} for key, value in space.variables.items()}


def check_volumes(volumes):
    if not isinstance(volumes, list) or not volumes:
        raise HttpError(400, '"volumes" needs at least one entry')
    out = []
    for item in volumes:
        if not isinstance(item, dict) or item.get("type") not in VOLUME_TYPES:
            raise HttpError(400, f'"type" of a volume must be one of {", ".join(VOLUME_TYPES)}')
        if not isinstance(item.get("source"), str) or "/" not in item["source"]:
            raise HttpError(400, '"source" of a volume must have the form owner/name')
        if not str(item.get("mountPath", "")).startswith("/"):
            raise HttpError(400, '"mountPath" of a volume must begin with /')
        out.append(
            {
                **{
                    key: item[key]
                    for key in ("type", "source", "mountPath", "revision", "path")
                    if item.get(key) is not None
                },
                "readOnly": item.get("readOnly", item["type"] != "bucket") or item["type"] != "bucket",
            }
        )
    if len({item["mountPath"] for item in out}) != len(out):
        raise HttpError(400, '"mountPath" of volumes must be unique')
    return out


@route("PUT|DELETE", "/api/spaces/{ns}/{name}/volumes")
def volumes(ctx, ns, name):
    from .runtime_routes import live_space

    space = live_space(ctx, ns, name)
    if ctx.request.method == "PUT":
        space.volumes = check_volumes(ctx.request.json().get("volumes"))
    else:
        space.volumes = None
    space.runtime.restart("volumes")
    return Response.json(space.runtime.describe(ctx.caller))
