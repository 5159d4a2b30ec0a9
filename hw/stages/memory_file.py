# SPDX-License-Identifier: Apache-2.0
"""Constants as the text that a memory is loaded from, in SystemVerilog and in C++."""

from __future__ import annotations

from collections.abc import Iterable

from adiabit.hw.stages.integers import Ints


def pack_words(codes: Ints, bits: int) -> list[int]:
    """Rows of codes (words, lanes) to one integer a row, lane 0 in the least significant bits, two's complement."""
    mask = (1 << bits) - 1
    return [sum((int(c) & mask) << (bits * i) for i, c in enumerate(row)) for row in codes]


def memory_file(codes: Ints, bits: int) -> str:
    """A word a line, in hexadecimal."""
    digits = (codes.shape[1] * bits + 3) // 4
    return "".join(f"{word:0{digits}x}\n" for word in pack_words(codes, bits))


def rom(declared: str, rows: Iterable[str]) -> str:
    """A constant of C++ whose only member is an array of rows."""
    lines = ",\n".join(f"    {{{row}}}" for row in rows)
    return f"static const {declared} = {{{{\n{lines},\n}}}};\n"
