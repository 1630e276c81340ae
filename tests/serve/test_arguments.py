# SPDX-License-Identifier: Apache-2.0
"""Arguments in place of bodies: nobody can tell from an answer which way its request went, whatever the body was."""
import json
import random
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serve.serve_harness import PYTHON, ROOT, Server, wait_for

MODULE = '''
import os, threading, time
from pathlib import Path
from kourou import get_step_context, pipeline, step

HERE = Path(__file__).parent

@step
def seen(s: str, i: int, x: float, b: bool, ä: str) -> str:
    run = get_step_context().pipeline_run
    return repr((s, i, x, b, ä, sorted(run.parameters.items()), len(run.id), run.name[:4]))

@step
def twice(text: str, i: int) -> int:
    return i * 2

@pipeline
def every(s: str, i: int = 7, x: float = 1, b: bool = None, ä: str = "ö\\\\n\\"'"):
    text = seen(s, i, x, b, ä)
    return text, twice(text, i)

@step
def loose(i: int) -> float:
    if i == 13:
        raise ValueError("thirteen")
    return i if i % 2 else float(i) / 3

@step
def wide(i: int) -> str:
    return "x" * i

@pipeline
def odd(i: int, n: int = 0):
    return loose(i), wide(n)

odd = odd.with_options(run_name="named")

@pipeline
def nothing():
    return loose(3)

@step
def slow(name: str, way: str) -> str:
    if way == "wait":
        while not (HERE / "go").exists():
            time.sleep(0.002)
    if way == "die" and not (HERE / "died").exists():
        (HERE / "died").touch()
        os._exit(3)
    return name

@pipeline
def gate(name: str, way: str = ""):
    return slow(name, way)
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arguments")
    (folder / "every.py").write_text(MODULE)
    plain = folder / "bodies" / "kourou"  # the same runtime, but its workers do not ask for arguments
    shutil.copytree(ROOT / "python" / "kourou", plain, ignore=shutil.ignore_patterns("__pycache__"))
    with open(plain / "lite.py", "a") as lite:
        lite.write("\n\ndef described(parameters):\n    return None\n")
    return folder


def snapshot_of(project, name):
    target = project / f"{name}.json"
    subprocess.run([PYTHON, ROOT / "python/kourou/_boot.py", "compile", f"every.{name}", "--root", project, "--output",
                    target], check=True, capture_output=True)
    return json.loads(target.read_text())


@pytest.fixture
def serve(project):
    """serve(pipeline, *arguments, bodies=True, ...) gives a ready server; they are stopped and checked afterwards."""
    servers = []

    def start(name, *args, bodies=False, snapshot=None):
        where = project / "bodies" if bodies else ROOT / "python"
        # What Python finds by itself would win over what lies beside the server.
        server = Server(project, snapshot or snapshot_of(project, name), args, {"PYTHONPATH": str(where)}, where)
        servers.append(server)
        return server.ready()

    yield start
    for server in servers:
        server.check_clean()
        server.stop()


def comparable(answer):
    """Status and body without what differs between two runs."""
    if answer.status in (200, 500):
        doc = answer.json()
        assert doc.pop("execution_time") >= 0
        run_id, name = doc["metadata"].pop("run_id"), doc["metadata"].pop("run_name")
        assert len(run_id) == 36
        doc["name"] = name.replace(run_id[:8], "ID")
        return answer.status, doc
    return answer.status, answer.json()


TEXTS = ["", "a", "ä", "😀", "\n", "\x00", "\x1f\x7f", '"', "\\", "/", "\u2028", "x" * 300, "null", "1", "true", " a "]
NUMBERS = [0, 1, -1, 7, 255, 2**15, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -2**63, 10**30,
           0.0, -0.0, 0.5, 1.0, 3.0, 1e-7, 1e16, 1.5e300, 1 / 3, 2.5, 1e22]
RAW = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1E2", "1.50", "-0", "01", "1.", "+1", "\"\\ud83d\\ude00\"", "\"\\ud800\"",
       "\"\\u0041\"", "\"\\/\"", "\"\\x\"", "\"\t\"", "'a'", "tru", "[]", "{}", "[1]", "{\"a\":1}", "nul", ""]


def value_text(chance, kind):
    """Some JSON for a parameter of a kind, mostly right."""
    if chance.random() < 0.12:
        return chance.choice(RAW)
    if chance.random() < 0.1:
        kind = chance.choice(["s", "i", "x", "b", "none"])
    value = {"s": lambda: chance.choice(TEXTS), "ä": lambda: chance.choice(TEXTS),
             "i": lambda: chance.choice([one for one in NUMBERS if type(one) is int]),
             "x": lambda: chance.choice(NUMBERS), "b": lambda: chance.random() < 0.5, "none": lambda: None}[kind]()
    return json.dumps(value, ensure_ascii=chance.random() < 0.5)


def body(chance):
    names = [name for name in ("s", "i", "x", "b", "ä") if chance.random() < (0.9 if name == "s" else 0.6)]
    if chance.random() < 0.3:
        chance.shuffle(names)
    if chance.random() < 0.05:
        names.append(chance.choice(["s", "i", "z", "parameters", ""]))
    items = [json.dumps(name, ensure_ascii=chance.random() < 0.5) + ":" + chance.choice(["", " "]) + value_text(chance, name)
             if name in ("s", "i", "x", "b", "ä") else json.dumps(name) + ":1" for name in names]
    members = ['"parameters":{' + ",".join(items) + "}"]
    for text, share in (('"run_name":null', 0.3), ('"run_name":"mine"', 0.05), ('"run_name":5', 0.02), ('"timeout":null', 0.3),
                        ('"timeout":30', 0.1), ('"timeout":"x"', 0.02), ('"timeout":true', 0.02), ('"other":1', 0.03),
                        ('"skip_artifact_materialization":false', 0.3), ('"skip_artifact_materialization":null', 0.02)):
        if chance.random() < share:
            members.insert(chance.randrange(len(members) + 1), text)
    text = chance.choice(["", " ", "\n"]) + "{" + ",".join(members) + "}" + chance.choice(["", " ", "\r\n"])
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.06:  # cut, doubled or changed somewhere
        at = chance.randrange(len(data))
        data = chance.choice([data[:at], data[:at] + data, data[:at] + bytes([chance.randrange(256)]) + data[at + 1:]])
    return data


def both(serve, name):
    first, second = serve(name), serve(name, bodies=True)
    return first, second, first.connection(), second.connection()


def test_thousands_of_bodies(serve):
    chance = random.Random(17)
    first, second, one, other = both(serve, "every")
    marker = b'{"parameters":{"s":"\\n"}}'
    assert b"\\u000a" in first.post("/invoke", marker).body, "the server wrote what was used"
    assert b"\\u000a" not in second.post("/invoke", marker).body, "the worker did"
    statuses = []
    for _ in range(3000):
        data = body(chance)
        mine, theirs = (comparable(server.post("/invoke", data, connection=connection))
                        for server, connection in ((first, one), (second, other)))
        assert mine == theirs, data
        statuses.append(mine[0])
    assert statuses.count(200) > 1000 and statuses.count(422) > 500
    one.close()
    other.close()


@pytest.mark.parametrize("parameters", [
    {"i": 1}, {"i": 2}, {"i": 13}, {"i": 2, "n": 262_100}, {"i": 2, "n": 262_200}, {"i": 1, "n": 3_000_000}, {"i": 13, "n": 5}])
def test_outputs_of_all_sorts(serve, parameters):
    """Not exactly of their type, too long for a frame, none because the step failed; the pipeline has names for its runs."""
    first, second, one, other = both(serve, "odd")
    mine, theirs = (server.post("/invoke", {"parameters": parameters}) for server in (first, second))
    assert comparable(mine) == comparable(theirs)
    assert comparable(mine)[1]["name"] == "named-ID"
    assert mine.status == (500 if parameters["i"] == 13 else 200)
    one.close()
    other.close()


def test_no_parameters(serve):
    first, second, one, other = both(serve, "nothing")
    for data in (b'{"parameters":{}}', b"{}", b'{"parameters":{"a":1}}', b'{"parameters":null}'):
        assert comparable(first.post("/invoke", data, connection=one)) == comparable(
            second.post("/invoke", data, connection=other)), data
    one.close()
    other.close()


def test_runs_are_recorded_the_same(serve):
    server = serve("every")
    done = server.post("/invoke", {"parameters": {"s": "a"}}).json()
    (run,) = server.get("/runs").json()["items"]
    assert run["id"] == done["metadata"]["run_id"] and run["status"] == "completed" and run["kind"] == "invoke"


def test_requests_of_a_dead_worker_go_to_the_next(serve, project):
    """What waits behind the request that ends the worker has not been started: its client notices nothing."""
    (project / "go").unlink(missing_ok=True)
    (project / "died").unlink(missing_ok=True)
    snapshot = snapshot_of(project, "gate")
    snapshot["settings"].setdefault("deployment", {})["thread_pool_size"] = 1
    server = serve("gate", snapshot=snapshot)
    with ThreadPoolExecutor(20) as pool:
        waiting = pool.submit(server.post, "/invoke", {"parameters": {"name": "first", "way": "wait"}})
        wait_for(lambda: server.metric("kourou_in_flight") == 1, "the first request")
        dying = pool.submit(server.post, "/invoke", {"parameters": {"name": "x", "way": "die"}})
        wait_for(lambda: server.metric("kourou_in_flight") == 2, "the one that ends the worker")
        others = [pool.submit(server.post, "/invoke", {"parameters": {"name": f"n{at}"}}) for at in range(12)]
        wait_for(lambda: server.metric("kourou_in_flight") == 14, "all requests")
        (project / "go").touch()
        assert waiting.result().json()["outputs"] == {"output": "first"}
        assert dying.result().status == 502 and dying.result().json()["retryable"] is False
        for at, one in enumerate(others):
            assert one.result().json()["outputs"] == {"output": f"n{at}"}
            assert one.result().json()["metadata"]["parameters_used"] == {"name": f"n{at}", "way": ""}


SIGNATURES = ("a: str, b: int = 1", "b: int = 1, a: str = ''", "b: int, a: str, c: float = 0.5")
CHANGING = '''
from kourou import pipeline, step

@step
def show(a: str, b: int) -> str:
    return f"{{a}} {{b}}"

@pipeline
def changing({signature}):
    return show(a, b)
'''


def test_signatures_that_change_under_way(project, tmp_path):
    """The order of the parameters changes while requests come: values are never swapped, none is lost."""
    source = tmp_path / "every.py"
    source.write_text(CHANGING.format(signature=SIGNATURES[0]))
    server = Server(tmp_path, snapshot_of(tmp_path, "changing"), ["--reload"], python_path=ROOT / "python").ready()
    stop, wrong, right = threading.Event(), [], []

    def client(number):
        connection = server.connection()
        at = 0
        while not stop.is_set():
            at += 1
            parameters = {"a": f"c{number}", "b": at}
            answer = server.post("/invoke", {"parameters": parameters}, connection=connection)
            good = answer.status == 200 and answer.json()["outputs"] == {"output": f"c{number} {at}"} and {
                name: answer.json()["metadata"]["parameters_used"].get(name) for name in parameters} == parameters
            (right if good else wrong).append(answer)
        connection.close()

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for one in clients:
        one.start()
    try:
        for turn in range(1, 5):
            source.write_text(CHANGING.format(signature=SIGNATURES[turn % 3]) + f"# turn {turn}\n" * turn)
            wait_for(lambda: server.metric("kourou_reloads_total") >= turn, f"reload {turn}", 20)
            enough = len(right) + 50
            wait_for(lambda: len(right) >= enough or wrong, "answers with the new code", 20)
    finally:
        stop.set()
        for one in clients:
            one.join()
    assert not wrong, wrong[:3]
    server.check_clean()
    server.stop()
