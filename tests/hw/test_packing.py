# SPDX-License-Identifier: Apache-2.0
"""Packing: element 0 in the least significant bits; unpack is the inverse of pack."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adiabit.hw import packing
from adiabit.hw.stages import Kind, Stream
from adiabit.hw.stages.memory_file import pack_words


def test_by_hand() -> None:
    bipolar = Stream(name="s", shape=(12,), bits=1, kind=Kind.BIPOLAR, lanes=12)
    values = np.array([[1, -1, -1, -1, -1, -1, -1, 1, 1, 1, -1, -1]])
    assert packing.pack(bipolar, values).tolist() == [[[0x81, 0x03]]]
    nibbles = Stream(name="s", shape=(3,), bits=4, kind=Kind.SIGNED, lanes=3)
    assert packing.pack(nibbles, np.array([[-1, 2, -8]])).tolist() == [[[0x2F, 0x08]]]
    assert packing.beat_bytes(nibbles) == 2


@given(
    st.sampled_from([Kind.BIPOLAR, Kind.UNSIGNED, Kind.SIGNED]),
    st.integers(1, 20),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
def test_round_trip(kind: Kind, bits: int, lanes: int, beats: int, seed: int) -> None:
    stream = Stream(name="s", shape=(lanes * beats,), bits=1 if kind is Kind.BIPOLAR else bits, kind=kind, lanes=lanes)
    low, high = stream.range
    rng = np.random.default_rng(seed)
    if kind is Kind.BIPOLAR:
        values = rng.choice([-1, 1], (3, *stream.shape))
    else:
        values = rng.integers(low, high, (3, *stream.shape), endpoint=True)
    packed = packing.pack(stream, values)
    assert packed.shape == (3, beats, packing.beat_bytes(stream))
    np.testing.assert_array_equal(packing.unpack(stream, packed), values)


@pytest.mark.parametrize(("row", "bits", "word"), [([1, 0, 1], 1, 0b101), ([-1, 1], 4, 0x1F), ([3, -4], 3, 0b100011)])
def test_memory_words(row: list[int], bits: int, word: int) -> None:
    assert pack_words(np.array([row]), bits) == [word]
