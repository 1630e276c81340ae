# SPDX-License-Identifier: Apache-2.0
"""The models that Kourou and its peers take and return."""
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int
    tags: list[str] = []


class Greeting(BaseModel):
    text: str
    length: int
