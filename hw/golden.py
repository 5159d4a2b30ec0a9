# SPDX-License-Identifier: Apache-2.0
"""The golden model: what each stage computes, in integers, for many frames at once.

Arrays are (F, *shape): F frames of a stream's shape. They hold element values, -1 and +1 for bipolar streams.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Array, Kind, Stream


def check_frames(stream: Stream, frames: Array) -> None:
    """Raise `UserError` if a stream cannot carry the shape or the values of frames (F, *shape)."""
    if frames.shape[1:] != stream.shape:
        raise UserError(f"frames have shape {frames.shape[1:]}; stream {stream.name} carries {stream.shape}")
    low, high = stream.range
    if frames.size and (not np.issubdtype(frames.dtype, np.integer) or frames.min() < low or frames.max() > high):
        raise UserError(
            f"frames of {frames.dtype} are not all in {low}...{high}, the integers that stream {stream.name} carries"
        )
    if stream.kind is Kind.BIPOLAR and np.any(frames == 0):
        raise UserError(f"frames hold 0; stream {stream.name} is bipolar and carries only -1 and +1")


def stream_values(accelerator: Accelerator, frames: Array) -> Iterator[tuple[Stream, Array]]:
    """Each stream of the accelerator with its values (F, *shape), in topological order, for frames of the input."""
    check_frames(accelerator.input, frames)
    live = {accelerator.input.name: frames}
    yield accelerator.input, frames
    for stage in accelerator.stages:
        results = stage.golden(*(live.pop(s.name) for s in stage.inputs))
        for stream, result in zip(stage.outputs, results, strict=True):
            live[stream.name] = result.reshape(len(frames), *stream.shape)
            yield stream, live[stream.name]


def predictions(accelerator: Accelerator, outputs: Array) -> Array:
    """The class of each frame (F,), or of each position (F, P) of an image, for outputs (F, *output shape).

    It is the label that the circuit computes, else that of the largest logit; a single logit tells 1 from 0 by its
    sign. Logits are the output's integers by their meaning, or as they are where it is not known.
    """
    values = outputs.reshape(len(outputs), -1, accelerator.output.channels)
    if not accelerator.labels:
        logits = accelerator.meaning.reals(values) if accelerator.meaning else values
        values = logits > 0 if logits.shape[-1] == 1 else logits.argmax(axis=-1, keepdims=True)
    found: Array = values[..., 0].astype(np.int64)
    return found[:, 0] if found.shape[1] == 1 else found


def run(accelerator: Accelerator, frames: Array, *, block: int = 4096) -> Array:
    """Output (F, *output shape) of the accelerator for frames (F, *input shape); computes `block` frames at once."""
    outputs = []
    for start in range(0, max(len(frames), 1), block):
        for _, values in stream_values(accelerator, frames[start : start + block]):
            result = values
        outputs.append(result)
    return np.concatenate(outputs)
