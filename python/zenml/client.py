# SPDX-License-Identifier: Apache-2.0
"""Client."""

from kourou.client import Client

__all__ = ["Client"]
