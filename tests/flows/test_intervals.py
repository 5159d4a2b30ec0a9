# SPDX-License-Identifier: Apache-2.0
"""Intervals of accuracies against known figures and against draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adiabit.flows.intervals import of_mean, of_share


@pytest.mark.parametrize(
    ("right", "frames", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)],
)
def test_wilson_s_interval_is_that_of_newcombe_s_table(right: int, frames: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17, 857 (1998), table I, method 3."""
    assert list(of_share(right / frames, frames)) == pytest.approx([low, high], abs=6e-5)


def test_the_interval_of_a_mean_has_both_parts() -> None:
    spread = 4.302653 * 0.01 / math.sqrt(3)  # Student's t of 2 degrees of freedom
    assert of_mean([0.89, 0.90, 0.91], None) == pytest.approx(spread, rel=1e-6)
    low, high = of_share(0.9, 1000)
    assert of_mean([0.9], 1000) == pytest.approx((high - low) / 2)
    assert of_mean([0.89, 0.90, 0.91], 1000) == pytest.approx(math.hypot(spread, (high - low) / 2))
    assert of_mean([0.9], None) is None


def test_the_interval_holds_the_truth_in_about_95_of_100_draws() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        ours = 0.9 + draw.normal(0, 0.01, 4)  # accuracies of four seeds
        shift = draw.binomial(1000, 0.9) / 1000 - 0.9  # of the test set that they share
        shares = [float(a + shift) for a in ours]
        half = of_mean(shares, 1000)
        assert half is not None
        held += abs(float(np.mean(shares)) - 0.9) <= half
    assert 0.93 <= held / 400 <= 0.99
