# SPDX-License-Identifier: Apache-2.0
"""What custom endpoints and extensions get."""

from kourou.asgi import AppRunner as BaseDeploymentAppRunner

__all__ = ["BaseDeploymentAppRunner"]
