# SPDX-License-Identifier: Apache-2.0
"""Streams: the elements that travel from one stage to the next, beat by beat.

Bipolar elements are -1 and +1; in hardware, bit 1 stands for +1 and bit 0 for -1.

Images are (H, W, C), sound is (1, W, C); elements travel in that order, channels fastest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from adiabit.errors import UserError
from adiabit.hw.stages.integers import nearest_divisors, signed_bits

BITS = 48  # of an element, at most


class Kind(StrEnum):
    """The number format of an element."""

    BIPOLAR = "bipolar"  # one bit: 0 is -1, 1 is +1
    UNSIGNED = "unsigned"
    SIGNED = "signed"  # two's complement


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream of frames of one shape (no batch axis, channels last); a beat carries `lanes` elements."""

    name: str
    shape: tuple[int, ...]
    bits: int
    kind: Kind
    lanes: int

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"stream {self.name!r}: the name must be an identifier, because it names signals")
        if not self.shape or min(self.shape) < 1:
            raise UserError(f"stream {self.name}: shape {self.shape} is empty; each side must be at least 1")
        if not 1 <= self.bits <= BITS or (self.kind is Kind.BIPOLAR and self.bits != 1):
            raise UserError(f"stream {self.name}: {self.bits} bits {self.kind}; bipolar is 1 bit, others 1 to {BITS}")
        if self.lanes < 1 or self.channels % self.lanes:
            raise UserError(
                f"stream {self.name}: lanes={self.lanes} does not divide its {self.channels} channels; "
                f"nearest that do: {nearest_divisors(self.channels, self.lanes)}"
            )

    @property
    def channels(self) -> int:
        """Elements of the last axis."""
        return self.shape[-1]

    @property
    def elements(self) -> int:
        """Elements of a frame."""
        return math.prod(self.shape)

    @property
    def pixels(self) -> int:
        """Pixels of a frame: its vectors of channels."""
        return math.prod(self.shape[:-1])

    @property
    def beats(self) -> int:
        """Beats of a frame."""
        return self.elements // self.lanes

    @property
    def words(self) -> int:
        """Beats of a pixel."""
        return self.channels // self.lanes

    @property
    def width(self) -> int:
        """Bits of a beat."""
        return self.bits * self.lanes

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value of an element."""
        if self.kind is Kind.BIPOLAR:
            return -1, 1
        if self.kind is Kind.UNSIGNED:
            return 0, 2**self.bits - 1
        return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1

    def holds(self, low: int, high: int) -> bool:
        """Whether an element can take every integer of low...high."""
        return self.kind is not Kind.BIPOLAR and self.range[0] <= low <= high <= self.range[1]


def integer_type(low: int, high: int) -> tuple[Kind, int]:
    """Kind and bits of the narrowest integer type that holds low...high."""
    return (Kind.UNSIGNED, max(1, high.bit_length())) if low >= 0 else (Kind.SIGNED, signed_bits(low, high))
