# SPDX-License-Identifier: Apache-2.0
"""The golden model: what each stage computes, on integers, for many frames at once.

Shapes: F frames, then the stream's shape. Values are true element values (-1/+1 for bipolar streams).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Array, Kind, Stream


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
        results = stage.golden(*(live.pop(s.name) for s in stage.inputs))
        for stream, result in zip(stage.outputs, results, strict=True):
            live[stream.name] = result.reshape(len(frames), *stream.shape)
            yield stream, live[stream.name]


def run(accelerator: Accelerator, frames: Array, *, block: int = 4096) -> Array:
    """The accelerator's output (F, *output shape) for integer frames (F, *input shape); `block` bounds memory."""
    outputs = []
    for start in range(0, max(len(frames), 1), block):
        for _, values in stream_values(accelerator, frames[start : start + block]):
            result = values
        outputs.append(result)
    return np.concatenate(outputs)
