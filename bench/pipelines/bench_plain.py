# SPDX-License-Identifier: Apache-2.0
"""The same as bench_pipeline with built-in types only, so that nothing needs pydantic."""
from kourou import pipeline, step


@step
def clean(name: str) -> str:
    return name.strip().title()


@step
def greet(cleaned: str, age: int) -> str:
    return f"Hello {cleaned}, you are {age}"


@step
def busy(count: int) -> int:
    return sum(range(count))


@pipeline
def plain(name: str = "you", age: int = 1):
    return greet(clean(name), age)


@pipeline
def spin(count: int = 1):
    return busy(count)
