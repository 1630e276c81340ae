# SPDX-License-Identifier: Apache-2.0
"""What Kourou is compared with: the same steps and models in FastAPI, and in a bare ASGI function."""
import json
import time
import uuid

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict


class Person(BaseModel):
    name: str
    age: int
    tags: list[str] = []


class Greeting(BaseModel):
    text: str
    length: int


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    person: Person = Person(name="you", age=1)


class InvokeRequest(BaseModel):
    parameters: Parameters
    run_name: str | None = None
    timeout: float | None = None
    skip_artifact_materialization: bool = False


class PlainParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = "you"
    age: int = 1


class PlainRequest(BaseModel):
    parameters: PlainParameters
    run_name: str | None = None
    timeout: float | None = None
    skip_artifact_materialization: bool = False


class Outputs(BaseModel):
    greeting: Greeting


class PlainOutputs(BaseModel):
    greeting: str


class Metadata(BaseModel):
    deployment_id: str | None
    run_id: str
    run_name: str
    parameters_used: Parameters


class PlainMetadata(BaseModel):
    deployment_id: str | None
    run_id: str
    run_name: str
    parameters_used: PlainParameters


class InvokeResponse(BaseModel):
    success: bool
    outputs: Outputs
    execution_time: float
    metadata: Metadata
    error: str | None = None


class PlainResponse(BaseModel):
    success: bool
    outputs: PlainOutputs
    execution_time: float
    metadata: PlainMetadata
    error: str | None = None


def clean(person: Person) -> Person:
    return Person(name=person.name.strip().title(), age=person.age, tags=person.tags)


def greet(cleaned: Person) -> Greeting:
    text = f"Hello {cleaned.name}, you are {cleaned.age}"
    return Greeting(text=text, length=len(text))


app = FastAPI()


@app.post("/invoke")
async def invoke(request: InvokeRequest) -> InvokeResponse:
    started = time.perf_counter()
    run = str(uuid.uuid4())
    greeting = greet(clean(request.parameters.person))
    return InvokeResponse(
        success=True, outputs=Outputs(greeting=greeting), execution_time=time.perf_counter() - started,
        metadata=Metadata(deployment_id=None, run_id=run, run_name=request.run_name or "bench-" + run[:8],
                          parameters_used=request.parameters))


@app.post("/plain")
async def plain(request: PlainRequest) -> PlainResponse:
    started = time.perf_counter()
    run = str(uuid.uuid4())
    p = request.parameters
    greeting = f"Hello {p.name.strip().title()}, you are {p.age}"
    return PlainResponse(
        success=True, outputs=PlainOutputs(greeting=greeting), execution_time=time.perf_counter() - started,
        metadata=PlainMetadata(deployment_id=None, run_id=run, run_name=request.run_name or "bench-" + run[:8],
                               parameters_used=p))


@app.post("/spin")
async def spin(count: int) -> int:
    return sum(range(count))


@app.get("/health")
async def health() -> None:
    return None


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
