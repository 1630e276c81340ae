# SPDX-License-Identifier: Apache-2.0
"""The names of older pipelines, the examples, the wheel, other Pythons, deploying from Python."""
import ast
import importlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

import pytest

import kourou
from tests.python.conftest import PYTHON

ROOT = PYTHON.parent

SEED = """
from zenml import pipeline, step
from zenml.integrations.huggingface.deployers import HuggingFaceDeployerSettings

huggingface_settings = HuggingFaceDeployerSettings(
    space_hardware="t4-small",
    space_storage="small",
    private=True,
)

@step
def hello(name: str) -> str:
    return f"Hello {name}"

@pipeline(
    settings={
        "deployer": huggingface_settings
    }
)
def my_pipeline(name: str = "x"):
    return hello(name)
"""


def test_example_of_the_deployers_page(project):
    project.write(SEED)
    document = project.snapshot("mod.my_pipeline")
    assert document["settings"] == {"deployer": {"space_hardware": "t4-small", "space_storage": "small", "private": True}}


@pytest.mark.parametrize("module, names", [
    ("zenml", "pipeline step Client Model Tag ArtifactConfig ExternalArtifact save_artifact load_artifact add_tags "
              "log_metadata log_artifact_metadata get_step_context get_pipeline_context"),
    ("zenml.client", "Client"), ("zenml.logger", "get_logger"), ("zenml.types", "HTMLString MarkdownString"),
    ("zenml.steps", "step BaseStep get_step_context"), ("zenml.pipelines", "pipeline"),
    ("zenml.config", "DockerSettings DeploymentSettings ResourceSettings CORSConfig SecureHeadersConfig EndpointSpec "
                     "EndpointMethod MiddlewareSpec AppExtensionSpec StepRetryConfig"),
    ("zenml.config.docker_settings", "DockerSettings PythonPackageInstaller"),
    ("zenml.config.deployment_settings", "DeploymentSettings"),
    ("zenml.config.resource_settings", "ResourceSettings"), ("zenml.config.retry_config", "StepRetryConfig"),
    ("zenml.deployers.utils", "invoke_deployment"), ("zenml.deployers.local", "LocalDeployerSettings"),
    ("zenml.deployers.docker.docker_deployer", "DockerDeployerSettings"),
    ("zenml.deployers.server", "BaseDeploymentAppRunner"), ("zenml.streaming", "publish stream"),
    ("zenml.integrations.huggingface.deployers", "HuggingFaceDeployerSettings"),
    ("zenml.integrations.huggingface.flavors.huggingface_deployer_flavor", "HuggingFaceDeployerSettings"),
    ("zenml.artifacts.artifact_config", "ArtifactConfig"), ("zenml.model.model", "Model"),
    ("zenml.exceptions", "EntityNotFoundError"),
])
def test_names_that_pipelines_import(module, names):
    found = importlib.import_module(module)
    assert str(PYTHON) in found.__file__
    for name in names.split():
        assert getattr(found, name) is not None


def test_every_public_name_of_the_package_exists():
    for name in kourou.__all__:
        assert getattr(kourou, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        kourou.nothing
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module("zenml").nothing


def test_a_pipeline_of_the_other_package_is_recognised(project):
    project.write("class Pipeline: pass\nPipeline.__module__ = 'zenml.pipelines.pipeline_definition'\np = Pipeline()\n")
    error = project.error()
    assert error["kind"] == "not_a_pipeline" and "is a pipeline of the zenml package" in error["message"]


# -- examples -----------------------------------------------------------------------------------

def example(project, name):
    for path in (ROOT / "examples" / name).iterdir():
        if path.is_file():
            shutil.copy(path, project.root)


def test_example_greeting(project):
    example(project, "greeting")
    ask = project.runner(source="my_module.my_pipeline")
    assert ask.outputs(name="Ada") == {"greeting": "Hello, Ada!", "length": 11}
    assert ask.outputs() == {"greeting": "Hello, world!", "length": 13}
    assert importlib.import_module("my_module").my_pipeline("Ada") == ("Hello, Ada!", 11)


def test_example_digits(project):
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    example(project, "digits")
    ask = project.runner(source="digits.predict_digit")
    data = load_digits()
    sample = json.loads((project.root / "sample.json").read_text())
    assert sample == data.images[1600].tolist()
    answer = ask.outputs(image=sample)["prediction"]
    assert answer["digit"] == data.target[1600] and len(answer["probabilities"]) == 10
    assert abs(sum(answer["probabilities"].values()) - 1) < 1e-4
    right = sum(ask.outputs(image=data.images[i].tolist())["prediction"]["digit"] == data.target[i]
                for i in range(1500, 1797))
    assert right > 0.85 * 297
    assert ask.refused(image=sample[:7])[0]["type"] == "too_short"
    assert ask.refused(image=[[99] * 8] * 8)[0]["loc"] == ["body", "parameters", "image", 0, 0]
    again = project.runner(source="digits.predict_digit")
    assert again.outputs(image=sample)["prediction"] == answer


# -- documentation ------------------------------------------------------------------------------

def blocks():
    text = (ROOT / "docs" / "pipelines-python.md").read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_examples_of_the_documentation(project, number):
    """Each block is a module of its own; its assertions say what it does."""
    block = blocks()[number]
    module = project.load(block, f"doc{number}")
    if hasattr(module, "my_pipeline"):
        document = project.snapshot(f"doc{number}.my_pipeline")
        assert document["pipeline"]["kind"] == "python"


# -- the package --------------------------------------------------------------------------------

def test_wheel(tmp_path):
    """What pip installs works without the tree, with types and with the older names."""
    copy = tmp_path / "python"
    shutil.copytree(PYTHON, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    target = tmp_path / "site"
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation",
                           "--disable-pip-version-check", "--target", str(target), str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (target / "kourou" / "py.typed").exists()
    sources = {p.relative_to(PYTHON) for p in PYTHON.rglob("*.py")}
    assert {p.relative_to(target) for p in target.rglob("*.py")} == sources
    code = "import kourou, zenml; from zenml.config import DockerSettings; print(kourou.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(target)})
    assert done.stdout.strip() == str(target / "kourou" / "__init__.py"), done.stderr


PYENV = {tuple(map(int, path.parent.parent.name.split("."))): path
         for path in (pathlib.Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")}
OTHERS = [path for version, path in sorted(PYENV.items()) if version >= (3, 9)]


@pytest.mark.parametrize("python", [pathlib.Path(sys.executable), *OTHERS], ids=lambda p: p.parent.parent.name)
def test_other_pythons_read_every_module(python, tmp_path):
    """Syntax and, where that Python has pydantic, the compiler."""
    done = subprocess.run([str(python), "-c", "import sys, pathlib\n"
                           f"for p in pathlib.Path({str(PYTHON)!r}).rglob('*.py'): compile(p.read_text(), str(p), 'exec')\n"
                           f"sys.path.append({str(PYTHON)!r})\n"
                           "from kourou import pipeline, step, DockerSettings, runtime\n"
                           "DockerSettings(requirements=['a'])"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_syntax_is_that_of_the_oldest_pythons():
    """Of 3.9; what a Python that is too old has to read so that it can say so, of 3.6."""
    for path in PYTHON.rglob("*.py"):
        oldest = (3, 6) if path.name in ("_boot.py", "_oneshot.py") else (3, 9)
        ast.parse(path.read_text(), str(path), feature_version=oldest)


def too_old(version, argv, output):
    done = subprocess.run([*map(str, argv), "compile", "m.p", "--root", "/", "--output", str(output)], capture_output=True,
                          text=True)
    assert done.returncode == 1, done.stderr
    said = json.loads(output.read_text())["error"]["message"]
    assert said.startswith(f"Python {version} at "), said


def test_pythons_that_are_too_old_say_so(tmp_path):
    """One that calls itself so, and all that are here."""
    boot = PYTHON / "kourou" / "_boot.py"
    pretend = tmp_path / "pretend.py"
    pretend.write_text(f"import runpy, sys\nsys.version_info = (3, 8, 18, 'final', 0)\nsys.argv[0] = {str(boot)!r}\n"
                       f"runpy.run_path({str(boot)!r}, run_name='__main__')\n")
    too_old("3.8.18", [sys.executable, pretend], tmp_path / "pretended.json")
    for version, python in PYENV.items():
        if version < (3, 9):
            too_old(".".join(map(str, version)), [python, boot], tmp_path / f"{version}.json")


# -- deploying from Python ----------------------------------------------------------------------

@pytest.fixture
def fake_cli(tmp_path, monkeypatch):
    """A program that notes how it was called, in place of kourou."""
    program = tmp_path / "kourou"
    log = tmp_path / "calls"
    program.write_text(f"""#!{sys.executable}
import json, sys
config = None
if "--config" in sys.argv: config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
with open({str(log)!r}, "a") as f: f.write(json.dumps([[a for a in sys.argv[1:] if not a.startswith("/")], config]) + "\\n")
if "bad" in sys.argv:
    print("noise\\nError: deployment 'bad' is in the way\\n  delete it first", file=sys.stderr)
    sys.exit(1)
elif "describe" in sys.argv: print(json.dumps({{"name": sys.argv[3], "url": "http://x", "status": "running"}}))
elif "invoke" in sys.argv: print(json.dumps({{"success": True, "outputs": {{"output": 1}}}}))
elif "secret" in sys.argv: print(json.dumps({{"name": "hf", "values": {{"token": "t"}}}}))
""")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("KOUROU_CLI", str(program))
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


def test_deploy_and_invoke(project, fake_cli):
    mod = project.load(SEED)
    deployment = mod.my_pipeline.with_options(environment={"A": "b"}).deploy("mine", 30, name="Bob")
    assert (deployment.url, deployment.status, deployment.name) == ("http://x", "running", "mine")
    assert deployment.invoke(name="@x", n=5)["outputs"] == {"output": 1}
    mod.my_pipeline.create_snapshot("snap", tags=["t"])
    assert fake_cli() == [
        [["pipeline", "deploy", "mod.my_pipeline", "--name", "mine", "--update", "--timeout", "30", "--config"],
         {"parameters": {"name": "Bob"}, "environment": {"A": "b"}}],
        [["deployment", "describe", "mine", "-o", "json"], None],
        [["deployment", "invoke", "mine", "--name=@@x", "--n=5"], None],
        [["pipeline", "snapshot", "create", "mod.my_pipeline", "--name", "snap", "--tags", "t"], None]]
    with pytest.raises(kourou.DeploymentError, match="^deployment 'bad' is in the way\n  delete it first$"):
        mod.my_pipeline.deploy("bad")


def test_secrets(project, fake_cli, monkeypatch):
    assert kourou.Client().get_secret("hf").secret_values == {"token": "t"}
    with pytest.raises(kourou.NotFoundError, match="secret 'bad': deployment"):
        kourou.Client().get_secret("bad")
    monkeypatch.setenv("token_of_it", "value")
    ask = project.runner("""
        from kourou import pipeline, step, Client
        @step
        def s(name: str, key: str) -> str: return Client().get_secret(name).secret_values[key]
        @pipeline(secrets=["hf"])
        def p(name: str, key: str): return s(name, key)
    """)
    assert ask.outputs(name="hf", key="token_of_it") == {"output": "value"}
    assert "the secret has no key 'other'" in ask.failed(name="hf", key="other")
    assert "the secret 'db' is not part of this deployment; add it: @pipeline(secrets=['db'])" in ask.failed(
        name="db", key="x")


def test_no_program(monkeypatch):
    monkeypatch.delenv("KOUROU_CLI", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(kourou.DeploymentError, match="'kourou' is not in PATH"):
        kourou.invoke_deployment("x")
