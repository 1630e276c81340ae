# SPDX-License-Identifier: Apache-2.0
"""Numbers and the order of parameters are those of the pipeline, from the first line that is shown to the answer."""
import json
import urllib.request

MODULE = '''\
from typing import List

from kourou import pipeline, step
from pydantic import BaseModel


class Point(BaseModel):
    y: float = 0.1
    x: float = 0.7


@step
def add(zeta: int, alpha: float, many: List[int], point: Point) -> list:
    return [zeta + 1, alpha, sum(many), point.x]


@pipeline
def my_pipeline(zeta: int = 2**63, alpha: float = 0.7, many: List[int] = [2**64], point: Point = Point()) -> list:
    return add(zeta, alpha, many, point)


@step
def count(n: int) -> int:
    return n + 1


@pipeline
def counter(n: int = 2**63) -> int:
    return count(n)
'''
NAMES = ["zeta", "alpha", "many", "point"]


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def in_order(text, words):
    places = [text.index(word) for word in words]
    assert places == sorted(places), text


def test_what_is_shown(project):
    project.write(MODULE)
    said = project.run("pipeline", "deploy", "--name", "numbers", "my_module.my_pipeline").stdout
    assert "0.69999" not in said and "0.7" in said and str(2 ** 63) in said
    in_order(said[said.index("invoke numbers"):], [f"--{name}" for name in NAMES])

    row = json.loads(project.run("deployment", "describe", "numbers", "-o", "json").stdout)
    url = row["url"].rstrip("/")
    document = get(url + "/openapi.json")
    schemas = json.loads(document)["components"]["schemas"]
    (inputs,) = [s for s in schemas.values() if list(s.get("properties", {})) == NAMES]
    assert inputs["properties"]["zeta"]["default"] == 2 ** 63 and inputs["properties"]["many"]["default"] == [2 ** 64]
    assert f'"default":{2 ** 63}' in document and '"default":0.7' in document
    shown = project.run("deployment", "describe", "numbers", "--show-schema").stdout
    in_order(shown[shown.index('"properties"'):], [f'"{name}"' for name in NAMES])

    def invoke(*args):
        return json.loads(project.run("deployment", "invoke", "numbers", *args).stdout)["outputs"]

    assert list(invoke().values()) == [[2 ** 63 + 1, 0.7, 2 ** 64, 0.7]]
    assert list(invoke(f"--zeta={-2 ** 70}", f"--many=[{2 ** 65}]", "--alpha=0.1", '--point={"x": 0.3}').values()) == [
        [-2 ** 70 + 1, 0.1, 2 ** 65, 0.3]]
    assert str(-2 ** 70 + 1) in project.run("deployment", "invoke", "numbers", f"--zeta={-2 ** 70}").stdout
    project.run("deployment", "delete", "numbers", "--yes")


def test_arguments_that_the_server_reads(project):
    project.write(MODULE)
    project.run("pipeline", "deploy", "--name", "counter", "my_module.counter")
    for n in (2 ** 63 - 1, 2 ** 63, -2 ** 63, -2 ** 63 - 1, 10 ** 40):
        answer = json.loads(project.run("deployment", "invoke", "counter", f"--n={n}").stdout)
        assert answer["outputs"] == {"output": n + 1} and answer["metadata"]["parameters_used"] == {"n": n}
    answer = json.loads(project.run("deployment", "invoke", "counter").stdout)
    assert answer["outputs"] == {"output": 2 ** 63 + 1}
    project.run("deployment", "delete", "counter", "--yes")
