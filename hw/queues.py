# SPDX-License-Identifier: Apache-2.0
"""How much must wait between stages so that a frame takes no longer than the slowest of them.

Most stages work evenly. Two do not: a `Pad` takes nothing while it sends the rows around an image, and a `Window` that
sends a window a cycle sends none while the first rows of an image come in. Where the rest of the pipeline has little
time to spare, a queue before the one and behind the other evens this out. Its depth is the least with which the pair
of that stage and an even one at the pace of all others is as fast as the slower of the two.
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
    for stage in accelerator.stages:
        others = max((s.cycles for s in accelerator.stages if s is not stage), default=1)
        if isinstance(stage, Pad):
            first = stage is accelerator.stages[0]  # the host can wait
            stages.append(dataclasses.replace(stage, queue=0 if first else _before(stage, others)))
        elif isinstance(stage, Window):
            stages.append(dataclasses.replace(stage, queue=_behind(stage, others) if stage.parallel else 0))
        else:
            stages.append(stage)
    return dataclasses.replace(accelerator, stages=tuple(stages))


def _before(stage: Pad, others: int) -> int:
    """Beats before a pad."""
    height, width, channels = stage.input.shape
    (top, left), (bottom, right) = stage.before, stage.after
    across, words = left + width + right, channels // stage.input.lanes
    taken = [(top + y) * across + left + x for y in range(height) for x in range(width)]
    bursts = _gaps(taken, (top + height + bottom) * across)
    return words * _places(least_depth([others / words / len(taken)] * len(taken), bursts))


def _behind(stage: Window, others: int) -> int:
    """Windows behind a window that sends one a cycle."""
    height, width, _ = stage.input.shape
    (rows, columns), (down, across) = stage.span, stage.grid
    sent = [
        (rows - 1 + y * stage.stride[0]) * width + columns - 1 + x * stage.stride[1]
        for y in range(down) for x in range(across)
    ]  # fmt: skip
    return _places(least_depth(_gaps(sent, height * width), [others / len(sent)] * len(sent)))


def _places(depth: int) -> int:
    """Without a queue a stage hands on one at a time; a FIFO has at least 2 places."""
    return depth if depth > 1 else 0


def _gaps(cycles: Sequence[int], period: int) -> list[float]:
    """Cycles since the one before, of events at these cycles of every period."""
    return [float(b - a) for a, b in itertools.pairwise([cycles[-1] - period, *cycles])]


def least_depth(first: Sequence[float], second: Sequence[float]) -> int:
    """Places of a queue between two stages, with which they take no longer than the slower alone.

    `first` and `second`: the least cycles that each takes for the elements of a frame, one after the other.
    """
    high = 1
    while not _keeps_pace(first, second, high):
        high *= 2
    low = high // 2  # which is too few, or none
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _keeps_pace(first, second, middle) else (middle, high)
    return high


def _keeps_pace(first: Sequence[float], second: Sequence[float], depth: int) -> bool:
    """Whether the second stage's last frames follow each other as quickly as the slower stage allows."""
    if depth >= len(first):
        return True
    taken = [0.0] * depth  # when the second took the last `depth` elements
    sent, ends = 0.0, []
    for number in range(FRAMES):
        for k, (gap, wait) in enumerate(zip(first, second, strict=True)):
            place = (number * len(first) + k) % depth
            sent = max(sent + gap, taken[place])
            taken[place] = max(sent, taken[place - 1] + wait)
        ends.append(taken[place])
    return ends[-1] - ends[1] <= (FRAMES - 2) * max(sum(first), sum(second)) + 0.5
