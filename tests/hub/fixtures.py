# SPDX-License-Identifier: Apache-2.0
"""pytest fixtures around the test Hub, for every test of this tree."""
import pytest

from tests.hub.process import HubProcess

# short times: what takes minutes on the real Hub takes fractions of a second here
QUICK = ("--set", "probe_interval=0.02", "--set", "launch_timeout=20", "--set", "lag=0.02")


@pytest.fixture
def hub(tmp_path):
    """A Hub of this test's own, with scripted builds and apps, and the account alice (plan pro)."""
    with HubProcess(tmp_path / "hub", "--no-docker", "--user", "alice:hf_test_alice:write", *QUICK) as process:
        yield process


@pytest.fixture
def token():
    """Alice's token with role write."""
    return "hf_test_alice"
