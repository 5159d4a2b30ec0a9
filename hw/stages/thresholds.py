# SPDX-License-Identifier: Apache-2.0
"""Thresholds, as the stages that apply them share it.

y = number of thresholds that a value reaches (T <= x); one threshold and a bipolar output give sign(x - T), and a
signed output of b bits is y - 2**(b - 1). A channel may be *inverted*: it counts the thresholds not reached, so that
its output falls with x.

A second input, the *selector*, may choose the thresholds: each of its elements picks one of its channel's sets. So
sign(bn(x) + shortcut), with a shortcut of few bits, is one comparison and needs no adder.
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
    """A stage that compares values with thresholds; an optional second input, the selector, chooses among sets of them.

    `thresholds`: (channels, steps) with steps = 2**bits - 1 (1 if the output is bipolar), non-decreasing along a row.
    With a selector (channels, codes, steps), codes in the order of the selector's values. None: no comparison.
    `inverted`: (channels,) of 0 and 1, or None if no channel is.
    """

    thresholds: Ints | None
    inverted: Ints | None = None

    @property
    def input(self) -> Stream:
        """The stream of values."""
        return self.inputs[0]

    @property
    def selector(self) -> Stream | None:
        """The stream that chooses the thresholds, if any."""
        return self.inputs[1] if len(self.inputs) > 1 else None

    @property
    def output(self) -> Stream:
        """The output stream."""
        return self.outputs[0]

    @property
    @abstractmethod
    def value_range(self) -> tuple[int, int]:
        """Smallest and largest value that is compared."""

    @property
    def codes(self) -> int:
        """Sets of thresholds per channel: 1 without a selector."""
        return 2**self.selector.bits if self.selector else 1

    def _check_thresholds(self, channels: int) -> None:
        out, select, thresholds = self.output, self.selector, self.thresholds
        if thresholds is None:
            if select:
                self.refuse(f"selector {select} has no thresholds to choose from; give thresholds or drop it")
            return
        steps = 1 if out.kind is Kind.BIPOLAR else 2**out.bits - 1
        if select and (select.elements, select.lanes, select.channels) != (out.elements, out.lanes, channels):
            self.refuse(f"selector {select} and output {out} must have equal elements, channels and lanes")
        wanted = (channels, self.codes, steps) if select else (channels, steps)
        if thresholds.shape != wanted:
            self.refuse(f"thresholds have shape {thresholds.shape}; {out.bits}-bit {out.kind} needs {wanted}")
        if np.any(np.diff(thresholds, axis=-1) < 0):
            self.refuse("thresholds of a channel must not decrease")
        flips = self.inverted
        if flips is not None and (flips.shape != (channels,) or np.any((flips != 0) & (flips != 1))):
            self.refuse(f"inverted has shape {flips.shape}; a 0 or 1 for each of {channels} channels is needed")

    def _activate(self, x: Array, select: Array | None) -> Array:
        """Number of thresholds that each x (..., C) reaches; for a bipolar output, -1 or +1."""
        assert self.thresholds is not None  # noqa: S101  # the caller has checked
        # Narrow integers could not hold every threshold; floats can.
        thresholds = self.thresholds.astype(x.dtype) if x.dtype.kind == "f" else self.thresholds
        if select is None:
            rows = [thresholds[:, i] for i in range(thresholds.shape[-1])]
        else:
            code = _code_index(select.reshape(x.shape), self.inputs[1])
            channel = np.arange(x.shape[-1])
            rows = [thresholds[channel, code, i] for i in range(thresholds.shape[-1])]
        flips = False if self.inverted is None else self.inverted > 0
        if self.output.kind is Kind.BIPOLAR:
            return np.where((x >= rows[0]) ^ flips, np.int8(1), np.int8(-1))
        y = np.zeros(x.shape, np.int32)
        for row in rows:
            y += (x >= row) ^ flips
        return y + self.output.range[0]

    @property
    def threshold_rows(self) -> Ints:
        """Thresholds in memory order (beats, lanes * codes * steps), clipped to low...high + 1 of `value_range`.

        If any channel is inverted, a 1 or 0 that tells it follows the thresholds of each channel. A threshold below
        `low` is always reached, one above `high` never; clipped, they need at most one bit more than the values. Codes
        are in the order of the selector's bits.
        """
        low, high = self.value_range
        clipped: Ints = np.clip(np.asarray(self.thresholds), low, high + 1)
        if self.selector and self.selector.kind is Kind.SIGNED:
            clipped = np.roll(clipped, self.codes // 2, axis=1)
        rows = clipped.reshape(len(clipped), -1)
        if self.inverted is not None:
            rows = np.concatenate([rows, self.inverted[:, None]], axis=1)
        return rows.reshape(len(rows) // self.output.lanes, -1)

    @property
    def threshold_bits(self) -> int:
        """Bits of a threshold, in two's complement if the compared values are signed."""
        rows = self.threshold_rows
        low, high = int(rows.min()), int(rows.max())
        return signed_bits(low, high) if self._signed else max(1, high.bit_length())

    @property
    @abstractmethod
    def _signed(self) -> bool:
        """Whether the compared values have a signed type."""

    def _threshold_parameters(self) -> tuple[dict[str, Parameter], str]:
        """RTL parameters and memory file of the thresholds."""
        bits, thresholds = self.threshold_bits, np.asarray(self.thresholds)
        parameters: dict[str, Parameter] = {"Steps": thresholds.shape[-1], "ThresholdWidth": bits}
        if self.selector:
            parameters["SelectWidth"] = self.selector.bits
        if self.inverted is not None:
            parameters["Inverted"] = 1
        if self.output.kind is Kind.SIGNED:
            parameters["OutKind"] = self.output.kind.value
        return parameters, memory_file(self.threshold_rows, bits)

    def _threshold_constant(self) -> str:
        """Definition of the thresholds in C++."""
        bits = self.threshold_bits + (not self._signed)  # the ROM holds signed integers
        rows, lanes, steps = self.threshold_rows, self.output.lanes, np.asarray(self.thresholds).shape[-1]
        more = f", {self.codes}" if self.selector or self.inverted is not None else ""
        more += ", 1" if self.inverted is not None else ""
        kind = f"bnn::Thresholds<{bits}, {len(rows)}, {lanes}, {steps}{more}>"
        return rom(f"{kind} {self.name}_thresholds", (", ".join(map(str, row)) for row in rows))


def _code_index(values: Array, stream: Stream) -> Array:
    """Index of each value among all values of its stream, ascending."""
    return (values > 0).astype(np.int64) if stream.kind is Kind.BIPOLAR else values.astype(np.int64) - stream.range[0]
