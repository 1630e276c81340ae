# SPDX-License-Identifier: Apache-2.0
"""The same steps and models in LitServe: `peer_litserve.py PORT`. One server process and one worker, as it does by default."""
import sys
import time
import uuid
from pathlib import Path

import litserve

sys.path.insert(0, str(Path(__file__).resolve().parent))
from peers import InvokeRequest, InvokeResponse, Metadata, Outputs, clean, greet  # noqa: E402


class Greeter(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request: InvokeRequest, **_):
        return request

    def predict(self, request, **_):
        started = time.perf_counter()
        run = str(uuid.uuid4())
        greeting = greet(clean(request.parameters.person))
        return InvokeResponse(
            success=True, outputs=Outputs(greeting=greeting), execution_time=time.perf_counter() - started,
            metadata=Metadata(deployment_id=None, run_id=run, run_name=request.run_name or "bench-" + run[:8],
                              parameters_used=request.parameters))

    def encode_response(self, output, **_) -> InvokeResponse:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Greeter(api_path="/invoke"), accelerator="cpu", devices=1, workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="error", access_log=False,
               generate_client_file=False)
