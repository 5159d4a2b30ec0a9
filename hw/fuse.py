# SPDX-License-Identifier: Apache-2.0
"""Fusion: thresholds, a sum and thresholds of the sum become one stage, whose thresholds a second stream selects.

Let y be the number of thresholds T_1 <= T_2 <= ... that x reaches, and c the second stream. Then

    y + c >= t  if and only if  x >= T_(t - c)

where T_i is below every x for i <= 0, and above every x behind the last. So `sign(bn(conv) + shortcut)`, which FINN
computes with an adder, needs one comparison and no adder. Exact for any thresholds; done where it is cheaper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Add, Ints, Kind, MatrixVector, Stage, Stream, Threshold
from adiabit.hw.stages.base import Folding
from adiabit.hw.stages.cost import BLOCK_RAM_LUTS
from adiabit.hw.stages.thresholds import Thresholding

MOST = 1 << 20  # thresholds of a stage


def fused(accelerator: Accelerator) -> Accelerator:
    """The same function with as many selected thresholds as are cheaper than sums."""
    while (found := next(_candidates(accelerator), None)) is not None:
        accelerator = found
    return accelerator


def _candidates(accelerator: Accelerator) -> Iterator[Accelerator]:
    """The accelerators with one fusion more."""
    for add in accelerator.stages:
        last = accelerator.consumers.get(add.outputs[0].name)
        if not isinstance(add, Add) or not isinstance(last, Threshold) or last.selector:
            continue
        for k, stream in enumerate(add.inputs):
            first = accelerator.producers.get(stream.name)
            if isinstance(first, MatrixVector | Threshold) and first.thresholds is not None and not first.selector:
                made = _joined(first, add.inputs[1 - k], last)
                if made is not None and _price(made) < sum(map(_price, (first, add, last))):
                    yield _replaced(accelerator, (first, add, last), made)


def _joined(first: MatrixVector | Threshold, select: Stream, last: Threshold) -> Thresholding | None:
    """One stage that does what the three do; None if there is none."""
    rows = np.asarray(first.thresholds)
    fits = first.output.shape == select.shape and first.output.channels == len(rows)
    entries = np.asarray(last.thresholds).size << select.bits
    if first.inverted is not None or not fits or entries > MOST:
        return None
    low, high = first.value_range
    rows = np.clip(rows, low, high + 1)
    outside = np.full((len(rows), 1), low), np.full((len(rows), 1), high + 1)
    table = np.concatenate([outside[0], rows, outside[1]], axis=1)  # T_0 to T_(steps + 1)
    least, step = first.output.range[0], 2 if first.output.kind is Kind.BIPOLAR else 1  # y = least + step * count
    wanted = np.asarray(last.thresholds)[:, None, :] - _values(select)[:, None] - least
    index = np.clip(-(-wanted // step), 0, table.shape[1] - 1)
    thresholds: Ints = np.take_along_axis(table, index.reshape(len(rows), -1), axis=1).reshape(index.shape)
    return dataclasses.replace(
        first, inputs=(*first.inputs, select), outputs=last.outputs, thresholds=thresholds, inverted=last.inverted
    )


def _values(stream: Stream) -> Ints:
    """The values of a stream in the order of a selector's codes."""
    low, high = stream.range
    return np.array([low, high]) if stream.bits == 1 else np.arange(low, high + 1)


def _price(stage: Stage) -> float:
    """LUTs of the stage at one lane, block RAMs among them."""
    cost = stage.cost(Folding())
    return cost.luts + BLOCK_RAM_LUTS * cost.bram18


def _replaced(accelerator: Accelerator, old: tuple[Thresholding, Stage, Stage], new: Stage) -> Accelerator:
    """The accelerator with the new stage in the place of the last of the old ones."""
    stages = [s for s in accelerator.stages if s not in old[:2]]
    stages[stages.index(old[2])] = new
    return dataclasses.replace(accelerator, stages=tuple(stages))
