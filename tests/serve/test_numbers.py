# SPDX-License-Identifier: Apache-2.0
"""NaN and the infinities: JSON has none, so they are refused on the way in and are an error on the way out, never null."""
import json
import subprocess

import pytest
from tests.serve.serve_harness import PYTHON, ROOT, Server
from tests.serve.test_schema import NATIVE

MODULE = '''
from typing import Annotated, Any, Dict, Iterator, List, Optional
from dataclasses import dataclass
from pydantic import BaseModel
from kourou import pipeline, step

NUMBERS = {"nan": float("nan"), "inf": float("inf"), "minus": float("-inf"), "one": 1.0}

class Score(BaseModel):
    value: float

@dataclass
class Plain:
    value: float

@step
def number(name: str, x: float) -> float:
    return NUMBERS.get(name, x)

@step
def holding(name: str, kind: str) -> Annotated[Any, "held"]:
    x = NUMBERS[name]
    return {"list": [1, [x]], "map": {"a": {"b": x}}, "tuple": (x,), "model": Score(value=x), "plain": Plain(x), "none": None}[kind]

@step
def typed(name: str) -> List[Optional[float]]:
    return [None, NUMBERS[name]]

@step
def talking(name: str) -> Iterator[Dict[str, float]]:
    yield {"value": NUMBERS[name]}

@pipeline
def fast(name: str = "", x: float = 0.5):
    return number(name, x)

@pipeline
def full(name: str = "", x: float = 0.5, many: List[float] = [], by: Dict[str, float] = {}):
    return number(name, x)

@pipeline
def held(name: str, kind: str):
    return holding(name, kind)

@pipeline
def listed(name: str):
    return typed(name)

@pipeline
def streamed(name: str):
    return talking(name)

@pipeline
def defaulted(x: float = float("nan")):
    return number("", x)
'''
SOURCE = r"""
#include <kourou/pipeline.h>
#include <math.h>

static const struct kr_field inputs[] = {{.name = "name", .type = KR_TYPE_STRING, .dflt = "\"\""},
                                         {.name = "x", .type = KR_TYPE_NUMBER, .dflt = "0.5"},
                                         {.name = "many", .type = KR_TYPE_NUMBERS, .dflt = "[]"}, {.name = NULL}};
static const struct kr_field outputs[] = {{.name = "output", .type = KR_TYPE_NUMBER}, {.name = "list", .type = KR_TYPE_NUMBERS},
                                          {.name = NULL}};

static int run(struct kr_run *run)
{
    struct kr_text name = kr_text(run, 0);
    double x = kr_number(run, 1), list[] = {1, 0.25};

    if (name.n > 0)
        x = name.p[0] == 'n' ? NAN : name.p[0] == 'i' ? INFINITY : name.p[0] == 'm' ? -INFINITY : 1;
    if (name.n > 5)
        list[1] = NAN;
    kr_put_number(run, 0, name.n > 5 ? 1 : x);
    kr_put_numbers(run, 1, list, 2);
    return 0;
}

static const struct kr_step steps[] = {{.name = "work", .run = run}, {.name = NULL}};
const struct kr_pipeline kourou_pipeline = {.abi = KR_PIPELINE_ABI, .name = "native", .inputs = inputs, .outputs = outputs,
                                            .steps = steps};
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "numbers_of.py").write_text(MODULE)
    return folder


def compiled(folder, name, check=True):
    return subprocess.run([PYTHON, ROOT / "python/kourou/_boot.py", "compile", f"numbers_of.{name}", "--root", folder, "--output",
                           folder / f"{name}.json"], check=check, capture_output=True)


@pytest.fixture(scope="module")
def serve(folder):
    servers = {}

    def start(name):
        if name not in servers:
            own = folder / f"server-{name}"
            own.mkdir()
            if name == "native":
                (folder / "n.c").write_text(SOURCE)
                subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o", folder / "libn.so", folder / "n.c", "-lm"],
                               check=True)
                text = subprocess.run([NATIVE, "--describe", "libn.so", "--root", folder], check=True, capture_output=True).stdout
            else:
                compiled(folder, name)
                text = (folder / f"{name}.json").read_text()
            snapshot = {**json.loads(text), "streams": True}
            servers[name] = Server(own, snapshot, ["--root", str(folder)], python_path=ROOT / "python").ready()
        return servers[name]

    yield start
    for server in servers.values():
        server.check_clean()
        server.stop()


def call(server, text, path="/invoke"):
    return server.post(path, text.encode(), {"Content-Type": "application/json"})


def strict(answer):
    return json.loads(answer.body, parse_constant=lambda text: pytest.fail(f"{text} in an answer"))


@pytest.mark.parametrize("pipeline", ["fast", "full", "native"])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"NaN"', '"inf"'])
def test_what_is_no_finite_number_is_refused(serve, pipeline, text):
    answer = call(serve(pipeline), '{"parameters":{"x":%s}}' % text)
    assert answer.status == 422, answer.body
    assert strict(answer)["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize("text", ['"many":[1,NaN]', '"many":[1,1e999]', '"by":{"a":-Infinity}', '"by":{"a":"nan"}'])
def test_nor_inside_of_lists_and_maps(serve, text):
    assert call(serve("full"), '{"parameters":{%s}}' % text).status == 422
    if "many" in text:
        assert call(serve("native"), '{"parameters":{%s}}' % text).status == 422


@pytest.mark.parametrize("pipeline", ["fast", "full", "native"])
def test_text_that_looks_like_it_is_text(serve, pipeline):
    answer = call(serve(pipeline), '{"parameters":{"name":"one NaN","x":1.5},"run_name":"NaN Infinity"}'.replace(
        "one NaN", "NaN" if pipeline != "native" else ""))
    assert answer.status == 200 and strict(answer)["metadata"]["run_name"] == "NaN Infinity"


@pytest.mark.parametrize("pipeline", ["fast", "full", "native", "listed"])
@pytest.mark.parametrize("name", ["nan", "inf", "minus"])
def test_what_is_none_in_an_output_is_an_error(serve, pipeline, name):
    """It was null."""
    answer = call(serve(pipeline), '{"parameters":{"name":"%s"}}' % name)
    assert answer.status == 500 and strict(answer)["outputs"] is None
    assert "JSON cannot say" in strict(answer)["error"] and "output" in strict(answer)["error"]


def test_nor_in_a_list_of_a_native_pipeline(serve):
    answer = call(serve("native"), '{"parameters":{"name":"in a list"}}')
    assert answer.status == 500 and "step 'work': output 'list' is not a number" in strict(answer)["error"]


@pytest.mark.parametrize("kind", ["list", "map", "tuple", "model", "plain"])
def test_nor_anywhere_inside_of_a_value(serve, kind):
    server = serve("held")
    answer = call(server, '{"parameters":{"name":"nan","kind":"%s"}}' % kind)
    assert answer.status == 500
    assert "step 'holding' returned for its output 'held' NaN or an infinity" in strict(answer)["error"]
    assert call(server, '{"parameters":{"name":"one","kind":"%s"}}' % kind).status == 200
    assert strict(call(server, '{"parameters":{"name":"nan","kind":"none"}}'))["outputs"] == {"held": None}


def test_nor_in_a_stream(serve):
    events = call(serve("streamed"), '{"parameters":{"name":"inf"}}', "/invoke/stream").body.decode()
    assert "null}" not in events.split("run_finished")[0] and "a streamed message holds NaN or an infinity" in events


def test_nor_as_a_default(folder):
    done = compiled(folder, "defaulted", check=False)
    assert done.returncode != 0 and b"default of parameter 'x' is NaN or an infinity" in done.stdout + done.stderr \
        + (folder / "defaulted.json").read_bytes()
