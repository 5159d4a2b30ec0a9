# SPDX-License-Identifier: Apache-2.0
"""Files of beats: what the host sends and what a run recorded, in blocks of frames that bound the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.packing import beat_bytes, pack
from adiabit.hw.stages import Stream

BLOCK_ELEMENTS = 1 << 21  # of the largest stream; bounds the memory of a block


def block_frames(accelerator: Accelerator) -> int:
    """The number of frames processed at once."""
    return int(max(1, BLOCK_ELEMENTS // max(s.elements for s in accelerator.streams)))


def write_beats(accelerator: Accelerator, frames: npt.NDArray[Any], path: Path) -> None:
    """Write the beats of frames (F, *input shape) as the host sends them."""
    size = block_frames(accelerator)
    with path.open("wb") as sink:
        for at in range(0, len(frames), size):
            sink.write(pack(accelerator.input, frames[at : at + size]).tobytes())


def read_beats(
    path: Path, stream: Stream, start: int, count: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Beats (count, beats, beat_bytes) of `count` frames from `start`, and which of them arrived (count, beats)."""
    width = beat_bytes(stream)
    frame = stream.beats * width
    raw = np.fromfile(path, np.uint8, count * frame, offset=min(start * frame, path.stat().st_size))
    beats = np.zeros(count * frame, np.uint8)
    beats[: len(raw)] = raw
    came = np.arange(count * stream.beats) < len(raw) // width
    return beats.reshape(count, stream.beats, width), came.reshape(count, stream.beats)
