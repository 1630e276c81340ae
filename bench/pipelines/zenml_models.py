# SPDX-License-Identifier: Apache-2.0
"""The pipeline of the benchmark as ZenML wants it: the same two steps and the same models as bench_pipeline."""
from typing import Annotated

from zenml import pipeline, step
from zenml.config import DeploymentSettings

from people import Greeting, Person


@step(enable_cache=False)
def clean(person: Person) -> Annotated[Person, "cleaned"]:
    return Person(name=person.name.strip().title(), age=person.age, tags=person.tags)


@step(enable_cache=False)
def greet(cleaned: Person) -> Annotated[Greeting, "greeting"]:
    text = f"Hello {cleaned.name}, you are {cleaned.age}"
    return Greeting(text=text, length=len(text))


@step(enable_cache=False)
def busy(count: int) -> Annotated[int, "total"]:
    return sum(range(count))


SETTINGS = {"deployment": DeploymentSettings(uvicorn_kwargs={"access_log": False}, log_level=40)}


@pipeline(settings=SETTINGS, enable_cache=False)
def models(person: Person = Person(name="you", age=1)):
    return greet(clean(person))


@pipeline(settings=SETTINGS, enable_cache=False)
def spin(count: int = 1):
    return busy(count)
