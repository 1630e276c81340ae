# SPDX-License-Identifier: Apache-2.0
"""The greeting example as a ZenML pipeline."""
from typing import Annotated

from zenml import pipeline, step


@step
def greet(name: str) -> Annotated[str, "greeting"]:
    """The greeting itself."""
    return f"Hello, {name}!"


@step
def count(text: str) -> Annotated[int, "length"]:
    """How many characters it has."""
    return len(text)


@pipeline
def my_pipeline(name: str = "world"):
    """Greets somebody and counts the characters of the greeting."""
    text = greet(name)
    return text, count(text)
