# SPDX-License-Identifier: Apache-2.0
"""Resources of a stage on an FPGA, as a linear model: amounts of *terms* times fitted coefficients.

`benchmarks/estimate.py` fits the coefficients: it synthesizes the RTL with Yosys for a grid of shapes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

Terms = Mapping[str, int]  # amount of each term of LUTS and FFS
LUT_RAM_BITS = 2048  # of a memory that stays in LUTs on any part, as in bnn_pkg.sv
BLOCK_RAM_LUTS = 129  # LUTs at which Yosys values a block RAM where it chooses the place of a memory
LUT_ROM_BITS = 64 * BLOCK_RAM_LUTS  # the largest such ROM in LUTs
LOGIC_BEATS = 8  # of constants that are logic, as in bnn_beat_rom.sv
LUT_WORDS = 64  # words of a bit that a LUT6 holds
BLOCK_WORTH = 32  # LUTs that a block RAM of weights must save: 36 bits of up to 64 words take 36


@dataclass(frozen=True, kw_only=True)
class Resources:
    """FPGA resources: 6-input LUTs, flip-flops, 18 Kbit block RAMs, DSP slices."""

    luts: int = 0
    ffs: int = 0
    bram18: int = 0
    dsps: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in dataclasses.fields(self)})


EXACT = {  # 6-input LUTs for one unit of a term, by what the RTL is made of
    "count": 1.0,  # a LUT of a popcount of counters
    "shallow": 1.0,  # a LUT that holds weights and their XNOR
    "accumulate": 1.0,  # a bit of an accumulator or adder
    "rom": 1.0,  # 64 bits of a ROM in LUTs
    "ram": 1.0,  # a LUT of a RAM
    "bank": 1.0,  # three bits of words of banks to choose from
    "choice": 1.0,  # a bit that is chosen between two, such as those before a skid buffer's register
    "gate": 1.0,  # a handshake
}
LUTS = EXACT | {  # likewise; the others are fitted by benchmarks/estimate.py to Yosys (xc7)
    "wired": 0.516,  # a LUT of a popcount of counters behind constant weights, where rows share LUTs
    "mask": 1.054,  # a bit of an element that a bit chooses
    "triple": 0.465,  # a bit of a sum of three elements, for each of their signs
    "signs": 1.193,  # a bit of such a sum that weights choose
    "sum": 2.126,  # a bit of a sum of an adder tree
    "multiply": 1.645,  # a bit by a bit of a product
    "compare": 0.421,  # a bit of a comparison of two values
    "tree": 1.301,  # 64 bits of a level's ROM in LUTs, with its comparison
    "counter": 0.342,  # a bit of a counter
    "fifo": 3.778,  # control of a FIFO
    "place": 5.133,  # a bit of the index of a place in a FIFO
    "wrap": 0.761,  # a bit of a counter that ends before it overflows
    "raster": 1.134,  # a bit of a place in an image, compared with its blocks or windows
    "label": 8.259,  # control of a label select
    "convert": 2.624,  # control of a width converter
    "distance": 0.589,  # a bit of an index into a ring buffer, or of a distance in it
    "window": 28.649,  # steps of a serial window
    "product": 14.26,  # control of a matrix-vector stage
}
EXACT_FFS = {"register": 1.0}  # flip-flops for one unit of a term: a bit of a register
FFS = EXACT_FFS | {  # likewise; fitted as those of LUTs
    "search": 2.991,
    "tree": 0.398,
    "window": 9.113,
}


def resources(terms: Terms, *, bram18: int = 0) -> Resources:
    """LUTs and flip-flops of these terms, rounded, beside the block RAMs."""
    luts, ffs = (round(sum(cost.get(term, 0.0) * amount for term, amount in terms.items())) for cost in (LUTS, FFS))
    return Resources(luts=luts, ffs=ffs, bram18=bram18)


def summed(*parts: Terms) -> Terms:
    """The terms of several parts."""
    return {term: sum(part.get(term, 0) for part in parts) for term in dict.fromkeys(t for part in parts for t in part)}


def rom_luts(width: int, depth: int, lut_words: int = LUT_WORDS) -> int:
    """LUTs of a ROM of `depth` words of `width` bits; a single word is constant and needs none."""
    return width * math.ceil(depth / lut_words) if depth > 1 else 0


def beat_rom(width: int, beats: int, *, late: bool) -> Terms:
    """Terms of `bnn_beat_rom`, the constants of a vector's beats; those of few beats are part of the logic behind them.

    `late` ones are read two beats ahead, into a register more.
    """
    index = (beats - 1).bit_length() if width else 0
    if not width or beats <= LOGIC_BEATS:
        return {"counter": index, "register": index}
    return {"counter": index, "rom": rom_luts(width, beats), "register": index + width * (1 + late) + 2 * late}


def ram_blocks(width: int, depth: int) -> int:
    """18 Kbit block RAMs of a RAM; 0 if Yosys finds LUTs cheaper, as it does for all that bnn_ram.sv keeps there."""
    blocks = block_rams(width, depth)
    return 0 if _slice_cost(width, depth, *slice_shape(width, depth)) <= 6 * BLOCK_RAM_LUTS * blocks else blocks


SLICES = ((64, 3), (32, 6))  # words and bits of four LUTs of RAM


def slice_shape(width: int, depth: int) -> tuple[int, int]:
    """Words and bits of the slices that Yosys finds cheapest."""
    return min(SLICES, key=lambda shape: _slice_cost(width, depth, *shape))


def _slice_cost(width: int, depth: int, words: int, bits: int) -> int:
    """Six times the cost by which Yosys chooses (lutrams_xc5v.txt): 8 of a full slice, 7 of which go with its bits."""
    return math.ceil(depth / words) * (6 * math.ceil(width / bits) + 42 // bits * width)


def ram_latency(width: int, depth: int) -> int:
    """Cycles in which a RAM is read, as in bnn_pkg.sv: block RAM has an output register."""
    return 1 if width * depth <= LUT_RAM_BITS else 2


# (width, depth) of an 18 Kbit block RAM
ASPECTS = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


def block_rams(width: int, depth: int) -> int:
    """18 Kbit block RAMs for `depth` words of `width` bits, at the best aspect ratio."""
    return min(math.ceil(width / w) * math.ceil(depth / d) for w, d in ASPECTS)


_BLOCK_BITS = {depth: width for width, depth in ASPECTS}
BANKS = 512  # at most, of a ROM of weights, as far as that can be
CHOICE = 8  # banks among which one level of LUTs chooses, as in bnn_pkg.sv


def bank_depth(width: int, depth: int) -> int | None:
    """Words of a bank of a ROM of weights in block RAM; None if it is one bank.

    A deep ROM needs fewer block RAMs in banks of fewer words, whose words are wider. Of those with fewest, which any
    mapper finds, it is the one with the fewest banks, for LUTs choose among them.
    """
    words = min(_bank_depths(depth), key=lambda words: (_banked_blocks(width, depth, words), -words))
    return words if words < depth else None


def _bank_depths(depth: int) -> list[int]:
    most = max(BANKS, math.ceil(depth / ASPECTS[-1][1]))
    return [words for words in _BLOCK_BITS if math.ceil(depth / words) <= most]


def _banked_blocks(width: int, depth: int, words: int) -> int:
    return math.ceil(width * math.ceil(depth / words) / _BLOCK_BITS[words])


def bank_levels(banks: int) -> int:
    """Cycles in which one of so many banks is chosen, as in bnn_pkg.sv."""
    return 0 if banks == 1 else 1 + bank_levels(math.ceil(banks / CHOICE))


def bank_luts(width: int, banks: int) -> int:
    """LUTs that choose among words of banks: each takes a bit of three more."""
    return width * math.ceil((banks - 1) / 3)


def bank_registers(width: int, banks: int) -> int:
    """Registers behind the levels that choose among words of banks."""
    left = math.ceil(banks / CHOICE)
    return width * left + bank_registers(width, left) if banks > 1 else 0


def rom_blocks(width: int, depth: int) -> int:
    """18 Kbit block RAMs of a ROM of weights, in banks."""
    return min(_banked_blocks(width, depth, words) for words in _bank_depths(depth))


def worth_blocks(width: int, depth: int, lut_words: int = LUT_WORDS) -> bool:
    """Whether a ROM of weights saves enough LUTs in block RAM.

    Up to half the words of a LUT leave it an input for the XNOR after them, so that such a ROM costs nothing.
    """
    return 2 * depth > lut_words and rom_luts(width, depth, lut_words) >= BLOCK_WORTH * rom_blocks(width, depth)


def block_width(blocks: int, depth: int) -> int:
    """Most bits of `depth` words of weights that so many block RAMs hold."""
    return max(blocks * _BLOCK_BITS[words] // math.ceil(depth / words) for words in _bank_depths(depth))
