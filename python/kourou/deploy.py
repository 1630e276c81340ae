# SPDX-License-Identifier: Apache-2.0
"""Deploying from Python: calls the ``kourou`` program, so that both do the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from ._source import source_root
from .errors import DeploymentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Mapping, Optional

    from ._typing import AnyPipeline, Json


def program() -> str:
    """Path of the ``kourou`` program: ``$KOUROU_CLI``, or the first ``kourou`` in PATH, or ``zenml``."""
    own = os.environ.get("KOUROU_CLI")
    found = own or shutil.which("kourou") or _ours("zenml")
    if not found:
        raise DeploymentError("the program 'kourou' is not in PATH; install it or name it in KOUROU_CLI")
    return found


def _ours(name: str) -> Optional[str]:
    path = shutil.which(name)
    return path if path and os.path.basename(os.path.realpath(path)).startswith("kourou") else None


def call(*arguments: object, timeout: Optional[float] = None, capture: bool = True, cwd: Optional[str] = None,
         env: Optional[Mapping[str, str]] = None) -> str:
    """Runs the program and gives what it wrote to stdout. DeploymentError carries its message."""
    command = [program(), *map(str, arguments)]
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if capture else None,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, check=False)
    except OSError as error:
        raise DeploymentError(f"cannot run {command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise DeploymentError(f"{' '.join(command[:3])} took longer than {timeout} seconds") from None
    if done.returncode != 0:
        raise DeploymentError(_message(done.stderr) or f"{' '.join(command[:3])} ended with {done.returncode}")
    return done.stdout or ""


def _message(text: str) -> str:
    lines = [line.rstrip() for line in text.strip().splitlines()]
    for at, line in enumerate(lines):
        if line.startswith("Error: "):
            return "\n".join([line[len("Error: "):], *lines[at + 1:]])
    return lines[-1] if lines else ""


class Deployment:
    """A deployment as the program describes it: ``id``, ``name``, ``url`` (None while it has none), ``status``; ``about`` has
    what else it says, as does an attribute of that name."""

    def __init__(self, about: Json) -> None:
        self.about = about

    if TYPE_CHECKING:
        id: str
        name: str
        status: str
        url: Optional[str]
    else:
        def __getattr__(self, name):
            try:
                return self.__dict__["about"][name]
            except KeyError:
                raise AttributeError(f"the deployment has no {name!r}") from None

    def invoke(self, timeout: Optional[float] = None, **parameters: Any) -> Json:
        """Calls the deployed pipeline; the result is the whole answer."""
        return invoke_deployment(self.about["name"], timeout=timeout, **parameters)

    def refresh(self) -> "Deployment":
        """Reads the state again. Returns the deployment."""
        self.about = describe(self.about["name"]).about
        return self

    def __repr__(self) -> str:
        return f"Deployment(name={self.about.get('name')!r}, url={self.about.get('url')!r}, " \
               f"status={self.about.get('status')!r})"


def describe(name: str) -> Deployment:
    """A deployment by name, id or prefix."""
    text = call("deployment", "describe", name, "-o", "json")
    try:
        about: Any = json.loads(text)
    except ValueError:
        raise DeploymentError(f"deployment describe {name} did not answer with JSON") from None
    if isinstance(about, dict) and isinstance(about.get("items"), list) and about["items"]:
        about = about["items"][0]
    return Deployment(about)


def invoke_deployment(deployment_name_or_id: str, project: object = None, timeout: Optional[float] = None,
                      **parameters: Any) -> Json:
    """Calls a deployment by name with the parameters; the result is the whole answer.

    DeploymentError says what went wrong, also when the pipeline itself failed.
    """
    from .schema import json_bytes

    del project
    body = json.loads(json_bytes(parameters))
    arguments = ["deployment", "invoke", str(deployment_name_or_id)]
    if timeout is not None:
        arguments += ["--timeout", str(int(timeout))]
    with tempfile.TemporaryDirectory(prefix="kourou-") as folder:
        arguments += [f"--{name}={_argument(value, folder)}" for name, value in body.items()]
        answer: Json = json.loads(call(*arguments))
        return answer


def _argument(value: Any, folder: str) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if text != "-":
        return "@" + text if text.startswith("@") else text
    path = os.path.join(folder, "dash")  # by itself it means standard input
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return "@" + path


def invoke_url(url: str, parameters: Mapping[str, Any], key: Optional[str] = None, timeout: float = 300) -> Json:
    """POSTs parameters to a deployment's URL; the result is the whole answer, also of a failed run."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers["X-API-Key"] = key
    request = urllib.request.Request(url, json.dumps({"parameters": parameters}).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - the user's own address
            found: Json = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            found = json.loads(text)
        except ValueError:
            raise DeploymentError(f"{url} answered {error.code}") from None
    except OSError as error:
        raise DeploymentError(f"{url} cannot be reached: {getattr(error, 'reason', error)}") from None
    return found


def _as_imported(pipeline: AnyPipeline) -> AnyPipeline:
    """The pipeline without what was set on a copy of it. The script that runs is not imported a second time."""
    from .runtime import find_pipeline

    source = pipeline.importable_source()
    own = getattr(sys.modules.get("__main__"), source.rsplit(".", 1)[1], None)
    if isinstance(own, type(pipeline)) and own.importable_source() == source:
        return own
    return find_pipeline(source)


def _config_file(folder: str, pipeline: AnyPipeline, arguments: Mapping[str, Any]) -> List[str]:
    """Options that were set in Python but not in the decorator have to travel in a configuration file."""
    from .schema import canonical

    found = {}
    given: Json = pipeline.options.get("parameters") or {}
    parameters = {**given, **arguments}
    if parameters:
        found["parameters"] = canonical(parameters)
    imported = _as_imported(pipeline)
    for key in ("settings", "environment", "secrets", "steps"):
        value = pipeline.options.get(key)
        if value and value != imported.options.get(key):
            found[key] = canonical(value)
    if not found:
        return []
    if "settings" in found:
        found["#code"] = True  # no word about a file that wins over the code: the user knows of none
    path = os.path.join(folder, "config.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)
    return ["--config", path]


def _run(pipeline: AnyPipeline, arguments: Mapping[str, Any], *command: object) -> str:
    root = source_root()
    # What lies beside the script is imported by it without its folder's name.
    paths = [sys.path[0] or os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])]
    beside = os.path.realpath(paths[0]).startswith(os.path.realpath(root) + os.sep)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)} if beside else None
    with tempfile.TemporaryDirectory(prefix="kourou-") as folder:
        return call(*command, *_config_file(folder, pipeline, arguments), cwd=root, env=env)


def deploy(pipeline: AnyPipeline, name: Optional[str], timeout: Optional[float], arguments: Mapping[str, Any]) -> Deployment:
    """What Pipeline.deploy() does."""
    command = ["pipeline", "deploy", pipeline.importable_source(), "--name", name or pipeline.name, "--update"]
    if timeout is not None:
        command += ["--timeout", str(int(timeout))]
    _run(pipeline, arguments, *command)
    return describe(name or pipeline.name)


def create_snapshot(pipeline: AnyPipeline, name: str, description: Optional[str], replace: bool,
                    tags: Optional[Iterable[str]], arguments: Mapping[str, Any]) -> str:
    """What Pipeline.create_snapshot() does; the result is the name."""
    command = ["pipeline", "snapshot", "create", pipeline.importable_source(), "--name", name]
    if description:
        command += ["--description", description]
    if replace:
        command.append("--replace")
    for tag in tags or []:
        command += ["--tags", str(tag)]
    _run(pipeline, arguments, *command)
    return name
