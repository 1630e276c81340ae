# SPDX-License-Identifier: Apache-2.0
"""The Hugging Face deployer."""

from kourou.config import HuggingFaceDeployerSettings

__all__ = ["HuggingFaceDeployerSettings"]
