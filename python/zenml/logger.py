# SPDX-License-Identifier: Apache-2.0
"""Loggers."""

from kourou.logger import get_logger

__all__ = ["get_logger"]
