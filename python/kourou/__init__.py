# SPDX-License-Identifier: Apache-2.0
"""Kourou: machine-learning pipelines as HTTP services.

    from kourou import pipeline, step

    @step
    def greet(name: str) -> str:
        return f"Hello, {name}!"

    @pipeline
    def my_pipeline(name: str = "world"):
        return greet(name)

Names are imported when they are used, so that a small pipeline starts fast.
"""

from __future__ import annotations

import sys

# Read by checkers and editors; what is here is in _NAMES too.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._version import __version__
    from .artifacts import ArtifactConfig, ExternalArtifact, add_tags, load_artifact, save_artifact
    from .client import Client
    from .config import (
        AppExtensionSpec, BaseDeployerSettings, CORSConfig, DeploymentDefaultEndpoints, DeploymentDefaultMiddleware,
        DeploymentSettings, DockerBuildConfig, DockerDeployerSettings, DockerSettings, EndpointMethod, EndpointSpec,
        HuggingFaceDeployerSettings, LocalDeployerSettings, MiddlewareSpec, PythonPackageInstaller, ResourceSettings,
        SecureHeadersConfig,
    )
    from .context import PipelineContext, StepContext, get_pipeline_context, get_step_context, log_metadata
    from .deploy import Deployment, invoke_deployment
    from .errors import (
        ContextError, DeploymentError, KourouError, LoadError, NotFoundError, OutputError, ParameterError,
        PipelineDefinitionError, SchemaError, SettingsError,
    )
    from .http import Request, Response
    from .logger import get_logger
    from .models import Model, Schedule, Tag
    from .options import StepRetryConfig
    from .pipelines import Pipeline, pipeline
    from .steps import BaseStep, Step, step
    from .streaming import publish, stream
    from .types import CSVString, HTMLString, JSONString, MarkdownString

# Where names are at home.
_NAMES = {
    "_version": "__version__",
    "artifacts": "ArtifactConfig ExternalArtifact add_tags load_artifact save_artifact",
    "client": "Client",
    "config": (
        "AppExtensionSpec BaseDeployerSettings CORSConfig DeploymentDefaultEndpoints "
        "DeploymentDefaultMiddleware DeploymentSettings DockerBuildConfig DockerDeployerSettings "
        "DockerSettings EndpointMethod EndpointSpec HuggingFaceDeployerSettings LocalDeployerSettings "
        "MiddlewareSpec PythonPackageInstaller ResourceSettings SecureHeadersConfig"),
    "context": "PipelineContext StepContext get_pipeline_context get_step_context log_metadata",
    "deploy": "Deployment invoke_deployment",
    "errors": (
        "ContextError DeploymentError KourouError LoadError NotFoundError OutputError ParameterError "
        "PipelineDefinitionError SchemaError SettingsError"),
    "http": "Request Response",
    "logger": "get_logger",
    "models": "Model Schedule Tag",
    "options": "StepRetryConfig",
    "pipelines": "Pipeline pipeline",
    "steps": "BaseStep Step step",
    "streaming": "publish stream",
    "types": "CSVString HTMLString JSONString MarkdownString",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AppExtensionSpec", "ArtifactConfig", "BaseDeployerSettings", "BaseStep", "CORSConfig", "CSVString", "Client",
    "ContextError", "Deployment", "DeploymentDefaultEndpoints", "DeploymentDefaultMiddleware", "DeploymentError",
    "DeploymentSettings", "DockerBuildConfig", "DockerDeployerSettings", "DockerSettings", "EndpointMethod",
    "EndpointSpec", "ExternalArtifact", "HTMLString", "HuggingFaceDeployerSettings", "JSONString", "KourouError",
    "LoadError", "LocalDeployerSettings", "MarkdownString", "MiddlewareSpec", "Model", "NotFoundError", "OutputError",
    "ParameterError", "Pipeline", "PipelineContext", "PipelineDefinitionError", "PythonPackageInstaller", "Request",
    "ResourceSettings", "Response", "Schedule", "SchemaError", "SecureHeadersConfig", "SettingsError", "Step",
    "StepContext", "StepRetryConfig", "Tag", "__version__", "add_tags", "get_logger", "get_pipeline_context",
    "get_step_context", "invoke_deployment", "load_artifact", "log_metadata", "pipeline", "publish", "save_artifact",
    "step", "stream",
]


if not TYPE_CHECKING:  # else every name would be one of the package's
    def __getattr__(name):
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module 'kourou' has no attribute {name!r}")
        module = f"kourou.{home}"
        __import__(module)
        value = getattr(sys.modules[module], name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
