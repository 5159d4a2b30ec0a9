# SPDX-License-Identifier: Apache-2.0
"""Packs elements into beats: element 0 in the least significant bits, padded to whole bytes for AXI-Stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.hw.stages import Kind, Stream

Bytes = npt.NDArray[np.uint8]


def beat_bytes(stream: Stream) -> int:
    """Bytes of a beat, rounded up as TDATA is."""
    return (stream.width + 7) // 8


def pack(stream: Stream, values: npt.NDArray[Any]) -> Bytes:
    """Pack values (F, *shape) into beats (F, beats, beat_bytes), little endian."""
    shape, size = (len(values), stream.beats, stream.width), beat_bytes(stream)
    if stream.kind is Kind.BIPOLAR:
        bits = values.reshape(shape) > 0
    else:
        codes = values.reshape(len(values), stream.beats, stream.lanes).astype(np.int64)
        if stream.bits == 8:
            return codes.astype(np.uint8)
        bits = (((codes[..., None] >> np.arange(stream.bits)) & 1) > 0).reshape(shape)
    if stream.width % 8:  # numpy packs whole bytes many times faster than short rows
        whole = np.zeros((*shape[:2], size * 8), np.bool_)
        whole[..., : stream.width] = bits
        bits = whole
    return np.packbits(bits.reshape(-1), bitorder="little").reshape(*shape[:2], size)


def unpack(stream: Stream, beats: Bytes) -> npt.NDArray[np.int64]:
    """Unpack beats (F, beats, beat_bytes) into values (F, *shape); the inverse of :func:`pack`."""
    bits = np.unpackbits(beats, axis=-1, bitorder="little")[..., : stream.width]
    codes = bits.reshape(len(beats), stream.elements, stream.bits).astype(np.int64) @ (1 << np.arange(stream.bits))
    if stream.kind is Kind.BIPOLAR:
        codes = 2 * codes - 1
    elif stream.kind is Kind.SIGNED:
        codes -= (codes >> (stream.bits - 1)) << stream.bits
    return codes.reshape(len(beats), *stream.shape)
