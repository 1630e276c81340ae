# SPDX-License-Identifier: Apache-2.0
"""Who the token belongs to."""

import secrets
import time
import urllib.parse

from .core import HttpError, Response, route
from .state import Token, iso

DEVICE_CLIENT = "26be6b09-91c5-47da-9861-d2d2bb7a7e36"


@route("GET", "/api/whoami-v2")
def whoami(ctx):
    if ctx.caller.user is None:
        raise HttpError(401, "Invalid username or password.", message_header=True)
    limit = ctx.settings.whoami_quota
    with ctx.state.lock:
        ctx.state.counters[f"whoami {ctx.caller.token.name}"] += 1
        if limit is not None and ctx.state.counters[f"whoami {ctx.caller.token.name}"] > limit:
            raise HttpError(
                429,
                "You've hit the rate limit of this endpoint (/whoami-v2). Please cache its answer.",
                headers=[("RateLimit", '"api";r=0;t=30')],
            )
    token, user = ctx.caller.token, ctx.state.accounts[ctx.caller.user]
    answer = {
        "type": "user",
        "id": user.id,
        "name": user.name,
        "fullname": user.fullname or user.name.title(),
        "email": user.email or f"{user.name}@example.org",
        "emailVerified": True,
        "canPay": user.can_pay,
        "billingMode": "prepaid",
        "periodEnd": 1893456000,
        "isPro": user.plan == "pro",
        "avatarUrl": f"{ctx.base}/avatars/{user.id}.svg",
        "orgs": [
            org(ctx, account, account.members[user.name])
            for account in ctx.state.accounts.values()
            if account.kind == "org" and user.name in account.members
        ],
        "auth": auth(token),
    }
    return Response.json(answer)


def org(ctx, account, role):
    answer = {
        "type": "org",
        "id": account.id,
        "name": account.name,
        "fullname": account.fullname or account.name.title(),
        "email": None,
        "canPay": account.can_pay,
        "billingMode": "postpaid",
        "periodEnd": None,
        "avatarUrl": f"{ctx.base}/avatars/{account.id}.svg",
        "roleInOrg": role,
    }
    if account.plan != "free":
        answer["plan"] = account.plan
    if account.restrictions:
        answer["securityRestrictions"] = account.restrictions
    if account.resource_groups:
        answer["resourceGroups"] = account.resource_groups
    return answer


def auth(token):
    if token.kind == "oauth":
        return {"type": "oauth", "expiresAt": iso(token.expires) if token.expires else "2099-01-01T00:00:00.000Z"}
    access = {"displayName": token.name, "role": token.role, "createdAt": token.created}
    if token.role == "fineGrained":
        access["fineGrained"] = {"scoped": token.scoped, "global": [], "canReadGatedRepos": False}
    answer = {"type": "access_token", "accessToken": access}
    if token.expires:
        answer["expiresAt"] = iso(token.expires)
    return answer


@route("POST", "/oauth/token")
def oauth_token(ctx):
    """A refresh token for a new access token of the same login."""
    form = dict(urllib.parse.parse_qsl(ctx.request.body().decode()))

    def refuse(code, text):
        raise HttpError(400, code, body={"error": code, "error_description": text})

    if form.get("grant_type") != "refresh_token":
        refuse("unsupported_grant_type", "This Hub refreshes logins only")
    if form.get("client_id") != DEVICE_CLIENT:
        refuse("invalid_client", "Unknown client")
    with ctx.state.lock:
        ctx.state.counters["logins refreshed"] += 1
        value = ctx.state.logins.get(form.get("refresh_token"))
        old = ctx.state.tokens.get(value)
        if old is None:
            refuse("invalid_grant", "The refresh token is expired or revoked")
        lasts = ctx.settings.oauth_expires_in
        fresh = Token(f"hf_oauth_{secrets.token_hex(16)}", f"{old.name}+", old.user, old.role, "oauth",
                      expires=time.time() + lasts)
        ctx.state.tokens[fresh.value] = fresh
        answer = {"access_token": fresh.value, "token_type": "bearer", "expires_in": lasts}
        if ctx.settings.oauth_rotates:
            ctx.state.logins[form["refresh_token"]] = None
            answer["refresh_token"] = f"hf_refresh_{secrets.token_hex(16)}"
            ctx.state.logins[answer["refresh_token"]] = fresh.value
        else:
            ctx.state.logins[form["refresh_token"]] = fresh.value
    return Response.json(answer)
