# SPDX-License-Identifier: Apache-2.0
"""Streaming from inside of steps."""

from kourou.streaming import publish, stream

__all__ = ["publish", "stream"]
