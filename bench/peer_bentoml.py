# SPDX-License-Identifier: Apache-2.0
"""The same steps and models in BentoML, one worker."""
import bentoml

import envelope
from envelope import InvokeResponse, Parameters


@bentoml.service(workers=1, metrics={"enabled": False})
class Greeter:
    @bentoml.api
    async def invoke(self, parameters: Parameters) -> InvokeResponse:
        return envelope.invoke(parameters)
