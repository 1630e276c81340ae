# SPDX-License-Identifier: Apache-2.0
"""ResourceSettings."""

from kourou.config import ResourceSettings

__all__ = ["ResourceSettings"]
