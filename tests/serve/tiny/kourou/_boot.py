# SPDX-License-Identifier: Apache-2.0
"""Runs the real worker loop with a runner that does what each request's `op` says."""
import os
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
REAL = os.path.join(HERE, "..", "..", "..", "..", "python", "kourou")

package = types.ModuleType("kourou")
package.__path__ = [HERE, os.path.normpath(REAL)]
sys.modules["kourou"] = package

from kourou.worker import main  # noqa: E402

sys.exit(main(sys.argv[2:]))
