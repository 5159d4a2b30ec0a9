# SPDX-License-Identifier: Apache-2.0
"""Cost terms of the RTL modules that several stages instantiate: counters, RAMs, FIFOs.

Registers are those that the RTL declares; :mod:`adiabit.hw.stages.cost` says what a unit of each term is.
"""

from __future__ import annotations

import math

from adiabit.hw.stages.cost import Terms, bank_luts, ram_blocks, slice_shape, summed

REGISTER_BITS = 14  # of a memory that Yosys maps to LUT-RAM, at least; smaller ones are registers
SHIFTED = 3  # registers in a row that become a shift register, at least
WIDE_PORT = 18  # bits up to which the mapper leaves the register behind a block RAM in the fabric


def index_bits(count: int) -> int:
    """Bits of an index below `count`."""
    return (count - 1).bit_length()


def counters(*counts: int, term: str = "counter") -> Terms:
    """Counters that run up to these counts and wrap; `term` is that of a bit."""
    bits = sum(map(index_bits, counts))
    wraps = sum(index_bits(count) for count in counts if count & (count - 1))  # others overflow
    return {term: bits, "wrap": wraps, "register": bits}


def delay(width: int, stages: int) -> Terms:
    """`bnn_delay` of data: registers, or a shift register in a LUT for each bit."""
    return {"register": width * stages} if stages < SHIFTED else {"ram": width}


def lut_ram(width: int, depth: int) -> Terms:
    """A RAM in LUTs, of the slices that Yosys finds cheapest; LUTs choose among its slices."""
    words, bits = slice_shape(width, depth)
    slices = math.ceil(depth / words)
    return {"ram": 4 * slices * math.ceil(width / bits), "bank": bank_luts(width, slices)}


def stream_ram(width: int, depth: int, latency: int = 1) -> Terms:
    """`bnn_ram`: a RAM, and the registers behind it."""
    if ram_blocks(width, depth):
        return {"register": latency + (width if latency > 1 and width <= WIDE_PORT else 0)}
    return summed(lut_ram(width, depth), {"register": latency * (1 + width)})


def fifo(width: int, depth: int = 2) -> Terms:
    """`bnn_fifo`: a register behind a ring of the other beats; at depth 2, a skid buffer."""
    ring = depth - 1
    place = index_bits(ring)
    control = {"fifo": 1, "place": place, "choice": width, "register": 2 + ring.bit_length() + 2 * place + width}
    if ring == 1 or ring * width < REGISTER_BITS:
        return summed(control, {"register": ring * width + place})
    if ram_blocks(width, ring):
        return summed(control, {"register": 1 + width})
    return summed(control, lut_ram(width, ring), {"register": place})  # the index of the read is there twice


def credit_fifo(width: int, latency: int, interval: int = 1) -> Terms:
    """`bnn_credit_fifo`: a FIFO deep enough for a pipeline of so many cycles, and its free places."""
    depth = math.ceil((latency + 2) / interval) + 1
    free = depth.bit_length()
    return summed(fifo(width, depth), {"counter": free, "register": free + 1})
