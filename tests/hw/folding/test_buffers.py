# SPDX-License-Identifier: Apache-2.0
"""FIFOs are as deep as the pace or the absence of deadlock needs; tests/hw/test_graphs.py has the RTL keep both."""

from __future__ import annotations

import re

import pytest

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import estimate
from adiabit.hw.folding.buffers import Buffers, Rule, buffered, depths
from adiabit.hw.folding.fold import apply, foldable
from adiabit.hw.folding.solve import solve_luts
from adiabit.hw.stages import Fifo, Folding
from tests.hw.rtl.chain import B, Chain, U


def fifos(accelerator: Accelerator) -> list[int]:
    return [stage.depth for stage in accelerator.stages if isinstance(stage, Fifo)]


def padded(pad: int) -> Accelerator:
    """A convolution of 324 cycles before a pad."""
    chain = Chain("padded", (8, 8, 4), 1, B, 4).window((3, 3)).mvu(8, 8).pad((pad, pad), (pad, pad), 1)
    return chain.window((3, 3)).lanes(8).mvu(4, 4, flat=True).mvu(3, 1, out=None).label().end()


def skip(rows: int = 8, *, pe: int = 2) -> Accelerator:
    """A window and a product beside a wire."""
    chain = Chain("skip", (5, 6, 8), 1, B, 8)
    first, second = chain.fork()
    chain.at(second).pad((1, 1), (1, 1), 1).window((3, 3)).mvu(rows, pe).lanes(8)
    return chain.add(first).end()


def test_a_pad_that_holds_up_the_slowest_stage_has_a_fifo_before_it() -> None:
    assert fifos(buffered(padded(1))) == [2]
    assert fifos(buffered(padded(2))) == []  # the window behind takes 576 cycles, so the others have time


def test_the_host_needs_no_fifo_and_a_serial_window_has_its_ring() -> None:
    accelerator = Chain("first", (8, 8, 4), 1, B, 4).pad((3, 3), (3, 3), 1).window((3, 3)).mvu(8, 8).end()
    assert depths(accelerator, Rule.FULL_RATE) == {}


@pytest.mark.parametrize(("rows", "places"), [(1, []), (2, [9]), (4, [4]), (16, [])])
def test_a_wide_window_has_as_many_places_as_its_reader_takes_meanwhile(rows: int, places: list[int]) -> None:
    accelerator = Chain("wide", (8, 8, 2), 1, B, 2).window((3, 3), parallel=True).mvu(rows, 1).end()
    assert fifos(buffered(accelerator)) == places  # 19 cycles without a window; one is read in 1, 2, 4, 16


def test_folding_places_fifos_and_folding_anew_replaces_them() -> None:
    slow = apply(padded(1), {})
    assert fifos(slow) == [2]
    fast = apply(slow, {stage.name: Folding() for stage in foldable(slow)})
    assert fifos(fast) == [3]
    assert apply(fast, {}) == fast


def test_a_shortcut_holds_what_the_other_branch_is_behind() -> None:
    deep, least = (depths(skip(), rule) for rule in (Rule.FULL_RATE, Rule.LEAST))
    assert deep.keys() >= least.keys() == {"y0_0"}
    assert 0 < least["y0_0"] <= deep["y0_0"]
    assert depths(padded(1), Rule.LEAST) == {}  # a chain cannot deadlock


def test_deeper_branches_need_deeper_shortcuts() -> None:
    assert depths(skip(8, pe=1), Rule.LEAST)["y0_0"] >= depths(skip(8, pe=8), Rule.LEAST)["y0_0"]


def test_depths_by_hand_are_taken_as_they_are() -> None:
    accelerator = buffered(skip(), {"y0_0": 17, "y3": 2})
    assert {s.name: s.depth for s in accelerator.stages if isinstance(s, Fifo)} == {"y0_0_fifo": 17, "y3_fifo": 2}


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        ({"y9": 4}, "buffers: y9: no stream between two stages; there are ['y0_0', 'y0_1', 'y1', 'y2', 'y3', 'y4']"),
        ({"y3": 1}, "buffers: y3: depth 1; a FIFO holds at least 2 beats; drop the key for none"),
    ],
)
def test_depths_that_cannot_be(buffers: Buffers, message: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        buffered(skip(), buffers)


def test_a_lut_budget_holds_with_the_fifos() -> None:
    refused = fitted = 0
    for luts in range(380, 700, 8):
        try:
            folded = solve_luts(padded(1), luts=luts)
        except UserError as error:
            assert f"luts={luts} is too few; the smallest folding takes about" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert estimate(folded).resources.luts <= luts
            fitted += 1
    assert min(refused, fitted) > 0


def test_latency_is_that_of_the_longest_path() -> None:
    chain = Chain("latency", (6,), 2, U, 1)
    first, second = chain.fork()
    long = estimate(buffered(chain.at(second).mvu(6, 1, out=(2, U)).mvu(6, 1, out=(2, U)).add(first).end()))
    (fork, *_), last = long.stages, long.stages[-1]
    assert long.latency > 36 + 36 > fork.latency + last.latency
