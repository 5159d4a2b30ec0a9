# SPDX-License-Identifier: Apache-2.0
"""The golden model: what each stage computes, on integers, for many frames at once.

Shapes: F frames, then the stream's shape. Values are true element values (-1/+1 for bipolar streams).
The matrix product runs in float32 BLAS where every partial sum is an exact integer (below 2**24), which uses
all cores; it falls back to float64 (2**53) and refuses beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.hw.accelerator import (
    Accelerator,
    Fifo,
    GlobalSum,
    Kind,
    LabelSelect,
    MatrixVector,
    Pad,
    Pool,
    Stage,
    Stream,
    Threshold,
    WidthConverter,
    Window,
)

Array = npt.NDArray[Any]


def _steps(x: Array, thresholds: Array, output: Stream) -> Array:
    """Count the thresholds (C, steps) that each x (..., C) reaches; bipolar: -1 or +1."""
    if output.kind is Kind.BIPOLAR:
        return np.where(x >= thresholds[:, 0], np.int8(1), np.int8(-1))
    y = np.zeros(x.shape, np.int32)
    for step in thresholds.T:
        y += x >= step
    return y


def _threshold(stage: Threshold, x: Array) -> Array:
    return _steps(x, stage.thresholds, stage.output)


def accumulators(stage: MatrixVector, x: Array) -> Array:
    """Popcounts (XNOR) or dot products of x (F, ..., MW) with each row: (F, ..., MH), before thresholds."""
    low, high = stage.accumulator_range
    bound = stage.weights.shape[1] if stage.xnor else max(-low, high)
    if bound >= 2**53:
        raise UserError(f"stage {stage.name}: accumulators reach {bound}; the golden model is exact below 2**53")
    real = np.float32 if bound < 2**24 else np.float64
    dot: Array = x.astype(real) @ stage.weights.T.astype(real)
    if stage.xnor:  # popcount = (dot + MW) / 2, exact: dot and MW have equal parity
        dot += real(stage.weights.shape[1])
        dot *= real(0.5)
    return dot


def _matrix_vector(stage: MatrixVector, x: Array) -> Array:
    acc = accumulators(stage, x)
    if stage.thresholds is not None:
        return _steps(acc, stage.thresholds.astype(acc.dtype), stage.output)
    return acc.astype(np.int32)


def _same(_: Stage, x: Array) -> Array:
    return x


def _window(stage: Window, x: Array) -> Array:
    (kh, kw), (sy, sx), (dy, dx) = stage.kernel, stage.stride, stage.dilation
    rows, columns = stage.grid
    pieces = [
        x[:, i * dy : i * dy + (rows - 1) * sy + 1 : sy, j * dx : j * dx + (columns - 1) * sx + 1 : sx]
        for i in range(kh)
        for j in range(kw)
    ]
    return np.stack(pieces, axis=3)


def _pad(stage: Pad, x: Array) -> Array:
    (top, left), (bottom, right) = stage.before, stage.after
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=stage.value)


def _pool(stage: Pool, x: Array) -> Array:
    (rows, columns), (kh, kw) = stage.grid, stage.kernel
    blocks = x[:, : rows * kh, : columns * kw].reshape(len(x), rows, kh, columns, kw, -1)
    largest: Array = blocks.max(axis=(2, 4))
    return largest


def _global_sum(stage: GlobalSum, x: Array) -> Array:
    ones = x > 0 if stage.input.kind is Kind.BIPOLAR else x
    sums: Array = ones.sum(axis=(1, 2), dtype=np.int32)
    return sums


def _label_select(_: LabelSelect, x: Array) -> Array:
    labels: Array = x.reshape(len(x), -1).argmax(axis=1)
    return labels.astype(np.int32)[:, None]


_GOLDEN: dict[type[Stage], Callable[[Any, Array], Array]] = {
    Threshold: _threshold,
    MatrixVector: _matrix_vector,
    Window: _window,
    Pad: _pad,
    Pool: _pool,
    GlobalSum: _global_sum,
    WidthConverter: _same,
    Fifo: _same,
    LabelSelect: _label_select,
}


def check_frames(stream: Stream, frames: Array) -> None:
    """Refuse frames whose shape or values the stream cannot carry."""
    if frames.shape[1:] != stream.shape:
        raise UserError(f"frames have shape {frames.shape[1:]}; stream {stream.name} carries {stream.shape}")
    low, high = stream.range
    if frames.size and (not np.issubdtype(frames.dtype, np.integer) or frames.min() < low or frames.max() > high):
        raise UserError(f"frames of {frames.dtype} leave {low}...{high}, the range of stream {stream.name}")
    if stream.kind is Kind.BIPOLAR and np.any(frames == 0):
        raise UserError(f"frames hold 0; stream {stream.name} is bipolar and carries -1 and +1")


def stream_values(accelerator: Accelerator, frames: Array) -> Iterator[tuple[Stream, Array]]:
    """Each stream of the accelerator with its values (F, *shape), in order, for frames (F, *input shape)."""
    check_frames(accelerator.input, frames)
    live = {accelerator.input.name: frames}
    yield accelerator.input, frames
    for stage in accelerator.stages:
        result = _GOLDEN[type(stage)](stage, *(live.pop(s.name) for s in stage.inputs))
        result = result.reshape(len(frames), *stage.output.shape)
        live[stage.output.name] = result
        yield stage.output, result


def run(accelerator: Accelerator, frames: Array, *, block: int = 4096) -> Array:
    """The accelerator's output (F, *output shape) for integer frames (F, *input shape); `block` bounds memory."""
    outputs = []
    for start in range(0, max(len(frames), 1), block):
        for _, values in stream_values(accelerator, frames[start : start + block]):
            result = values
        outputs.append(result)
    return np.concatenate(outputs)
