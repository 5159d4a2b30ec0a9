# SPDX-License-Identifier: Apache-2.0
"""Registers and LUTs of RAM of shared RTL modules: as many as Yosys 0.70 maps (synth_xilinx, xc7)."""

from __future__ import annotations

import pytest

from adiabit.hw.stages import Kind, LabelSelect, Pool, Stage, Stream, WidthConverter
from adiabit.hw.stages.cost import Terms, ram_blocks
from adiabit.hw.stages.modules import credit_fifo, delay, fifo, lut_ram


@pytest.mark.parametrize(
    ("width", "depth", "registers"),
    [
        (1, 2, 5),
        (10, 2, 23),
        (1, 3, 10),
        (16, 3, 23),
        (3, 5, 26),  # so few bits stay registers
        (8, 4, 18),
        (2, 12, 20),
        (8, 17, 27),
        (16, 33, 39),
        (8, 40, 34),
        (1, 200, 35),
        (16, 200, 59),  # in block RAM
        (64, 200, 155),
    ],
)
def test_registers_of_a_fifo(width: int, depth: int, registers: int) -> None:
    assert fifo(width, depth)["register"] == registers


@pytest.mark.parametrize(
    ("width", "depth", "luts"),
    [(16, 31, 12), (24, 59, 32), (8, 65, 24), (6, 129, 20), (1, 199, 16), (3, 96, 12), (2, 448, 28), (1, 1024, 64)],
)
def test_luts_of_a_ram(width: int, depth: int, luts: int) -> None:
    assert lut_ram(width, depth)["ram"] == luts
    assert ram_blocks(width, depth) == 0


def test_wide_and_shallow_memories_stay_in_luts() -> None:
    assert [ram_blocks(16, 199), ram_blocks(64, 199), ram_blocks(144, 19), ram_blocks(8, 256)] == [1, 2, 0, 0]


def test_a_long_delay_is_a_shift_register() -> None:
    assert [delay(28, stages) for stages in (0, 2, 3)] == [{"register": 0}, {"register": 56}, {"ram": 28}]


def test_a_longer_interval_needs_a_shallower_fifo() -> None:
    assert credit_fifo(4, 1, 10) == {**fifo(4), "counter": 2, "register": fifo(4)["register"] + 3}
    assert credit_fifo(4, 6, 1)["place"] == fifo(4, 9)["place"]


def stream(name: str, shape: tuple[int, ...], lanes: int, *, bits: int = 1, kind: Kind = Kind.BIPOLAR) -> Stream:
    return Stream(name=name, shape=shape, bits=bits, kind=kind, lanes=lanes)


def pool(side: int, channels: int, lanes: int) -> Pool:
    image, half = (stream(n, (s, s, channels), lanes) for n, s in (("a", side), ("b", side // 2)))
    return Pool(name="s", inputs=(image,), outputs=(half,), kernel=(2, 2))


def converter(source: int, target: int, channels: int = 784) -> WidthConverter:
    ends = (stream("a", (channels,), source), stream("b", (channels,), target))
    return WidthConverter(name="s", inputs=ends[:1], outputs=ends[1:])


def label(lanes: int, bits: int) -> LabelSelect:
    sums = stream("a", (10,), lanes, bits=bits, kind=Kind.UNSIGNED)
    return LabelSelect(name="s", inputs=(sums,), outputs=(stream("b", (1,), 1, bits=4, kind=Kind.UNSIGNED),))


@pytest.mark.parametrize(
    ("stage", "registers"),
    [
        (pool(26, 8, 1), 53),
        (pool(26, 8, 8), 55),
        (pool(11, 16, 2), 50),
        (pool(10, 64, 64), 218),
        (converter(1, 14), 24),
        (converter(49, 7), 70),
        (converter(4, 784), 804),
        (label(1, 5), 32),
        (label(2, 8), 49),
        (label(5, 6), 115),
    ],
)
def test_registers_of_stages(stage: Stage, registers: int) -> None:
    terms: Terms = stage.terms(stage.folding)
    assert terms["register"] == registers
