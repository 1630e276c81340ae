# SPDX-License-Identifier: Apache-2.0
"""DockerSettings."""

from kourou.config import DockerBuildConfig, DockerSettings, PythonPackageInstaller

__all__ = ["DockerBuildConfig", "DockerSettings", "PythonPackageInstaller"]
