# SPDX-License-Identifier: Apache-2.0
"""Pipelines whose work grows: by the size of the input, by the number of steps."""
from kourou import pipeline, step


@step
def measure(text: str) -> int:
    return len(text)


@step
def add_one(value: int) -> int:
    return value + 1


def chain(value, count):
    for _ in range(count):
        value = add_one(value)
    return value


@pipeline
def size(text: str = ""):
    return measure(text)


@pipeline
def steps1(start: int = 0):
    return chain(start, 1)


@pipeline
def steps10(start: int = 0):
    return chain(start, 10)


@pipeline
def steps100(start: int = 0):
    return chain(start, 100)
