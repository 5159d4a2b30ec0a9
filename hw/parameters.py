# SPDX-License-Identifier: Apache-2.0
"""Weights and thresholds in the order in which the hardware reads them, the same for every back end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adiabit.hw.accelerator import Ints, MatrixVector, Threshold, signed_bits


def weight_rows(stage: MatrixVector) -> Ints:
    """Codes (fold, PE, SIMD): row n * SF + s has the columns s * SIMD... of the rows n * PE...; 1 for a bipolar +1."""
    rows, columns = stage.weights.shape
    codes = (stage.weights > 0).astype(np.int64) if stage.bipolar_weights else stage.weights
    folded = codes.reshape(rows // stage.pe, stage.pe, columns // stage.simd, stage.simd)
    return folded.transpose(0, 2, 1, 3).reshape(stage.fold, stage.pe, stage.simd)


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Thresholds as they lie in a memory: a beat a row, the steps of each of its lanes."""

    rows: Ints  # (beats, lanes * steps)
    steps: int
    signed: bool

    @property
    def bits(self) -> int:
        """Bits of a threshold: two's complement where the compared values are signed."""
        low, high = int(self.rows.min()), int(self.rows.max())
        return signed_bits(low, high) if self.signed else max(1, high.bit_length())


def steps_of(stage: Threshold | MatrixVector) -> Steps:
    """The thresholds of a stage that has some, clipped to low...high + 1 of the compared values.

    Below `low` a threshold always fires, above `high` never, and either fits hardly more bits than the values.
    """
    if isinstance(stage, Threshold):
        signed, (low, high) = stage.input.range[0] < 0, stage.input.range
    else:
        signed, (low, high) = not stage.xnor, stage.accumulator_range
    assert stage.thresholds is not None  # noqa: S101  # the caller has looked
    clipped = np.clip(stage.thresholds, low, high + 1)
    return Steps(rows=clipped.reshape(len(clipped) // stage.output.lanes, -1), steps=clipped.shape[1], signed=signed)
