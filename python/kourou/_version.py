# SPDX-License-Identifier: Apache-2.0
"""Versions of the package and of what it writes."""

__version__ = "0.1.0"
SNAPSHOT_VERSION = 1
