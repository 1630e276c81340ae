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

_HOME = {
    "__version__": "_version",
    "pipeline": "pipelines", "Pipeline": "pipelines",
    "step": "steps", "Step": "steps", "BaseStep": "steps",
    "get_step_context": "context", "get_pipeline_context": "context", "log_metadata": "context",
    "StepContext": "context", "PipelineContext": "context",
    "stream": "streaming", "publish": "streaming",
    "ArtifactConfig": "artifacts", "ExternalArtifact": "artifacts", "save_artifact": "artifacts",
    "load_artifact": "artifacts", "add_tags": "artifacts",
    "StepRetryConfig": "options",
    "get_logger": "logger",
    "Client": "client",
    "Model": "models", "Tag": "models", "Schedule": "models",
    "HTMLString": "types", "MarkdownString": "types", "CSVString": "types", "JSONString": "types",
    "Request": "http", "Response": "http",
    "invoke_deployment": "deploy", "Deployment": "deploy",
}
_HOME.update(dict.fromkeys((
    "BaseDeployerSettings", "CORSConfig", "AppExtensionSpec", "DeploymentDefaultEndpoints",
    "DeploymentDefaultMiddleware", "DeploymentSettings", "DockerBuildConfig", "DockerDeployerSettings",
    "DockerSettings", "EndpointMethod", "EndpointSpec", "HuggingFaceDeployerSettings", "LocalDeployerSettings",
    "MiddlewareSpec", "PythonPackageInstaller", "ResourceSettings", "SecureHeadersConfig",
), "config"))
_HOME.update(dict.fromkeys((
    "KourouError", "PipelineDefinitionError", "SchemaError", "SettingsError", "ParameterError", "LoadError",
    "OutputError", "ContextError", "DeploymentError", "NotFoundError",
), "errors"))

__all__ = sorted(_HOME)


def __getattr__(name):
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'kourou' has no attribute {name!r}")
    module = f"kourou.{home}"
    __import__(module)
    value = getattr(sys.modules[module], name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))
