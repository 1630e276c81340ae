# SPDX-License-Identifier: Apache-2.0
"""ArtifactConfig."""

from kourou.artifacts import ArtifactConfig

__all__ = ["ArtifactConfig"]
