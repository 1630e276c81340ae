# SPDX-License-Identifier: Apache-2.0
"""Model."""

from kourou.models import Model

__all__ = ["Model"]
