# SPDX-License-Identifier: Apache-2.0
"""Cocotb bench: what leaves each accelerator of the bench top is what the golden model says, stalled or not."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from drive import drive, reset, start  # type: ignore[import-not-found]  # beside this file, on the simulator's path

from adiabit.hw import golden, packing, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind, MatrixVector, Stream

FOLDER = Path(os.environ["ACCELERATORS"])  # one folder each
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
FRAMES = 12


def some_frames(accelerator: Accelerator, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Random frames, after the smallest and the largest value alone and what drives rows of weights to their ends."""
    stream, stage = accelerator.input, accelerator.stages[0]
    low, high = stream.range
    frames = rng.integers(low, high, (FRAMES, *stream.shape), endpoint=True)
    if stream.kind is Kind.BIPOLAR:
        frames = np.where(frames > 0, 1, -1)
    frames[0], frames[1] = low, high
    if isinstance(stage, MatrixVector):
        rows = stage.weights[:3]  # the last of them has a threshold that only its largest accumulator reaches
        frames[2 : 2 + len(rows)] = np.where(rows > 0, high, low).reshape(
            -1, *[1] * (len(stream.shape) - 1), rows.shape[1]
        )
        frames[5] = np.where(rows[-1] > 0, low, high)
    return frames


def latency(accelerator: Accelerator) -> int:
    """More cycles than a frame takes from end to end."""
    return sum(stage.cycles for stage in accelerator.stages)


def as_ints(stream: Stream, values: npt.NDArray[Any]) -> list[int]:
    """Beats as integers, in order."""
    beats = packing.pack(stream, values).reshape(-1, packing.beat_bytes(stream))
    return [int.from_bytes(beat.tobytes(), "little") for beat in beats]


@cocotb.test()
@cocotb.parametrize(name=NAMES, p_valid=[1.0, 0.3], p_ready=[1.0, 0.3])
async def equals_golden(dut: Any, name: str, p_valid: float, p_ready: float) -> None:
    """Every beat and TLAST; and where nothing stalls, exactly `cycles` from frame to frame, in RTL of our own."""
    accelerator = storage.load(FOLDER / name)
    frames = some_frames(accelerator, np.random.default_rng(list(name.encode())))
    want = as_ints(accelerator.output, golden.run(accelerator, frames))
    sent = as_ints(accelerator.input, frames)
    ends = start(dut, name)
    await reset(ends)
    rng = random.Random(f"{name} {p_valid} {p_ready}")  # noqa: S311
    got = await drive(ends, sent, len(want), cycles=latency(accelerator), p_valid=p_valid, p_ready=p_ready, rng=rng)
    last = accelerator.output.beats - 1
    assert [beat for _, beat, _ in got] == want
    assert [bool(mark) for _, _, mark in got] == [i % (last + 1) == last for i in range(len(want))]
    if p_valid == p_ready == 1 and not name.endswith("_hls"):
        ended = [cycle for cycle, _, mark in got if mark]
        assert [b - a for a, b in itertools.pairwise(ended)] == [accelerator.cycles] * (FRAMES - 1)


@cocotb.test()
@cocotb.parametrize(name=NAMES)
async def forgets_at_reset(dut: Any, name: str) -> None:
    """After a reset of one cycle in mid-frame, at any moment, the next frames are right from the first beat."""
    accelerator = storage.load(FOLDER / name)
    frames = some_frames(accelerator, np.random.default_rng(len(name)))
    want = as_ints(accelerator.output, golden.run(accelerator, frames))
    sent = as_ints(accelerator.input, frames)
    ends = start(dut, name)
    rng = random.Random(name)  # noqa: S311
    for done in sorted({0, 1, len(want) // 3, len(want) // 2 + 1}):
        await reset(ends)
        await drive(ends, sent, done, cycles=latency(accelerator), p_valid=0.8, p_ready=0.8, rng=rng)
    await reset(ends)
    got = await drive(ends, sent, len(want), cycles=latency(accelerator), p_valid=0.9, p_ready=0.9, rng=rng)
    assert [beat for _, beat, _ in got] == want
