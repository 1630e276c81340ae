# SPDX-License-Identifier: Apache-2.0
"""One name for a run: in its answer, inside of its steps, in the event of a stream, in the journal."""
import json
import re
import subprocess

import pytest
from tests.serve.serve_harness import PYTHON, ROOT, Server
from tests.serve.test_schema import build_native

MODULE = '''
from typing import Dict, Iterator
from kourou import get_step_context, pipeline, step

@step
def my_name(text: str) -> str:
    return get_step_context().pipeline_run.name

@step
def bad(text: str) -> str:
    raise ValueError(get_step_context().pipeline_run.name)

@step
def size(given: Dict[str, int]) -> str:
    return get_step_context().pipeline_run.name

@pipeline
def fast(text: str = ""):
    return my_name(text)

@pipeline
def full(given: Dict[str, int] = {}):
    return size(given)

@pipeline
def failing(text: str = ""):
    return bad(text)

stamped = fast.with_options(run_name="at-{date}_{time}")
titled = full.with_options(run_name="my title")
'''
NAMES = ["mine", "größe 😀", 'with "quotes" and \\', "two\nlines\ttab", "\x1b[31mred\x07", "a" * 255, "ä" * 255, "😀" * 255,
         "-x", "null", " blank ", "\u2028", "%s %n", "'; drop table runs; --"]


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """serve(pipeline): one ready server for each, for all tests; the journal is a file."""
    folder, servers = tmp_path_factory.mktemp("names"), {}
    (folder / "named.py").write_text(MODULE)

    def start(name):
        if name not in servers:
            own = folder / name
            own.mkdir()
            if name == "native":
                made, root = build_native(own)
                snapshot = json.loads(made.read_text())
            else:
                target = own / "made.json"
                subprocess.run([PYTHON, ROOT / "python/kourou/_boot.py", "compile", f"named.{name}", "--root", folder, "--output",
                                target], check=True, capture_output=True)
                snapshot, root = json.loads(target.read_text()), folder
            snapshot["streams"] = True
            servers[name] = Server(own, snapshot, ["--root", str(root)], python_path=ROOT / "python").ready()
        return servers[name]

    yield start
    for server in servers.values():
        server.check_clean()
        server.stop()


def newest(server):
    return server.get("/runs?size=1").json()["items"][0]


def call(server, name, path="/invoke"):
    return server.post(path, json.dumps({"parameters": {}, "run_name": name}), {"Content-Type": "application/json"})


@pytest.mark.parametrize("pipeline", ["fast", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_a_given_name_is_the_name_everywhere(serve, pipeline, name):
    server = serve(pipeline)
    answer = call(server, name).json()
    assert answer["outputs"]["output"] == name and answer["metadata"]["run_name"] == name
    assert newest(server)["name"] == name and newest(server)["id"] == answer["metadata"]["run_id"]


@pytest.mark.parametrize("body", ['{"run_name":"caf\\u00e9","parameters":{}}', '{"parameters":{},"run\\u005fname":"café"}',
                                  '{"run_name":"first","parameters":{},"run_name":"café"}', '{"parameters":{},"run_name":"caf\u00e9"}'])
def test_however_it_is_written(serve, body):
    for pipeline in ("fast", "full"):
        server = serve(pipeline)
        answer = server.post("/invoke", body.encode(), {"Content-Type": "application/json"}).json()
        assert answer["metadata"]["run_name"] == answer["outputs"]["output"] == newest(server)["name"] == "café"


def test_in_the_body_of_a_megabyte_and_of_twenty(serve):
    server = serve("fast")
    for size in (1 << 20, 20 << 20):
        body = json.dumps({"parameters": {"text": "x" * size}, "run_name": "of a large one"})
        answer = server.post("/invoke", body, {"Content-Type": "application/json"})
        assert answer.status == 200 and newest(server)["name"] == "of a large one"


@pytest.mark.parametrize("pipeline", ["fast", "full", "titled", "failing", "stamped"])
@pytest.mark.parametrize("name", [None, ""])
def test_without_one_the_made_one_is_shown(serve, pipeline, name):
    server = serve(pipeline)
    answer = call(server, name).json()
    made = answer["metadata"]["run_name"]
    want = {"titled": "my title-" + answer["metadata"]["run_id"][:8]}.get(pipeline, f"{pipeline}-{answer['metadata']['run_id'][:8]}")
    if pipeline == "stamped":
        want = re.fullmatch(r"at-\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d_\d{6}", made).group()
    assert made == want == newest(server)["name"]
    assert made in (answer["error"] or answer["outputs"]["output"])


@pytest.mark.parametrize("pipeline", ["fast", "stamped", "titled"])
@pytest.mark.parametrize("name", [None, 'a "name"\n'])
def test_of_a_stream(serve, pipeline, name):
    server = serve(pipeline)
    events = call(server, name, "/invoke/stream").body.decode()
    started = json.loads(re.search(r"event: run_started\ndata: (.*)\n", events).group(1))
    finished = json.loads(re.search(r"event: run_finished\ndata: (.*)\n", events).group(1))
    assert started["run_name"] == finished["metadata"]["run_name"] == finished["outputs"]["output"] == newest(server)["name"]
    assert name in (None, started["run_name"])


@pytest.mark.parametrize("pipeline", ["fast", "full", "native"])
@pytest.mark.parametrize("name, kind", [("a" * 256, "string_too_long"), ("ä" * 300, "string_too_long"),
                                        ("😀" * 5000, "string_too_long"), ("nul\0", "string_pattern_mismatch"), (7, "string_type")])
def test_names_that_are_none_are_refused(serve, pipeline, name, kind):
    """They were cut, or left out."""
    server = serve(pipeline)
    before = server.get("/runs?size=1").json()["total"]
    answer = server.post("/invoke", json.dumps({"parameters": {"values": [1]} if pipeline == "native" else {}, "run_name": name}),
                         {"Content-Type": "application/json"})
    assert answer.status == 422, answer.body
    problem, = answer.json()["detail"]
    assert problem["type"] == kind and problem["loc"] == ["body", "run_name"]
    assert "255" in problem["msg"] or kind != "string_too_long"
    assert server.get("/runs?size=1").json()["total"] == before


def test_of_a_run_that_a_worker_did_not_answer(start):
    server = start(check=False)
    for name in (None, 'crashed "7"\n'):
        answer = server.invoke("exit", _request={"run_name": name}).json()["metadata"]
        assert answer["run_name"] == (name or "tiny-" + answer["run_id"][:8]) == newest(server)["name"]


def test_the_page_of_the_api_says_the_limit(serve):
    request = serve("fast").get("/openapi.json").json()["components"]["schemas"]["InvokeRequest"]
    assert request["properties"]["run_name"]["maxLength"] == 255
