# SPDX-License-Identifier: Apache-2.0
"""Settings of pipelines: how they are built, served and deployed.

    @pipeline(settings={"docker": DockerSettings(requirements=["scikit-learn"]),
                        "deployer": HuggingFaceDeployerSettings(private=True)})

A key is ``docker``, ``deployment``, ``resources``, ``deployer`` (whatever deployer is active) or
``deployer.<flavor>``. Values can be these classes or plain dictionaries.
"""

from __future__ import annotations

from ._settings import Settings, make
from ._settings_classes import (FLAVORS, GENERAL_KEYS, AppExtensionSpec, BaseDeployerSettings, CORSConfig,
                                DeploymentDefaultEndpoints, DeploymentDefaultMiddleware, DeploymentSettings, DockerBuildConfig,
                                DockerDeployerSettings, DockerSettings, EndpointMethod, EndpointSpec,
                                HuggingFaceDeployerSettings, LocalDeployerSettings, MiddlewareSpec, PythonPackageInstaller,
                                ResourceSettings, SecureHeadersConfig)
from ._source import source_of
from .errors import SettingsError
from .options import ELSEWHERE
from .signature import suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Optional, Type

__all__ = ["AppExtensionSpec", "BaseDeployerSettings", "CORSConfig", "DeploymentDefaultEndpoints", "DeploymentDefaultMiddleware",
           "DeploymentSettings", "DockerBuildConfig", "DockerDeployerSettings", "DockerSettings", "EndpointMethod", "EndpointSpec",
           "HuggingFaceDeployerSettings", "LocalDeployerSettings", "MiddlewareSpec", "PythonPackageInstaller", "ResourceSettings",
           "SecureHeadersConfig", "Settings", "check_settings"]


def _class_of(key: str, where: str) -> Optional[Type[Settings]]:
    kind, _, flavor = key.partition(".")
    if key in GENERAL_KEYS:
        return GENERAL_KEYS[key]
    if key == "deployer" or kind in ELSEWHERE:
        return None
    if kind == "deployer" and flavor in FLAVORS:
        return FLAVORS[flavor]
    known = list(GENERAL_KEYS) + ["deployer"] + [f"deployer.{name}" for name in FLAVORS]
    if kind == "deployer" and flavor not in ("", "kubernetes", "gcp", "aws"):
        raise SettingsError(f"{where}: settings: there is no deployer flavor '{flavor}'{suggestion(flavor, FLAVORS)}")
    if kind == "deployer":
        return None
    raise SettingsError(f"{where}: settings: unknown key '{key}'{suggestion(key, known)}")


def check_settings(settings: Any, where: str) -> Dict[str, Any]:
    """Settings as given by the user, as a dictionary of plain JSON values that were set explicitly."""
    if not isinstance(settings, dict):
        raise SettingsError(f"{where}: settings is {settings!r}, expected a dictionary like {{'docker': ...}}")
    result: Dict[str, Any] = {}
    for named, value in settings.items():
        key: Any = getattr(named, "value", named)
        expected = _class_of(str(key), where)
        if str(key).partition(".")[0] in ELSEWHERE:
            result[str(key)] = {}  # deploying says that it has no effect
            continue
        try:
            result[key] = _plain(value, expected, key)
        except SettingsError as error:
            raise SettingsError(f"{where}: settings['{key}']: {error.message}") from None
    return result


def _plain(value: Any, expected: Optional[Type[Settings]], key: str) -> Dict[str, Any]:
    if isinstance(value, Settings):
        if expected is not None and not isinstance(value, expected):
            raise SettingsError(f"expected {expected.__name__}, not {type(value).__name__}")
        if expected is None and key == "deployer" and not isinstance(value, BaseDeployerSettings):
            raise SettingsError(f"expected settings of a deployer, not {type(value).__name__}")
        return value.as_json(source_of)
    if hasattr(value, "model_dump"):
        value = value.model_dump(exclude_unset=True)
    if not isinstance(value, dict):
        raise SettingsError(f"{type(value).__name__} is neither a settings object nor a dictionary")
    if expected is not None:
        return make(expected, value).as_json(source_of)
    if key == "deployer":
        for name in value:
            flavors: Iterable[Type[Settings]] = FLAVORS.values()
            known = {field for flavor in flavors for field in flavor.field_names()}
            if name not in known:
                raise SettingsError(f"no deployer has a setting '{name}'{suggestion(name, known)}")
    return dict(value)
