# SPDX-License-Identifier: Apache-2.0
"""Where ROMs of weights lie: in block RAM as far as a part has any, the rest in LUTs."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TypeGuard

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import resources_of
from adiabit.hw.stages import MatrixVector, Memory, Stage
from adiabit.hw.stages.cost import LUT_WORDS, block_width, rom_blocks, rom_luts, worth_blocks


def placed(accelerator: Accelerator, blocks: int, lut_words: int = LUT_WORDS) -> Accelerator:
    """The accelerator with a place for each ROM of weights whose memory is `Memory.AUTO`.

    `blocks`: 18 Kbit block RAMs of the part; `lut_words`: words of a bit that a LUT holds, 64 for six inputs. First
    come the ROMs that save most LUTs for a block RAM; of the one that does not fit whole, a part of each word does. A
    ROM that saves too few (`worth_blocks`) stays in LUTs.
    """
    chosen = {s.name: dataclasses.replace(s, block_bits=0) for s in accelerator.stages if _free(s)}
    if not chosen:
        return accelerator
    bare = dataclasses.replace(accelerator, stages=tuple(chosen.get(s.name, s) for s in accelerator.stages))
    left = max(0, blocks - resources_of(bare).bram18)
    for stage in sorted(chosen.values(), key=lambda s: _saving(s, lut_words), reverse=True):
        width = min(stage.word_bits, block_width(left, stage.fold))
        width -= width % stage.weight_bits
        if width and worth_blocks(stage.word_bits, stage.fold, lut_words):
            chosen[stage.name] = dataclasses.replace(stage, block_bits=width)
            left -= rom_blocks(width, stage.fold)
    return dataclasses.replace(bare, stages=tuple(chosen.get(s.name, s) for s in accelerator.stages))


def _free(stage: Stage) -> TypeGuard[MatrixVector]:
    """Whether a place is to be chosen for the stage's weights."""
    return isinstance(stage, MatrixVector) and stage.memory is Memory.AUTO and stage.fold > 1


def _saving(stage: MatrixVector, lut_words: int) -> Fraction:
    """LUTs that a block RAM saves."""
    width, depth = stage.word_bits, stage.fold
    return Fraction(rom_luts(width, depth, lut_words), rom_blocks(width, depth))
