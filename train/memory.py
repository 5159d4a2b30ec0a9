# SPDX-License-Identifier: Apache-2.0
"""Memory that a process keeps for itself between the steps of a training.

The C library returns large blocks to the system when they are freed, and the system clears each page of them when they
are allocated again, which costs as much as a pass over the activations.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

MOST_MAPPED, TRIM = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of mallopt(3), and their defaults:
DEFAULTS = {MOST_MAPPED: 65_536, TRIM: 128 * 1024}
KEEP = {MOST_MAPPED: 0, TRIM: 2**31 - 1}


@contextmanager
def memory_kept() -> Iterator[None]:
    """Within the context, freed memory stays with the process; where the C library is not glibc, nothing changes."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        yield
        return
    for name, value in KEEP.items():
        libc.mallopt(name, value)
    try:
        yield
    finally:
        for name, value in DEFAULTS.items():
            libc.mallopt(name, value)
        libc.malloc_trim(0)
