# SPDX-License-Identifier: Apache-2.0
"""ExternalArtifact."""

from kourou.artifacts import ExternalArtifact

__all__ = ["ExternalArtifact"]
