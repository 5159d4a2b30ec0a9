# SPDX-License-Identifier: Apache-2.0
"""Queues are as deep as the pace needs, and no deeper. tests/hw/rtl/test_random.py has the RTL keep it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adiabit.errors import UserError
from adiabit.hw import fold
from adiabit.hw.accelerator import Accelerator, Pad, Window
from adiabit.hw.estimate import estimate
from adiabit.hw.queues import least_depth, queued
from adiabit.hw.solve import solve_luts
from tests.hw.rtl.chain import B, Chain


def cycles(first: Sequence[float], second: Sequence[float], depth: int, frames: int = 30) -> float:
    """A frame's, of two stages with `depth` places between them; written out, element by element."""
    sent, taken = [0.0], [0.0]
    for k in range(frames * len(first)):
        queued = taken[k - depth] if k > depth else 0.0  # when the element before found a place
        sent.append(max(sent[-1], queued) + first[k % len(first)])
        taken.append(max(sent[-1], taken[-1] + second[k % len(second)]))
    return (taken[-1] - taken[len(taken) // 2]) / (frames / 2)


gaps = st.lists(st.integers(0, 9), min_size=12, max_size=12)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(first=gaps, second=gaps)
def test_the_least_depth_keeps_the_pace(first: list[float], second: list[float]) -> None:
    depth, slower = least_depth(first, second), max(sum(first), sum(second))
    assert cycles(first, second, depth) == pytest.approx(slower, abs=0.5)


def test_one_place_less_does_not() -> None:
    burst, even = [25.0, *[1.0] * 15], [2.5] * 16  # both 40 cycles a frame
    depth = least_depth(burst, even)
    assert depth == 9
    assert cycles(burst, even, depth) == 40
    assert cycles(burst, even, depth - 1) > 40.5


def test_even_stages_need_no_queue() -> None:
    assert least_depth([3.0] * 9, [4.0] * 9) == 0


def padded(pad: int) -> Accelerator:
    """A convolution of 324 cycles before a pad."""
    chain = Chain("padded", (8, 8, 4), 1, B, 4).window((3, 3)).mvu(8, 8).pad((pad, pad), (pad, pad), 1)
    return chain.window((3, 3)).lanes(8).mvu(4, 4, flat=True).mvu(3, 1, out=None).label().end()


def queue_of(accelerator: Accelerator, kind: type[Pad] | type[Window]) -> list[int]:
    return [stage.queue for stage in queued(accelerator).stages if isinstance(stage, kind)]


def test_a_pad_that_holds_up_the_slowest_stage_has_a_queue() -> None:
    assert queue_of(padded(1), Pad) == [11]  # 18 of 64 pixels go in a row, which takes 91 cycles; one comes in 9
    assert queue_of(padded(2), Pad) == [3]  # the window behind takes 576 cycles, so the others have time


def test_the_host_needs_no_queue_and_a_serial_window_has_its_ring() -> None:
    accelerator = Chain("first", (8, 8, 4), 1, B, 4).pad((3, 3), (3, 3), 1).window((3, 3)).mvu(8, 8).end()
    assert queue_of(accelerator, Pad) == [0]
    assert queue_of(accelerator, Window) == [0]


@pytest.mark.parametrize(("rows", "queue"), [(1, 0), (2, 10), (4, 5), (16, 2)])
def test_a_wide_window_has_as_many_places_as_its_reader_takes_meanwhile(rows: int, queue: int) -> None:
    accelerator = Chain("wide", (8, 8, 2), 1, B, 2).window((3, 3), parallel=True).mvu(rows, 1).end()
    assert queue_of(accelerator, Window) == [queue]  # 19 cycles without a window; one is read in 1, 2, 4, 16


def test_folding_places_queues_and_folding_anew_replaces_them() -> None:
    slow = fold.apply(padded(1), {})
    assert [stage.queue for stage in slow.stages if isinstance(stage, Pad)] == [11]
    fast = fold.apply(slow, {stage.name: fold.Folding() for stage in fold.foldable(slow)})
    assert [stage.queue for stage in fast.stages if isinstance(stage, Pad)] == [81]  # 10 pixels of 8 beats


def test_a_lut_budget_holds_with_the_queues() -> None:
    refused = fitted = 0
    for luts in range(380, 700, 4):
        try:
            folded = solve_luts(padded(1), luts=luts)
        except UserError as error:
            assert f"luts={luts} is too few; the smallest folding takes about" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert estimate(folded).resources.luts <= luts
            fitted += 1
    assert min(refused, fitted) > 0
