# SPDX-License-Identifier: Apache-2.0
"""Where the weights of a stage lie when nobody says: a rule of size."""

from __future__ import annotations

from adiabit.hw.accelerator import Accelerator, MatrixVector, Memory

BLOCK_DEPTH = 128  # words: a LUT6 holds 64 bits, so from here on a LUT-ROM costs 2 LUTs a bit of the word
BLOCK_BITS = 16 * 1024  # and a RAMB18 holds 18 Kbit: below, most of the block would lie idle


def memory_of(stage: MatrixVector) -> Memory:
    """Resolve `Memory.AUTO`: hard-wired at fold 1, block RAM where deep and large, LUT-ROM otherwise."""
    if stage.memory is not Memory.AUTO:
        return stage.memory
    return choose(stage.fold, stage.weights.size * stage.weight_bits)


def choose(fold: int, bits: int) -> Memory:
    """Where `bits` of weights lie best that are read in `fold` words."""
    if fold == 1:
        return Memory.HARDWIRED
    return Memory.BLOCK if fold >= BLOCK_DEPTH and bits >= BLOCK_BITS else Memory.LUT


def memories(accelerator: Accelerator) -> dict[str, Memory]:
    """Resolved memory of each matrix-vector stage by name."""
    return {s.name: memory_of(s) for s in accelerator.stages if isinstance(s, MatrixVector)}
