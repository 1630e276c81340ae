# SPDX-License-Identifier: Apache-2.0
"""The official Python client, told to use classic LFS and to keep nothing of this machine's settings."""
import pytest
from huggingface_hub import constants


@pytest.fixture(autouse=True)
def classic_transfers(monkeypatch):
    """The client reads its switches when it is imported; the Xet one must hold in any order of tests."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
