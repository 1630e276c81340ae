# SPDX-License-Identifier: Apache-2.0
"""The Runner: what a deployment answers."""
import json
import os
import subprocess
import sys
import threading

import pytest

from tests.python.conftest import PYTHON, parse_event
from kourou.errors import LoadError

SCALARS = """
from typing import Annotated
from kourou import pipeline, step

@step
def greet(name: str, times: int, loud: bool) -> Annotated[str, "greeting"]:
    text = f"Hello {name}" * times
    return text.upper() if loud else text

@step
def half(x: float) -> Annotated[float, "half"]:
    return x / 2

@pipeline
def p(name: str, times: int = 1, loud: bool = False, x: float = 3):
    return greet(name, times, loud), half(x)
"""


def test_answer_of_an_invocation(project):
    ask = project.runner(SCALARS)
    status, document = ask(name='A"\\\u00e9\u4e2d', times=2)
    assert status == 200
    assert document.pop("execution_time") > 0
    assert document == {
        "success": True, "error": None, "outputs": {"greeting": 'Hello A"\\\u00e9\u4e2d' * 2, "half": 1.5},
        "metadata": {"deployment_id": "d1", "deployment_name": "dep", "snapshot_id": "s1", "snapshot_name": "50% snap",
                     "pipeline_name": "p", "run_id": ask.run_id, "run_name": "p-0d5ab4b8",
                     "parameters_used": {"name": 'A"\\\u00e9\u4e2d', "times": 2, "loud": False, "x": 3}}}


@pytest.mark.parametrize("parameters, expected", [
    ({"name": "a", "times": "2"}, "Hello aHello a"),
    ({"name": "a", "times": 2.0}, "Hello aHello a"),
    ({"name": "a", "loud": "yes"}, "HELLO A"),
    ({"name": "a", "loud": 1, "x": "4.5"}, "HELLO A"),
    ({"name": "a", "x": 10 ** 20}, "Hello a"),
])
def test_lax_conversions(project, parameters, expected):
    assert project.runner(SCALARS).outputs(**parameters)["greeting"] == expected


def test_types_that_do_not_fit_are_refused(project):
    ask = project.runner(SCALARS)
    found = ask.refused(name=3, times="z", loud="perhaps", x=None, q=1)
    assert sorted(found, key=lambda e: e["loc"] == ["body", "parameters", "q"]) == [  # its place differs by version
        {"type": "string_type", "loc": ["body", "parameters", "name"], "msg": "Input should be a valid string",
         "input": 3},
        {"type": "int_parsing", "loc": ["body", "parameters", "times"],
         "msg": "Input should be a valid integer, unable to parse string as an integer", "input": "z"},
        {"type": "bool_parsing", "loc": ["body", "parameters", "loud"],
         "msg": "Input should be a valid boolean, unable to interpret input", "input": "perhaps"},
        {"type": "float_type", "loc": ["body", "parameters", "x"], "msg": "Input should be a valid number",
         "input": None},
        {"type": "extra_forbidden", "loc": ["body", "parameters", "q"], "msg": "Extra inputs are not permitted",
         "input": 1}]
    assert ask.refused() == [
        {"type": "missing", "loc": ["body", "parameters", "name"], "msg": "Field required", "input": {}}]


@pytest.mark.parametrize("body, expected", [
    (b"", {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}),
    (b"{}", {"type": "missing", "loc": ["body", "parameters"], "msg": "Field required", "input": {}}),
    (b'{"parameters": ', {"type": "json_invalid", "loc": ["body", 15], "msg": "JSON decode error", "input": {},
                          "ctx": {"error": "Expecting value"}}),
    (b"\xff\xfe", {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {},
                   "ctx": {"error": "Invalid UTF-8"}}),
    (b"[1]", {"type": "model_attributes_type", "loc": ["body"], "input": [1],
              "msg": "Input should be a valid dictionary or object to extract fields from"}),
    (b'{"parameters": 3}', {"type": "model_attributes_type", "loc": ["body", "parameters"], "input": 3,
                            "msg": "Input should be a valid dictionary or object to extract fields from"}),
    (b'{"parameters": {"name": "a"}, "timeout": "soon"}',
     {"type": "float_type", "loc": ["body", "timeout"], "input": "soon", "msg": "Input should be a valid number"}),
    (b'{"parameters": {"name": "a"}, "skip_artifact_materialization": "yes"}',
     {"type": "bool_type", "loc": ["body", "skip_artifact_materialization"], "input": "yes",
      "msg": "Input should be a valid boolean"}),
    (b'{"parameters": {"name": "a"}, "run_name": 5}',
     {"type": "string_type", "loc": ["body", "run_name"], "msg": "Input should be a valid string", "input": 5}),
])
def test_bodies_that_are_no_requests(project, body, expected):
    status, document = project.runner(SCALARS).raw(body)
    assert (status, document) == (422, {"detail": [expected]})


@pytest.mark.parametrize("body", [
    b'[' * 100000, b'{"parameters": {"name": "\\ud800"}}', b'{"parameters": {"name": "a"}} x', b'\xef\xbb\xbf{}',
    b'{"parameters": {"name": "a" "b"}}', b'nul', b'{"parameters": {"name": "\x01"}}', b'"' + b"\\" * 33,
])
def test_odd_bytes_are_refused_and_nothing_breaks(project, body):
    ask = project.runner(SCALARS)
    status, document = ask.raw(body)
    assert status == 422 and isinstance(document["detail"], list)
    assert ask(name="x")[0] == 200


def test_request_options(project):
    ask = project.runner(SCALARS)
    status, document = ask.raw({"parameters": {"name": "a"}, "run_name": "mine", "timeout": 3,
                                "skip_artifact_materialization": True, "unknown": 1})
    assert status == 200 and document["metadata"]["run_name"] == "mine"
    status, document = ask.raw(b' { "parameters" : {"name": "a"} } ')
    assert status == 200
    status, document = ask.raw(memoryview(b'{"parameters":{"name":"a","times":"1"}}'))
    assert status == 200


TYPES = """
import datetime as dt, enum, uuid, decimal
from dataclasses import dataclass, field
from typing import Annotated, Any, Dict, List, Literal, Optional, Set, Tuple, Union
from pydantic import BaseModel, Field
from kourou import pipeline, step, HTMLString

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

@dataclass
class Point:
    x: int
    y: int = 2
    tags: List[str] = field(default_factory=list)

class Box(BaseModel):
    name: str
    points: List[Point] = []
    when: Optional[dt.datetime] = None

class Everything(BaseModel):
    kinds: Dict[str, str]

@step
def look(box: Box, colour: Colour, data: bytes, when: dt.datetime, day: dt.date, key: uuid.UUID,
         mode: Literal["a", "b"], both: Union[int, str], pair: Tuple[int, str], names: Set[str],
         table: Dict[str, List[float]], maybe: Optional[Point], price: decimal.Decimal,
         some: Any) -> Annotated[Everything, "kinds"]:
    values = dict(box=box, colour=colour, data=data, when=when, day=day, key=key, mode=mode, both=both, pair=pair,
                  names=names, table=table, maybe=maybe, price=price, some=some)
    return Everything(kinds={k: type(v).__name__ for k, v in values.items()})

@step
def back(data: bytes, when: dt.datetime, colour: Colour, maybe: Optional[Point]) -> Tuple[
        Annotated[bytes, "data"], Annotated[dt.datetime, "when"], Annotated[Colour, "colour"],
        Annotated[Optional[Point], "maybe"], Annotated[HTMLString, "page"]]:
    return data, when, colour, maybe, HTMLString("<p>")

@pipeline
def p(box: Box, colour: Colour, data: bytes, when: dt.datetime, day: dt.date, key: uuid.UUID,
      mode: Literal["a", "b"], both: Union[int, str], pair: Tuple[int, str], names: Set[str],
      table: Dict[str, List[float]], maybe: Optional[Point] = None, price: decimal.Decimal = decimal.Decimal("1.5"),
      some: Any = None, size: Annotated[int, Field(ge=1, description="how many")] = 1):
    return look(box, colour, data, when, day, key, mode, both, pair, names, table, maybe, price, some), \\
        *back(data, when, colour, maybe)
"""

GOOD = dict(box={"name": "b", "points": [{"x": 1}]}, colour="red", data="//8=", when="2026-01-02T03:04:05Z",
            day="2026-01-02", key="12345678-1234-1234-1234-123456789abc", mode="a", both="x", pair=[1, "z"],
            names=["n", "n"], table={"a": [1, 2.5]}, maybe={"x": "5"})


def test_every_kind_of_type(project):
    ask = project.runner(TYPES)
    status, document = ask(**GOOD)
    assert status == 200, document
    assert document["outputs"] == {
        "kinds": {"kinds": dict(box="Box", colour="Colour", data="bytes", when="datetime", day="date", key="UUID",
                                mode="str", both="str", pair="tuple", names="set", table="dict", maybe="Point",
                                price="Decimal", some="NoneType")},
        "data": "__8=", "when": "2026-01-02T03:04:05Z", "colour": "red", "maybe": {"x": 5, "y": 2, "tags": []},
        "page": "<p>"}
    used = document["metadata"]["parameters_used"]
    assert used["data"] == "__8=" and used["box"]["points"] == [{"x": 1, "y": 2, "tags": []}] and used["size"] == 1


def test_every_kind_of_type_refused(project):
    ask = project.runner(TYPES)
    bad = dict(GOOD, box={"points": [{"x": "no"}]}, colour="green", data="&", when="soon", mode="c", pair=[1], size=0)
    found = {(".".join(map(str, e["loc"][2:])), e["type"]) for e in ask.refused(**bad)}
    assert found == {("box.name", "missing"), ("box.points.0.x", "int_parsing"), ("colour", "enum"),
                     ("data", "bytes_invalid_encoding"), ("when", "datetime_from_date_parsing"),
                     ("mode", "literal_error"), ("pair.1", "missing"), ("size", "greater_than_equal")}


def test_names_that_pydantic_uses_itself(project):
    ask = project.runner("""
        from kourou import pipeline, step
        @step
        def join(*, json: str, copy: str, model_config: str, _x: int, schema: dict) -> str:
            return json + copy + model_config + str(_x) + str(schema)
        @pipeline
        def p(json: str, copy: str, model_config: str = "m", _x: int = 3, schema: dict = {}, p0: int = 1):
            return join(json=json, copy=copy, model_config=model_config, _x=_x, schema=schema)
    """)
    assert ask.outputs(json="a", copy="b", schema={"k": 1}) == {"output": "abm3{'k': 1}"}
    assert ask.refused(p1="x", json="a", copy="b")[0]["type"] == "extra_forbidden"


def test_failures(project, capfd):
    ask = project.runner("""
        import sys
        from kourou import pipeline, step
        class Odd(Exception):
            def __str__(self): raise RuntimeError
        @step
        def fine(x: int) -> int:
            return x
        @step
        def burst(kind: str, x: int) -> int:
            if kind == "value": raise ValueError("two\\nlines")
            if kind == "exit": sys.exit(3)
            if kind == "odd": raise Odd
            if kind == "type": return "text"
            if kind == "none": return None
            if kind == "deep": return burst.entrypoint(kind, x)
            return x
        @pipeline
        def p(kind: str, x: int = 1):
            return burst(kind, fine(x))
    """)
    assert ask.outputs(kind="") == {"output": 1}
    assert ask.failed(kind="value") == "Failed to execute pipeline: step 'burst': ValueError: two lines"
    err = capfd.readouterr().err
    assert f"run {ask.run_id} failed in step 'burst'" in err and "mod.py:11 in burst" in err
    assert "kourou" not in err
    assert ask.failed(kind="exit") == "Failed to execute pipeline: step 'burst': SystemExit: 3"
    assert ask.failed(kind="odd") == "Failed to execute pipeline: step 'burst': Odd"
    assert "returned str for its output 'output' of type int: Input should be a valid integer" in ask.failed(kind="type")
    assert "returned NoneType for its output 'output' of type int" in ask.failed(kind="none")
    assert "RecursionError" in ask.failed(kind="deep")
    status, document = ask(kind="value", x="7")
    assert document["metadata"]["parameters_used"] == {"kind": "value", "x": 7}


def test_outputs_are_converted_where_that_loses_nothing(project):
    ask = project.runner("""
        from typing import Annotated, Any, Dict, List, Tuple
        from kourou import pipeline, step
        class Fake:
            def __init__(self, v): self.v = v
            def tolist(self): return self.v
        @step
        def make() -> Tuple[Annotated[int, "i"], Annotated[float, "f"], Annotated[List[float], "l"],
                            Annotated[Any, "a"]]:
            return Fake(3), 4, Fake([1, 2.5]), {"x": [Fake(1), None], 1: (2,)}
        @pipeline
        def p():
            return make()
    """)
    assert ask.outputs() == {"i": 3, "f": 4.0, "l": [1.0, 2.5], "a": {"x": [1, None], "1": [2]}}


def test_output_names_that_clash(project):
    ask = project.runner("""
        from typing import Annotated, Tuple
        from kourou import pipeline, step
        @step
        def one(x: int) -> int:
            return x
        @step
        def two(x: int) -> Tuple[int, Annotated[int, 'a "{quoted}" \\\\ name']]:
            return x, x + 1
        @pipeline
        def p(x: int):
            return one(x), one(3), two(x)[0], x, "text", two(x)[1]
    """)
    assert ask.outputs(x=1) == {"one.output": 1, "one_2.output": 3, "output_0": 1, 'a "{quoted}" \\ name': 2}


def test_no_outputs_and_no_parameters(project):
    ask = project.runner("""
        from kourou import pipeline, step
        @step
        def work() -> None: pass
        @pipeline
        def p(): work()
    """)
    assert ask.outputs() == {}
    assert ask.raw({"parameters": {}})[1]["metadata"]["parameters_used"] == {}
    assert ask.refused(x=1)[0]["type"] == "extra_forbidden"


def test_state_hooks_and_context_in_a_deployment(project):
    ask = project.runner("""
        from kourou import pipeline, step, get_step_context, get_pipeline_context
        events = []
        def begin(factor):
            events.append("init")
            return {"factor": factor}
        def end():
            events.append("end" + str(get_pipeline_context().pipeline_state))
        @step
        def scale(x: int) -> int:
            c = get_step_context()
            assert c.deployment["name"] == "dep" and c.pipeline_run.parameters == {"x": x}
            return x * c.pipeline_state["factor"]
        @pipeline(on_init=begin, on_init_kwargs={"factor": 3}, on_cleanup=end)
        def p(x: int):
            return scale(x)
    """, start=False)
    ask.runner.start()
    assert ask.outputs(x=2) == {"output": 6}
    ask.runner.stop()
    assert sys.modules["mod"].events == ["init", "end{'factor': 3}"]


def test_errors_in_hooks(project, capfd):
    ask = project.runner("""
        from kourou import pipeline, step
        def begin():
            raise OSError("no model file")
        def end():
            raise ValueError("cannot end")
        @step
        def s() -> int: return 1
        @pipeline(on_init=begin, on_cleanup=end)
        def p(): return s()
    """, start=False)
    with pytest.raises(OSError, match="no model file") as caught:
        ask.runner.start()
    assert "mod.py:4 in begin" in caught.value.traceback
    ask.runner.stop()
    assert "clean-up failed: ValueError: cannot end" in capfd.readouterr().err


def test_many_threads_at_a_time(project):
    ask = project.runner("""
        from kourou import pipeline, step, get_step_context
        import time
        @step
        def first(x: int) -> int:
            time.sleep(0.001)
            return x
        @step
        def second(x: int) -> str:
            return f"{x} {get_step_context().pipeline_run.id} {get_step_context().step_name}"
        @pipeline
        def p(x: int): return second(first(x))
    """)
    wrong = []

    def work(number):
        for i in range(30):
            run_id = f"{number:08d}-{i}"
            _, answer, _ = ask.runner.invoke(b'{"parameters":{"x":%d}}' % i, run_id)
            if json.loads(answer)["outputs"]["output"] != f"{i} {run_id} second":
                wrong.append(answer)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert wrong == []


STREAMS = """
from typing import Annotated, Iterator, List
from kourou import pipeline, step, stream
import kourou
closed = []

@step
def words(text: str) -> Annotated[Iterator[str], "words"]:
    try:
        for word in text.split():
            if word == "BAD": raise ValueError("a bad word")
            yield word
    finally:
        closed.append(text)

@step
def note(words: List[str]) -> int:
    stream({"count": len(words)})
    kourou.stream(7)
    return len(words)

@pipeline
def p(text: str):
    w = words(text)
    return w, note(w)
"""


def test_streams(project):
    ask = project.runner(STREAMS)
    assert ask.runner.snapshot["streams"] is True
    assert [s["streams"] for s in ask.runner.snapshot["steps"]] == [True, True]
    events = ask.events(text="a b")
    assert [name for name, _ in events] == ["run_started"] + ["user_message"] * 4 + ["run_finished"]
    assert events[0][1] == {"run_id": ask.run_id, "run_name": "p-0d5ab4b8", "run_index": 1}
    assert [data for _, data in events[1:-1]] == [{"value": "a"}, {"value": "b"}, {"count": 2}, {"value": 7}]
    last = events[-1][1]
    assert last["success"] is True and last["outputs"] == {"words": ["a", "b"], "output": 2}
    assert set(last) == {"success", "outputs", "execution_time", "metadata", "error"}
    assert ask.outputs(text="a b c") == {"words": ["a", "b", "c"], "output": 3}


def test_streams_that_fail_or_are_refused(project):
    ask = project.runner(STREAMS)
    events = ask.events(text="a BAD b")
    assert [name for name, _ in events] == ["run_started", "user_message", "run_finished"]
    assert events[-1][1]["error"] == "Failed to execute pipeline: step 'words': ValueError: a bad word"
    status, body, ok = ask.runner.stream(b'{"parameters":{"text":5}}', "r")
    assert (status, ok) == (422, False) and json.loads(body)["detail"][0]["type"] == "string_type"


def test_a_closed_stream_ends_its_run(project):
    ask = project.runner(STREAMS)
    text = " ".join(["w"] * 5000)
    blocks = ask.runner.stream(json.dumps({"parameters": {"text": text}}).encode(), "r")
    assert parse_event(next(blocks))[0] == "run_started"
    assert parse_event(next(blocks)) == ("user_message", {"value": "w"})
    blocks.close()
    for thread in threading.enumerate():
        if thread.name == "kourou-stream":
            thread.join(10)
            assert not thread.is_alive()
    assert sys.modules["mod"].closed == [text]


def test_batches(project):
    ask = project.runner(SCALARS)
    items = [{"parameters": {"name": "a"}}, {"parameters": {"name": 1}}, {"parameters": {"name": "b"}, "run_name": "r"},
             17]
    for body in (items, {"items": items}):
        status, answer = ask.runner.batch(json.dumps(body).encode(), "run")
        found = json.loads(answer)
        assert status == 200
        assert [one["success"] for one in found] == [True, False, True, False]
        assert found[1]["detail"][0]["loc"] == ["body", "parameters", "name"] and found[1]["outputs"] is None
        assert [one["metadata"]["run_id"] for one in found] == ["run-0", "run-1", "run-2", "run-3"]
        assert found[2]["metadata"]["run_name"] == "r"
    assert ask.runner.batch(b"[]", "run") == (200, b"[]")
    for body, kind in ((b"{}", "missing"), (b'{"items": 1}', "list_type"), (b"5", "list_type"), (b"[", "json_invalid")):
        status, answer = ask.runner.batch(body, "run")
        assert status == 422 and json.loads(answer)["detail"][0]["type"] == kind


def test_configuration_reaches_the_deployment(project):
    project.load("""
        import datetime
        from kourou import pipeline, step
        @step
        def s(day: datetime.date, n: int, factor: int = 2) -> str: return f"{day.year} {n * factor}"
        @pipeline
        def p(day: datetime.date, n: int = 1): return s(day, n)
    """)
    ask = project.runner(config={"parameters": {"day": "2026-01-02", "n": 5}, "run_name": "nightly",
                                 "steps": {"s": {"parameters": {"factor": 10}}}})
    status, document = ask()
    assert document["outputs"] == {"output": "2026 50"}
    assert document["metadata"]["run_name"] == "nightly-0d5ab4b8"
    assert document["metadata"]["parameters_used"] == {"day": "2026-01-02", "n": 5}


def test_environment_of_the_snapshot(project, monkeypatch):
    monkeypatch.setenv("FROM_OUTSIDE", "outside")
    monkeypatch.setenv("PLACEHOLDER", "x")
    monkeypatch.delenv("PLACEHOLDER")
    ask = project.runner("""
        import os
        from kourou import pipeline, step
        @step
        def read() -> str: return os.environ["FROM_OUTSIDE"] + os.environ["FROM_INSIDE_OF_IT"]
        @pipeline(environment={"FROM_OUTSIDE": "no", "FROM_INSIDE_OF_IT": "inside"})
        def p(): return read()
    """)
    try:
        assert ask.outputs() == {"output": "outsideinside"}
    finally:
        os.environ.pop("FROM_INSIDE_OF_IT", None)


@pytest.mark.parametrize("text, kind, words", [
    ("import no_such_package", "import", "importing mod failed: ModuleNotFoundError: No module named 'no_such_package'"),
    ("1/0", "import", "ZeroDivisionError"),
    ("p = 3", "not_a_pipeline", "mod.p is of type int"),
    ("x = 3", "attribute", "mod has no attribute 'p'"),
])
def test_code_that_is_not_what_it_was(project, text, kind, words):
    from kourou import runtime

    project.write(text)
    with pytest.raises(LoadError) as caught:
        runtime.load({"pipeline": {"source": "mod.p", "name": "p"}}, str(project.root), {})
    assert caught.value.kind == kind and words in caught.value.message


def test_simple_pipelines_start_without_pydantic(project):
    """Time and memory of a small worker depend on it."""
    project.write(SCALARS)
    code = f"""
import sys
sys.path.append({str(PYTHON)!r})
from kourou import runtime
r = runtime.load({{"pipeline": {{"source": "mod.p", "name": "p"}}}}, {str(project.root)!r}, {{}})
r.start()
status, body, ok = r.invoke(b'{{"parameters":{{"name":"a","x":1}}}}', "12345678-")
assert ok, body
print(sorted(m for m in ("pydantic", "inspect", "asyncio", "dataclasses", "logging") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
