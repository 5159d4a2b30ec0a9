# SPDX-License-Identifier: Apache-2.0
"""Quantizers, and the integers that they make.

Shapes: N rows, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from adiabit.flows.frontend.nodes import Reals, counted, rounded
from adiabit.hw.stages import Ints, Kind

ONE, ZERO = np.ones(1), np.zeros(1)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Integers low, low + step, ... high, which stand for the reals scale * integer + offset.

    Scale and offset are one number, or one for each channel (C,).
    """

    low: int
    high: int
    step: int = 1
    scale: Reals = field(default_factory=lambda: ONE)
    offset: Reals = field(default_factory=lambda: ZERO)

    @property
    def bipolar(self) -> bool:
        """Whether the integers are -1 and +1."""
        return (self.low, self.high, self.step) == (-1, 1, 2)

    @property
    def integers(self) -> Ints:
        """All of them (N,)."""
        return np.arange(self.low, self.high + 1, self.step)

    @property
    def uniform(self) -> bool:
        """Whether all channels have one scale and one offset."""
        return not np.ptp(self.scale) and not np.ptp(self.offset)

    @property
    def ordered(self) -> bool:
        """Whether the integers of all channels are ordered like what they stand for, or all the other way round."""
        return self.uniform and bool(self.scale[0])

    def reals(self, integers: Ints) -> npt.NDArray[np.float32]:
        """What integers (..., C) stand for, rounded once to float32."""
        return (self.scale * integers + self.offset).astype(np.float32)

    def level(self, value: float) -> int | None:
        """The integer that stands for `value` in all channels, if any."""
        if not self.uniform:
            return None
        scale, offset = float(self.scale[0]), float(self.offset[0])
        n = round((value - offset) / scale)
        known = self.low <= n <= self.high and (n - self.low) % self.step == 0
        return n if known and abs(scale * n + offset - value) <= 1e-6 * abs(scale) else None


@dataclass(frozen=True, kw_only=True)
class Quantizer:
    """Maps floats to the integers -1 and +1, or to low...high in steps of `scale`."""

    kind: Kind
    bits: int
    scale: float  # value of one step (of +1 for bipolar)
    low: int = 0
    high: int = 1
    rounding: str = "ROUND"  # qonnx's mode
    within: float | None = None  # of a Trunc, the step to which it rounds before

    @property
    def steps(self) -> int:
        """The number of thresholds."""
        return (1 << self.bits) - 1

    @property
    def base(self) -> int:
        """The integer of no threshold reached: the lowest of the type, which a narrow range lacks."""
        return -(1 << (self.bits - 1)) if self.kind is Kind.SIGNED else 0

    def reached(self, x: npt.NDArray[np.float32]) -> Ints:
        """The number of thresholds that each x reaches, 0...steps, with QONNX's rounding (ROUND: half to even)."""
        if self.kind is Kind.BIPOLAR:
            return (x >= 0).astype(np.int64)
        steps = x / np.float32(self.scale)
        if self.within is not None:
            within = np.float32(self.within)
            steps = np.rint(x / within) / np.float32(2 ** np.rint(np.log2(np.float32(self.scale) / within)))
        levels: Ints = np.clip(rounded(steps, self.rounding), self.low, self.high).astype(np.int64)
        return levels - self.base

    @property
    def levels(self) -> Levels:
        """The integers of the output, and what they stand for."""
        scale = np.array([self.scale])
        if self.kind is Kind.BIPOLAR:
            return Levels(low=-1, high=1, step=2, scale=scale)
        return Levels(low=self.low, high=self.high, scale=scale)


@dataclass(frozen=True, kw_only=True, eq=False)
class Staircase(Quantizer):
    """A MultiThreshold: counts the thresholds that a channel reaches, from `low` on."""

    thresholds: npt.NDArray[np.float32]  # (C, steps) or (1, steps)

    def reached(self, x: npt.NDArray[np.float32]) -> Ints:
        """The number of thresholds that each x reaches, 0...steps; those below `low` always."""
        below = 0 if self.kind is Kind.BIPOLAR else self.low - self.base
        return counted(x, self.thresholds, x.ndim - 1) + below
