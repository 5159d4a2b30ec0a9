# SPDX-License-Identifier: Apache-2.0
"""Random accelerators that are graphs, for hypothesis: chains of stages with forks whose branches join again."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Memory, Stream, divisors
from tests.hw.rtl.chain import B, Chain, S, U

FEW = [(1, B), (2, U), (3, S)]
COUNTS = st.sampled_from([*FEW * 5, (5, U), (6, S), (8, S)])  # bits and kind of what thresholds make, seldom many bits


def regroup(chain: Chain, draw: st.DrawFn) -> Chain:
    """Lanes that one width converter reaches."""
    have = chain.here.lanes
    return to_lanes(
        chain, draw(st.sampled_from([n for n in divisors(chain.here.channels) if n % have == 0 or have % n == 0]))
    )


def to_lanes(chain: Chain, lanes: int) -> Chain:
    """So many lanes, over one lane where neither number divides the other."""
    have = chain.here.lanes
    if lanes == have:
        return chain
    if lanes % have and have % lanes:
        chain.lanes(1)
    return chain.lanes(lanes)


def product(chain: Chain, rows: int, draw: st.DrawFn, **fields: Any) -> Chain:
    """A matrix whose weights lie anywhere they may."""
    parallel = chain.here.lanes == chain.here.channels
    memory = draw(st.sampled_from([m for m in Memory if parallel or m is not Memory.HARDWIRED]))
    pe = rows if memory is Memory.HARDWIRED else draw(st.sampled_from(divisors(rows)))
    weights = draw(st.sampled_from([(-1, 1), (-1, 1), (-1, 0), (0, 1), (-1, 0, 1), (-4, 3)]))
    fields = {"out": draw(COUNTS), "inverted": draw(st.booleans()), **fields}
    return chain.mvu(rows, pe, weights=weights, memory=memory, **fields)


def branch(chain: Chain, draw: st.DrawFn) -> Chain:
    """Nothing, or stages that keep rows and columns."""
    height, width, channels = chain.here.shape
    kind = draw(
        st.sampled_from(
            ["wire", "fifo", "threshold", "product", "same window", "pool", "channels", "affine", "grouped"]
        )
    )
    if kind == "fifo":
        chain.fifo(draw(st.integers(2, 5)))
    elif kind == "threshold":
        regroup(chain, draw).threshold(*draw(COUNTS), inverted=draw(st.booleans()))
    elif kind == "grouped":
        groups = draw(st.sampled_from(divisors(channels)))
        rows, inputs = draw(st.sampled_from([1, 2, 4])), channels // groups
        whole = draw(st.sampled_from(divisors(groups)))
        pe, simd = whole * rows, whole * inputs
        if whole == 1:
            pe, simd = draw(st.sampled_from(divisors(rows))), draw(st.sampled_from(divisors(inputs)))
        weights = 1 if chain.here.kind is B and draw(st.booleans()) else 3
        kernel = (2, 2) if min(height, width) > 1 else (1, 1)
        value = draw(st.sampled_from([-1, 1] if chain.here.kind is B else [0, 1]))
        if kernel == (2, 2):
            to_lanes(chain.pad((1, 0), (0, 1), value if chain.here.range[0] <= value else 0), simd).window(kernel)
        to_lanes(chain, simd).grouped(groups, rows, pe, kernel[0] * kernel[1], weights=weights, out=draw(COUNTS))
    elif kind == "affine":
        factors: int | tuple[int, int] = (-5, 6) if draw(st.booleans()) else draw(st.sampled_from([1, 4]))
        regroup(chain, draw).affine(factors, draw(st.sampled_from([0, 9]))).threshold(*draw(COUNTS))
    elif kind == "product":
        product(regroup(chain, draw), draw(st.sampled_from([channels, 2, 4])), draw)
    elif kind == "same window" and min(height, width) > 1:
        value = draw(st.sampled_from([-1, 1] if chain.here.kind is B else [0, 1]))
        regroup(chain, draw).pad((1, 1), (1, 1), value if chain.here.range[0] <= value else 0)
        if parallel := draw(st.booleans()):
            to_lanes(chain, chain.here.channels)
        chain.window((3, 3), parallel=parallel)
        product(regroup(chain, draw), draw(st.sampled_from([channels, 4])), draw, out=(1, B))
    elif kind == "pool" and min(height, width) > 1:
        value = draw(st.sampled_from([-1, 1] if chain.here.kind is B else [0, 1]))
        regroup(chain, draw).pad((1, 0), (0, 1), value if chain.here.range[0] <= value else 0)
        chain.window((2, 2), flat=True)
        chain.pool((1, 4)) if draw(st.booleans()) else chain.sums((1, 4))
    elif kind == "channels":
        front, back = draw(st.sampled_from([(1, 0), (2, 2), (0, 3)]))
        lanes = [n for n in divisors(channels) if front % n == back % n == 0]
        value = draw(st.sampled_from([-1, 1] if chain.here.kind is B else [0, 1]))
        to_lanes(chain, draw(st.sampled_from(lanes))).more_channels(front, back, value)
    return chain


def join(chain: Chain, ends: tuple[Stream, ...], draw: st.DrawFn) -> Chain:
    """One of the joins that these ends allow; the last ends first."""
    first, *others = ends
    ways = []
    if len(ends) == 2 and first.channels == others[0].channels:
        ways = ["add"]
        if others[0].bits <= 2:
            ways += ["select", "select product"]
    if all((s.bits, s.kind) == (first.bits, first.kind) for s in others):
        ways.append("concat")
    if not ways:  # of unlike elements, or unlike channels: bits of each
        ends = tuple(chain.at(s).threshold(1, B).here for s in ends)
        return join(chain, ends, draw)
    way = draw(st.sampled_from(ways))
    if way == "concat":
        common = min(s.channels for s in ends)
        lanes = draw(st.sampled_from([n for n in divisors(common) if all(s.channels % n == 0 for s in ends)]))
        whole = draw(st.booleans())
        ends = tuple(to_lanes(chain.at(s), s.channels if whole else lanes).here for s in ends)
        return chain.at(ends[0]).concat(*ends[1:])
    if way == "select product":
        rows, pe = others[0].channels, draw(st.sampled_from(divisors(others[0].channels)))
        select = to_lanes(chain.at(others[0]), pe).here
        fields: dict[str, Any] = {"select": select, "out": draw(COUNTS), "inverted": draw(st.booleans())}
        return regroup(chain.at(first), draw).mvu(rows, pe, **fields)
    lanes = draw(st.sampled_from(divisors(first.channels)))
    ends = tuple(to_lanes(chain.at(s), lanes).here for s in ends)
    if way == "select":
        return chain.at(ends[0]).threshold(*draw(COUNTS), select=ends[1], inverted=draw(st.booleans()))
    return chain.at(ends[0]).add(ends[1])


def block(chain: Chain, draw: st.DrawFn, depth: int) -> Chain:
    """A fork, branches that may hold blocks themselves, and their join."""
    regroup(chain, draw)
    ends = []
    for stream in chain.fork(draw(st.sampled_from([2, 2, 3]))):
        chain.at(stream)
        for _ in range(draw(st.integers(0, 2))):
            branch(chain, draw)
        if depth and draw(st.booleans()):
            block(chain, draw, depth - 1)
        ends.append(chain.here)
    while len(ends) > 2 and len({(s.bits, s.kind) for s in ends}) > 1:
        last = join(chain, (ends.pop(), ends.pop()), draw).here
        ends.append(last)
    join(chain, tuple(draw(st.permutations(ends))), draw)
    if chain.here.bits > 3:
        chain.threshold(*draw(COUNTS))
    return chain


@st.composite
def graphs(draw: st.DrawFn) -> Accelerator:
    """An image, one or two blocks, maybe a pool behind each, and sums or what the last block has."""
    bits, kind = draw(st.sampled_from([(2, U), (3, S), (1, B)]))
    shape = draw(st.integers(1, 6)), draw(st.integers(2, 7)), draw(st.integers(1, 4))
    chain = Chain(f"graph{draw(st.integers(0, 999))}", shape, bits, kind, draw(st.sampled_from(divisors(shape[-1]))))
    for _ in range(draw(st.integers(1, 2))):
        block(chain, draw, draw(st.integers(0, 1)))
        if draw(st.booleans()) and min(chain.here.shape[:2]) > 1:
            regroup(chain, draw)
            chain.pool((2, 2)) if draw(st.booleans()) else chain.sums((2, 2))
    return chain.end()
