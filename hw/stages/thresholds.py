# SPDX-License-Identifier: Apache-2.0
"""Thresholds: what the stages that have some share.

y = number of thresholds that a value reaches (T <= x); one threshold and a bipolar output make sign(x - T).

A second input, the *selector*, may choose them: each of its elements picks one of the sets of thresholds of its
channel. So sign(bn(x) + shortcut) of a shortcut of few bits is one comparison, without an adder.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.base import Parameter, Stage
from adiabit.hw.stages.integers import Array, Ints, signed_bits
from adiabit.hw.stages.memory_file import memory_file, rom
from adiabit.hw.stages.stream import Kind, Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholding(Stage):
    """Compares values with thresholds; the values come from `input`, a selector may be the second input.

    `thresholds`: (channels, steps), steps = 2**bits - 1 (1 if bipolar), non-decreasing along a row; with a selector
    (channels, codes, steps), the codes in the order of the selector's values.
    """

    @property
    def input(self) -> Stream:
        """The stream of values."""
        return self.inputs[0]

    @property
    def selector(self) -> Stream | None:
        """The stream that chooses the thresholds."""
        return self.inputs[1] if len(self.inputs) > 1 else None

    @property
    def output(self) -> Stream:
        """The only output stream."""
        return self.outputs[0]

    @property
    @abstractmethod
    def steps(self) -> Ints | None:
        """The thresholds, where it has some."""

    @property
    @abstractmethod
    def compared(self) -> tuple[int, int]:
        """Smallest and largest of the values that are compared."""

    @property
    def codes(self) -> int:
        """Sets of thresholds of a channel."""
        return 2**self.selector.bits if self.selector else 1

    def _check_steps(self, rows: int) -> None:
        out, select, thresholds = self.output, self.selector, self.steps
        if thresholds is None:
            if select:
                self.refuse(f"selector {select} chooses thresholds, of which there are none")
            return
        count = 1 if out.kind is Kind.BIPOLAR else 2**out.bits - 1
        if out.kind is Kind.SIGNED:
            self.refuse("thresholds count steps, so the output is bipolar or unsigned, not signed")
        if select and (select.elements, select.lanes, select.channels) != (out.elements, out.lanes, rows):
            self.refuse(f"selector {select} and output {out} must have equal elements, channels and lanes")
        wanted = (rows, self.codes, count) if select else (rows, count)
        if thresholds.shape != wanted:
            self.refuse(f"thresholds have shape {thresholds.shape}; {out.bits}-bit {out.kind} needs {wanted}")
        if np.any(np.diff(thresholds, axis=-1) < 0):
            self.refuse("thresholds of a channel must not decrease")

    def _activate(self, x: Array, select: Array | None) -> Array:
        """Steps that each x (..., C) reaches; bipolar: -1 or +1."""
        assert self.steps is not None  # noqa: S101  # the caller has looked
        thresholds = self.steps.astype(x.dtype) if x.dtype.kind == "f" else self.steps  # no narrow integers
        if select is None:
            rows = [thresholds[:, i] for i in range(thresholds.shape[-1])]
        else:
            code = _codes(select.reshape(x.shape), self.inputs[1])
            channel = np.arange(x.shape[-1])
            rows = [thresholds[channel, code, i] for i in range(thresholds.shape[-1])]
        if self.output.kind is Kind.BIPOLAR:
            return np.where(x >= rows[0], np.int8(1), np.int8(-1))
        y = np.zeros(x.shape, np.int32)
        for row in rows:
            y += x >= row
        return y

    @property
    def rows(self) -> Ints:
        """Thresholds as they lie in a memory (beats, lanes * codes * steps), clipped to low...high + 1 of `compared`.

        Below `low` a threshold always fires, above `high` never, and either fits hardly more bits than the values. The
        codes are in the order of the selector's bits.
        """
        low, high = self.compared
        clipped: Ints = np.clip(np.asarray(self.steps), low, high + 1)
        if self.selector and self.selector.kind is Kind.SIGNED:
            clipped = np.roll(clipped, self.codes // 2, axis=1)
        return clipped.reshape(len(clipped) // self.output.lanes, -1)

    @property
    def threshold_bits(self) -> int:
        """Bits of a threshold: two's complement where the compared values are signed."""
        rows = self.rows
        low, high = int(rows.min()), int(rows.max())
        return signed_bits(low, high) if self._signed else max(1, high.bit_length())

    @property
    @abstractmethod
    def _signed(self) -> bool:
        """Whether the compared values are of a signed type."""

    def _step_parameters(self) -> tuple[dict[str, Parameter], str]:
        """Parameters and file of the thresholds in RTL."""
        bits, thresholds = self.threshold_bits, np.asarray(self.steps)
        parameters: dict[str, Parameter] = {"Steps": thresholds.shape[-1], "ThresholdWidth": bits}
        if self.selector:
            parameters["SelectWidth"] = self.selector.bits
        return parameters, memory_file(self.rows, bits)

    def _step_constant(self) -> str:
        """Definition of the thresholds in C++."""
        bits = self.threshold_bits + (not self._signed)  # the ROM is of signed integers
        rows, lanes, steps = self.rows, self.output.lanes, np.asarray(self.steps).shape[-1]
        codes = f", {self.codes}" if self.selector else ""
        kind = f"bnn::Thresholds<{bits}, {len(rows)}, {lanes}, {steps}{codes}>"
        return rom(f"{kind} {self.name}_thresholds", (", ".join(map(str, row)) for row in rows))


def _codes(values: Array, stream: Stream) -> Array:
    """Index of each value among those of its stream, ascending."""
    return (values > 0).astype(np.int64) if stream.kind is Kind.BIPOLAR else values.astype(np.int64) - stream.range[0]
