# SPDX-License-Identifier: Apache-2.0
"""Thresholds, as the stages that apply them share it.

y = number of thresholds that a value reaches (T <= x); one threshold and a bipolar output give sign(x - T). A signed
output of n bits counts from -2**(n - 1). A channel may be *inverted*: it counts the thresholds not reached, so that its
output falls with x.

A second input, the *selector*, may choose the thresholds: each of its elements picks one of its channel's sets. So
sign(bn(x) + shortcut), with a shortcut of few bits, is one comparison and needs no adder.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adiabit.hw.stages.base import Parameter, Stage
from adiabit.hw.stages.cost import LUT_ROM_BITS, Terms, beat_rom, block_rams, rom_luts, summed
from adiabit.hw.stages.integers import Array, Ints, signed_bits
from adiabit.hw.stages.memory_file import memory_file, rom
from adiabit.hw.stages.search import COMPARATORS, levels, tree
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
    def steps(self) -> int:
        """Thresholds that an element is compared with; 0 without."""
        return 0 if self.thresholds is None else self.thresholds.shape[-1]

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
        """The output's least value plus the number of thresholds that each x (..., C) reaches; -1 or +1 if bipolar."""
        y = self._counts(x, select)
        if self.inverted is None:
            return y
        return np.where(self.inverted > 0, sum(self.output.range) - y, y).astype(y.dtype)

    def _counts(self, x: Array, select: Array | None) -> Array:
        """As :meth:`_activate`, without inverted channels."""
        assert self.thresholds is not None  # noqa: S101  # the caller has checked
        # Narrow integers could not hold every threshold; floats can.
        thresholds = self.thresholds.astype(x.dtype) if x.dtype.kind == "f" else self.thresholds
        code = None if select is None else _code_index(select.reshape(x.shape), self.inputs[1])
        y = np.full(x.shape, self.output.range[0], np.int32)
        if self.steps > COMPARATORS:
            return _searched(y, x, thresholds.reshape(len(thresholds), self.codes, -1), code)
        channel = np.arange(x.shape[-1])
        chosen = (channel,) if code is None else (channel, code)
        rows = (thresholds[(*chosen, i)] for i in range(self.steps))
        if self.output.kind is Kind.BIPOLAR:
            return np.where(x >= next(rows), np.int8(1), np.int8(-1))
        for row in rows:
            y += x >= row
        return y

    @property
    def threshold_rows(self) -> Ints:
        """Thresholds in memory order (beats, lanes * codes * steps), clipped to low...high + 1 of `value_range`.

        A threshold below `low` is always reached, one above `high` never; clipped, they need at most one bit more than
        the values. Codes are in the order of the selector's bits.
        """
        low, high = self.value_range
        clipped: Ints = np.clip(np.asarray(self.thresholds), low, high + 1)
        if self.selector and self.selector.kind is Kind.SIGNED:
            clipped = np.roll(clipped, self.codes // 2, axis=1)
        return clipped.reshape(len(clipped) // self.output.lanes, -1)

    @cached_property
    def threshold_bits(self) -> int:
        """Bits of a threshold, in two's complement if the compared values are signed."""
        rows = self.threshold_rows
        low, high = int(rows.min()), int(rows.max())
        return signed_bits(low, high) if self._signed else max(1, high.bit_length())

    @property
    @abstractmethod
    def _signed(self) -> bool:
        """Whether the compared values have a signed type."""

    @property
    def _levels(self) -> list[Ints]:
        """Thresholds of each level of a search."""
        rows = self.threshold_rows
        return list(levels(rows.reshape(len(rows), self.output.lanes, self.codes, self.steps)))

    def _threshold_parameters(self, file: str) -> tuple[dict[str, Parameter], dict[str, str]]:
        """RTL parameters and memory files of the thresholds; `file` is the parameter that names the files."""
        bits, name = self.threshold_bits, f"{self.name}_thresholds"
        parameters: dict[str, Parameter] = {
            "Steps": self.steps,
            "ThresholdWidth": bits,
            "OutKind": self.output.kind.value,
        }
        if self.selector:
            parameters["SelectWidth"] = self.selector.bits
        memories = {}
        if self.inverted is not None:
            parameters["FlipFile"] = f"{self.name}_flips.mem"
            memories[f"{self.name}_flips.mem"] = memory_file(self._flips, 1)
        if self.steps <= COMPARATORS:
            memories[f"{name}.mem"] = memory_file(self.threshold_rows, bits)
            return {**parameters, file: f"{name}.mem"}, memories
        memories |= {
            f"{name}_{lane}_{level}.mem": memory_file(words[:, None], bits)
            for level, lanes in enumerate(self._levels)
            for lane, words in enumerate(lanes)
        }
        return {**parameters, file: name}, memories

    @property
    def _flips(self) -> Ints:
        """Whether each lane (beats, lanes) is inverted."""
        return np.asarray(self.inverted).reshape(-1, self.output.lanes)

    def _threshold_constant(self) -> str:
        """Definition of the thresholds in C++."""
        bits = self.threshold_bits + (not self._signed)  # the ROM holds signed integers
        rows, lanes = self.threshold_rows, self.output.lanes
        codes = f", {self.codes}" if self.selector else ""
        name = f"{self.name}_thresholds"
        if self.steps > COMPARATORS:
            kind = f"bnn::ThresholdTree<{bits}, {len(rows)}, {lanes}, {self.output.bits}{codes}>"
            values = tree(self._levels)
        else:
            kind = f"bnn::Thresholds<{bits}, {len(rows)}, {lanes}, {self.steps}{codes}>"
            if self.inverted is None:
                return rom(f"{kind} {name}", (", ".join(map(str, row)) for row in rows))
            values = f"{{{{{', '.join(_braced(row) for row in rows)}}}}}"
        if self.inverted is not None:
            kind = f"bnn::Inverted<{kind}, {lanes}>"
            values = f"{{{values}, {{{', '.join(_braced(row) for row in self._flips)}}}}}"
        return f"static const {kind} {name} = {values};\n"

    def _threshold_terms(self, lanes: int, width: int, words: int, *, late: bool) -> Terms:
        """Cost terms of the comparisons of `lanes` values of `width` bits, with thresholds of `words` beats.

        `late`: the thresholds are read two beats ahead.
        """
        if not self.steps:
            return {}
        if self.steps > COMPARATORS:
            luts = (rom_luts(self.threshold_bits, depth) for depth in self._depths(words) if not self._deep(depth))
            return {"search": lanes * self.output.bits * width, "tree": lanes * sum(luts)}
        stored = lanes * self.codes * self.steps * self.threshold_bits
        latency = min(self.steps, 2)
        return summed(beat_rom(stored, words, late=late), {
            "compare": lanes * self.steps * width,
            "mask": lanes * self.steps * self.threshold_bits if self.selector else 0,
            "register": lanes * (self.steps + (self.output.bits if latency > 1 else 0)) + latency,
        })  # fmt: skip

    def _threshold_blocks(self, lanes: int, words: int) -> int:
        """Block RAMs of the thresholds: those of deep levels of a search."""
        depths = self._depths(words) if self.steps > COMPARATORS else ()
        return lanes * sum(block_rams(self.threshold_bits, depth) for depth in depths if self._deep(depth))

    def _depths(self, words: int) -> Iterator[int]:
        """Words of the ROM of each level of a search, with thresholds of `words` beats."""
        return (words * self.codes * 2**level for level in range(self.output.bits))

    def _deep(self, depth: int) -> bool:
        """Whether a ROM of so many thresholds is a block RAM."""
        return self.threshold_bits * depth > LUT_ROM_BITS


def _braced(row: Ints) -> str:
    """Numbers as a C++ initializer."""
    return f"{{{', '.join(map(str, row))}}}"


def _searched(y: Array, x: Array, thresholds: Ints, code: Array | None) -> Array:
    """Add to each y (..., C) the number of thresholds (C, codes, steps) that x reaches."""
    for channel, sets in enumerate(thresholds):
        for index, row in enumerate(sets):
            chosen = ... if code is None else code[..., channel] == index
            y[..., channel][chosen] += np.searchsorted(row, x[..., channel][chosen], side="right").astype(y.dtype)
    return y


def _code_index(values: Array, stream: Stream) -> Array:
    """Index of each value among all values of its stream, ascending."""
    return (values > 0).astype(np.int64) if stream.kind is Kind.BIPOLAR else values.astype(np.int64) - stream.range[0]
