# SPDX-License-Identifier: Apache-2.0
"""A pipeline of two steps: greets somebody and counts the letters."""

from typing import Annotated, Tuple

from kourou import pipeline, step


@step
def greet(name: str) -> Annotated[str, "greeting"]:
    """The greeting itself."""
    return f"Hello, {name}!"


@step
def count(text: str) -> Annotated[int, "length"]:
    """How many characters it has."""
    return len(text)


@pipeline
def my_pipeline(name: str = "world") -> Tuple[str, int]:
    """Greets somebody and counts the characters of the greeting."""
    text = greet(name)
    return text, count(text)


if __name__ == "__main__":
    print(my_pipeline(name="Ada"))
