# SPDX-License-Identifier: Apache-2.0
"""Frames to the words of the DMA and back, as `adiabit.hw.packing` and `adiabit.hw.emit_ip` lay them."""

from __future__ import annotations

from typing import Any

import numpy as np


class Port:
    """One end of the accelerator, from its description: shape, bits, kind and lanes of the stream, words of a beat."""

    def __init__(self, description: dict[str, Any], word_bytes: int) -> None:
        self.shape: tuple[int, ...] = tuple(description["shape"])
        self.bits: int = description["bits"]
        self.kind: str = description["kind"]
        self.lanes: int = description["lanes"]
        self.beat_bytes: int = description["ratio"] * word_bytes  # with what fills it up to whole words
        self.frame_bytes: int = description["frame_bytes"]

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value of an element."""
        if self.kind == "bipolar":
            return -1, 1
        half = 1 << (self.bits - 1)
        return (-half, half - 1) if self.kind == "signed" else (0, 2 * half - 1)

    def check(self, values: Any) -> Any:
        """The values as an array (F, *shape); `ValueError` where the accelerator cannot take them."""
        array = np.asarray(values)
        if array.shape[1:] != self.shape and array.size == array.shape[0] * int(np.prod(self.shape)):
            array = array.reshape(-1, *self.shape)
        low, high = self.range
        if array.shape[1:] != self.shape or not len(array):
            raise ValueError(
                f"frames have shape {array.shape}; at least one of {self.shape} is needed: (F, *{self.shape})"
            )
        if not np.issubdtype(array.dtype, np.integer) or array.min() < low or array.max() > high:
            raise ValueError(
                f"frames of {array.dtype} hold {array.min()} to {array.max()}; integers from {low} to {high} are needed"
            )
        if self.kind == "bipolar" and not array.all():
            raise ValueError("frames hold 0; the accelerator takes -1 and +1")
        return array

    def pack(self, values: Any, out: Any) -> None:
        """Write values (F, *shape) into `out` (F, frame_bytes) of bytes."""
        beats = out.reshape(len(values), -1, self.beat_bytes)
        codes = values.reshape(len(values), -1, self.lanes)
        if self.kind == "bipolar":
            codes = codes > 0
        beats[...] = 0
        if self.bits == 8:
            beats[..., : self.lanes] = codes.astype(np.uint8)
            return
        bits = (codes[..., None].astype(np.int64) >> np.arange(self.bits)) & 1
        packed = np.packbits(bits.astype(np.uint8).reshape(*codes.shape[:2], -1), axis=-1, bitorder="little")
        beats[..., : packed.shape[-1]] = packed

    def unpack(self, memory: Any) -> Any:
        """Bytes (F, frame_bytes) to values (F, *shape)."""
        beats = memory.reshape(len(memory), -1, self.beat_bytes)
        bits = np.unpackbits(beats, axis=-1, bitorder="little")[..., : self.lanes * self.bits]
        codes = bits.reshape(len(memory), -1, self.bits).astype(np.int64) @ (1 << np.arange(self.bits))
        if self.kind == "bipolar":
            codes = 2 * codes - 1
        elif self.kind == "signed":
            codes = codes - ((codes >> (self.bits - 1)) << self.bits)
        return codes.reshape(len(memory), *self.shape)
