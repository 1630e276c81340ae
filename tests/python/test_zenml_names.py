# SPDX-License-Identifier: Apache-2.0
"""What the page on pipelines says about the names of ZenML: what works, and what is an error and not just silence."""
import os
import subprocess
import sys

import pytest

from tests.python.conftest import PYTHON

MODULES = {
    "zenml": "pipeline step Client Model ArtifactConfig ExternalArtifact save_artifact load_artifact log_metadata add_tags "
             "get_step_context get_pipeline_context",
    "zenml.config": "DockerSettings DeploymentSettings ResourceSettings CORSConfig EndpointSpec MiddlewareSpec StepRetryConfig",
    "zenml.integrations.huggingface.deployers": "HuggingFaceDeployerSettings",
    "zenml.logger": "get_logger", "zenml.types": "HTMLString", "zenml.client": "Client",
}
MISSING = ("zenml.enums zenml.materializers zenml.metadata zenml.models zenml.model_registries zenml.io zenml.utils "
           "zenml.environment zenml.artifact_stores zenml.steps.step_context zenml.integrations.constants "
           "zenml.deployers.server.app").split()
HEAD = "from zenml import Client, pipeline, save_artifact, step\n\n@step\ndef one() -> int:\n    return 1\n\n"
WORKS = {
    "values": "@pipeline\ndef p():\n    return one()\n\nassert p() == 1\n",
    "artifacts": "save_artifact(5, 'n')\nassert Client().get_artifact_version('n').load() == 5\n",
    "after": "@step\ndef two() -> int:\n    return 2\n\n@pipeline\ndef p():\n    one(after=['two'])\n    return two()\n\nassert p() == 2\n",
    "keyword-only": "@step\ndef add(*, a: int) -> int:\n    return a + 1\n\n@pipeline\ndef p():\n    return add(a=one())\n\nassert p() == 2\n",
}
REFUSED = {
    "run objects": ("@pipeline\ndef p():\n    one()\n\np().id\n", "has no attribute 'id'"),
    "outputs kept by themselves": ("from typing import Annotated\n\n@step\ndef n() -> Annotated[int, 'kept']:\n    return 1\n\n"
                                   "@pipeline\ndef p():\n    n()\n\np()\nClient().get_artifact_version('kept')\n",
                                   "there is no artifact 'kept'"),
    "secrets": ("Client().create_secret('s', values={'a': 'b'})\n", "Client has no 'create_secret'"),
    "stages": ("from zenml import Model\nModel(name='m').set_stage('production')\n", "has no attribute 'set_stage'"),
    "sorted pages": ("Client().list_artifact_versions(sort_by='desc:created')\n", "has no argument 'sort_by'"),
    "dynamic": ("@pipeline(dynamic=True)\ndef p():\n    one()\n", "dynamic pipelines have no graph before they run"),
    "outputs in texts": ("@pipeline\ndef p():\n    print(f'{one()}')\n\np()\n", "is not known yet while the pipeline is"),
}


def run(text, folder):
    (folder / "script.py").write_text(text)
    return subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(PYTHON), "KOUROU_HOME": str(folder / "home")})


def test_names_that_are_there(tmp_path):
    text = "".join(f"from {module} import {', '.join(names.split())}\n" for module, names in MODULES.items())
    assert run(text, tmp_path).stderr == ""


def test_modules_that_are_not(tmp_path):
    tries = "".join(f"try:\n    import {name}\n    print('{name}')\nexcept ModuleNotFoundError:\n    pass\n" for name in MISSING)
    assert run(tries, tmp_path).stdout == ""


@pytest.mark.parametrize("name", WORKS)
def test_what_works(tmp_path, name):
    done = run(HEAD + WORKS[name], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_work_yet_says_so(tmp_path, name):
    text, problem = REFUSED[name]
    done = run(HEAD + text, tmp_path)
    assert done.returncode == 1 and problem in done.stderr, done.stderr


def test_the_page_has_these_names():
    page = (PYTHON.parent / "docs/pipelines-python.md").read_text()
    table = page[page.index("## Pipelines written for ZenML"):page.index("`tests/python/test_zenml_names.py`")]
    right = "".join(line.split("|")[2] for line in table.splitlines() if line.startswith("|"))
    for name in MISSING:
        assert f"`{name}`" in right or name == "zenml.integrations.constants", name
