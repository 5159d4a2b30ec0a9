# SPDX-License-Identifier: Apache-2.0
"""Memory contents as text: files for `$readmemh`, and constants in C++."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adiabit.hw.stages.integers import Ints

WORD_BITS = 64  # of a ROM's word in C++, at most, as in bnn_mvu.hpp


def pack_words(codes: Ints, bits: int) -> list[int]:
    """Pack each row of codes (words, lanes) into an integer: `bits` a lane, two's complement, lane 0 lowest."""
    mask = (1 << bits) - 1
    return [sum((int(c) & mask) << (bits * i) for i, c in enumerate(row)) for row in codes]


def memory_file(codes: Ints, bits: int) -> str:
    """Text of a memory file: one row of codes (words, lanes) a line, in hexadecimal."""
    digits = (codes.shape[1] * bits + 3) // 4
    return "".join(f"{word:0{digits}x}\n" for word in pack_words(codes, bits))


def rom_words(codes: Ints, bits: int) -> Iterator[str]:
    """Hexadecimal words of a ROM in C++: each row of codes (rows, lanes) becomes the fewest words of equal width."""
    width = codes.shape[1] * bits
    count = -(-width // WORD_BITS)
    word = -(-width // count)
    for row in pack_words(codes, bits):
        for i in range(count):
            yield f"{row >> (i * word) & ((1 << word) - 1):#x}"


def rom(declared: str, rows: Iterable[str]) -> str:
    """Definition of a C++ constant whose only member is an array of rows; `declared` is its type and name."""
    lines = ",\n".join(f"    {{{row}}}" for row in rows)
    return f"static const {declared} = {{{{\n{lines},\n}}}};\n"
