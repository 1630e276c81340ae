# SPDX-License-Identifier: Apache-2.0
"""Steps."""

from kourou.context import StepContext, get_step_context
from kourou.options import StepRetryConfig
from kourou.steps import BaseStep, step

__all__ = ["BaseStep", "StepContext", "StepRetryConfig", "get_step_context", "step"]
