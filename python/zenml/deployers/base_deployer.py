# SPDX-License-Identifier: Apache-2.0
"""BaseDeployerSettings."""

from kourou.config import BaseDeployerSettings

__all__ = ["BaseDeployerSettings"]
