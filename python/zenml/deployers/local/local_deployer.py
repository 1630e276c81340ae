# SPDX-License-Identifier: Apache-2.0
"""The local deployer."""

from kourou.config import LocalDeployerSettings

__all__ = ["LocalDeployerSettings"]
