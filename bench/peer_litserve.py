# SPDX-License-Identifier: Apache-2.0
"""The same steps and models in LitServe: `peer_litserve.py PORT`. One server process and one worker, as it does by default."""
import sys

import litserve

import envelope
from envelope import InvokeRequest, InvokeResponse


class Greeter(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request: InvokeRequest, **_):
        return request

    def predict(self, request, **_):
        return envelope.invoke(request.parameters, request.run_name)

    def encode_response(self, output, **_) -> InvokeResponse:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Greeter(api_path="/invoke"), accelerator="cpu", devices=1, workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="error", access_log=False,
               generate_client_file=False)
