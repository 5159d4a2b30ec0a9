# SPDX-License-Identifier: Apache-2.0
"""95 % confidence intervals of accuracies: what a test set of so many frames, and so few seeds, can tell."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

LEVEL = 0.95
NORMAL = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)  # 1.96


def of_share(share: float, frames: int) -> tuple[float, float]:
    """The interval of an accuracy (0...1) on so many frames: Wilson's (1927), which stays within 0...1."""
    z = NORMAL**2 / frames
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(z * share * (1 - share) + z * z / 4) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def of_mean(shares: Sequence[float], frames: int | None) -> float | None:
    """Half the interval of the mean accuracy of several seeds that share a test set; None where nothing is known.

    Two independent parts: the spread of the seeds by Student's t, and the test set's size. A ranking of methods on one
    test set needs the first part alone, since its frames are the same for all.
    """
    known = []
    if len(shares) > 1:
        from scipy.stats import t  # type: ignore[import-untyped]  # slow to import

        quantile = float(t.ppf((1 + LEVEL) / 2, len(shares) - 1))
        known.append(quantile * statistics.stdev(shares) / math.sqrt(len(shares)))
    if frames:
        low, high = of_share(statistics.mean(shares), frames)
        known.append((high - low) / 2)
    return math.hypot(*known) if known else None
