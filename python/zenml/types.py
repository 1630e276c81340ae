# SPDX-License-Identifier: Apache-2.0
"""Texts with a format."""

from kourou.types import CSVString, HTMLString, JSONString, MarkdownString

__all__ = ["CSVString", "HTMLString", "JSONString", "MarkdownString"]
