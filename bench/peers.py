# SPDX-License-Identifier: Apache-2.0
"""What Kourou is compared with: the same steps and models in FastAPI."""
import time

from fastapi import FastAPI
from pydantic import BaseModel

import envelope
from envelope import InvokeRequest, InvokeResponse, Metadata, Request, Response, Strict, respond

app = FastAPI()


@app.post("/invoke")
async def invoke(request: InvokeRequest) -> InvokeResponse:
    return envelope.invoke(request.parameters, request.run_name)


class PlainParameters(Strict):
    name: str = "you"
    age: int = 1


class PlainOutputs(BaseModel):
    greeting: str


PlainMetadata = Metadata[PlainParameters]
PlainResponse = Response[PlainParameters, PlainOutputs]


@app.post("/plain")
async def plain(request: Request[PlainParameters]) -> PlainResponse:
    started = time.perf_counter()
    p = request.parameters
    greeting = f"Hello {p.name.strip().title()}, you are {p.age}"
    return respond(PlainResponse, PlainMetadata, p, request.run_name, PlainOutputs(greeting=greeting), started)


@app.post("/spin")
async def spin(count: int) -> int:
    return sum(range(count))


@app.get("/health")
async def health() -> None:
    return None


class Number(BaseModel):
    output: int


class TextParameters(Strict):
    text: str = ""


TextMetadata = Metadata[TextParameters]
TextResponse = Response[TextParameters, Number]


@app.post("/size")
async def size(request: Request[TextParameters]) -> TextResponse:
    started = time.perf_counter()
    output = Number(output=len(request.parameters.text))
    return respond(TextResponse, TextMetadata, request.parameters, request.run_name, output, started)


def add_one(value: int) -> int:
    return value + 1


class CountParameters(Strict):
    start: int = 0


CountMetadata = Metadata[CountParameters]
CountResponse = Response[CountParameters, Number]


@app.post("/steps/{count}")
async def steps(count: int, request: Request[CountParameters]) -> CountResponse:
    started = time.perf_counter()
    value = request.parameters.start
    for _ in range(count):
        value = add_one(value)
    return respond(CountResponse, CountMetadata, request.parameters, request.run_name, Number(output=value), started)
