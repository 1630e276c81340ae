# SPDX-License-Identifier: Apache-2.0
"""What Kourou is compared with: the same steps and models in FastAPI."""
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


class TextParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = ""


class CountParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    start: int = 0


class TextRequest(BaseModel):
    parameters: TextParameters
    run_name: str | None = None
    timeout: float | None = None
    skip_artifact_materialization: bool = False


class CountRequest(BaseModel):
    parameters: CountParameters
    run_name: str | None = None
    timeout: float | None = None
    skip_artifact_materialization: bool = False


def add_one(value: int) -> int:
    return value + 1


class Number(BaseModel):
    output: int


class TextMetadata(BaseModel):
    deployment_id: str | None
    run_id: str
    run_name: str
    parameters_used: TextParameters


class CountMetadata(BaseModel):
    deployment_id: str | None
    run_id: str
    run_name: str
    parameters_used: CountParameters


class TextResponse(BaseModel):
    success: bool
    outputs: Number
    execution_time: float
    metadata: TextMetadata
    error: str | None = None


class CountResponse(BaseModel):
    success: bool
    outputs: Number
    execution_time: float
    metadata: CountMetadata
    error: str | None = None


@app.post("/size")
async def size(request: TextRequest) -> TextResponse:
    started = time.perf_counter()
    run = str(uuid.uuid4())
    length = len(request.parameters.text)
    return TextResponse(
        success=True, outputs=Number(output=length), execution_time=time.perf_counter() - started,
        metadata=TextMetadata(deployment_id=None, run_id=run, run_name=request.run_name or "bench-" + run[:8],
                              parameters_used=request.parameters))


@app.post("/steps/{count}")
async def steps(count: int, request: CountRequest) -> CountResponse:
    started = time.perf_counter()
    run = str(uuid.uuid4())
    value = request.parameters.start
    for _ in range(count):
        value = add_one(value)
    return CountResponse(
        success=True, outputs=Number(output=value), execution_time=time.perf_counter() - started,
        metadata=CountMetadata(deployment_id=None, run_id=run, run_name=request.run_name or "bench-" + run[:8],
                               parameters_used=request.parameters))
