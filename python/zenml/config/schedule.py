# SPDX-License-Identifier: Apache-2.0
"""Schedule."""

from kourou.models import Schedule

__all__ = ["Schedule"]
