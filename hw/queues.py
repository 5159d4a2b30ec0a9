# SPDX-License-Identifier: Apache-2.0
"""How much must wait between stages so that a frame takes no longer than the slowest of them.

Most stages work evenly. Two do not: a `Pad` takes nothing while it sends the rows around an image, and a `Window` that
sends a window a cycle sends none while the first rows of an image come in. Where the rest of the pipeline has little
time to spare, a queue before the one and behind the other evens this out. Its depth is the least with which the slowest
stage on its way in and the slowest on its way out, both taken to be even, keep their pace.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from adiabit.hw.accelerator import Accelerator, Pad, Stage, Window

FRAMES = 4  # until the pair has settled


def queued(accelerator: Accelerator) -> Accelerator:
    """The accelerator with the queues that its folding asks for."""
    stages: list[Stage] = []
    for number, stage in enumerate(accelerator.stages):
        before = max((s.cycles for s in accelerator.stages[:number]), default=0)
        behind = max((s.cycles for s in accelerator.stages[number + 1 :]), default=0)
        if isinstance(stage, Pad):
            stages.append(dataclasses.replace(stage, queue=_before(stage, before, behind)))
        elif isinstance(stage, Window):
            queue = _behind(stage, before, behind) if stage.parallel else 0
            stages.append(dataclasses.replace(stage, queue=queue))
        else:
            stages.append(stage)
    return dataclasses.replace(accelerator, stages=tuple(stages))


def _before(stage: Pad, before: int, behind: int) -> int:
    """Beats before a pad, between stages of these cycles a frame."""
    height, width, channels = stage.input.shape
    (top, left), (bottom, right) = stage.before, stage.after
    across, words = left + width + right, channels // stage.input.lanes
    taken = [(top + y) * across + left + x for y in range(height) for x in range(width)]
    bursts = _gaps(taken, (top + height + bottom) * across, behind / words)
    return _places(words * least_depth([before / words / len(taken)] * len(taken), bursts))


def _behind(stage: Window, before: int, behind: int) -> int:
    """Windows behind a window that sends one a cycle, between stages of these cycles a frame."""
    height, width, _ = stage.input.shape
    (rows, columns), (down, across) = stage.span, stage.grid
    sent = [
        (rows - 1 + y * stage.stride[0]) * width + columns - 1 + x * stage.stride[1]
        for y in range(down) for x in range(across)
    ]  # fmt: skip
    return _places(least_depth(_gaps(sent, height * width, before), [behind / len(sent)] * len(sent)))


def _places(depth: int) -> int:
    """One more, for the cycle until a full FIFO tells that it has a place again."""
    return depth + 1 if depth else 0


def _gaps(cycles: Sequence[int], period: int, slowest: float) -> list[float]:
    """Cycles since the one before, of events at these cycles of every period, where a neighbour stretches it."""
    stretch = max(1.0, slowest / period)
    return [stretch * (b - a) for a, b in itertools.pairwise([cycles[-1] - period, *cycles])]


def least_depth(first: Sequence[float], second: Sequence[float]) -> int:
    """Places of a queue between two stages, with which they take no longer than the slower alone.

    `first` and `second`: the least cycles that each takes for the elements of a frame, one after the other. Without a
    place the first hands on an element, and goes on, when the second takes it.
    """
    low, high = -1, 0
    while not _keeps_pace(first, second, high):
        low, high = high, 2 * high + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _keeps_pace(first, second, middle) else (middle, high)
    return high


def _keeps_pace(first: Sequence[float], second: Sequence[float], depth: int) -> bool:
    """Whether the second stage's last frames follow each other as quickly as the slower stage allows."""
    if depth >= len(first):
        return True
    taken = [0.0] * (depth + 1)  # when the second took the last elements
    sent, ends = 0.0, []
    for number in range(FRAMES):
        for k, (gap, wait) in enumerate(zip(first, second, strict=True)):
            place = (number * len(first) + k) % (depth + 1)
            sent = max(sent, taken[place]) + gap  # the element before went into the queue when that one had left it
            taken[place] = max(sent, taken[place - 1] + wait)
        ends.append(taken[place])
    return ends[-1] - ends[1] <= (FRAMES - 2) * max(sum(first), sum(second)) + 0.5
