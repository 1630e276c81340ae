# SPDX-License-Identifier: Apache-2.0
"""Who the token belongs to."""

from .core import HttpError, Response, route
from .state import iso


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
