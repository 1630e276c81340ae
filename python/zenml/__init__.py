# SPDX-License-Identifier: Apache-2.0
"""Names that pipelines written for ZenML import, mapped to Kourou. Not the package of that project."""

from __future__ import annotations

import sys

from kourou import __version__

_HOME = {
    "pipeline": "kourou", "step": "kourou", "Client": "kourou", "Model": "kourou", "Tag": "kourou",
    "Schedule": "kourou", "ArtifactConfig": "kourou", "ExternalArtifact": "kourou", "save_artifact": "kourou",
    "load_artifact": "kourou", "add_tags": "kourou", "log_metadata": "kourou", "get_step_context": "kourou",
    "get_pipeline_context": "kourou", "StepContext": "kourou", "PipelineContext": "kourou",
    "log_artifact_metadata": "zenml.artifacts.utils", "log_step_metadata": "zenml.artifacts.utils",
    "log_model_metadata": "zenml.artifacts.utils",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name):
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'zenml' (Kourou's names for it) has no attribute {name!r}")
    __import__(home)
    value = getattr(sys.modules[home], name)
    globals()[name] = value
    return value
