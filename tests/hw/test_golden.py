# SPDX-License-Identifier: Apache-2.0
"""The golden model against arithmetic written out element by element."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adiabit.errors import UserError
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind, LabelSelect, MatrixVector, Stage, Stream, Threshold


def ends(mw: int, mh: int, inner: Kind, outer: Kind, bits: tuple[int, int]) -> tuple[tuple[Stream], tuple[Stream]]:
    return (
        (Stream(name="x", shape=(mw,), bits=bits[0], kind=inner, lanes=1),),
        (Stream(name="y", shape=(mh,), bits=bits[1], kind=outer, lanes=1),),
    )


def alone(stage: Stage, frames: np.ndarray) -> np.ndarray:
    return golden.run(Accelerator(name="net", stages=(stage,)), frames)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_xnor_popcount_threshold(mw: int, mh: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.choice([-1, 1], (5, mw)), rng.choice([-1, 1], (mh, mw))
    t = rng.integers(0, mw + 2, (mh, 1))
    inputs, outputs = ends(mw, mh, Kind.BIPOLAR, Kind.BIPOLAR, (1, 1))
    y = alone(MatrixVector(name="fc", inputs=inputs, outputs=outputs, weights=w, thresholds=t), x)
    for f in range(5):
        for r in range(mh):
            popcount = sum(int(x[f, c] == w[r, c]) for c in range(mw))
            assert y[f, r] == (1 if popcount >= t[r, 0] else -1)


def test_popcounts_come_out_where_there_are_no_thresholds() -> None:
    inputs, outputs = ends(3, 2, Kind.BIPOLAR, Kind.UNSIGNED, (1, 2))
    stage = MatrixVector(name="fc", inputs=inputs, outputs=outputs, weights=np.array([[1, 1, 1], [-1, 1, -1]]))
    assert alone(stage, np.array([[1, 1, 1], [-1, -1, -1], [-1, 1, -1]])).tolist() == [[3, 1], [0, 2], [1, 3]]


def test_bytes_times_small_integers() -> None:
    inputs, outputs = ends(3, 2, Kind.UNSIGNED, Kind.SIGNED, (8, 12))
    stage = MatrixVector(name="fc", inputs=inputs, outputs=outputs, weights=np.array([[2, -3, 0], [1, 1, -1]]))
    assert alone(stage, np.array([[255, 0, 7], [0, 255, 1]])).tolist() == [[510, 248], [-765, 254]]


def test_large_sums_stay_exact() -> None:
    mw = 70000  # 70000 * 255 > 2**24
    inputs, outputs = ends(mw, 1, Kind.UNSIGNED, Kind.SIGNED, (8, 26))
    stage = MatrixVector(name="fc", inputs=inputs, outputs=outputs, weights=np.ones((1, mw), int))
    x = np.full((1, mw), 255)
    x[0, 0] = 254
    assert alone(stage, x)[0, 0] == mw * 255 - 1


def test_multi_step_thresholds_count() -> None:
    inputs, outputs = ends(2, 2, Kind.SIGNED, Kind.UNSIGNED, (8, 2))
    stage = Threshold(name="t", inputs=inputs, outputs=outputs, thresholds=np.array([[-5, 0, 5], [1, 1, 9]]))
    assert alone(stage, np.array([[-6, 0], [-5, 1], [5, 9]])).tolist() == [[0, 0], [1, 2], [3, 3]]


@pytest.mark.parametrize(("bits", "counts"), [(1, [-1, 0, 0]), (2, [-2, -1, 1])])
def test_a_signed_count_starts_from_the_least_value(bits: int, counts: list[int]) -> None:
    inputs, outputs = ends(1, 1, Kind.SIGNED, Kind.SIGNED, (8, bits))
    stage = Threshold(name="t", inputs=inputs, outputs=outputs, thresholds=np.array([[-5, 0, 5][: 2**bits - 1]]))
    assert alone(stage, np.array([[-6], [-5], [5]])).ravel().tolist() == counts


@pytest.mark.parametrize("steps", [15, 31, 255])
def test_many_thresholds_that_a_selector_chooses(steps: int) -> None:
    rng = np.random.default_rng(steps)
    x, code = rng.integers(-128, 128, (50, 3)), rng.integers(-2, 2, (50, 3))
    thresholds = np.sort(rng.integers(-140, 140, (3, 4, steps)), axis=-1)
    inputs, outputs = ends(3, 3, Kind.SIGNED, Kind.SIGNED, (8, steps.bit_length()))
    select = Stream(name="s", shape=(3,), bits=2, kind=Kind.SIGNED, lanes=1)
    stage = Threshold(name="t", inputs=(*inputs, select), outputs=outputs, thresholds=thresholds)
    (y,) = stage.golden(x, code)
    counts = (x[..., None] >= thresholds[np.arange(3), code + 2]).sum(axis=-1)
    assert np.array_equal(y, counts - (steps + 1) // 2)


def test_sums_reach_many_thresholds() -> None:
    rng = np.random.default_rng(0)
    x, w, t = rng.integers(0, 256, (40, 9)), rng.choice([-1, 1], (2, 9)), rng.integers(-3000, 3000, (2, 255))
    t.sort(axis=1)
    inputs, outputs = ends(9, 2, Kind.UNSIGNED, Kind.UNSIGNED, (8, 8))
    y = alone(MatrixVector(name="fc", inputs=inputs, outputs=outputs, weights=w, thresholds=t), x)
    assert np.array_equal(y, ((x @ w.T)[..., None] >= t).sum(axis=-1))


def test_the_lowest_index_wins_a_tie() -> None:
    inputs = (Stream(name="x", shape=(4,), bits=4, kind=Kind.SIGNED, lanes=2),)
    outputs = (Stream(name="y", shape=(1,), bits=2, kind=Kind.UNSIGNED, lanes=1),)
    select = LabelSelect(name="l", inputs=inputs, outputs=outputs)
    assert alone(select, np.array([[1, 3, 3, 0], [-4, -4, -4, -4], [-1, -2, -3, 0]])).ravel().tolist() == [1, 0, 3]


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (np.zeros((2, 3), int), "frames have shape \\(3,\\); stream x carries \\(2,\\)"),
        (np.array([[0, 1]]), "frames hold 0; stream x is bipolar"),
        (np.array([[2, 1]]), "are not all in -1...1, the integers that stream x carries"),
        (np.array([[1.0, -1.0]]), "frames of float64 are not all in"),
    ],
)
def test_frames_that_the_stream_cannot_carry_are_refused(frames: np.ndarray, text: str) -> None:
    inputs, outputs = ends(2, 1, Kind.BIPOLAR, Kind.UNSIGNED, (1, 2))
    with pytest.raises(UserError, match=text):
        alone(MatrixVector(name="fc", inputs=inputs, outputs=outputs, weights=np.ones((1, 2), int)), frames)
