# SPDX-License-Identifier: Apache-2.0
"""What Kourou is compared with: the same work in a bare ASGI function, without a framework."""
import json
import time
import uuid


def handle(path, body):
    """The same work without validation and without models."""
    started = time.perf_counter()
    request = json.loads(body)
    p = request["parameters"]
    run = str(uuid.uuid4())
    if path == "/invoke":
        person = p["person"]
        text = f"Hello {person['name'].strip().title()}, you are {person['age']}"
        out = {"text": text, "length": len(text)}
    else:
        out = f"Hello {p['name'].strip().title()}, you are {p['age']}"
    return json.dumps({
        "success": True, "outputs": {"greeting": out}, "execution_time": time.perf_counter() - started,
        "metadata": {"deployment_id": None, "run_id": run, "run_name": request.get("run_name") or "bench-" + run[:8],
                     "parameters_used": p}, "error": None}).encode()


HEADERS = [(b"content-type", b"application/json")]


async def bare(scope, receive, send):
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    data = b"null" if scope["path"] == "/health" else handle(scope["path"], body)
    await send({"type": "http.response.start", "status": 200,
                "headers": [*HEADERS, (b"content-length", str(len(data)).encode())]})
    await send({"type": "http.response.body", "body": data})
