# SPDX-License-Identifier: Apache-2.0
"""A pipeline that serves the applications of peerapp.py beside it."""
import peerapp
from kourou import DeploymentSettings, EndpointSpec, pipeline, step

star, fast = peerapp.star, peerapp.fast


@step
def work(x: int) -> int:
    return x


@pipeline(settings={"deployment": DeploymentSettings(custom_endpoints=[
    EndpointSpec(path="/fast", method="GET", handler=fast, auth_required=False),
    EndpointSpec(path="/", method="GET", handler="peerapp.star", auth_required=False),
])})
def served(x: int = 1):
    return work(x)
