# SPDX-License-Identifier: Apache-2.0
"""The pipeline of the benchmark: two steps with typed inputs that are models."""
from typing import Annotated

from kourou import pipeline, step

from people import Greeting, Person


@step
def clean(person: Person) -> Annotated[Person, "cleaned"]:
    return Person(name=person.name.strip().title(), age=person.age, tags=person.tags)


@step
def greet(cleaned: Person) -> Annotated[Greeting, "greeting"]:
    text = f"Hello {cleaned.name}, you are {cleaned.age}"
    return Greeting(text=text, length=len(text))


@pipeline
def models(person: Person = Person(name="you", age=1)):
    return greet(clean(person))
