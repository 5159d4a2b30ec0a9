# SPDX-License-Identifier: Apache-2.0
"""Latency, registers and LUTs of `bnn_sum` and `bnn_popcount`, on which pipelines around them and the estimate depend.

`levels` is the number of levels of counters or adders between registers; there is always one at the end.
"""

from __future__ import annotations

from functools import cache

LEAF, RADIX = 6, 3  # terms that a node of the adder tree sums, as in bnn_pkg.sv
COUNTED = 7  # bits of a counter, as in bnn_count.sv
MATCHED = 5  # positions of two words of which three bits are made, as in bnn_matches.sv


def sum_latency(terms: int, width: int, levels: int = 1) -> int:
    """Cycles of a `bnn_sum` of `terms` terms of `width` bits."""
    return -(-len(_sum_levels(terms, width)) // levels)


def sum_registers(terms: int, width: int, levels: int = 1) -> int:
    """Flip-flops of a `bnn_sum`."""
    return _registered(_sum_levels(terms, width), levels)


def sum_bits(terms: int, width: int) -> int:
    """Bits of all sums of a `bnn_sum`, with or without registers."""
    return sum(_sum_levels(terms, width))


def popcount_latency(bits: int, *, weighted: bool, levels: int = 1) -> int:
    """Cycles of a `bnn_popcount`: those of its slower structure, counters or an adder tree.

    `weighted`: of the XNOR of two words.
    """
    return -(-max(len(_counter_levels(bits, weighted)[0]), len(_sum_levels(bits, 1))) // levels)


def popcount_registers(bits: int, *, weighted: bool, levels: int = 1) -> int:
    """Flip-flops of a `bnn_popcount` of counters."""
    found, _ = _counter_levels(bits, weighted)
    waits = popcount_latency(bits, weighted=weighted, levels=levels) - -(-len(found) // levels)
    return _registered(found, levels) + waits * bits.bit_length()


def popcount_luts(bits: int, *, weighted: bool) -> int:
    """6-input LUTs of a `bnn_popcount` of counters."""
    return _counter_levels(bits, weighted)[1]


def _registered(bits: tuple[int, ...], levels: int) -> int:
    """Of levels with so many bits, those that have registers."""
    return sum(bits[levels - 1 : -1 : levels]) + sum(bits[-1:])


@cache
def _sum_levels(terms: int, width: int) -> tuple[int, ...]:
    """Bits after each level of an adder tree; of terms of one bit, an upper bound."""
    found = []
    while terms > 1:
        share = LEAF if width == 1 else RADIX
        terms, width = -(-terms // share), width + (share - 1).bit_length()
        found.append(terms * width)
    return tuple(found)


@cache
def _counter_levels(bits: int, weighted: bool) -> tuple[tuple[int, ...], int]:
    """Bits after each level of counters, and LUTs of all, as in bnn_popcount.sv."""
    heights, width, found, luts = [bits], bits.bit_length(), [], 0
    if weighted and bits > 1:
        heights = [-(-bits // MATCHED), bits // MATCHED * (MATCHED // 2) + bits % MATCHED // 2]
        found.append(sum(heights))
        luts = heights[1] + -(-heights[0] // 2)
    while max(heights) > 3:
        share, counters = _counters(heights)
        luts += sum(counters) * (2 if share == COUNTED else 1)
        heights = _compressed(heights, width)
        found.append(sum(heights))
    return ((*found, width), luts + width) if max(heights) > 1 else (tuple(found), luts)


def _counters(heights: list[int]) -> tuple[int, list[int]]:
    """Bits that a counter takes, and the counters of each weight, as in bnn_pkg.sv."""
    share = COUNTED if max(heights) > COUNTED - 2 else 3
    return share, [(height + 1) // COUNTED if share == COUNTED else height // 3 for height in heights]


def _compressed(heights: list[int], width: int) -> list[int]:
    """Bits of each weight after a level of counters, as in bnn_pkg.sv."""
    share, counters = _counters(heights)
    made = [max(0, height - share * count) + count for height, count in zip(heights, counters, strict=True)]
    made = (made + [0] * width)[:width]
    for w, count in enumerate(counters):
        for above in (1, 2)[: 1 + (share == COUNTED)]:
            if w + above < len(made):
                made[w + above] += count
    return made
