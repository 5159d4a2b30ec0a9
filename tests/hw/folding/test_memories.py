# SPDX-License-Identifier: Apache-2.0
"""ROMs of weights go to block RAM as far as the part has any, those first that save most LUTs for it."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import resources_of
from adiabit.hw.folding.fold import refolded
from adiabit.hw.folding.memories import placed
from adiabit.hw.stages import Folding, MatrixVector, Memory
from adiabit.hw.stages.cost import block_rams, block_width, rom_blocks
from tests.hw.folding.test_fold import dense

FOLDING = {"fc0": Folding(pe=32, simd=8), "fc1": Folding(pe=32, simd=2), "fc2": Folding(pe=2, simd=16)}
NET = refolded(dense(784, 64, 64, 10), FOLDING)  # words of 256 bits x 196, 64 x 64, 32 x 20


def units(accelerator: Accelerator) -> dict[str, MatrixVector]:
    return {s.name: s for s in accelerator.stages if isinstance(s, MatrixVector)}


def blocks(accelerator: Accelerator) -> int:
    return resources_of(accelerator).bram18


def test_deep_roms_go_to_block_ram_where_there_is_any() -> None:
    made = units(placed(NET, 280))
    assert [made[name].block_bits for name in ("fc0", "fc1", "fc2")] == [256, 64, 0]
    assert [made[name].resolved_memory for name in ("fc0", "fc2")] == [Memory.BLOCK, Memory.LUT]
    assert blocks(placed(NET, 280)) == block_rams(256, 196) + block_rams(64, 64) == 10


def test_a_rom_that_does_not_fit_whole_is_split() -> None:
    made = placed(NET, 3)
    assert units(made)["fc0"].block_bits == 3 * 36
    assert blocks(made) == 3
    assert resources_of(made).luts > resources_of(placed(NET, 280)).luts
    assert blocks(placed(NET, 0)) == 0


def test_luts_of_four_inputs_make_block_ram_worth_it_from_fewer_words() -> None:
    assert [u.block_bits for u in units(placed(NET, 280, lut_words=16)).values()] == [256, 64, 32]


def test_a_memory_that_is_named_stays() -> None:
    named = {**FOLDING, "fc0": dataclasses.replace(FOLDING["fc0"], memory=Memory.LUT)}
    assert units(placed(refolded(dense(784, 64, 64, 10), named), 280))["fc0"].resolved_memory is Memory.LUT


def test_another_folding_is_placed_anew() -> None:
    again = units(refolded(placed(NET, 3), {"fc0": Folding(pe=64, simd=8)}))["fc0"]
    assert again.block_bits is None


@pytest.mark.parametrize(("bits", "memory"), [(257, Memory.AUTO), (-1, Memory.AUTO), (36, Memory.BLOCK)])
def test_a_part_that_cannot_be_is_refused(bits: int, memory: Memory) -> None:
    with pytest.raises(UserError, match="stage fc0: block_bits="):
        dataclasses.replace(units(NET)["fc0"], block_bits=bits, memory=memory)


def test_a_split_rom_has_two_files() -> None:
    stage = dataclasses.replace(units(NET)["fc0"], block_bits=36)
    whole = [int(word, 16) for word in units(NET)["fc0"].rtl().memories["fc0_weights.mem"].split()]
    files = stage.rtl().memories
    low, high = ([int(w, 16) for w in files[f"fc0_weights{part}.mem"].split()] for part in ("", "_lut"))
    assert [h << 36 | w for w, h in zip(low, high, strict=True)] == whole


@pytest.mark.parametrize(("count", "depth"), product([0, 1, 7, 40], [65, 512, 513, 4096, 20_000]))
def test_block_width_is_the_most_that_fits(count: int, depth: int) -> None:
    width = block_width(count, depth)
    assert width == 0 or rom_blocks(width, depth) <= count
    assert rom_blocks(width + 1, depth) > count


def test_values_stay() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 784))
    assert np.array_equal(golden.run(placed(NET, 3), frames), golden.run(NET, frames))
