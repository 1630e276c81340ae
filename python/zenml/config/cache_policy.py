# SPDX-License-Identifier: Apache-2.0
"""CachePolicy."""

from kourou.models import CachePolicy

__all__ = ["CachePolicy"]
