# SPDX-License-Identifier: Apache-2.0
"""`deployment invoke`: values typed by the schema, problems found before anything is sent."""
import json

import pytest

TYPED = '''\
from typing import Any, Dict, List, Literal, Optional, Union

from kourou import pipeline, step
from pydantic import BaseModel


class Point(BaseModel):
    x: float
    y: float = 0.0


@step
def tell(values: Dict[str, Any]) -> Dict[str, Any]:
    return values


@step
def collect(count: int, share: float, loud: bool, mood: Literal["good", "bad"], tags: List[str], point: Optional[Point],
            limit: Optional[int], either: Union[int, str], text: str) -> Dict[str, Any]:
    return {"count": count, "share": share, "loud": loud, "mood": mood, "tags": tags,
            "point": point.model_dump() if point else None, "limit": limit, "either": either, "text": text}


@pipeline
def my_pipeline(count: int, share: float = 0.5, loud: bool = False, mood: Literal["good", "bad"] = "good",
                tags: List[str] = [], point: Optional[Point] = None, limit: Optional[int] = 7,
                either: Union[int, str] = 0, text: str = "") -> Dict[str, Any]:
    return collect(count, share, loud, mood, tags, point, limit, either, text)
'''


@pytest.fixture
def typed(project):
    project.write(TYPED)
    project.deploy()
    return project


def test_values_are_typed_by_the_schema(typed):
    out = typed.output("app", "--count=3", "--share=0.25", "--loud=yes", "--mood=bad", '--tags=["a","b"]', '--point={"x":1.5}',
                       "--limit=null", "--either=12", "--text=12")
    assert out == {"count": 3, "share": 0.25, "loud": True, "mood": "bad", "tags": ["a", "b"],
                   "point": {"x": 1.5, "y": 0.0}, "limit": None, "either": 12, "text": "12"}
    assert typed.output("app", "--count=1", "--either=word")["either"] == "word"


@pytest.mark.parametrize("argument, words", [
    ("--count=many", ["'count'", "'many'", "an integer"]),
    ("--loud=maybe", ["'loud'", "true or false"]),
    ("--mood=mixed", ["'mood'", '["good","bad"]']),
    ("--tags=a", ["'tags'", "a JSON list"]),
    ("--limit=x", ["'limit'", "an integer or null"]),
    ("--cuont=1", ["unknown parameter 'cuont'", "did you mean 'count'?"]),
])
def test_wrong_values_are_named(typed, argument, words):
    arguments = [argument] if "count" in argument else ["--count=1", argument]
    failed = typed.run("deployment", "invoke", "app", *arguments, check=1)
    assert all(word in failed.stderr for word in words), failed.stderr
    assert typed.rows("pipeline", "runs") == []


def test_missing_parameters_are_listed(typed):
    failed = typed.run("deployment", "invoke", "app", "--share=1", check=1)
    assert "missing: 'count'" in failed.stderr


def test_what_the_server_refuses_is_named(typed):
    failed = typed.run("deployment", "invoke", "app", "--count=1", '--point={"z":1}', check=1)
    assert "422" in failed.stderr


def test_failed_pipeline_exits_1_with_its_answer(project):
    project.write("from kourou import pipeline, step\n\n\n@step\ndef fail(x: int) -> int:\n    raise ValueError('no luck')\n\n\n"
                  "@pipeline\ndef my_pipeline(x: int = 1) -> int:\n    return fail(x)\n")
    project.deploy()
    failed = project.run("deployment", "invoke", "app", check=1)
    answer = json.loads(failed.stdout)
    assert answer["success"] is False and "no luck" in answer["error"]


def test_timeout_is_the_servers_too(project):
    project.write("import time\nfrom kourou import pipeline, step\n\n\n@step\ndef wait(s: float) -> float:\n    time.sleep(s)\n    return s\n\n\n"
                  "@pipeline\ndef my_pipeline(s: float = 0.0) -> float:\n    return wait(s)\n")
    project.deploy()
    late = project.run("deployment", "invoke", "app", "--s=30", "--timeout", "1", check=1)
    assert "504" in late.stderr
    assert project.output() == 0.0


def test_unknown_deployment(project):
    failed = project.run("deployment", "invoke", "nothing", check=1)
    assert "nothing" in failed.stderr


def test_examples_work_as_shown(typed):
    import subprocess
    row = typed.row()
    done = subprocess.run(["sh", "-c", row["curl_example"]], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["success"] is True
    command = row["invoke_example"].replace("kourou", str(typed.build_dir / "kourou"), 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=typed.env)
    assert json.loads(done.stdout)["success"] is True, done.stderr
