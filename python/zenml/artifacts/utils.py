# SPDX-License-Identifier: Apache-2.0
"""Functions for artifacts and their metadata."""

from __future__ import annotations

from kourou.artifacts import load_artifact, save_artifact
from kourou.context import log_metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


def log_artifact_metadata(metadata: Dict[str, Any], artifact_name: Optional[str] = None, artifact_version: object = None) -> None:
    """Notes metadata about an output of the running step."""
    del artifact_version
    log_metadata(metadata, artifact_name=artifact_name, infer_artifact=artifact_name is None)


def log_step_metadata(metadata: Dict[str, Any], **_where: object) -> None:
    """Notes metadata about the running step."""
    log_metadata(metadata)


def log_model_metadata(metadata: Dict[str, Any], **_where: object) -> None:
    """Notes metadata about the running step; models have none of their own."""
    log_metadata(metadata)


__all__ = ["load_artifact", "log_artifact_metadata", "log_model_metadata", "log_step_metadata", "save_artifact"]
