# SPDX-License-Identifier: Apache-2.0
"""The same steps and models in BentoML, one worker."""
import time
import uuid

import bentoml
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


class Outputs(BaseModel):
    greeting: Greeting


class Metadata(BaseModel):
    deployment_id: str | None
    run_id: str
    run_name: str
    parameters_used: Parameters


class InvokeResponse(BaseModel):
    success: bool
    outputs: Outputs
    execution_time: float
    metadata: Metadata
    error: str | None = None


def clean(person: Person) -> Person:
    return Person(name=person.name.strip().title(), age=person.age, tags=person.tags)


def greet(cleaned: Person) -> Greeting:
    text = f"Hello {cleaned.name}, you are {cleaned.age}"
    return Greeting(text=text, length=len(text))


@bentoml.service(workers=1, metrics={"enabled": False})
class Greeter:
    @bentoml.api
    async def invoke(self, parameters: Parameters) -> InvokeResponse:
        started = time.perf_counter()
        run = str(uuid.uuid4())
        greeting = greet(clean(parameters.person))
        return InvokeResponse(
            success=True, outputs=Outputs(greeting=greeting), execution_time=time.perf_counter() - started,
            metadata=Metadata(deployment_id=None, run_id=run, run_name="bench-" + run[:8], parameters_used=parameters))
