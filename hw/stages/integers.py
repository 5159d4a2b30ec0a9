# SPDX-License-Identifier: Apache-2.0
"""Integer arrays, widths and divisors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


def signed_bits(low: int, high: int) -> int:
    """Bits of the narrowest two's complement that holds low...high."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


def divisors(n: int) -> list[int]:
    """All divisors of `n`, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]


def nearest_divisors(n: int, wanted: int, count: int = 3) -> list[int]:
    """The `count` divisors of `n` closest to `wanted`, ascending: the remedy in an error message."""
    return sorted(sorted(divisors(n), key=lambda d: (abs(d - wanted), d))[:count])
