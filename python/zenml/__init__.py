# SPDX-License-Identifier: Apache-2.0
"""Names that pipelines written for ZenML import, mapped to Kourou. Not the package of that project."""

from __future__ import annotations

import sys

from kourou import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kourou import (
        ArtifactConfig, Client, ExternalArtifact, Model, PipelineContext, Schedule, StepContext, Tag, add_tags,
        get_pipeline_context, get_step_context, load_artifact, log_metadata, pipeline, save_artifact, step,
    )

    from .artifacts.utils import log_artifact_metadata, log_model_metadata, log_step_metadata

_HOME = {
    "pipeline": "kourou", "step": "kourou", "Client": "kourou", "Model": "kourou", "Tag": "kourou",
    "Schedule": "kourou", "ArtifactConfig": "kourou", "ExternalArtifact": "kourou", "save_artifact": "kourou",
    "load_artifact": "kourou", "add_tags": "kourou", "log_metadata": "kourou", "get_step_context": "kourou",
    "get_pipeline_context": "kourou", "StepContext": "kourou", "PipelineContext": "kourou",
    "log_artifact_metadata": "zenml.artifacts.utils", "log_step_metadata": "zenml.artifacts.utils",
    "log_model_metadata": "zenml.artifacts.utils",
}

__all__ = [
    "__version__", "ArtifactConfig", "Client", "ExternalArtifact", "Model", "PipelineContext", "Schedule",
    "StepContext", "Tag", "add_tags", "get_pipeline_context", "get_step_context", "load_artifact",
    "log_artifact_metadata", "log_metadata", "log_model_metadata", "log_step_metadata", "pipeline", "save_artifact",
    "step",
]


if not TYPE_CHECKING:  # else every name would be one of the package's
    def __getattr__(name):
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module 'zenml' (Kourou's names for it) has no attribute {name!r}")
        __import__(home)
        value = getattr(sys.modules[home], name)
        globals()[name] = value
        return value
