# SPDX-License-Identifier: Apache-2.0
"""Deployers: their settings."""

from kourou.config import BaseDeployerSettings, DockerDeployerSettings, LocalDeployerSettings

__all__ = ["BaseDeployerSettings", "DockerDeployerSettings", "LocalDeployerSettings"]
