# SPDX-License-Identifier: Apache-2.0
"""The compiler: snapshots, and one clear line for everything that is wrong."""
import json
import os
import subprocess
import sys

import pytest

from tests.python.conftest import PYTHON

FULL = """
'''Module.'''
from typing import Annotated, Dict, List, Optional, Set
from pydantic import BaseModel
from kourou import (pipeline, step, CORSConfig, DeploymentSettings, DockerSettings, EndpointSpec, ResourceSettings,
                    HuggingFaceDeployerSettings)
print("noise of the module")

class Item(BaseModel):
    name: str
    tags: Set[str] = {"x", "y", "z"}

def ping() -> str: return "pong"
def begin(size: int): return size

@step
def load(item: Item, limit: int = 3) -> Annotated[List[str], "names"]:
    return [item.name] * limit

@step(environment={"STEP": "1"}, secrets=["step_secret"])
def count(names: List[str], words: Set[str], factor: float) -> Annotated[int, "count"]:
    return len(names)

@pipeline(on_init=begin, on_init_kwargs={"size": 1}, environment={"A": "b"}, secrets=["hf"], settings={
    "docker": DockerSettings(requirements=["numpy", "pandas"], apt_packages=["git"]),
    "deployment": DeploymentSettings(app_title="T", cors=CORSConfig(allow_origins=["https://x"]),
                                     custom_endpoints=[EndpointSpec(path="/ping", method="GET", handler=ping)]),
    "resources": ResourceSettings(cpu_count=1, memory="2GB"),
    "deployer": {"generate_auth_key": True},
    "deployer.huggingface": HuggingFaceDeployerSettings(space_hardware="t4-small", private=True),
    "orchestrator": {"anything": 1},
})
def p(item: Item, words: Set[str] = {"b", "a", "c"}, factor: Optional[float] = None, old_name: int = 3):
    '''First line
    goes on.

    Not this.'''
    names = load(item, limit=old_name)
    return count(names, words, factor), load(item)
"""


def test_snapshot(project):
    project.write(FULL)
    document = project.snapshot()
    assert project.stdout == "" and project.stderr == "noise of the module\n"
    version = "%d.%d" % sys.version_info[:2]
    item = {"properties": {"name": {"title": "Name", "type": "string"},
                           "tags": {"default": ["x", "y", "z"], "items": {"type": "string"}, "title": "Tags",
                                    "type": "array", "uniqueItems": True}},
            "required": ["name"], "title": "Item", "type": "object"}
    assert document == {
        "format": 1,
        "pipeline": {"name": "p", "source": "mod.p", "kind": "python", "description": "First line goes on."},
        "parameters": {"words": ["a", "b", "c"], "factor": None, "old_name": 3},
        "steps": [
            {"name": "load", "source": "mod.load", "outputs": ["names"], "streams": False,
             "inputs": {"item": {"parameter": "item"}, "limit": {"parameter": "old_name"}}},
            {"name": "count", "source": "mod.count", "outputs": ["count"], "streams": False,
             "inputs": {"names": {"step": "load", "output": "names"}, "words": {"parameter": "words"},
                        "factor": {"parameter": "factor"}}},
            {"name": "load_2", "source": "mod.load", "outputs": ["names"], "streams": False,
             "inputs": {"item": {"parameter": "item"}}}],
        "edges": [["load", "count"]],
        "input_schema": {
            "$defs": {"Item": item}, "additionalProperties": False, "title": "PipelineInput", "type": "object",
            "required": ["item"],
            "properties": {
                "item": {"$ref": "#/$defs/Item"},
                "words": {"default": ["a", "b", "c"], "items": {"type": "string"}, "title": "Words", "type": "array",
                          "uniqueItems": True},
                "factor": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None, "title": "Factor"},
                "old_name": {"default": 3, "title": "Old Name", "type": "integer"}}},
        "output_schema": {"title": "PipelineOutput", "type": "object", "required": ["count", "names"],
                          "properties": {"count": {"title": "Count", "type": "integer"},
                                         "names": {"items": {"type": "string"}, "title": "Names", "type": "array"}}},
        "streams": False,
        "settings": {"orchestrator": {}, 
            "docker": {"requirements": ["numpy", "pandas"], "apt_packages": ["git"]},
            "deployment": {"app_title": "T", "cors": {"allow_origins": ["https://x"]}, "custom_endpoints": [
                {"path": "/ping", "method": "GET", "handler": "mod.ping"}]},
            "resources": {"cpu_count": 1, "memory": "2GB"},
            "deployer": {"generate_auth_key": True},
            "deployer.huggingface": {"space_hardware": "t4-small", "private": True}},
        "hooks": {"on_init": "mod.begin"},
        "environment": {"A": "b", "STEP": "1"},
        "secrets": ["hf", "step_secret"],
        "requirements": ["numpy", "pandas"],
        "python": {"version": version},
        "versions": {"kourou": "0.1.0", "snapshot": 1},
    }


def test_equal_input_gives_equal_bytes(project, tmp_path):
    project.write(FULL)
    texts = set()
    for seed in ("0", "1", "2", "random"):
        project.snapshot(env={**os.environ, "PYTHONHASHSEED": seed})
        texts.add(project.text)
    assert len(texts) == 1
    text = texts.pop()
    assert str(project.root) not in text and "\n" not in text
    # Keys in order, but for the parameters, which stay in that of the signature.
    document = json.loads(text)
    parameters = list(document["input_schema"]["properties"])
    assert parameters == ["item", "words", "factor", "old_name"]

    def in_order(value, name=""):
        if isinstance(value, dict):
            assert name == "properties" or list(value) == sorted(value), name
            for key, inner in value.items():
                in_order(inner, key)
        for inner in value if isinstance(value, list) else ():
            in_order(inner)

    in_order(document)
    assert text == json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def test_configuration_file(project):
    project.write(FULL)
    document = project.snapshot(config={
        "parameters": {"old_name": 9}, "environment": {"C": "d"}, "settings": {"docker": {"user": "x"}},
        "steps": {"load_2": {"parameters": {"limit": 4}, "settings": {"resources": {"cpu_count": 2}}}},
        "enable_cache": False, "tags": ["t"], "run_name": "r"}, name="renamed")
    assert document["pipeline"]["name"] == "renamed"
    assert document["parameters"]["old_name"] == 9
    assert document["input_schema"]["properties"]["old_name"]["default"] == 9
    assert document["environment"] == {"A": "b", "C": "d", "STEP": "1"}
    assert "user" not in document["settings"]["docker"]
    assert document["config"] == {"parameters": {"old_name": 9}, "run_name": "r",
                                  "steps": {"load_2": {"parameters": {"limit": 4}}}}


@pytest.mark.parametrize("config, words", [
    ({"paramters": {}}, "unknown key 'paramters'; did you mean 'parameters'?"),
    ({"parameters": {"nothing": 1}}, "pipeline 'p' has no parameter 'nothing'"),
    ({"parameters": []}, "parameters is [], expected a dictionary"),
    ({"steps": {"lod": {}}}, "pipeline 'p' has no step 'lod'; did you mean 'load'?"),
    ({"steps": {"load": {"parameter": {}}}}, "steps.load has no option 'parameter'; did you mean 'parameters'?"),
    ({"settings": {"dokcer": {}}}, "settings: unknown key 'dokcer'; did you mean 'docker'?"),
    ({"settings": {"docker": {"requirments": []}}}, "DockerSettings has no field 'requirments'"),
    ({"settings": {"deployer.hugingface": {}}}, "no deployer flavor 'hugingface'; did you mean 'huggingface'?"),
])
def test_wrong_configuration(project, config, words):
    project.write(FULL)
    error = project.error(config=config)
    assert error["kind"] == "config" and words in error["message"] and "\n" not in error["message"]


def test_wrong_type_of_a_configured_parameter(project):
    project.write(FULL)
    error = project.error(config={"parameters": {"old_name": "many"}})
    assert error["kind"] == "parameters"
    assert error["message"].startswith("pipeline 'p': parameter 'old_name': Input should be a valid integer")


HEAD = "from kourou import pipeline, step\n"
STEP = HEAD + "@step\ndef s(x: int) -> int: return x\n"


@pytest.mark.parametrize("source, text, kind, words, line", [
    ("nope.p", "", "import", "there is no module 'nope' in ", None),
    ("mod.sub.p", "", "attribute", "mod has no attribute 'sub'", None),
    ("mod", "", "import", "'mod' is not like module.name", None),
    ("mod.a-b", "", "import", "'mod.a-b' is not like module.name", None),
    ("mod.pp", STEP + "@pipeline\ndef p(): s(1)\n", "attribute", "mod has no attribute 'pp'; did you mean 'p'?", None),
    ("mod.p", "p = 3\n", "not_a_pipeline", "mod.p is of type int, not a pipeline", None),
    ("mod.s", STEP, "not_a_pipeline", "mod.s is a step, not a pipeline", None),
    ("mod.f", "def f(): pass\n", "not_a_pipeline", "put @pipeline on it", None),
    ("mod.p", "\nimport missing_thing\n", "import", "No module named 'missing_thing'", 2),
    ("mod.p", "x = 1\n1/0\n", "import", "importing mod failed: ZeroDivisionError", 2),
    ("mod.p", "x = (\n", "import", "SyntaxError", 1),
    ("mod.p", "import sys\nsys.exit('bye')\n", "import", "SystemExit: bye", 2),
    ("mod.p", HEAD + "from kourou import DockerSettings\nd = DockerSettings(requirement=[])\n", "config",
     "DockerSettings has no field 'requirement'; did you mean 'requirements'?", None),
    ("mod.p", HEAD + "@pipeline(settings={'deploy': {}})\ndef p(): pass\n", "config",
     "@pipeline of 'p': settings: unknown key 'deploy'; did you mean", 2),
    ("mod.p", HEAD + "@pipeline(sttings={})\ndef p(): pass\n", "config", "has no option 'sttings'", 2),
    ("mod.p", STEP + "@pipeline\ndef p(x: int):\n    if x: s(x)\n", "parameters",
     "the parameter 'x' is not known yet", 6),
    ("mod.p", STEP + "@pipeline\ndef p(x: int):\n    s(y=x)\n", "parameters", "step 's' has no parameter 'y'", 6),
    ("mod.p", STEP + "@pipeline\ndef p(**kw): s(1)\n", "parameters", "pipeline 'p' takes **kwargs", 4),
    ("mod.p", STEP + "@pipeline\ndef p(): pass\n", "parameters", "pipeline 'p' calls no step", 4),
    ("mod.p", STEP + "@pipeline\ndef p(): 1/0\n", "internal", "ZeroDivisionError", 5),
    ("mod.p", STEP + "class A: pass\n@pipeline\ndef p(x: int, a: A): s(x)\n", "schema",
     "parameter 'a' of pipeline 'p' has the type mod.A, which has no JSON schema", 5),
    ("mod.p", STEP + "from typing import Callable\n@pipeline\ndef p(x: int, a: Callable): s(x)\n", "schema",
     "parameter 'a' of pipeline 'p'", 5),
    ("mod.p", HEAD + "class A: pass\n@step\ndef t() -> A: return A()\n@pipeline\ndef p(): return t()\n", "schema",
     "output 'output' of step 't' has the type mod.A, which has no JSON schema", 3),
    ("mod.p", HEAD + "@step\ndef t(x: 'Unknown') -> int: return 1\n@pipeline\ndef p(): return t(1)\n", "parameters",
     "step 't' has an annotation with the name 'Unknown'", 2),
    ("mod.p", STEP + "@pipeline\ndef p(x: int = object()): s(x)\n", "schema",
     "default of parameter 'x' cannot be written as JSON", 4),
    ("mod.p", STEP + "from kourou import DeploymentSettings, EndpointSpec\n@pipeline(settings={'deployment':\n"
     " DeploymentSettings(custom_endpoints=[EndpointSpec(path='/', method='GET', handler=lambda: 1)])})\n"
     "def p(): s(1)\n", "config", "so it cannot be imported by name", None),
])
def test_errors_name_what_and_where(project, source, text, kind, words, line):
    project.write(text)
    error = project.error(source)
    assert error["kind"] == kind, error
    assert words in error["message"] and "\n" not in error["message"], error
    if line is not None:
        # Before 3.11 a decorator's line is that of the function below it.
        lines = [line, line + 1] if sys.version_info < (3, 11) and kind == "config" else [line]
        assert error["file"] == "mod.py" and error["line"] in lines, error


def test_traceback_shows_only_the_users_frames(project):
    project.write("def fail():\n    raise KeyError('x')\n", "pkg.helper")
    project.write("from pkg.helper import fail\nfail()\n")
    error = project.error()
    assert error["traceback"] == ("  mod.py:2 in <module>\n    fail()\n  pkg/helper.py:2 in fail\n"
                                  "    raise KeyError('x')\nKeyError: 'x'\n")


def test_numpy_without_schema_is_explained(project):
    pytest.importorskip("numpy")
    project.write(HEAD + "import numpy as np\n@step\ndef s(x: np.ndarray) -> float: return 1.0\n"
                         "@pipeline\ndef p(image: np.ndarray): return s(image)\n")
    error = project.error()
    assert error["kind"] == "schema"
    assert error["message"] == ("parameter 'image' of pipeline 'p' has the type numpy.ndarray, which has no JSON "
                                "schema; use builtin types, a dataclass or a pydantic model")


def test_pipelines_that_are_bound_to_names(project):
    project.write(STEP + "@pipeline\ndef base(x: int = 1): return s(x)\n"
                         "p = base.with_options(parameters={'x': 5}, name='bound')\n", "deep.inner.mod")
    document = project.snapshot("deep.inner.mod.p")
    assert document["pipeline"]["source"] == "deep.inner.mod.p" and document["pipeline"]["name"] == "bound"
    assert document["parameters"] == {"x": 5}


def test_python_without_pydantic(project, tmp_path):
    (tmp_path / "fake" / "pydantic").mkdir(parents=True)
    (tmp_path / "fake" / "pydantic" / "__init__.py").write_text("raise ImportError(\"No module named 'pydantic'\")")
    project.write(STEP + "@pipeline\ndef p(x: int): return s(x)\n")
    error = project.error(env={**os.environ, "PYTHONPATH": str(tmp_path / "fake")})
    assert error["kind"] == "python" and "python -m pip install 'pydantic>=2'" in error["message"]


def test_python_that_is_too_old(project, tmp_path):
    """The entry has to be readable by Pythons that cannot run the rest."""
    old = tmp_path / "kourou" / "_boot.py"
    old.parent.mkdir()
    for name in ("_boot.py", "_oneshot.py"):
        source = (PYTHON / "kourou" / name).read_text()
        assert "sys.version_info >= (3, 9)" in source
        (old.parent / name).write_text(source.replace("sys.version_info >= (3, 9)", "(3, 6, 15) >= (3, 9)"))
    done = subprocess.run([sys.executable, str(old), "compile", "m.p", "--root", "/", "--output",
                           str(tmp_path / "o.json")], capture_output=True, text=True)
    assert done.returncode == 1 and "is too old; Kourou needs 3.9 or newer" in done.stderr
    error = json.loads((tmp_path / "o.json").read_text())["error"]
    assert error["kind"] == "python" and "too old" in error["message"]


def test_check_describes_the_interpreter():
    done = subprocess.run([sys.executable, str(PYTHON / "kourou" / "_boot.py"), "check"], capture_output=True, text=True)
    about = json.loads(done.stdout)
    import pydantic

    assert about["pydantic"] == pydantic.VERSION and about["kourou"] == "0.1.0"
    assert about["version"] == "%d.%d.%d" % sys.version_info[:3] and about["prefix"] == sys.prefix
    assert subprocess.run([sys.executable, str(PYTHON / "kourou" / "_boot.py"), "fly"],
                          capture_output=True).returncode == 2


def test_modules_of_the_user_may_have_any_name(project):
    """Files of Kourou must not be found in place of the user's or of the standard library."""
    project.write("VALUE = 5\n", "types_of_mine")
    project.write("VALUE = 6\n", "config")
    project.write("VALUE = 7\n", "schema")
    project.write(STEP + "import types_of_mine, config, schema, types, http, queue\n"
                  "assert config.VALUE == 6 and schema.VALUE == 7 and types.SimpleNamespace and http.HTTPStatus\n"
                  "@pipeline\ndef p(x: int): return s(x)\n")
    project.snapshot()


def test_configuration_template(project):
    mod = project.load(STEP + "@pipeline\ndef p(x: int, y: str = 'a\"b'): return s(x)\n")
    mod.p.write_run_configuration_template(project.root / "t.yaml")
    import yaml

    data = yaml.safe_load((project.root / "t.yaml").read_text())
    assert data == {"parameters": {"y": 'a"b'}, "environment": {}, "settings": {}, "steps": {"s": {"parameters": {}}}}
    assert mod.p.with_options(config_path=project.root / "t.yaml")(x=1) == 1
