# SPDX-License-Identifier: Apache-2.0
"""Cuts the frames of a simulation into slices for several processes, and joins what the slices found.

The cut depends on the accelerator and the number of frames alone, so the results do not depend on how many processes
there are. Each slice is a run of its own, from reset. It starts with the last frame of the slice before, so that
every pair of neighbouring frames passes back to back, and the cycles between their results are measured.

No timing depends on values, so what the streams and FIFOs of a slice do in time is the beginning of what those of the
longest slice do. That is the first one: stalls are its counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adiabit.flows.simulate.compare import Comparison, Difference
from adiabit.flows.simulate.runs import Run, Span
from adiabit.hw.accelerator import Accelerator

SHARED = 1  # frames
LEAST_WORK = 1 << 20  # of a slice, in cycles; about a second
LEAST_FRAMES = 32  # of a slice: filling and draining the pipeline takes the time of a few
MOST = 64  # slices of this length
FIRST = 4  # of them make the first, in which queues that lengthen by a little with each frame become full
ELEMENTS = 32  # in all streams a cycle, in a design like CNV, which runs a million cycles a second


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run and its comparison with the golden model."""

    span: Span
    run: Run
    compared: Comparison


def work(accelerator: Accelerator, frames: int) -> int:
    """The work of simulating and comparing frames, in cycles: those of a large design weigh more."""
    return frames * max(accelerator.cycles, sum(s.elements for s in accelerator.streams) // ELEMENTS)


def cut(accelerator: Accelerator, frames: int) -> list[Span]:
    """The slices of this many frames; a single one where they would become too small."""
    count = max(1, min(work(accelerator, frames) // LEAST_WORK, frames // LEAST_FRAMES, MOST))
    bounds = [0, *(frames * i // count for i in range(min(FIRST, count), count + 1))]
    return [
        Span(start=max(0, start - SHARED), end=end, shared=min(start, SHARED))
        for start, end in itertools.pairwise(bounds)
    ]


def join(outcomes: Sequence[Outcome]) -> Comparison:
    """The comparison of all frames; differences count their frames from the first slice's."""
    equal = np.ones(outcomes[-1].span.end, np.bool_)
    for one in outcomes:
        equal[one.span.start : one.span.end] &= one.compared.equal
    outputs = np.concatenate([one.compared.outputs[one.span.shared :] for one in outcomes])
    found = first_different(outcomes)
    return Comparison(equal=equal, difference=placed(found) if found else None, outputs=outputs)


def first_different(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The slice with the first difference, the earlier one if both have it in the frame that they share."""
    return min((one for one in outcomes if one.compared.difference), key=placed, default=None)


def placed(one: Outcome) -> Difference:
    """The difference in a slice, its frame counted from the first slice's."""
    found = one.compared.difference
    assert found is not None  # noqa: S101  # the callers have checked
    return replace(found, frame=found.frame + one.span.start)


def distances(outcomes: Sequence[Outcome]) -> list[int]:
    """The cycles from each frame's last output beat to the next one's."""
    return [b - a for one in outcomes for a, b in itertools.pairwise(one.run.ends)]


def peaks(outcomes: Sequence[Outcome]) -> list[int]:
    """The highest fill of each FIFO in any slice."""
    return [max(fills) for fills in zip(*(one.run.peaks for one in outcomes), strict=True)]
