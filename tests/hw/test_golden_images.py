# SPDX-License-Identifier: Apache-2.0
"""Windows, pads, pools and sums of images against loops over every element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adiabit.errors import UserError
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind, MatrixVector, Pad, Pool, Stage, Stream, SumPool, Window

B, U, S = Kind.BIPOLAR, Kind.UNSIGNED, Kind.SIGNED


def stream(name: str, *shape: int, bits: int = 1, kind: Kind = B, lanes: int = 1) -> Stream:
    return Stream(name=name, shape=shape, bits=bits, kind=kind, lanes=lanes)


def alone(stage: Stage, frames: np.ndarray) -> np.ndarray:
    return golden.run(Accelerator(name="net", stages=(stage,)), frames)


def window(shape: tuple[int, int, int], **fields: Any) -> Window:
    """The output's shape comes from the window's own grid, which the loops below check."""
    probe = Window.__new__(Window)
    for name, value in {"inputs": (stream("x", *shape),), "stride": (1, 1), "dilation": (1, 1), **fields}.items():
        object.__setattr__(probe, name, value)
    out = stream("y", *(max(1, n) for n in probe.grid), math.prod(fields["kernel"]) * shape[2])
    return Window(name="w", inputs=probe.inputs, outputs=(out,), **fields)


small = st.integers(1, 3)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), small),
    kernel=st.tuples(small, small),
    stride=st.tuples(small, small),
    dilation=st.tuples(small, small),
)
def test_windows(
    shape: tuple[int, int, int], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    x = np.random.default_rng(0).choice([-1, 1], (2, *shape))
    tops = [y for y in range(0, shape[0], stride[0]) if y + (kernel[0] - 1) * dilation[0] < shape[0]]
    lefts = [c for c in range(0, shape[1], stride[1]) if c + (kernel[1] - 1) * dilation[1] < shape[1]]
    if not tops or not lefts:
        with pytest.raises(UserError, match="lies in the image"):
            window(shape, kernel=kernel, stride=stride, dilation=dilation)
        return
    got = alone(window(shape, kernel=kernel, stride=stride, dilation=dilation), x)
    want = [
        [
            [
                [
                    frame[top + i * dilation[0], left + j * dilation[1], c]
                    for i in range(kernel[0])
                    for j in range(kernel[1])
                    for c in range(shape[2])
                ]
                for left in lefts
            ]
            for top in tops
        ]
        for frame in x
    ]
    assert got.tolist() == np.array(want).tolist()


def test_pads() -> None:
    x = np.array([[[[1], [1]], [[1], [-1]]]])
    stage = Pad(name="p", inputs=(stream("x", 2, 2, 1),), outputs=(stream("y", 3, 4, 1),), before=(0, 2), after=(1, 0),
                value=-1)  # fmt: skip
    assert alone(stage, x)[0, :, :, 0].tolist() == [[-1, -1, 1, 1], [-1, -1, 1, -1], [-1, -1, -1, -1]]


def test_pools_drop_what_fills_no_block_and_take_the_largest() -> None:
    x = np.arange(-8, 7).reshape(1, 3, 5, 1)
    stage = Pool(name="p", inputs=(stream("x", 3, 5, 1, bits=4, kind=S),),
                 outputs=(stream("y", 1, 2, 1, bits=4, kind=S),), kernel=(2, 2))  # fmt: skip
    assert alone(stage, x).reshape(-1).tolist() == [-2, 0]


def test_overlapping_pools_are_windows_pooled() -> None:
    x = np.random.default_rng(1).choice([-1, 1], (3, 5, 7, 2), p=[0.8, 0.2])
    seen = stream("seen", 2, 3 * 9, 2)
    stages: tuple[Stage, ...] = (
        Window(name="w", inputs=(stream("x", 5, 7, 2),), outputs=(seen,), kernel=(3, 3), stride=(2, 2)),
        Pool(name="p", inputs=(seen,), outputs=(stream("y", 2, 3, 2),), kernel=(1, 9)),
    )
    got = golden.run(Accelerator(name="net", stages=stages), x)
    for f, row, column, c in np.ndindex(got.shape):
        assert got[f, row, column, c] == x[f, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3, c].max()


@pytest.mark.parametrize(
    ("values", "bits", "kind", "want"), [([-1, 1, 1, 1, -1, -1], 1, B, [1, 2]), ([-4, 3, 0, 1, -2, 2], 3, S, [-6, 6])]
)
def test_global_sums(values: list[int], bits: int, kind: Kind, want: list[int]) -> None:
    x = np.array(values).reshape(1, 3, 1, 2)
    pixels, out = stream("x", 3, 1, 2, bits=bits, kind=kind), stream("y", 2, bits=5, kind=U if kind is B else S)
    assert alone(SumPool(name="s", inputs=(pixels,), outputs=(out,), kernel=(3, 1)), x)[0].tolist() == want


def test_sums_of_blocks() -> None:
    x = np.random.default_rng(4).integers(-4, 4, (2, 5, 4, 3))
    pixels, out = stream("x", 5, 4, 3, bits=3, kind=S), stream("y", 2, 2, 3, bits=5, kind=S)
    got = alone(SumPool(name="s", inputs=(pixels,), outputs=(out,), kernel=(2, 2)), x)
    for f, row, column, c in np.ndindex(got.shape):
        assert got[f, row, column, c] == x[f, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, c].sum()


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_pad_of_channels(lanes: int) -> None:
    x = np.random.default_rng(5).choice([-1, 1], (3, 2, 3, 4))
    pixels, out = stream("x", 2, 3, 4, lanes=lanes), stream("y", 2, 3, 12, lanes=lanes)
    stage = Pad(name="p", inputs=(pixels,), outputs=(out,), before=(0, 0), after=(0, 0), value=-1, channels=(2, 6))
    want = np.pad(x, ((0, 0), (0, 0), (0, 0), (2, 6)), constant_values=-1)
    np.testing.assert_array_equal(alone(stage, x), want)
    assert [f.pe for f in stage.foldings()] == [1, 2]


def test_a_stage_may_write_flat_what_the_next_reads_so() -> None:
    x = np.random.default_rng(2).choice([-1, 1], (4, 2, 3, 5))
    w = np.random.default_rng(3).choice([-1, 1], (4, 5))
    out = stream("y", 24, bits=3, kind=U, lanes=2)
    stage = MatrixVector(name="m", inputs=(stream("x", 2, 3, 5),), outputs=(out,), weights=w)
    assert stage.vectors == 6
    assert stage.pe == 2
    assert (alone(stage, x) == ((x @ w.T + 5) // 2).reshape(4, 24)).all()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Pad(name="p", inputs=(stream("x", 2, 2, 1),), outputs=(stream("y", 2, 2, 1),), before=(0, 0),
                     after=(0, 0), value=0), "padding value 0 is not a value of"),
        (lambda: Pad(name="p", inputs=(stream("x", 2, 2, 1),), outputs=(stream("y", 2, 2, 1),), before=(-1, 0),
                     after=(1, 0), value=1), "pads must not be negative, and elements and lanes must be equal"),
        (lambda: Pad(name="p", inputs=(stream("x", 2, 2, 1),), outputs=(stream("y", 2, 3, 1),), before=(0, 0),
                     after=(0, 0), value=1), "must have (2, 2, 1) elements"),
        (lambda: Pool(name="p", inputs=(stream("x", 2, 2, 1),), outputs=(stream("y", 1, 1, 1),), kernel=(3, 1)),
         "a block must lie in the image, and elements and lanes must be equal"),
        (lambda: Pool(name="p", inputs=(stream("x", 4),), outputs=(stream("y", 1),), kernel=(1, 4)),
         "must have the shape (H, W, C)"),
        (lambda: SumPool(name="s", inputs=(stream("x", 3, 1, 2),), outputs=(stream("y", 2, bits=1, kind=U),),
                         kernel=(3, 1)), "sums from 0 to 3"),
        (lambda: Window(name="w", inputs=(stream("x", 3, 3, 4, lanes=2),), outputs=(stream("y", 2, 2, 16, lanes=4),),
                        kernel=(2, 2)), "equal lanes that divide the 4 channels, or 4 to 16"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Any, text: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert text in str(caught.value)


def test_cycles_are_those_of_the_busier_end() -> None:
    def made(lanes: tuple[int, int], stride: int = 1) -> Window:
        a = stream("x", 6, 6, 4, lanes=lanes[0])
        side = (6 - 3) // stride + 1
        return Window(name="w", inputs=(a,), outputs=(stream("y", side, side, 36, lanes=lanes[1]),), kernel=(3, 3),
                      stride=(stride, stride))  # fmt: skip

    assert made((2, 2)).cycles == 16 * 9 * 2
    assert made((4, 36)).cycles == 36
    assert made((1, 1), stride=3).cycles == 144
