# SPDX-License-Identifier: Apache-2.0
"""Keyword arguments of ``@step`` and ``@pipeline``, and the configuration files that set the same things."""

from __future__ import annotations

import os

from .errors import SettingsError
from .signature import suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import AbstractSet, Any, Dict, List, Mapping, Optional

    from ._typing import Options, Path

_COMMON = ("enable_cache", "enable_artifact_metadata", "enable_step_logs", "environment", "secrets", "settings",
           "extra", "on_failure", "on_success", "model", "retry", "substitutions", "cache_policy")

STEP = frozenset(_COMMON + (
    "enable_artifact_visualization", "experiment_tracker", "output_materializers", "step_operator", "runtime",
    "parameters", "heartbeat_healthy_threshold", "group", "template"))

PIPELINE = frozenset(_COMMON + (
    "dynamic", "depends_on", "enable_pipeline_logs", "enable_artifact_visualization", "enable_heartbeat", "tags",
    "on_init", "on_init_kwargs", "on_cleanup", "execution_mode", "parameters", "steps", "step_configurations"))

# Keys of a configuration file besides those above.
FILE = frozenset(("run_name", "schedule", "build", "name", "context_hash", "model", "tags"))

# Of a step in a configuration file, or in ``with_options(steps=...)``.
STEP_KEYS = STEP | {"name", "outputs", "config_path"}

# Components that other systems configure in code; they have no part in a deployment.
ELSEWHERE = frozenset(("orchestrator", "artifact_store", "container_registry", "image_builder", "step_operator",
                       "model_deployer", "model_registry", "alerter", "annotator", "data_validator", "feature_store",
                       "log_store", "experiment_tracker"))


class StepRetryConfig:
    """How often a failed step is tried again: after ``delay`` seconds, then ``delay * backoff``, ..."""

    __slots__ = ("max_retries", "delay", "backoff")

    def __init__(self, max_retries: int = 1, delay: float = 0, backoff: float = 1) -> None:
        for name, value, low in (("max_retries", max_retries, 0), ("delay", delay, 0), ("backoff", backoff, 0)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < low:
                raise SettingsError(f"retry: {name} is {value!r}, expected a number of at least {low}")
        if not isinstance(max_retries, int):
            raise SettingsError(f"retry: max_retries is {max_retries!r}, expected a whole number")
        self.max_retries = max_retries
        self.delay = delay
        self.backoff = backoff

    def __repr__(self) -> str:
        return f"StepRetryConfig(max_retries={self.max_retries}, delay={self.delay}, backoff={self.backoff})"


def _retry(value: Any, where: str) -> StepRetryConfig:
    if isinstance(value, StepRetryConfig):
        return value
    if isinstance(value, dict):
        unknown = set(value) - {"max_retries", "delay", "backoff"}
        if unknown:
            raise SettingsError(f"{where}: retry has no field '{sorted(unknown)[0]}'; known: max_retries, delay, backoff")
        return StepRetryConfig(**value)
    if isinstance(value, int) and not isinstance(value, bool):
        return StepRetryConfig(value)
    raise SettingsError(f"{where}: retry is {value!r}, expected StepRetryConfig(max_retries=...)")


def _names(value: Any, where: str, key: str) -> List[Any]:
    if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
        raise SettingsError(f"{where}: {key} is {value!r}, expected a list")
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value)


def _environment(value: Any, where: str) -> Dict[str, str]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: environment is {value!r}, expected a dictionary")
    result = {}
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise SettingsError(f"{where}: environment: {name!r} is not a name of a variable")
        if text is None:  # os.getenv() of what is not there: not set
            continue
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise SettingsError(f"{where}: environment: '{name}' is {text!r}, expected text or a number")
        result[name] = str(text)
    return result


def check_run_name(value: Any, where: str) -> str:
    """Names of runs: text with the placeholders {date} and {time}, which are those of its start, in UTC."""
    if not isinstance(value, str) or not value.strip() or "\0" in value or len(value) > 255:
        raise SettingsError(f"{where}: run_name is {value!r}, expected text of 1 to 255 characters")
    left = value.replace("{date}", "").replace("{time}", "")
    if "{" in left or "}" in left:
        raise SettingsError(f"{where}: run_name is {value!r}; its placeholders can be {{date}} and {{time}}")
    return value


def filled_run_name(template: Optional[str]) -> Optional[str]:
    """A name with its placeholders filled in; None when it has none, or there is no template."""
    if template is None or "{" not in template:
        return None
    from datetime import datetime, timezone

    now = datetime.now(timezone.utc)
    return template.replace("{date}", now.strftime("%Y_%m_%d")).replace("{time}", now.strftime("%H_%M_%S_%f"))


_STAGES = ("none", "staging", "production", "archived", "latest")


def _model(value: Any, where: str) -> Any:
    """Models are described, not kept: one that names a version which has to exist already cannot be had."""
    version = getattr(getattr(value, "version", None), "value", getattr(value, "version", None))
    existing = isinstance(version, int) or isinstance(version, str) and (version.lower() in _STAGES or version.isdigit())
    if existing:
        raise SettingsError(f"{where}: model '{getattr(value, 'name', value)}' has no version {version!r}: Kourou keeps no "
                            "versions of models; leave version out, and load what the pipeline needs in on_init")
    return value


# What would happen elsewhere and cannot happen here: an error, so that nobody waits for it.
ABSENT = {
    "step_operator": "there is no step operator {value!r}: steps run where the pipeline is served; leave step_operator out",
    "experiment_tracker": "there is no experiment tracker {value!r}; leave experiment_tracker out, and call the tracker's own "
                          "library in the step",
    "schedule": "a schedule cannot be kept: there is nothing here that runs pipelines by the clock; leave schedule out, and call "
                "the deployment from cron or a workflow of your own",
    "build": "builds are not chosen in code; leave build out, or deploy with `kourou pipeline deploy --build`",
}


def refuse_absent(values: Mapping[str, Any], where: str) -> None:
    """SettingsError for an option that asks for what does not exist here."""
    for key, words in ABSENT.items():
        value = values.get(key)
        if value is not None and value is not False:
            raise SettingsError(f"{where}: {words.format(value=value)}")


def check(values: Mapping[str, Any], known: AbstractSet[str], where: str) -> Options:
    """A checked copy of keyword arguments; None values are left out. SettingsError names what is wrong."""
    result = {}
    refuse_absent({key: value for key, value in values.items() if key in known}, where)
    for key, value in values.items():
        if key not in known:
            raise SettingsError(f"{where} has no option '{key}'{suggestion(key, known)}")
        if value is None:
            continue
        if key == "settings":
            from .config import check_settings

            value = check_settings(value, where)
        elif key == "retry":
            value = _retry(value, where)
        elif key == "environment":
            value = _environment(value, where)
        elif key == "model":
            value = _model(value, where)
        elif key in ("secrets", "tags", "depends_on"):
            value = _names(value, where, key)
        elif key in ("parameters", "on_init_kwargs", "extra", "substitutions", "steps", "step_configurations"):
            if not isinstance(value, dict):
                raise SettingsError(f"{where}: {key} is {value!r}, expected a dictionary")
            value = dict(value)
        elif key in ("on_init", "on_cleanup", "on_success", "on_failure"):
            if not callable(value) and not isinstance(value, str):
                raise SettingsError(f"{where}: {key} is {value!r}, expected a function or the name of one")
        elif key.startswith("enable_") and not isinstance(value, bool):
            raise SettingsError(f"{where}: {key} is {value!r}, expected True or False")
        if key == "dynamic" and value:
            raise SettingsError(f"{where}: dynamic pipelines have no graph before they run, so they cannot be "
                                "served; leave dynamic out")
        if key in ("steps", "step_configurations"):
            key, value = "steps", check_steps(value, where)
        result[key] = value
    return result


def check_steps(steps: Mapping[str, Any], where: str) -> Dict[str, Options]:
    """{name of a step: its options} as in ``with_options(steps=...)`` and in configuration files."""
    result = {}
    for name, options in steps.items():
        if not isinstance(options, dict):
            raise SettingsError(f"{where}: steps.{name} is {options!r}, expected a dictionary")
        result[str(name)] = check(options, STEP_KEYS, f"{where}: steps.{name}")
    return result


def merge(old: Mapping[str, Any], new: Mapping[str, Any], keep_lists: bool = False) -> Dict[str, Any]:
    """Options with later ones laid over: dictionaries merge, everything else is replaced."""
    result = dict(old)
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        elif keep_lists and isinstance(value, list) and isinstance(result.get(key), list):
            result[key] = result[key] + [item for item in value if item not in result[key]]
        else:
            result[key] = value
    return result


def read_config(path: Path, where: str) -> Dict[str, Any]:
    """The dictionary in a YAML or JSON file. YAML needs the package PyYAML."""
    path = os.path.expanduser(str(path))
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise SettingsError(f"{where}: config_path {path}: {error.strerror}") from None
    import json

    try:
        data = json.loads(text)
    except ValueError:
        try:
            import yaml
        except ImportError:
            raise SettingsError(f"{where}: config_path {path} is not JSON, and reading YAML needs the package "
                                "PyYAML") from None
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SettingsError(f"{where}: config_path {path}: {' '.join(str(error).split())}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(f"{where}: config_path {path} holds a {type(data).__name__}, expected keys with values")
    return {key: value if key == "settings" else _expanded(value, path, key == "environment") for key, value in data.items()}


def _expanded(value: Any, path: str, environment: bool = False) -> Any:
    """``${NAME}`` in texts is the environment variable of that name, ``$${`` is ``${``. An unset one is an error; a variable
    for the app that is nothing but an unset one is left out. (Settings are expanded when they are merged.)"""
    if isinstance(value, dict):
        return {key: _expanded(item, path, key == "environment") for key, item in value.items()
                if not (environment and _unset(item))}
    if isinstance(value, list):
        return [_expanded(item, path) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    import re

    def replaced(found: re.Match[str]) -> str:
        if found.group(1):
            return "${"
        if found.group(2) not in os.environ:
            raise SettingsError(f"{path}: ${{{found.group(2)}}}: the environment variable is not set")
        return os.environ[found.group(2)]

    return re.sub(r"(\$\$\{)|\$\{([A-Za-z0-9_]+)\}", replaced, value)


def _unset(text: Any) -> bool:
    return isinstance(text, str) and text[:2] == "${" and text[-1:] == "}" and text[2:-1].replace("_", "a").isalnum() \
        and text[2:-1] not in os.environ


def check_file(data: Mapping[str, Any], where: str) -> Options:
    """Checked options of a configuration file of a pipeline."""
    known = PIPELINE | FILE
    refuse_absent(data, where)
    for key in data:
        if key not in known:
            raise SettingsError(f"{where}: unknown key '{key}'{suggestion(key, known)}")
    return check({k: v for k, v in data.items() if k in PIPELINE}, PIPELINE, where)
