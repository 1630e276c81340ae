# SPDX-License-Identifier: Apache-2.0
"""Calling deployments."""

from kourou.deploy import invoke_deployment

__all__ = ["invoke_deployment"]
