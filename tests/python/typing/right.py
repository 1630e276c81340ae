# SPDX-License-Identifier: Apache-2.0
"""Right usage, beside the examples of the documentation: no checker has a word to say, and every type is known."""
from __future__ import annotations

import datetime
from typing import Annotated, Any, AsyncIterator, Dict, Generator, Iterator, List, Optional, Tuple

from typing_extensions import assert_type

import kourou
from kourou import (ArtifactConfig, BaseStep, Client, CORSConfig, DeploymentSettings, DockerSettings, HuggingFaceDeployerSettings,
                    Model, PythonPackageInstaller, StepContext, StepRetryConfig, get_step_context, pipeline, step)


@step
def greet(name: str, times: int = 1) -> Annotated[str, "greeting"]:
    """Greets."""
    return name * times


@step(name="counted", retry=StepRetryConfig(max_retries=2), environment={"A": None, "B": 1}, secrets=["database"])
def count(text: str) -> int:
    return len(text)


@step
async def fetch(topic: str) -> List[str]:
    return [topic]


@step
def speak(words: List[str]) -> Iterator[str]:
    yield from words


@step
def spoken(words: List[str]) -> Generator[str, None, int]:
    yield from words
    return len(words)


@step
def silent(words: List[str]) -> Generator[str, None, None]:
    yield from words


@step
async def heard(words: List[str]) -> AsyncIterator[str]:
    for word in words:
        yield word


@step
def both(text: str) -> Tuple[Annotated[int, "length"], Annotated[str, ArtifactConfig(name="text")]]:
    return len(text), text


@step(parameters={"factor": 2})
def scaled(x: int, factor: int) -> int:
    return x * factor


@step
def nothing(text: Optional[str]) -> None:
    context = get_step_context()
    assert_type(context, StepContext)
    assert_type(context.step_name, str)
    assert_type(context.inputs, Dict[str, Any])
    assert_type(context.pipeline_run.id, str)
    assert_type(context.cancelled, bool)
    print(context.pipeline_state["model"], text)


class Scale(BaseStep):
    def entrypoint(self, x: int, factor: int = 2) -> int:
        return x * factor


def late(error: BaseException) -> None:
    print(error)


async def finished() -> None:
    pass


def load(path: str, limit: int = 3) -> Dict[str, int]:
    return {path: limit}


docker = DockerSettings(requirements=["numpy"], python_package_installer=PythonPackageInstaller.UV, environment={"A": "b"})
hub = HuggingFaceDeployerSettings(private=True, space_storage="small", sleep_time=-1)
web = DeploymentSettings(cors=CORSConfig(allow_origins=["*"]), uvicorn_workers=2, startup_hook=load, log_level="debug")
web.cors.allow_origins.append("https://example.org")
assert_type(web.uvicorn_workers, int)
assert_type(hub.private, Optional[bool])
assert_type(docker.model_copy(update={"user": "me"}), DockerSettings)
common = {"docker": docker, "deployer.huggingface": hub}


@pipeline(settings=common)
def inner(text: str) -> int:
    return count(text)


@pipeline(on_init=load, on_init_kwargs={"path": "x"}, on_cleanup=finished, on_failure=late, on_success=finished,
          settings={"deployment": web, "deployer": {"generate_auth_key": True}}, tags=["a"], model=Model(name="m"),
          retry=2, extra={"a": 1})
def my_pipeline(name: str, times: int = 2, day: Optional[datetime.date] = None) -> Tuple[str, int]:
    text = greet(name, times=times)
    assert_type(text, str)
    assert_type(fetch(name), List[str])
    words = speak(fetch(name))
    assert_type(words, List[str])
    assert_type(spoken(words), int)
    assert_type(silent(words), List[str])
    assert_type(heard(words), List[str])
    length, again = both(text)
    assert_type(length, int)
    nothing(again, after=text)
    nothing.after(count)
    scaled(3)
    Scale(name="scale")(2)
    inner(text)
    last = greet(name, id="last", after=[words, "counted"])
    assert_type(last, str)
    assert_type(count.with_options(name="other", retry={"max_retries": 1})(text), int)
    return text, count(last)


def use() -> None:
    assert_type(my_pipeline("Ada"), Tuple[str, int])
    assert_type(my_pipeline.with_options(run_name="nightly", enable_cache=False)("Ada", times=1), Tuple[str, int])
    my_pipeline.with_options("config.yaml")()
    my_pipeline.with_options(parameters={"name": "Ada"})()
    deployment = my_pipeline.deploy("mine", 30, name="Ada")
    assert_type(deployment.url, Optional[str])
    print(deployment.invoke(name="Bob")["outputs"], my_pipeline.__doc__, greet.name)
    client = Client()
    print(client.get_artifact_version("text").load(), client.get_secret("database").secret_values["password"])
    assert_type(client.list_artifact_versions(tags=["a"])[0].run_metadata, Dict[str, Any])
    print([one.name for one in client.list_deployments()])
    try:
        my_pipeline("Ada", day=datetime.date(2026, 1, 1))
    except kourou.ParameterError as error:
        print(error.errors, error.message)
