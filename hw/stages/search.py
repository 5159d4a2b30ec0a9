# SPDX-License-Identifier: Apache-2.0
"""Binary search among many thresholds, a level for each bit of the count, as in `bnn_search.sv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adiabit.hw.stages.integers import Ints

COMPARATORS = 15  # most thresholds that a lane compares at once, as in bnn_pkg.sv; among more it searches


def steps_latency(steps: int) -> int:
    """Latency of `bnn_steps`, as in bnn_pkg.sv; 0 without thresholds."""
    return 2 * steps.bit_length() if steps > COMPARATORS else min(steps, 2)


def levels(sets: Ints) -> Iterator[Ints]:
    """By level, the thresholds (lanes, words) that it reads, of sets (beats, lanes, codes, steps).

    The first level has the middle one of each set, the next level the middles of the two halves, and so on.
    """
    lanes, stride = sets.shape[1], sets.shape[-1] + 1
    while stride > 1:
        yield sets[..., stride // 2 - 1 :: stride].swapaxes(0, 1).reshape(lanes, -1)
        stride //= 2


def tree(levels: Sequence[Ints]) -> str:
    """C++ initializer of a `ThresholdTree`: each level is nested in the next one."""
    text = "{}"
    for level in levels:
        rows = ",\n".join(f"    {{{', '.join(map(str, row))}}}" for row in level)
        text = f"{{{text}, {{\n{rows}\n}}}}"
    return text
