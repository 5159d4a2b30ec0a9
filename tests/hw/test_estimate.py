# SPDX-License-Identifier: Apache-2.0
"""Estimates: cycles are exact, resources grow with parallelism, block RAMs are counted in the best aspect."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adiabit.flows.finn import figures
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import estimate
from adiabit.hw.stages import Fifo, Folding, Kind, LabelSelect, MatrixVector, Memory, Stream, Threshold, WidthConverter
from adiabit.hw.stages.cost import (
    Resources,
    bank_depth,
    bank_levels,
    bank_registers,
    block_rams,
    block_width,
    rom_blocks,
)


def stream(name: str, channels: int, lanes: int, *, bits: int = 1, kind: Kind = Kind.BIPOLAR) -> Stream:
    return Stream(name=name, shape=(channels,), bits=bits, kind=kind, lanes=lanes)


def xnor(pe: int, simd: int, memory: Memory = Memory.AUTO) -> MatrixVector:
    return MatrixVector(
        name="fc0",
        inputs=(stream("a", 784, simd),),
        outputs=(stream("b", 64, pe),),
        weights=np.ones((64, 784), np.int64),
        thresholds=np.full((64, 1), 392),
        memory=memory,
    )


@pytest.mark.parametrize(
    ("width", "depth", "blocks"),
    [
        (36, 512, 1),
        (37, 512, 2),
        (36, 513, 2),
        (18, 1024, 1),
        (9, 2048, 1),
        (1, 16384, 1),
        (784, 64, 22),
    ],
)
def test_block_rams(width: int, depth: int, blocks: int) -> None:
    assert block_rams(width, depth) == blocks


def test_deep_roms_lie_in_banks_of_fewer_words() -> None:
    assert [bank_depth(9, depth) for depth in (512, 2048, 4096, 65536, 589824)] == [None, None, 2048, 2048, 2048]
    assert bank_depth(1, 65536) == 16384  # narrow words waste a wide block RAM
    assert bank_depth(32, 2304) == 512  # five block RAMs, not six or eight
    assert rom_blocks(32, 18432) == 32  # nine banks of 2,048 words: 288 bits, nine in each block RAM
    assert rom_blocks(9, 65536) == 32
    assert [bank_levels(banks) for banks in (1, 2, 8, 9, 64, 65)] == [0, 1, 1, 2, 2, 3]
    assert [bank_registers(2, banks) for banks in (1, 8, 9, 32)] == [0, 2, 6, 10]
    assert rom_blocks(32, 2048) == block_rams(32, 2048) == 4
    for blocks in (1, 5, 31, 32):
        width = block_width(blocks, 18432)
        assert rom_blocks(width, 18432) <= blocks < rom_blocks(width + 1, 18432)


@given(width=st.integers(1, 200), depth=st.integers(1, 40_000))
def test_block_rams_hold_all_bits(width: int, depth: int) -> None:
    assert block_rams(width, depth) * 18 * 1024 >= width * depth


def test_memory_decides_between_luts_and_blocks() -> None:
    block, lut = xnor(4, 28, Memory.BLOCK).cost(), xnor(4, 28, Memory.LUT).cost()
    assert lut.bram18 == 0
    assert block.bram18 == block_rams(4 * 28, 16 * 28)
    assert lut.luts > block.luts
    assert xnor(64, 784, Memory.HARDWIRED).cost().bram18 == 0


@given(pe=st.sampled_from([1, 2, 4, 8, 16, 32, 64]), simd=st.sampled_from([1, 2, 4, 7, 14, 28, 49, 98, 196, 784]))
def test_a_cost_at_another_folding_is_that_of_the_folded_stage(pe: int, simd: int) -> None:
    folding = Folding(pe=pe, simd=simd)
    assert xnor(1, 1).memory_at(folding) is xnor(pe, simd).resolved_memory
    assert xnor(1, 1).cost(folding) == xnor(pe, simd).cost()


@pytest.mark.parametrize(("bits", "blocks"), [(4, 0), (5, 0), (8, 3)])
def test_deep_levels_of_a_search_are_block_rams(bits: int, blocks: int) -> None:
    sums = stream("a", 64, 4, bits=12, kind=Kind.SIGNED)
    counts = stream("b", 64, 4, bits=bits, kind=Kind.SIGNED)
    drawn = np.sort(np.random.default_rng(0).integers(-2048, 2048, (64, 2**bits - 1)), axis=1)
    stage = Threshold(name="t", inputs=(sums,), outputs=(counts,), thresholds=drawn)
    assert stage.cost().bram18 == 4 * blocks  # 1024 and 2048 words of 12 bits a lane
    uniform = dataclasses.replace(stage, thresholds=np.tile(drawn[0], (64, 1)))
    assert uniform.cost().bram18 == 0
    assert uniform.cost().luts < stage.cost().luts


def test_more_parallel_costs_more() -> None:
    stage = xnor(1, 1, Memory.BLOCK)
    by_pe = [stage.cost(Folding(pe=pe, simd=28)).luts for pe in (1, 2, 4, 8, 16, 32)]
    by_simd = [stage.cost(Folding(pe=4, simd=simd)).luts for simd in (4, 14, 28, 98, 196)]  # at less, a choice of banks
    assert by_pe == sorted(by_pe)
    assert by_simd == sorted(by_simd)


def test_an_accelerator_is_the_sum_of_its_stages() -> None:
    pixels = stream("image", 784, 4, bits=8, kind=Kind.UNSIGNED)
    signs, wide, deep = stream("signs", 784, 4), stream("wide", 784, 28), stream("deep", 784, 28)
    sums = stream("sums", 10, 2, bits=10, kind=Kind.UNSIGNED)
    label = stream("label", 1, 1, bits=4, kind=Kind.UNSIGNED)
    accelerator = Accelerator(
        name="net",
        stages=(
            Threshold(name="threshold0", inputs=(pixels,), outputs=(signs,), thresholds=np.full((784, 1), 128)),
            WidthConverter(name="fc0_width", inputs=(signs,), outputs=(wide,)),
            Fifo(name="fifo0", inputs=(wide,), outputs=(deep,), depth=32),
            MatrixVector(name="fc0", inputs=(deep,), outputs=(sums,), weights=np.ones((10, 784), np.int64)),
            LabelSelect(name="label0", inputs=(sums,), outputs=(label,)),
        ),
    )
    found = estimate(accelerator)
    assert found.cycles == accelerator.cycles == 196
    assert [s.cycles for s in found.stages] == [s.cycles for s in accelerator.stages]
    assert found.resources == sum((s.resources for s in found.stages), Resources())
    assert all(s.resources.luts > 0 and s.resources.ffs > 0 for s in found.stages)
    assert 196 + 112 < found.latency < 196 + 112 + 60  # the frame comes in; 4 of 5 pairs of rows are left; registers
    document = dataclasses.asdict(figures.estimated(accelerator))
    assert document["total"]["lut"] == found.resources.luts
    assert [row["name"] for row in document["stages"]] == [s.name for s in accelerator.stages]
    assert {"cycles", "latency"} <= document.keys()
    assert {"lut", "ff", "bram18", "dsp"} <= document["total"].keys()
