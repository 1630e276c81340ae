# SPDX-License-Identifier: Apache-2.0
"""Compiles a pipeline into a snapshot, the JSON document that describes it (docs/snapshot.md)."""

from __future__ import annotations

import json
import os
import sys

from . import options as opt
from ._loader import import_from
from ._needs import Watch
from ._source import Loading, code_location, describe_source, one_line, short_path, short_traceback, user_frames
from ._version import SNAPSHOT_VERSION, __version__
from .errors import KourouError, SettingsError
from .streaming import uses_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List, Optional, Sequence, Union

    from ._typing import AnyPipeline, Json, Place
    from .graph import Feed, Node

# Keys of a configuration file that the code of the pipeline needs again when it is served.
_AT_RUN_TIME = ("parameters", "steps", "retry", "run_name")


def _sorted(value: Any, as_is: bool = False) -> Any:
    """A copy whose keys come in order, but for those of "properties": in a schema they are the parameters in theirs."""
    if isinstance(value, dict):
        return {key: _sorted(value[key], key == "properties") for key in (value if as_is else sorted(value))}
    return [_sorted(item) for item in value] if isinstance(value, (list, tuple)) else value


def canonical_text(document: Any) -> str:
    """JSON with sorted keys (see _sorted) and no spaces: equal documents give equal text."""
    return json.dumps(_sorted(document), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def snapshot_of(pipeline: Union[AnyPipeline, str], config: Optional[Json] = None, name: Optional[str] = None,
                root: Optional[str] = None) -> Json:
    """The snapshot of a pipeline. KourouError says what cannot be expressed, and where."""
    from .runtime import find_pipeline

    if isinstance(pipeline, str):
        pipeline = find_pipeline(pipeline, root)
    where = "the configuration file"
    config = dict(config or {})
    if config:
        opt.check_file(config, where)
        pipeline = pipeline.with_options(
            **{k: v for k, v in config.items() if k in opt.PIPELINE and k != "settings"},
            run_name=config.get("run_name"))
    what, place = f"pipeline '{pipeline.name}'", code_location(pipeline.entrypoint)
    try:
        return _build(pipeline, config, name or config.get("name"), what, place)
    except KourouError as error:
        raise error.at(*place)


def _build(pipeline: AnyPipeline, config: Json, name: Optional[str], what: str, place: Place) -> Json:
    from .schema import InputTypes, OutputTypes

    graph = pipeline.graph
    inputs = InputTypes(pipeline.parameters, what, place)
    outputs = OutputTypes(graph.outputs, what)
    steps = [_step(node) for node in graph.nodes]
    settings = _settings(pipeline)
    requirements = (settings.get("docker") or {}).get("requirements")
    document = {
        "format": 1,
        "pipeline": {"name": name or pipeline.name, "source": pipeline.importable_source(), "kind": "python",
                     "description": _description(pipeline)},
        "parameters": inputs.defaults(),
        "steps": steps,
        "edges": [list(edge) for edge in graph.edges()],
        "input_schema": inputs.json_schema(what, place),
        "output_schema": outputs.json_schema(),
        "streams": any(step["streams"] for step in steps),
        "settings": settings,
        "hooks": _hooks(pipeline),
        "environment": pipeline.environment,
        "secrets": pipeline.secrets,
        "requirements": list(requirements) if isinstance(requirements, (list, tuple)) else [],
        "python": {"version": "%d.%d" % sys.version_info[:2]},
        "versions": {"kourou": __version__, "snapshot": SNAPSHOT_VERSION},
    }
    kept = {key: config[key] for key in _AT_RUN_TIME if config.get(key)}
    if "steps" in kept:
        kept["steps"] = {step: {k: v for k, v in values.items() if k in ("parameters", "retry")}
                         for step, values in kept["steps"].items()}
    if kept:
        document["config"] = kept
    return document


def _description(pipeline: AnyPipeline) -> str:
    text = (pipeline.__doc__ or "").strip()
    return " ".join(text.split("\n\n", 1)[0].split())


def _step(node: Node) -> Json:
    return {
        "name": node.name,
        "source": node.step.source,
        "inputs": {name: _feed(feed) for name, feed in node.inputs.items()},
        "outputs": [output.name for output in node.step.outputs],
        "streams": node.step.yields or uses_stream(node.step.entrypoint),
    }


def _feed(feed: Feed) -> Json:
    if feed[0] == "parameter":
        return {"parameter": feed[1]}
    if feed[0] == "step":
        return {"step": feed[1].name, "output": feed[1].step.outputs[feed[2]].name}
    if feed[0] == "list":
        return {"list": [_feed(item) for item in feed[2]]}
    from .schema import canonical

    try:
        value = canonical(feed[1])
        canonical_text(value)
    except Exception:  # noqa: BLE001 - a value without JSON form is passed all the same when the pipeline runs
        value = {"type": describe_source(type(feed[1]))}
    return {"value": value}


def _settings(pipeline: AnyPipeline) -> Json:
    """As they were given; deploying merges them and says what has no effect, like settings of steps."""
    of_steps: Json = {f"step.{node.name}": {} for node in pipeline.graph.nodes if node.step.options.get("settings")}
    return {**(pipeline.options.get("settings") or {}), **of_steps}


def _hooks(pipeline: AnyPipeline) -> Dict[str, str]:
    return {name: describe_source(pipeline.options[name]) if not isinstance(pipeline.options[name], str)
            else pipeline.options[name]
            for name in ("on_init", "on_cleanup", "on_success", "on_failure")
            if pipeline.options.get(name) is not None}


def configuration_template(pipeline: AnyPipeline) -> str:
    """Text of a YAML configuration file with the pipeline's parameters and steps."""
    snapshot = snapshot_of(pipeline)
    lines = [f"# Configuration of the pipeline {pipeline.name}: kourou pipeline deploy {pipeline.source} "
             "--config THIS_FILE", "parameters:"]
    for name, schema in snapshot["input_schema"]["properties"].items():
        kind = schema.get("type") or "any"
        if name in snapshot["parameters"]:
            lines.append(f"  {name}: {json.dumps(snapshot['parameters'][name], ensure_ascii=False)}  # {kind}")
        else:
            lines.append(f"  # {name}:  # {kind}, required")
    if lines[-1] == "parameters:":
        lines[-1] = "parameters: {}"
    lines += ["environment: {}", "settings: {}", "steps:"]
    for step in snapshot["steps"]:
        lines += [f"  {step['name']}:", "    parameters: {}"]
    return "\n".join(lines) + "\n"


# -- the program --------------------------------------------------------------------------------

def _options(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    import argparse

    parser = argparse.ArgumentParser(prog="kourou compile")
    parser.add_argument("source")
    parser.add_argument("--root", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--config")
    parser.add_argument("--name")
    return parser.parse_args(argv)


def _read_config(path: Optional[str]) -> Json:
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"configuration file {path}: {error}") from None
    if not isinstance(data, dict):
        raise SettingsError(f"configuration file {path} holds no keys and values")
    return data


def error_document(error: BaseException, root: str) -> Json:
    """What the compiler writes when it fails."""
    kind = error.kind if isinstance(error, KourouError) else "internal"
    file, line = getattr(error, "file", None), getattr(error, "line", None)
    if not isinstance(error, KourouError):
        frames = user_frames(error)
        file, line = frames[-1][:2] if frames else (None, None)
    found = {"kind": kind, "message": one_line(error, 2000)}
    trace = getattr(error, "traceback", "")
    if kind == "internal":
        trace = trace or short_traceback(error, root)
    if trace:
        found["traceback"] = trace
    missing = _missing_module(error)
    if missing:
        found["missing"] = missing
    if file:
        found["file"] = short_path(file, root)
    if line:
        found["line"] = line
    return {"error": found}


def _missing_module(error: Optional[BaseException]) -> Optional[str]:
    """Name of the module that an import did not find, through all causes; None: it was something else."""
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ or error.__context__
    return error.name if error is not None else None


def _source_layout(source: str, root: str) -> List[str]:
    """Folders below the root that hold the source's package when neither the root nor sys.path does."""
    top = source.split(".")[0]

    def holds(folder: str) -> bool:
        return os.path.isdir(os.path.join(folder, top)) or os.path.isfile(os.path.join(folder, top + ".py"))

    if any(holds(folder) for folder in [root, *sys.path]):
        return []
    return [folder for folder in _declared_folders(root) if holds(os.path.join(root, folder))][:1]


def _declared_folders(root: str) -> List[str]:
    """Where pyproject.toml says that packages lie, and `src`."""
    found = []
    try:
        try:
            import tomllib as toml
        except ImportError:  # before Python 3.11
            toml = __import__("pip._vendor.tomli", fromlist=["load"])
        with open(os.path.join(root, "pyproject.toml"), "rb") as file:
            tools = toml.load(file).get("tool") or {}
        setuptools = tools.get("setuptools") or {}
        found += [(setuptools.get("package-dir") or {}).get("")]
        packages = setuptools.get("packages")
        found += (packages.get("find") or {}).get("where") or [] if isinstance(packages, dict) else []
    except (ImportError, OSError, ValueError, AttributeError):
        pass  # none, or one that others complain about
    return [os.path.normpath(folder) for folder in found
            if isinstance(folder, str) and folder and not folder.startswith(("/", ".."))] + ["src"]


def _add_needs(document: Json, watch: Watch) -> None:
    """What the deploy compares with what it sends, and where the served code finds its modules."""
    document["needs"] = watch.needs()
    paths, modules = watch.paths(), watch.modules()
    if paths:
        document["python"]["paths"] = paths
    if modules:
        document["python"]["modules"] = modules


def main(argv: Optional[Sequence[str]] = None) -> int:
    """The command ``compile``; the result is the exit status."""
    options = _options(argv)
    root = os.path.abspath(options.root)
    import_from(root, _source_layout(options.source, root))
    watch = Watch(root)
    try:
        config = _read_config(options.config)
        with Loading(), watch:
            document, status = snapshot_of(options.source, config, options.name, root), 0
        _add_needs(document, watch)
        text = canonical_text(document)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - also SystemExit of the user's module
        status, text = 1, canonical_text(error_document(error, root))
    with open(options.output, "w", encoding="utf-8") as file:
        file.write(text)
    return status
