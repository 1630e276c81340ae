# SPDX-License-Identifier: Apache-2.0
"""The soak in its short form; in CI for two minutes. KOUROU_TEST_SEED repeats a run."""
import os

import pytest

from tests.conftest import needs

from .run import Soak

SECONDS = float(os.environ.get("KOUROU_SOAK_SECONDS") or (120 if os.environ.get("CI") else 25))


@pytest.mark.timeout(SECONDS + 240)
def test_nothing_is_lost(seed):
    soak = Soak(SECONDS, seed)
    soak.run()
    report = "\n".join(soak.report())
    print(report)
    assert not soak.problems, report
    needs(soak.disk.why_not == "", f"the right to mount a small file system: {soak.disk.why_not}")
