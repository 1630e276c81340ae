# SPDX-License-Identifier: Apache-2.0
"""Flavors of the Hugging Face integration."""

from kourou.config import HuggingFaceDeployerSettings

__all__ = ["HuggingFaceDeployerSettings"]
