# SPDX-License-Identifier: Apache-2.0
"""Whole networks drawn by hypothesis, through the emitter, Verilator and the comparison with the golden model."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.buffers import Rule, buffered, depths
from adiabit.hw.stages import divisors, integer_type
from tests.hw.graphs import graphs, product, regroup
from tests.hw.hls.flock import simulate as simulate_c
from tests.hw.rtl.chain import B, Chain, S, U
from tests.hw.rtl.flock import expected_times, settled_cycles, simulate

Drawn = TypeVar("Drawn")
side = st.integers(2, 9)


@st.composite
def dense(draw: st.DrawFn) -> Accelerator:
    """A whole dense network: any depth and width, pixels or signed numbers, folding and memory of each layer."""
    bits, kind = draw(st.sampled_from([(8, U), (4, S), (1, B)]))
    pixels = draw(st.integers(1, 20))
    chain = Chain(f"random{draw(st.integers(0, 999))}", (pixels,), bits, kind, draw(st.sampled_from(divisors(pixels))))
    if kind is U and draw(st.booleans()):
        chain.threshold(1, B)
    for width in draw(st.lists(st.integers(1, 20), min_size=1, max_size=4)):
        product(regroup(chain, draw), width, draw)
    return chain.mvu(draw(st.integers(1, 10)), 1, out=None).label().end()


@st.composite
def images(draw: st.DrawFn) -> Accelerator:
    """A whole convolutional network: images or sound, pads, kernels, strides, dilations, pools, folding, sums."""
    bits, kind = draw(st.sampled_from([(8, U), (4, S), (1, B)]))
    height, width, channels = draw(st.one_of(st.just(1), side)), draw(side), draw(st.integers(1, 4))
    lanes = draw(st.sampled_from(divisors(channels)))
    chain = Chain(f"random{draw(st.integers(0, 999))}", (height, width, channels), bits, kind, lanes)
    for rows in draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)):
        convolve(chain, rows, draw)
    rows = draw(st.integers(1, 10))
    if draw(st.booleans()):
        least, most = (n * chain.here.pixels for n in chain.here.range)
        kind, bits = integer_type(0 if chain.here.kind is B else least, most)
        chain.total(bits, kind)
    else:
        product(regroup(chain, draw), rows, draw, flat=True)
        regroup(chain, draw)
    return chain.mvu(rows, 1, out=None, flat=True).label().end()


def convolve(chain: Chain, rows: int, draw: st.DrawFn) -> None:
    """Maybe a pad, a window, a matrix, and maybe a pool."""
    pads = st.tuples(*[st.integers(0, 2 if length > 1 else 0) for length in chain.here.shape[:2]])
    if draw(st.booleans()):
        values = [-1, 1] if chain.here.kind is B else [0, *chain.here.range]
        regroup(chain, draw).pad(draw(pads), draw(pads), draw(st.sampled_from(values)))
    sides = chain.here.shape[:2]
    kernel = tuple(draw(st.integers(1, min(3, length))) for length in sides)
    dilation = tuple(
        draw(st.integers(1, min(3, (length - 1) // (k - 1)) if k > 1 else 3))
        for k, length in zip(kernel, sides, strict=True)
    )
    parallel = draw(st.booleans())
    regroup(chain, draw)
    if parallel and chain.here.lanes != chain.here.channels:
        chain.lanes(chain.here.channels)
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    chain.window(kernel, parallel=parallel, stride=stride, dilation=dilation)  # type: ignore[arg-type]
    if parallel:  # the matrix need not be
        regroup(chain, draw)
    product(chain, rows, draw)
    if draw(st.booleans()):
        height, width = chain.here.shape[:2]
        regroup(chain, draw).pool((draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))))


def drawn(strategy: st.SearchStrategy[Drawn], count: int, number: int) -> list[Drawn]:
    """So many examples, the same for the same number."""
    found: list[Drawn] = []

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate])  # fmt: skip
    @seed(number)
    @given(strategy)
    def collect(example: Drawn) -> None:
        found.append(example)

    collect()
    return found[:count]


def shorter(accelerators: list[Accelerator]) -> list[Accelerator]:
    """Those whose deepest FIFO can be a place shorter than the least that does not deadlock; one of 2 places cannot."""
    found = []
    for accelerator in accelerators:
        places = depths(accelerator, Rule.LEAST)
        critical = max(places, key=lambda name: places[name], default="")
        if critical and places[critical] > 2:
            found.append(buffered(accelerator, {**places, critical: places[critical] - 1}))
    return found


def agree(accelerators: list[Accelerator], folder: Path, short: list[Accelerator]) -> None:
    """Every beat of every stream of either back end is the golden model's, in RTL with and without gaps and stalls.

    A frame takes no more than the slowest stage's cycles at full-rate depths; at the least depths nothing deadlocks,
    and those that are too `short` by a place do. Each beat moves in the cycle that the schedules say.
    """
    full = [buffered(a) for a in accelerators]
    least = [b for a, f in zip(accelerators, full, strict=True) if (b := buffered(a, Rule.LEAST)) != f]
    (folder / "hls").mkdir()
    assert simulate_c(full, folder / "hls") == [""] * len(full)
    designs = [*full, *least, *short]
    (folder / "rtl").mkdir()
    runs = simulate(designs, folder / "rtl")
    for outcomes in runs:
        live, dead = outcomes[: -len(short) or None], outcomes[len(full) + len(least) :]
        assert [(a.name, o) for a, o in zip(designs, live, strict=False) if not o.right] == []
        assert [o.done for o in dead] == [False] * len(short)
    for accelerator, outcome in zip(full, runs[0], strict=False):
        assert outcome.cycles <= accelerator.cycles, accelerator.name
        # Padding gives a stage a lead of some beats; until it is used up, frames may be faster than that stage.
        cycles = accelerator.cycles
        assert outcome.cycles == cycles or settled_cycles(accelerator) == cycles, accelerator.name
    for accelerator, outcome in zip([*full, *least], runs[0], strict=False):
        assert outcome.times == expected_times(accelerator), accelerator.name


def test_random_networks_and_graphs(tmp_path: Path) -> None:
    accelerators = [*drawn(graphs(), 20, 1), *drawn(dense(), 2, 1), *drawn(images(), 2, 1)]
    short = [*shorter(accelerators), *shorter(drawn(graphs(), 90, 5))][:12]
    assert len(short) >= 10
    agree(accelerators, tmp_path, short)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", range(2, 52))
def test_a_thousand_random_graphs(number: int, tmp_path: Path) -> None:
    accelerators = [*drawn(graphs(), 20, number), *drawn(dense(), 1, number), *drawn(images(), 1, number)]
    agree(accelerators, tmp_path, shorter(accelerators))
