# SPDX-License-Identifier: Apache-2.0
"""The accelerator validates itself; each message tells place, value, constraint and remedy."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import (
    Concat,
    Fifo,
    Fork,
    Kind,
    LabelSelect,
    MatrixVector,
    Memory,
    Stream,
    Threshold,
    WidthConverter,
    nearest_divisors,
    signed_bits,
)


def stream(name: str, channels: int, *, bits: int = 1, kind: Kind = Kind.BIPOLAR, lanes: int = 1) -> Stream:
    return Stream(name=name, shape=(channels,), bits=bits, kind=kind, lanes=lanes)


def xnor(mh: int = 4, mw: int = 8, **changes: Any) -> MatrixVector:
    fields = {
        "name": "fc0",
        "inputs": (stream("a", mw, lanes=1 if mw % 2 else 2),),
        "outputs": (stream("b", mh, lanes=2),),
        "weights": np.ones((mh, mw)),
        "thresholds": np.zeros((mh, 1)),
    }
    return MatrixVector(**{**fields, **changes})


def test_folding_follows_from_the_lanes() -> None:
    stage = xnor()
    assert (stage.pe, stage.simd, stage.fold, stage.cycles) == (2, 2, 2 * 4, 8)
    assert stage.xnor
    assert (stage.accumulator_range, stage.accumulator_bits, stage.weight_bits) == ((0, 8), 4, 1)


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(-1, 0, 2), (0, 0, 2), (0, 1, 2), (-1, 1, 1), (-2, 1, 2), (-2, 2, 3)]
)
def test_one_bit_a_weight_is_kept_for_bipolar_ones(low: int, high: int, bits: int) -> None:
    assert xnor(weights=np.array([[low, high] * 4] * 4)).weight_bits == bits


@pytest.mark.parametrize(("mw", "bits"), [(1, 1), (3, 2), (4, 3), (7, 3), (8, 4), (784, 10), (1023, 10), (1024, 11)])
def test_a_popcount_needs_ceil_log2_of_mw_plus_1_bits(mw: int, bits: int) -> None:
    stage = xnor(mw=mw, inputs=(stream("a", mw),), weights=np.ones((4, mw)))
    assert stage.accumulator_bits == bits


def test_bipolar_weights_on_bytes_make_signed_accumulators() -> None:
    pixels = stream("a", 8, bits=8, kind=Kind.UNSIGNED)
    stage = xnor(inputs=(pixels,), weights=np.array([[1] * 8, [-1] * 8, [1, -1] * 4, [-1, 1] * 4]))
    assert not stage.xnor
    assert stage.accumulator_range == (-2040, 2040)
    assert stage.accumulator_bits == 12


@given(st.integers(-(2**20), 2**20), st.integers(-(2**20), 2**20))
def test_signed_bits_hold_the_range_and_no_more(a: int, b: int) -> None:
    low, high = min(a, b), max(a, b)
    bits = signed_bits(low, high)
    assert -(2 ** (bits - 1)) <= low <= high < 2 ** (bits - 1)
    assert bits == 1 or not (-(2 ** (bits - 2)) <= low <= high < 2 ** (bits - 2))


def test_nearest_divisors_are_a_remedy() -> None:
    assert nearest_divisors(784, 50) == [28, 49, 56]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: stream("a", 784, lanes=50),
            "lanes=50 does not divide its 784 channels; nearest that do: [28, 49, 56]",
        ),
        (lambda: stream("2a", 4), "stream '2a': the name must be an identifier, because it names signals"),
        (lambda: xnor(name="2m"), "stage '2m': the name must be an identifier, because it names an instance"),
        (lambda: stream("a", 4, bits=2), "bipolar is 1 bit"),
        (lambda: Stream(name="a", shape=(), bits=1, kind=Kind.BIPOLAR, lanes=1), "shape () is empty"),
        (lambda: xnor(weights=np.ones((4, 7))), "(MH, MW) = (4, 7) do not fit 8 inputs"),
        (lambda: xnor(weights=np.ones(4)), "weights have shape (4,)"),
        (
            lambda: xnor(memory=Memory.HARDWIRED),
            "hard-wired weights need a fold of 1, not 8; use PE=4 and SIMD=8",
        ),
        (lambda: xnor(thresholds=np.zeros((4, 3))), "1-bit bipolar needs (4, 1)"),
        (lambda: xnor(thresholds=None), "accumulators from 0 to 8 do not fit"),
        (
            lambda: xnor(thresholds=np.array([[1, 0, 2]] * 4), outputs=(stream("b", 4, bits=2, kind=Kind.UNSIGNED),)),
            "must not decrease",
        ),
        (
            lambda: Fifo(name="f", inputs=(stream("a", 4),), outputs=(stream("b", 4),), depth=1),
            "a FIFO holds at least 2 beats",
        ),
        (
            lambda: WidthConverter(name="w", inputs=(stream("a", 12, lanes=4),), outputs=(stream("b", 12, lanes=6),)),
            "one must divide the other; use two converters",
        ),
        (
            lambda: LabelSelect(
                name="l",
                inputs=(stream("a", 10, bits=4, kind=Kind.UNSIGNED),),
                outputs=(stream("b", 1, bits=3, kind=Kind.UNSIGNED),),
            ),
            "one unsigned element of at least 4 bits",
        ),
        (
            lambda: LabelSelect(
                name="l", inputs=(stream("a", 2),), outputs=(stream("b", 2, bits=1, kind=Kind.UNSIGNED),)
            ),
            "must be one unsigned element of at least 1 bits for each of 1 pixels",
        ),
        (
            lambda: xnor(
                outputs=(stream("b", 4, bits=2, kind=Kind.SIGNED),), thresholds=np.zeros((4, 3)), inverted=np.zeros(3)
            ),
            "inverted has shape (3,); a 0 or 1 for each of 4 channels is needed",
        ),
        (
            lambda: xnor(
                inputs=(stream("a", 8), stream("s", 4)),
                outputs=(stream("b", 4, bits=4, kind=Kind.UNSIGNED),),
                thresholds=None,
            ),
            "has no thresholds to choose from; give thresholds or drop it",
        ),
        (
            lambda: Fork(name="f", inputs=(stream("a", 4),), outputs=(stream("b", 4),)),
            "stage f: 1 inputs and 1 outputs; a fork has one input and at least two outputs",
        ),
        (
            lambda: Concat(name="c", inputs=(stream("a", 4),), outputs=(stream("b", 4),)),
            "stage c: 1 inputs and 1 outputs; a concatenation has at least two inputs and one output",
        ),
        (
            lambda: Fifo(name="f", inputs=(stream("a", 4),), outputs=(stream("b", 8),), depth=2),
            "may differ only in lanes and shape",
        ),
        (
            lambda: Threshold(
                name="t", inputs=(stream("a", 4),), outputs=(stream("b", 4, lanes=2),), thresholds=np.zeros((4, 1), int)
            ),
            "must have equal elements and lanes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, text: str) -> None:
    with pytest.raises(UserError, match=re.escape(text)):
        make()


def test_stages_must_join() -> None:
    first = xnor()
    second = xnor(name="fc1", inputs=(stream("b", 4, lanes=4),), outputs=(stream("c", 4),), weights=np.ones((4, 4)))
    with pytest.raises(UserError, match="stage fc1: reads .*lanes=4.* but it was written as .*lanes=2"):
        Accelerator(name="net", stages=(first, second))
    with pytest.raises(UserError, match="open inputs \\['a', 'x'\\]"):
        Accelerator(
            name="net",
            stages=(first, dataclasses.replace(second, inputs=(stream("x", 4, lanes=4),))),
        )
    with pytest.raises(UserError, match=r"stage names \['fc0', 'fc0'\] must be distinct; rename the duplicates"):
        Accelerator(name="net", stages=(first, dataclasses.replace(second, name="fc0")))


def test_equality_looks_into_the_arrays_and_they_are_frozen() -> None:
    assert xnor() == xnor()
    changed = np.ones((4, 8))
    changed[1, 2] = -1
    assert xnor() != xnor(weights=changed)
    assert xnor() != xnor(memory=Memory.LUT)
    with pytest.raises(ValueError, match="read-only"):
        xnor().weights[0, 0] = -1
