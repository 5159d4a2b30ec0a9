# SPDX-License-Identifier: Apache-2.0
"""What all products with constant weights share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from adiabit.hw.stages.accumulator import accumulator_range, is_xnor
from adiabit.hw.stages.base import Memory
from adiabit.hw.stages.cost import bank_levels, worth_blocks
from adiabit.hw.stages.integers import Ints, signed_bits
from adiabit.hw.stages.thresholds import Thresholding


@dataclass(frozen=True, kw_only=True, eq=False)
class Product(Thresholding):
    """Sums of inputs times weights, with or without thresholds.

    `weights`: (MH, MW), of the MW inputs that a row reads. The *accumulator* of a row is the popcount of agreeing bits,
    0...MW, if input and weights are bipolar (dot product = 2 * popcount - MW), else the dot product.
    """

    weights: Ints
    thresholds: Ints | None = None
    levels: int = 1  # of counters or adders between registers
    memory_register: bool = False  # whether weights from block RAM pass a register on their way

    @cached_property
    def xnor(self) -> bool:
        """Whether the product is XNOR and popcount."""
        return is_xnor(self.weights, self.input)

    @cached_property
    def accumulator_range(self) -> tuple[int, int]:
        """Smallest and largest accumulator over all inputs; 0...MW for a popcount."""
        return accumulator_range(self.weights, self.input)

    @property
    def value_range(self) -> tuple[int, int]:
        """The accumulator's range."""
        return self.accumulator_range

    @property
    def _signed(self) -> bool:
        return not self.xnor

    @property
    def accumulator_bits(self) -> int:
        """Bits of the accumulator: ceil(log2(MW + 1)) for a popcount, two's complement of its range otherwise."""
        low, high = self.accumulator_range
        return max(1, high.bit_length()) if self.xnor else signed_bits(low, high)

    def _check_accumulators(self) -> None:
        """Refuse an output that does not hold the accumulators, where there are no thresholds."""
        low, high = self.accumulator_range
        if self.thresholds is None and not self.output.holds(low, high):
            self.refuse(f"accumulators from {low} to {high} do not fit the output {self.output}")

    def _block_latency(self, banks: int = 1) -> int:
        """Cycles from an address to weights in so many banks of block RAM, as in bnn_pkg.sv."""
        return 2 + max(bank_levels(banks), int(self.memory_register))

    @staticmethod
    def _rom(width: int, depth: int) -> Memory:
        """Where a ROM of weights lies: in block RAM if that saves enough LUTs."""
        return Memory.BLOCK if worth_blocks(width, depth) else Memory.LUT
