# SPDX-License-Identifier: Apache-2.0
"""Mistakes that an editor has to show: each line with "# wrong" is reported by both checkers, and no other line is."""
from typing import List, Tuple

from kourou import (DeploymentSettings, HuggingFaceDeployerSettings, LocalDeployerSettings, StepRetryConfig, get_step_context,
                    pipeline, step)


@step
def greet(name: str, times: int = 1) -> str:
    return f"Hello, {name}!" * times


@step
def count(text: str) -> int:
    return len(text)


@step
def both(text: str) -> Tuple[int, str]:
    return len(text), text


@step
async def fetch(topic: str) -> List[str]:
    return [topic]


@step
def watched(x: int) -> int:
    if get_step_context().pipeline_stat is None:  # wrong: misspelt
        return 0
    get_step_context().pipeline_run.nmae  # wrong: misspelt
    return x


# -- settings -----------------------------------------------------------------------------------

HuggingFaceDeployerSettings(space_hardwear="t4-small")  # wrong: misspelt
HuggingFaceDeployerSettings(private="yes")  # wrong: type
HuggingFaceDeployerSettings(visibility="hidden")  # wrong: none of the words
LocalDeployerSettings(port="8000")  # wrong: type
deployment = DeploymentSettings(isolation="thread")
deployment.uvicorn_wrokers = 2  # wrong: misspelt
deployment.uvicorn_workers = "two"  # wrong: type


# -- steps --------------------------------------------------------------------------------------

@pipeline
def my_pipeline(name: str, times: int = 2) -> int:
    greet()  # wrong: without its parameter
    greet(1)  # wrong: type
    greet(nmae=name)  # wrong: misspelt keyword
    greet(name, times="two")  # wrong: type of a keyword
    text = greet(name, times)
    count(count(text))  # wrong: a result of another type
    text.upcase()  # wrong: a result has the methods of its type only
    a, b, c = both(text)  # wrong: two outputs
    fetch(name).add(text)  # wrong: what a coroutine comes to is a list
    return count(text)


my_pipeline(name=5)  # wrong: type
my_pipeline()  # wrong: without its parameter
my_pipeline(name="Ada", tmies=3)  # wrong: misspelt
my_pipeline.with_options(run_nmae="nightly")  # wrong: misspelt option
my_pipeline.with_options(enable_cache="no")  # wrong: type of an option


# -- hooks and options --------------------------------------------------------------------------

def no_hook(error: Exception, step_name: str) -> None:
    print(error, step_name)


def hook_of_text(error: str) -> None:
    print(error)


def clean_up(state: object) -> None:
    print(state)


@step(on_failure=no_hook)  # wrong: two parameters
def fails(x: int) -> int:
    return x


@step(on_failure=hook_of_text)  # wrong: it gets an exception
def fails_too(x: int) -> int:
    return x


@step(retry=StepRetryConfig(max_retires=2))  # wrong: misspelt
def shaky(x: int) -> int:
    return x


@step(retires=2)  # wrong: misspelt option
def shaky_too(x: int) -> int:
    return x


@pipeline(on_cleanup=clean_up)  # wrong: it gets nothing
def cleaned(x: int) -> int:
    return fails(x)


@pipeline(settings=["docker"])  # wrong: no dictionary
def configured(x: int) -> int:
    return fails(x)
