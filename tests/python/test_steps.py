# SPDX-License-Identifier: Apache-2.0
"""Steps and pipelines in this process: graphs, calling, options."""
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import kourou
from kourou import (ArtifactConfig, ParameterError, PipelineDefinitionError, SettingsError, StepRetryConfig,
                    get_pipeline_context, get_step_context, log_metadata, pipeline, step)
from typing import Annotated, Dict, Generator, Iterator, List, Optional, Tuple

from .conftest import PYTHON


@step
def add(a: int, b: int = 10) -> int:
    return a + b


@step
def split(text: str) -> Tuple[Annotated[str, "head"], Annotated[int, "size"]]:
    return text[:1], len(text)


@step
def nothing(x: int) -> None:
    seen.append(x)


seen = []


def test_bare_and_called_decorators():
    @step(name="other", enable_cache=False, extra={"a": 1}, step_operator=None, output_materializers=int)
    def one(x: int) -> int:
        """Doc."""
        return x

    @pipeline(name="pipe", enable_cache=True, tags=["t"], depends_on=[], cache_policy=None)
    def p(x: int = 1):
        return one(x)

    assert (one.name, one.__doc__, p.name) == ("other", "Doc.", "pipe")
    assert p() == 1 and p(x=5) == 5 and p(6) == 6


def test_step_outside_of_pipelines_is_a_function():
    assert add(1, 2) == 3
    assert split("abc") == ("a", 3)


def test_calling_gives_what_the_function_returns():
    @pipeline
    def p(x: int, text: str = "hello"):
        y = add(x)
        head, size = split(text)
        nothing(size)
        return {"sum": add(y, size), "head": head, "same": x, "constant": [7, y]}

    assert p(1) == {"sum": 16, "head": "h", "same": 1, "constant": [7, 11]}
    assert seen.pop() == 5


def test_a_parameter_feeds_whatever_it_is_passed_to():
    @pipeline
    def p(first: int, second: int):
        return add(b=first, a=second), add(first)

    assert p(first=1, second=2) == (3, 11)
    graph = p.graph
    assert graph.nodes[0].inputs == {"a": ("parameter", "second"), "b": ("parameter", "first")}
    assert [node.name for node in graph.nodes] == ["add", "add_2"]
    assert [name for name, _ in graph.outputs] == ["add.output", "add_2.output"]


def test_ids_and_order():
    order = []

    @step
    def note(x: str) -> None:
        order.append(x)

    @step
    def last(x: str) -> None:
        order.append(x)

    @pipeline
    def p():
        note("c", id="third", after=["second"])
        a = note("a", id="first")
        note("b", id="second", after=a)
        last("z")
        last.after(note)

    p()
    assert order == ["a", "b", "c", "z"]
    assert p.graph.edges() == [("first", "last"), ("first", "second"), ("second", "last"), ("second", "third"),
                               ("third", "last")]


def test_circles_unknown_names_and_equal_ids_are_errors():
    @pipeline
    def circle():
        add(1, id="a", after="b")
        add(2, id="b", after="a")

    with pytest.raises(PipelineDefinitionError, match="these steps wait for each other: a, b"):
        circle()

    @pipeline
    def unknown():
        add(1, after="ad")

    with pytest.raises(PipelineDefinitionError, match="there is no step 'ad'; did you mean 'add'"):
        unknown()

    @pipeline
    def twice():
        add(1, id="a")
        add(2, id="a")

    with pytest.raises(PipelineDefinitionError, match="two steps have the id 'a'"):
        twice()


@pytest.mark.parametrize("use, words", [
    (lambda v: 1 if v else 2, "test it"),
    (lambda v: [i for i in v], "loop over it"),
    (lambda v: v[0], "index it"),
    (lambda v: f"{v}", "put it into a string"),
    (lambda v: v + 1, "calculate with it"),
    (lambda v: v == 1, "compare it"),
    (lambda v: v.name, "read its attribute 'name'"),
    (lambda v: int(v), "convert it"),
])
def test_placeholders_refuse_to_be_values(use, words):
    @pipeline
    def p(x: int):
        y = add(x)
        use(y)

    with pytest.raises(PipelineDefinitionError) as caught:
        p(1)
    assert "the output 'output' of step 'add' is not known yet" in caught.value.message
    assert words in caught.value.message
    assert caught.value.file == __file__ and isinstance(caught.value.line, int)


def test_wrong_calls_of_steps_name_the_line():
    @pipeline
    def extra(x: int):
        return add(x, c=1)

    with pytest.raises(PipelineDefinitionError, match="step 'add' has no parameter 'c'") as caught:
        extra(1)
    assert caught.value.file == __file__
    assert "add(x, c=1)" in open(__file__).read().splitlines()[caught.value.line - 1]

    @pipeline
    def missing():
        return add()

    with pytest.raises(PipelineDefinitionError, match="step 'add' is called without its parameter 'a'"):
        missing()

    @pipeline
    def all_at_once(text: str):
        return add(split(text))

    with pytest.raises(PipelineDefinitionError, match="unpack them: a, b = split"):
        all_at_once("x")

    @pipeline
    def from_nothing():
        return add(nothing(1))

    with pytest.raises(PipelineDefinitionError, match="which gives nothing"):
        from_nothing()

    @pipeline
    def empty():
        return 1

    with pytest.raises(PipelineDefinitionError, match="pipeline 'empty' calls no step"):
        empty()


def test_signatures_that_cannot_work():
    @step
    def stars(*args) -> int:
        return 1

    with pytest.raises(PipelineDefinitionError, match=r"step 'stars' takes \*args") as caught:
        stars.parameters
    assert caught.value.file == __file__

    @step
    def equal() -> Tuple[Annotated[int, "a"], Annotated[int, "a"]]:
        return 1, 2

    with pytest.raises(PipelineDefinitionError, match="two outputs named 'a'"):
        equal.outputs

    @pipeline
    async def waits():
        add(1)

    with pytest.raises(PipelineDefinitionError, match="only its steps can be"):
        waits()


def test_lists_of_outputs():
    @step
    def total(values: List[int]) -> int:
        return sum(values)

    @pipeline
    def p(x: int):
        return total([add(x), add(x, 1), 100, x])

    assert p(1) == 11 + 2 + 100 + 1


def test_values_in_the_pipeline_are_not_shared_between_runs():
    @step
    def grow(values: List[int]) -> int:
        values.append(1)
        return len(values)

    @pipeline
    def p():
        return grow([])

    assert [p(), p(), p()] == [1, 1, 1]


def test_parameters_are_checked_and_converted():
    @pipeline
    def p(x: int, y: Optional[float] = None):
        return add(x), x

    assert p(x="4") == (14, 4)
    with pytest.raises(ParameterError) as caught:
        p(x="four", y="five")
    assert "x: Input should be a valid integer" in caught.value.message
    assert [e["loc"] for e in caught.value.errors] == [("x",), ("y",)]
    with pytest.raises(ParameterError, match="x: Field required"):
        p()
    with pytest.raises(ParameterError, match="has no parameter 'z'"):
        p(z=1)


def test_with_options_copies_and_configure_changes():
    @pipeline
    def p(x: int = 1):
        return add(x)

    other = p.with_options(parameters={"x": "5"}, steps={"add": {"parameters": {"b": 100}}})
    assert (other(), p()) == (105, 11)
    with pytest.raises(ParameterError, match="'x' is 6 in the call and '5' in the configuration"):
        other(x=6)
    assert p.configure(parameters={"x": 2}) is p and p() == 12
    with pytest.raises(SettingsError, match="has no parameter 'z'"):
        p.with_options(parameters={"z": 1})()
    with pytest.raises(ParameterError, match="parameter 'x': Input should be a valid integer"):
        p.with_options(parameters={"x": "many"})()
    with pytest.raises(SettingsError, match="has no step 'ad'; did you mean 'add'"):
        p.with_options(steps={"ad": {}})()
    with pytest.raises(SettingsError, match="is given in the pipeline and, differently"):
        p.with_options(steps={"add": {"parameters": {"a": 3}}})()


def test_options_are_checked():
    with pytest.raises(SettingsError, match="@pipeline of 'p' has no option 'setings'; did you mean 'settings'") as e:
        @pipeline(setings={})
        def p():
            pass
    assert e.value.file == __file__
    with pytest.raises(SettingsError, match="dynamic pipelines have no graph"):
        @pipeline(dynamic=True)
        def q():
            pass
    with pytest.raises(SettingsError, match="expected True or False"):
        step(enable_cache=1)(lambda: 1)
    with pytest.raises(SettingsError, match="on_failure is 5, expected a function"):
        step(on_failure=5)(lambda: 1)
    with pytest.raises(SettingsError, match="'A=B' is not a name"):
        step(environment={"A=B": "x"})(lambda: 1)
    with pytest.raises(SettingsError, match="secrets is 'one', expected a list"):
        pipeline(secrets="one")(lambda: 1)
    with pytest.raises(SettingsError, match="max_retries is -1"):
        StepRetryConfig(max_retries=-1)


def test_configuration_files(tmp_path):
    @pipeline
    def p(x: int = 1):
        return add(x)

    path = tmp_path / "c.yaml"
    path.write_text("parameters:\n  x: 7\nsteps:\n  add:\n    parameters: {b: 1}\nenable_cache: false\n")
    assert p.with_options(config_path=path)() == 8
    assert p.with_options(config_path=path, parameters={"x": 1})() == 2
    path.write_text('{"paramters": {}}')
    with pytest.raises(SettingsError, match="unknown key 'paramters'; did you mean 'parameters'"):
        p.with_options(config_path=path)
    path.write_text("a: [")
    with pytest.raises(SettingsError, match="c.yaml"):
        p.with_options(config_path=path)
    with pytest.raises(SettingsError, match="No such file"):
        p.with_options(config_path=tmp_path / "none.yaml")


def test_retry():
    calls = []

    @step(retry=StepRetryConfig(max_retries=2, delay=0))
    def shaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise ValueError("not yet")
        return len(calls)

    @pipeline
    def p():
        return shaky(1)

    assert p() == 3
    calls.clear()
    with pytest.raises(ValueError, match="not yet"):
        p.with_options(steps={"shaky": {"retry": {"max_retries": 1}}})()
    assert len(calls) == 2


def test_hooks_of_steps_and_pipelines():
    heard = []

    def failed(error: BaseException):
        heard.append(("failed", str(error), get_step_context().step_name))

    def succeeded():
        heard.append(("ok", get_step_context().step_name))

    def broken():
        raise RuntimeError("the hook is broken")

    @step(on_success=broken)
    def good(x: int) -> int:
        return x

    @step
    def bad(x: int) -> int:
        raise ValueError("bad")

    @pipeline(on_failure=failed, on_success=succeeded)
    def p():
        return bad(add(good(1)))

    with pytest.raises(ValueError, match="^bad$"):
        p()
    assert heard == [("ok", "add"), ("failed", "bad", "bad")]


def test_state_and_cleanup():
    heard = []

    async def start(size):
        assert get_pipeline_context().name == "p"
        heard.append("start")
        return list(range(size))

    @step
    def use(i: int) -> int:
        context = get_step_context()
        assert context.inputs == {"i": i} and context.outputs == ["output"] and context.step_name == "use"
        assert context.pipeline_run.parameters == {"i": i} and context.pipeline.name == "p"
        return context.pipeline_state[i]

    @pipeline(on_init=start, on_init_kwargs={"size": 3}, on_cleanup=lambda: heard.append("end"))
    def p(i: int):
        return use(i)

    assert p(2) == 2
    with pytest.raises(IndexError):
        p(9)
    assert heard == ["start", "end", "start", "end"]


def test_contexts_exist_only_inside():
    for function in (get_step_context, get_pipeline_context):
        with pytest.raises(kourou.ContextError, match="works inside"):
            function()
    log_metadata({"nobody": "listens"})
    with pytest.raises(TypeError, match="has to be a dictionary"):
        log_metadata("x")


def test_environment_is_set_while_it_runs(monkeypatch):
    monkeypatch.setenv("OUTER", "o")
    monkeypatch.delenv("A_KEY", raising=False)

    @step(environment={"B_KEY": 5})
    def read() -> str:
        return os.environ["A_KEY"] + os.environ["B_KEY"]

    @pipeline(environment={"A_KEY": "${OUTER}!"})
    def p():
        return read()

    assert p() == "o!5"
    assert "A_KEY" not in os.environ

    @step(environment={"B_KEY": "6"})
    def other() -> None:
        pass

    @pipeline
    def clash():
        read()
        other()

    with pytest.raises(SettingsError, match="steps 'read' and 'other' set the environment variable B_KEY"):
        clash()


def test_async_and_generator_steps():
    @step
    async def later(x: int) -> int:
        import asyncio

        await asyncio.sleep(0)
        return x + 1

    @step
    def pieces(n: int) -> Iterator[int]:
        yield from range(n)

    @step
    async def apieces(n: int) -> "Annotated[Iterator[str], 'words']":
        for i in range(n):
            yield str(i)

    @step
    def summed(n: int) -> Generator[int, None, str]:
        total = 0
        for i in range(n):
            total += i
            yield i
        return f"total {total}"

    @step
    def returned(n: int) -> Iterator[int]:
        return iter([n, n])

    @pipeline
    def p(n: int):
        return later(n), pieces(n), apieces(n), summed(n), returned(n)

    assert p(3) == (4, [0, 1, 2], ["0", "1", "2"], "total 3", [3, 3])
    assert [o.annotation for o in (pieces.outputs + apieces.outputs + summed.outputs)] == [List[int], List[str], str]
    assert apieces.outputs[0].name == "words"
    assert later(1) == 2


def test_pipelines_inside_pipelines():
    @pipeline
    def inner(x: int, y: int = 5):
        return add(x, y)

    @pipeline
    def outer(x: int):
        return inner(inner(x), 1)

    assert outer(1) == 7
    assert [node.name for node in outer.graph.nodes] == ["add", "add_2"]


def test_wrong_number_of_outputs():
    @step
    def two() -> Tuple[int, int]:
        return 1, 2, 3

    @pipeline
    def p():
        two()

    with pytest.raises(kourou.OutputError, match=r"has to return 2 values \(output_0, output_1\), but returned 3 values"):
        p()


def test_steps_as_classes():
    from kourou import BaseStep

    class Scale(BaseStep):
        def entrypoint(self, x: int) -> Annotated[int, "scaled"]:
            return x * 3

    scale = Scale()

    @pipeline
    def p(x: int):
        return scale(x)

    assert p(2) == 6 and p.graph.outputs[0][0] == "scaled"


SAVER = """
import sys
from kourou import add_tags, save_artifact
first, count = int(sys.argv[1]), int(sys.argv[2])
for i in range(first, first + count):
    save_artifact({"value": i}, "crowd")
    save_artifact(i, "one", version="fixed")
    add_tags([f"t{i}"], artifact_name="tagged")
"""


def test_artifacts_kept_at_once_are_all_kept(project):
    """By 16 threads, and by processes beside them; a reader meanwhile finds nothing half done."""
    from kourou import Client, add_tags, load_artifact, save_artifact

    save_artifact(0, "tagged")
    save_artifact(-1, "one", version="fixed")
    processes = [subprocess.Popen([sys.executable, "-c", SAVER, str(1000 * n), "5"], env={**os.environ, "PYTHONPATH": str(PYTHON)})
                 for n in range(1, 4)]
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            seen.append(load_artifact("one", "fixed"))
            assert all(one.version.isdigit() for one in Client().list_artifact_versions("crowd"))

    def keep(n):
        for i in range(5):
            save_artifact({"value": n * 5 + i}, "crowd")
            save_artifact(n, "one", version="fixed")
            add_tags([f"t{n * 5 + i}"], artifact_name="tagged")

    with ThreadPoolExecutor(17) as pool:
        reader = pool.submit(read)
        list(pool.map(keep, range(16)))
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        stop.set()
        reader.result()
    kept = Client().list_artifact_versions("crowd")
    assert sorted(int(one.version) for one in kept) == list(range(1, 96))
    want = set(range(80)) | {1000 * n + i for n in (1, 2, 3) for i in range(5)}
    assert {one.load()["value"] for one in kept} == want and seen
    assert set(Client().get_artifact_version("tagged").tags) == {f"t{i}" for i in want}
    assert not [name for name in os.listdir(os.path.dirname(kept[0].uri)) if name.startswith(".new")]
    with pytest.raises(ValueError, match="must not begin with a dot"):
        save_artifact(1, "one", version=".new-x")


def test_artifacts_are_kept(project):
    from kourou import Client, add_tags, load_artifact, save_artifact

    @step
    def train(x: int) -> Annotated[Dict[str, int], ArtifactConfig(name="model", tags=["a"])]:
        log_metadata({"score": 0.5}, infer_artifact=True)
        add_tags(["b"], infer_artifact=True)
        return {"x": x}

    @pipeline
    def training(x: int):
        train(x)

    training(1)
    training(2)
    client = Client()
    assert client.get_artifact_version("model").load() == {"x": 2}
    assert client.get_artifact_version("model", 1).load() == {"x": 1}
    assert [a.version for a in client.list_artifact_versions(tags=["a", "b"])] == ["2", "1"]
    assert client.get_artifact_version("model").run_metadata == {"score": 0.5}
    add_tags(["c"], artifact_name="model", artifact_version="1")
    assert [a.version for a in client.list_artifact_versions(name="model", tag="c")] == ["1"]
    save_artifact([1], "mine", tags=["z"])
    assert load_artifact("mine") == [1]
    with pytest.raises(kourou.NotFoundError, match="there is no artifact 'none' in "):
        client.get_artifact_version("none")
    with pytest.raises(kourou.NotFoundError, match="has no version '9'; there are: 1, 2"):
        client.get_artifact_version("model", "9")
    with pytest.raises(TypeError, match="cannot be kept"):
        save_artifact(lambda: 1, "bad")
    with pytest.raises(ValueError, match="is not a name"):
        save_artifact(1, "../escape")
    store = client.active_stack.artifact_store
    with store.open("reports/one.txt", "w") as file:
        file.write("x")
    assert store.exists("reports/one.txt") and store.listdir("reports") == ["one.txt"]
    with pytest.raises(ValueError, match="outside of the artifact folder"):
        store.open("../../etc/passwd")
    with pytest.raises(AttributeError, match="Client has no 'zen_store'"):
        client.zen_store
