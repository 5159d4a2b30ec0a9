# SPDX-License-Identifier: Apache-2.0
"""Accelerators for tests, built stage by stage with random parameters that meet their own corners."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import (
    Add,
    Affine,
    Concat,
    Fifo,
    Fork,
    GroupedMatrixVector,
    Kind,
    LabelSelect,
    MatrixVector,
    Pad,
    Pool,
    Stage,
    Stream,
    SumPool,
    Threshold,
    WidthConverter,
    Window,
    accumulators,
    integer_type,
    signed_bits,
)
from adiabit.hw.stages.accumulator import accumulator_range

B, U, S = Kind.BIPOLAR, Kind.UNSIGNED, Kind.SIGNED


def stream(name: str, shape: tuple[int, ...], bits: int, kind: Kind, lanes: int) -> Stream:
    return Stream(name=name, shape=shape, bits=bits, kind=kind, lanes=lanes)


def some_frames(stream: Stream, rng: np.random.Generator, frames: int) -> Any:
    low, high = stream.range
    values = rng.integers(low, high, (frames, *stream.shape), endpoint=True)
    return np.where(values > 0, 1, -1) if stream.kind is B else values


class Chain:
    """Builds an accelerator stage by stage; random parameters, seeded by the name."""

    def __init__(self, name: str, shape: tuple[int, ...], bits: int, kind: Kind, lanes: int) -> None:
        self.name, self.stages = name, list[Stage]()
        self.rng = np.random.default_rng(list(name.encode()))
        self.here = stream("x", shape, bits, kind, lanes)

    def _add(self, cls: Any, *outs: Stream, more: tuple[Stream, ...] = (), **fields: Any) -> Chain:
        name = f"{self.name}_{len(self.stages)}"  # the memory files of all accelerators share a folder
        self.stages.append(cls(name=name, inputs=(self.here, *more), outputs=outs, **fields))
        self.here = outs[0]
        return self

    def _next(self, port: str = "", **changes: Any) -> Stream:
        fields = {f: getattr(self.here, f) for f in ("shape", "bits", "kind", "lanes")}
        return stream(f"y{len(self.stages)}{port}", **(fields | changes))

    def _thresholds(self, values: Any, out: Stream, low: int, high: int, codes: int = 0) -> Any:
        """Out of `values` (n, channels), so that equality is met; first: always, never, only the largest, beyond."""
        steps = 1 if out.kind is B else 2**out.bits - 1
        if codes:
            sets = [self._thresholds(values, out, low, high) for _ in range(codes)]
            return np.stack(sets, axis=1)
        pool = np.resize(values, (max(len(values), 4 * steps), values.shape[1]))
        thresholds = self.rng.permuted(pool, axis=0)[:steps].T
        most = values[:, :3].max(axis=0)[-1]
        corners = np.array([low, high + 1, most, low - 7, high + 1000])[: len(thresholds)]
        thresholds[: len(corners), 0] = corners
        return np.sort(thresholds, axis=1)

    def _flips(self, channels: int, *, inverted: bool) -> Any:
        """Which channels are inverted: the first, and half of the others."""
        return np.where(np.arange(channels) == 0, 1, self.rng.integers(0, 2, channels)) if inverted else None

    def threshold(
        self,
        bits: int,
        kind: Kind,
        select: Stream | None = None,
        *,
        uniform: bool = False,
        inverted: bool = False,
        top: bool = False,
    ) -> Chain:
        """Thresholds to `bits`, which the elements of `select` choose.

        `uniform`: the same for all channels; `top`: those that the top bits count.
        """
        out = self._next(bits=bits, kind=kind)
        values = some_frames(self.here, self.rng, 64).reshape(-1, out.channels)
        codes = 2**select.bits if select else 0
        thresholds = self._thresholds(values, out, *self.here.range, codes)
        if uniform:
            thresholds = np.broadcast_to(thresholds[:1], thresholds.shape)
        if top:
            row = self.here.range[0] + 2 ** (self.here.bits - bits) * np.arange(1, 2**bits)
            thresholds = np.broadcast_to(row, thresholds.shape)
        flips = self._flips(out.channels, inverted=inverted)
        return self._add(Threshold, out, more=(select,) if select else (), thresholds=thresholds, inverted=flips)

    def mvu(
        self,
        rows: int,
        pe: int,
        *,
        weights: int | tuple[int, ...] = 1,
        out: tuple[int, Kind] | None = (1, B),
        flat: bool = False,
        select: Stream | None = None,
        inverted: bool = False,
        **fields: Any,
    ) -> Chain:
        """A matrix: `weights` bits a weight, or their values; `out` None puts out the accumulator.

        `flat` drops the image's shape; the elements of `select` choose the thresholds.
        """
        shape = (rows, self.here.channels)
        if isinstance(weights, int):
            half = 2 ** (weights - 1)
            weights = (-1, 1) if weights == 1 else tuple(range(-half, half))
        values = self.rng.choice(weights, shape)
        if weights != (-1, 1):  # the least of several, e.g. -8, whose negative does not exist
            values.flat[0] = weights[0]
        low, high = accumulator_range(values, self.here)
        if out is None:
            xnor = self.here.kind is B and np.all(np.abs(values) == 1)
            bits, kind = (high.bit_length(), U) if xnor else (signed_bits(low, high), S)
            result = self._next(shape=(*self.here.shape[:-1], rows), bits=bits, kind=kind, lanes=pe)
            return self._add(MatrixVector, result, weights=values, **fields)
        made = (*self.here.shape[:-1], rows)
        result = self._next(shape=(math.prod(made),) if flat else made, bits=out[0], kind=out[1], lanes=pe)
        frames = some_frames(self.here, self.rng, 64)
        least, most = self.here.range
        frames[0] = np.where(values[min(2, rows - 1)] > 0, most, least)  # what the bench sends too
        sums = accumulators(values, self.here, frames).reshape(-1, rows).astype(np.int64)
        thresholds = self._thresholds(sums, result, low, high, 2**select.bits if select else 0)
        more, fields = (select,) if select else (), {**fields, "inverted": self._flips(rows, inverted=inverted)}
        return self._add(MatrixVector, result, more=more, weights=values, thresholds=thresholds, **fields)

    def affine(self, factors: int | tuple[int, int], addends: int) -> Chain:
        """A factor and an addend for each channel: from a range, or one factor; addends up to so much."""
        channels = self.here.channels
        drawn = [factors] * channels if isinstance(factors, int) else self.rng.integers(*factors, channels)
        given = np.asarray(drawn)
        more = self.rng.integers(-addends, addends, channels, endpoint=True)
        ends = np.stack([given * end + more for end in self.here.range])
        kind, bits = integer_type(int(ends.min()), int(ends.max()))
        return self._add(Affine, self._next(bits=bits, kind=kind), factors=given, addends=more)

    def grouped(
        self, groups: int, rows: int, pe: int, kernel: int = 1, *, weights: int = 1,
        out: tuple[int, Kind] | None = (1, B), inverted: bool = False, **more: Any,
    ) -> Chain:  # fmt: skip
        """Products of groups of channels of windows of `kernel` pixels; `rows` of each group."""
        columns, mh, half = self.here.channels // groups, groups * rows, 2 ** (weights - 1)
        values = self.rng.choice((-1, 1) if weights == 1 else range(-half, half), (mh, columns))
        low, high = accumulator_range(values, self.here)
        fields: dict[str, Any] = {"weights": values, "groups": groups, "kernel": kernel, **more}
        shape = (*self.here.shape[:-1], mh)
        bare_kind, bits = integer_type(low, high)
        bare = self._next(shape=shape, bits=bits, kind=bare_kind, lanes=pe)
        if out is None:
            return self._add(GroupedMatrixVector, bare, **fields)
        probe = GroupedMatrixVector(name="probe", inputs=(self.here,), outputs=(bare,), **fields)
        (sums,) = probe.golden(some_frames(self.here, self.rng, 64))
        made = self._next(shape=shape, bits=out[0], kind=out[1], lanes=pe)
        thresholds = self._thresholds(sums.reshape(-1, mh).astype(np.int64), made, low, high)
        return self._add(GroupedMatrixVector, made, thresholds=thresholds, inverted=self._flips(mh, inverted=inverted),
                         **fields)  # fmt: skip

    def label(self) -> Chain:
        """The largest channel of each pixel."""
        channels, shape = self.here.channels, self.here.shape
        shape = (*shape[:-1], 1) if len(shape) > 1 else (1,)
        out = self._next(shape=shape, bits=max(1, (channels - 1).bit_length()), kind=U, lanes=1)
        return self._add(LabelSelect, out)

    def at(self, here: Stream) -> Chain:
        """Go on at this stream."""
        self.here = here
        return self

    def fork(self, count: int = 2) -> tuple[Stream, ...]:
        """Streams for so many readers."""
        outs = tuple(self._next(f"_{port}") for port in range(count))
        self._add(Fork, *outs)
        return outs

    def add(self, other: Stream) -> Chain:
        """The sum with another stream."""
        (low, high), (least, most) = self.here.range, other.range
        kind, bits = integer_type(low + least, high + most)
        return self._add(Add, self._next(bits=bits, kind=kind), more=(other,))

    def concat(self, *others: Stream) -> Chain:
        """The channels of other streams behind."""
        channels = self.here.channels + sum(s.channels for s in others)
        whole = all(s.lanes == s.channels for s in (self.here, *others))
        lanes = channels if whole else self.here.lanes
        out = self._next(shape=(*self.here.shape[:-1], channels), lanes=lanes)
        return self._add(Concat, out, more=others)

    def lanes(self, lanes: int) -> Chain:
        """Another number of lanes."""
        return self._add(WidthConverter, self._next(lanes=lanes))

    def fifo(self, depth: int) -> Chain:
        """A FIFO."""
        return self._add(Fifo, self._next(), depth=depth)

    def window(self, kernel: tuple[int, int], *, parallel: bool = False, flat: bool = False, **fields: Any) -> Chain:
        """Windows of an image; `flat`: as pixels in a row, for a pool."""
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, fields.get("dilation", (1, 1)), strict=True)]
        sides = zip(self.here.shape, spans, fields.get("stride", (1, 1)), strict=False)
        rows, columns = ((side - span) // step + 1 for side, span, step in sides)
        pixels, channels = kernel[0] * kernel[1], self.here.channels
        shape = (rows, columns * pixels, channels) if flat else (rows, columns, pixels * channels)
        lanes = pixels * channels if parallel else self.here.lanes
        return self._add(Window, self._next(shape=shape, lanes=lanes), kernel=kernel, **fields)

    def pad(self, before: tuple[int, int], after: tuple[int, int], value: int) -> Chain:
        """Values around an image."""
        height, width, channels = self.here.shape
        shape = (before[0] + height + after[0], before[1] + width + after[1], channels)
        return self._add(Pad, self._next(shape=shape), before=before, after=after, value=value)

    def more_channels(self, front: int, back: int, value: int) -> Chain:
        """Channels of a value around those of each pixel."""
        height, width, channels = self.here.shape
        out = self._next(shape=(height, width, front + channels + back))
        return self._add(Pad, out, before=(0, 0), after=(0, 0), value=value, channels=(front, back))

    def pool(self, kernel: tuple[int, int]) -> Chain:
        """The largest of each block."""
        height, width, channels = self.here.shape
        return self._add(Pool, self._next(shape=(height // kernel[0], width // kernel[1], channels)), kernel=kernel)

    def total(self, bits: int, kind: Kind) -> Chain:
        """Each channel's sum."""
        kernel = self.here.shape[:2]
        return self._add(SumPool, self._next(shape=(self.here.channels,), bits=bits, kind=kind), kernel=kernel)

    def sums(self, kernel: tuple[int, int]) -> Chain:
        """The sum of each block."""
        height, width, channels = self.here.shape
        low, high = (0, 1) if self.here.kind is B else self.here.range
        kind, bits = integer_type(math.prod(kernel) * low, math.prod(kernel) * high)
        out = self._next(shape=(height // kernel[0], width // kernel[1], channels), bits=bits, kind=kind)
        return self._add(SumPool, out, kernel=kernel)

    def end(self) -> Accelerator:
        """What was built."""
        return Accelerator(name=self.name, stages=tuple(self.stages))
