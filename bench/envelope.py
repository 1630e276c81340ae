# SPDX-License-Identifier: Apache-2.0
"""What the peers with pydantic have in common: the two steps, and requests and answers with the fields of Kourou's."""
import time
import uuid
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from pipelines.people import Greeting, Person

Arguments = TypeVar("Arguments")
Results = TypeVar("Results")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Request(BaseModel, Generic[Arguments]):
    parameters: Arguments
    run_name: str | None = None
    timeout: float | None = None
    skip_artifact_materialization: bool = False


class Metadata(BaseModel, Generic[Arguments]):
    deployment_id: str | None
    run_id: str
    run_name: str
    parameters_used: Arguments


class Response(BaseModel, Generic[Arguments, Results]):
    success: bool
    outputs: Results
    execution_time: float
    metadata: Metadata[Arguments]
    error: str | None = None


class Parameters(Strict):
    person: Person = Person(name="you", age=1)


class Outputs(BaseModel):
    greeting: Greeting


class InvokeRequest(Request[Parameters]):
    pass


class InvokeMetadata(Metadata[Parameters]):
    pass


class InvokeResponse(Response[Parameters, Outputs]):
    pass


def clean(person: Person) -> Person:
    return Person(name=person.name.strip().title(), age=person.age, tags=person.tags)


def greet(cleaned: Person) -> Greeting:
    text = f"Hello {cleaned.name}, you are {cleaned.age}"
    return Greeting(text=text, length=len(text))


def respond(response, metadata, parameters, run_name, outputs, started):
    """An answer of the class `response` with metadata of the class `metadata`; `started` by time.perf_counter()."""
    run = str(uuid.uuid4())
    about = metadata(deployment_id=None, run_id=run, run_name=run_name or "bench-" + run[:8],
                     parameters_used=parameters)
    return response(success=True, outputs=outputs, execution_time=time.perf_counter() - started, metadata=about)


def invoke(parameters, run_name=None) -> InvokeResponse:
    """Both steps."""
    started = time.perf_counter()
    outputs = Outputs(greeting=greet(clean(parameters.person)))
    return respond(InvokeResponse, InvokeMetadata, parameters, run_name, outputs, started)
