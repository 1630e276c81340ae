# SPDX-License-Identifier: Apache-2.0
"""StepRetryConfig."""

from kourou.options import StepRetryConfig

__all__ = ["StepRetryConfig"]
