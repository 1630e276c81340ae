# SPDX-License-Identifier: Apache-2.0
"""The official Python client told to use classic LFS, and plain calls for the tests of the checklist."""

import pytest
from huggingface_hub import constants

from tests.hub.checklist import Caller


@pytest.fixture(autouse=True)
def classic_transfers(monkeypatch):
    """The client reads its switches when it is imported; the Xet one must hold in any order of tests."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def api(hub, token):
    return Caller(hub, token)


@pytest.fixture
def space(api):
    return api.create()
