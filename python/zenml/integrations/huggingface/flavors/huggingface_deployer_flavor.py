# SPDX-License-Identifier: Apache-2.0
"""Settings of the Hugging Face deployer."""

from kourou.config import HuggingFaceDeployerSettings

__all__ = ["HuggingFaceDeployerSettings"]
