# SPDX-License-Identifier: Apache-2.0
"""The hardware that Spaces can run on."""

from .core import HttpError, Response, route

# name: (pretty name, vCPU, RAM GB, accelerator model, number, memory GB, USD per hour); listed only when it has a price
_ROWS = """
cpu-basic|CPU Basic|2|16||||0
cpu-upgrade|CPU Upgrade|8|32||||0.03
t4-small|Nvidia T4 - small|4|15|T4|1|16|0.40
t4-medium|Nvidia T4 - medium|8|30|T4|1|16|0.60
l4x1|1x Nvidia L4|8|30|L4|1|24|0.80
l4x4|4x Nvidia L4|48|186|L4|4|96|3.80
l40sx1|1x Nvidia L40S|8|62|L40S|1|48|1.80
l40sx4|4x Nvidia L40S|48|382|L40S|4|192|8.30
l40sx8|8x Nvidia L40S|192|1534|L40S|8|384|23.50
a10g-small|Nvidia A10G - small|4|15|A10G|1|24|1.00
a10g-large|Nvidia A10G - large|12|46|A10G|1|24|1.50
a10g-largex2|2x Nvidia A10G - large|24|92|A10G|2|48|3.00
a10g-largex4|4x Nvidia A10G - large|48|184|A10G|4|96|5.00
a100-large|Nvidia A100 - large|12|142|A100|1|80|2.50
a100x4|4x Nvidia A100|48|568|A100|4|320|10.00
a100x8|8x Nvidia A100|96|1136|A100|8|640|20.00
""".strip().splitlines()
FLAVORS = {row.split("|")[0]: row.split("|") for row in _ROWS}
UNLISTED = """cpu-performance cpu-xl sprx8 zero-a10g zerogpu h200 h200x2 h200x4 h200x8 rtx-pro-6000 rtx-pro-6000x2
rtx-pro-6000x4 rtx-pro-6000x8 inf2x6""".split()
for _name in UNLISTED:
    FLAVORS.setdefault(_name, None)


def described(row):
    name, pretty, cpu, ram, model, number, memory, price = row
    accelerator = None
    if model:
        accelerator = {
            "type": "gpu",
            "model": model,
            "quantity": number,
            "vram": f"{memory} GB",
            "manufacturer": "Nvidia",
        }
    micro = round(float(price) * 1_000_000 / 60)
    return {
        "name": name,
        "prettyName": pretty,
        "cpu": f"{cpu} vCPU",
        "ram": f"{ram} GB",
        "accelerator": accelerator,
        "unitCostMicroUSD": micro,
        "unitCostUSD": micro / 1_000_000,
        "unitLabel": "minute",
    }


@route("GET", "/api/spaces/hardware")
def hardware_list(ctx):
    return Response.json([described(row) for row in FLAVORS.values() if row])


@route("POST", "/api/spaces/{ns}/{name}/hardware")
def request_hardware(ctx, ns, name):
    from .runtime_routes import live_space

    space = live_space(ctx, ns, name, oauth_refused=True)
    body = ctx.request.json()
    flavor, sleep = body.get("flavor"), body.get("sleepTimeSeconds")
    if flavor not in FLAVORS:
        raise HttpError(400, f'Invalid option: "{flavor}" is not a hardware flavor')
    if sleep is not None and (not isinstance(sleep, int) or (sleep <= 0 and sleep != -1)):
        raise HttpError(400, '"sleepTimeSeconds" must be greater than 0, or -1')
    account = ctx.state.accounts[space.owner]
    if (
        flavor == "cpu-basic"
        and space.hardware != flavor
        and (ctx.settings.downgrade_402 or (ctx.settings.enforce_plan and account.plan == "free"))
    ):
        raise HttpError(402, "Without a PRO subscription, you can't downgrade this Space to cpu-basic.")
    if flavor != "cpu-basic" and (ctx.settings.require_payment or not account.can_pay):
        raise HttpError(
            403,
            "You must add a payment method to your account to upgrade your space's hardware. "
            "See https://huggingface.co/settings/billing",
        )
    changed = flavor != space.hardware
    space.hardware = flavor
    if sleep is not None:
        space.sleep_seconds = None if sleep == -1 else sleep
    elif flavor == "cpu-basic":
        space.sleep_seconds = 172800
    elif changed:
        space.sleep_seconds = None
    space.runtime.restart("hardware")
    return Response.json(space.runtime.describe(ctx.caller))
