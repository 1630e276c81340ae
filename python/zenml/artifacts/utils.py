# SPDX-License-Identifier: Apache-2.0
"""Functions for artifacts and their metadata."""

from kourou.artifacts import load_artifact, save_artifact
from kourou.context import log_metadata


def log_artifact_metadata(metadata, artifact_name=None, artifact_version=None):
    """Notes metadata about an output of the running step."""
    del artifact_version
    log_metadata(metadata, artifact_name=artifact_name, infer_artifact=artifact_name is None)


def log_step_metadata(metadata, **_where):
    """Notes metadata about the running step."""
    log_metadata(metadata)


def log_model_metadata(metadata, **_where):
    """Notes metadata about the running step; models have none of their own."""
    log_metadata(metadata)


__all__ = ["load_artifact", "log_artifact_metadata", "log_model_metadata", "log_step_metadata", "save_artifact"]
