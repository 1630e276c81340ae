# SPDX-License-Identifier: Apache-2.0
"""``python -m kourou compile|worker|check``."""

import sys

from ._boot import main

sys.exit(main(sys.argv[1:]))
