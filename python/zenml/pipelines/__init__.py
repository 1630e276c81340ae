# SPDX-License-Identifier: Apache-2.0
"""Pipelines."""

from kourou.context import get_pipeline_context
from kourou.models import Schedule
from kourou.pipelines import Pipeline, pipeline

__all__ = ["Pipeline", "Schedule", "get_pipeline_context", "pipeline"]
