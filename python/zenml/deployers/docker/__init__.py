# SPDX-License-Identifier: Apache-2.0
"""The docker deployer."""

from kourou.config import DockerDeployerSettings

__all__ = ["DockerDeployerSettings"]
