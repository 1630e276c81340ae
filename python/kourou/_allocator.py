# SPDX-License-Identifier: Apache-2.0
"""What the C library does with large blocks of memory that were freed."""

from __future__ import annotations

# mallopt() of the GNU C library, malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 8 << 20  # bytes: larger blocks go back to the kernel as they are freed
_KEPT = 16 << 20  # bytes that may stay free in each arena


def keep_freed() -> None:
    """Keeps freed blocks for the next body.

    As a rule the C library gives large blocks back at once, and the kernel clears new pages for the next ones: more than
    half of what a pipeline costs that takes and returns megabytes. Other C libraries are left as they are.
    """
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
