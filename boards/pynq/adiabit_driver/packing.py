# SPDX-License-Identifier: Apache-2.0
"""Packs frames into the words of the DMA and back, in the layout of `adiabit.hw.packing` and `adiabit.hw.emit.ip`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .encoding import Encoding

KINDS = ("bipolar", "signed", "unsigned")
MOST_BITS = 62  # of an element, which is unpacked to 64


def whole(table: dict[str, Any], key: str, least: int = 1) -> int:
    """The whole number of a key; `ValueError` where it is not a whole number or is below `least`."""
    value = table[key]
    if type(value) is not int or value < least:
        raise ValueError(f"{key} = {value!r}, a whole number of at least {least} is needed")
    return value


class Port:
    """One end of the accelerator, from its description: shape, bits, kind and lanes of the stream, words of a beat.

    `ValueError` or `KeyError` where the description is damaged.
    """

    def __init__(self, description: dict[str, Any], word_bytes: int) -> None:
        self.shape = _shape(description)
        self.bits = whole(description, "bits")
        self.kind: str = description["kind"]
        self.lanes = whole(description, "lanes")
        self.beat_bytes = whole(description, "ratio") * word_bytes  # padded to whole words
        self.frame_bytes = whole(description, "frame_bytes")
        self.names = _names(description)
        self.encoding = Encoding(description["encoding"], math.prod(self.shape)) if "encoding" in description else None
        self.scale, self.offset = (_reals(description, key, self.shape[-1]) for key in ("scale", "offset"))
        if self.encoding and (self.kind, self.bits) != ("unsigned", 8):
            raise ValueError("an encoding makes unsigned elements of 8 bits")
        if self.kind not in KINDS:
            raise ValueError(f"kind = {self.kind!r}, one of {', '.join(KINDS)} is needed")
        beats, rest = divmod(math.prod(self.shape), self.lanes)
        most = 1 if self.kind == "bipolar" else MOST_BITS
        fits = self.bits <= most and self.lanes * self.bits <= 8 * self.beat_bytes
        if rest or not fits or self.frame_bytes != beats * self.beat_bytes:
            raise ValueError("shape, bits, kind, lanes, ratio and frame_bytes contradict each other")

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value of an element."""
        if self.kind == "bipolar":
            return -1, 1
        half = 1 << (self.bits - 1)
        return (-half, half - 1) if self.kind == "signed" else (0, 2 * half - 1)

    def reals(self, values: Any) -> Any:
        """What integers (..., channels) stand for, in float64; `ValueError` where the description does not say."""
        if self.scale is None or self.offset is None:
            raise ValueError("the description has no scale and offset: the accelerator puts out labels, not logits")
        return self.scale * values + self.offset

    def encode(self, rows: Any) -> Any:
        """Raw features (F, ...) as frames (F, *shape) of bytes, exactly as the training encoded them.

        `ValueError` where the description has no encoding: the frames are bytes themselves.
        """
        if self.encoding is None:
            raise ValueError("the description has no encoding: the network was trained on bytes; give frames of bytes")
        return self.encoding.encode(rows).reshape(-1, *self.shape)

    def label(self, outputs: Any) -> Any:
        """The number of the class by the outputs (F, *shape): of a label itself, else of the largest logit."""
        if self.shape[-1] == 1:
            return outputs.reshape(len(outputs), *self.shape[:-1])
        return self.reals(outputs.reshape(len(outputs), *self.shape)).argmax(axis=-1)

    def named(self, labels: Any) -> Any:
        """The names of classes, if the description has them; else their numbers as they are."""
        if not self.names:
            return labels
        if labels.max() >= len(self.names):
            raise ValueError(f"class {labels.max()} came out, but the description names {len(self.names)} classes")
        return np.array(self.names)[labels]

    def check(self, values: Any) -> Any:
        """The values as an array (F, *shape); `ValueError` where the accelerator cannot take them."""
        array = np.asarray(values)
        if array.ndim and array.shape[1:] != self.shape and array.size == len(array) * math.prod(self.shape):
            array = array.reshape(-1, *self.shape)
        low, high = self.range
        if not array.ndim or array.shape[1:] != self.shape or not len(array):
            raise ValueError(
                f"frames have shape {array.shape}; at least one of {self.shape} is needed: (F, *{self.shape})"
            )
        if not np.issubdtype(array.dtype, np.integer):
            hint = "; encode makes them of raw features" if self.encoding else ""
            raise ValueError(f"frames are of {array.dtype}; integers from {low} to {high} are needed{hint}")
        if array.min() < low or array.max() > high:
            raise ValueError(f"frames hold {array.min()} to {array.max()}; integers from {low} to {high} are needed")
        if self.kind == "bipolar" and not array.all():
            raise ValueError("frames hold 0; the accelerator takes -1 and +1")
        return array

    def check_outputs(self, outputs: Any, count: int) -> None:
        """`ValueError` unless these are integers (F, *shape) for `count` frames, or (F,) where a frame has one."""
        wanted = (count, *self.shape)
        short = self.shape == (1,) and outputs.shape == (count,)
        if not np.issubdtype(outputs.dtype, np.integer) or not (outputs.shape == wanted or short):
            raise ValueError(
                f"outputs are of {outputs.dtype} and shape {outputs.shape}; integers of shape {wanted} are needed"
            )

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


def _names(description: dict[str, Any]) -> tuple[str, ...]:
    """The names of the classes; () if there are none."""
    names = description.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"names = {names!r}, a list of names is needed")
    return tuple(names)


def _reals(description: dict[str, Any], key: str, count: int) -> Any:
    """The numbers of a key, one a channel; None if there are none."""
    if key not in description:
        return None
    row = description[key]
    if not isinstance(row, list) or len(row) != count or not all(isinstance(number, (int, float)) for number in row):
        raise ValueError(f"{key} = {row!r}, {count} numbers are needed")
    return np.array(row, float)


def _shape(description: dict[str, Any]) -> tuple[int, ...]:
    shape = description["shape"]
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size > 0 for size in shape):
        raise ValueError(f"shape = {shape!r}, whole numbers of at least 1 are needed")
    return tuple(shape)
