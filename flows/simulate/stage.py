# SPDX-License-Identifier: Apache-2.0
"""The stage `simulate`: all saved vectors through the RTL at full speed, and some again with gaps and stalls."""

from __future__ import annotations

import dataclasses
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.flows.ladder import Rung, Vectors, save_rungs
from adiabit.flows.simulate.bench import Run, build, load_design
from adiabit.flows.simulate.compare import Comparison, block_frames, compare
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.packing import pack


def simulate(
    accelerator_folder: Path, rtl_folder: Path, vectors: Vectors, out: Path, config: SimulateConfig | None = None
) -> None:
    """Write `simulation.json`, `rungs.json`, `simulate.log` and, if asked for, waveforms into `out`.

    Each stream's accepted beats must equal the golden model's values for every frame, twice: frames back to back
    at full speed, from random register contents; and the first `stall_frames` with random gaps and stalls.
    `UserError` where a tool is missing or the frames do not exist.
    """
    config = config or SimulateConfig()
    accelerator = storage.load(accelerator_folder)
    vectors = _select(vectors, config)
    golden.check_frames(accelerator.input, vectors.frames)
    _check_design(accelerator, rtl_folder)
    with tempfile.TemporaryDirectory(dir=out) as name:
        work = Path(name)
        start = time.monotonic()
        bench = build(rtl_folder, work / "build", out / "simulate.log", trace=config.trace)
        seconds_build = time.monotonic() - start
        _write_input(accelerator, vectors.frames, work / "input.bin")

        def run(label: str, frames: int, stalls: bool) -> tuple[Run, Comparison]:
            quiet = 1000 + 8 * max(s.cycles for s in accelerator.stages)  # no stage is silent that long
            trace = (out / f"{label}.vcd").absolute() if config.trace else None
            pace = {"frames": frames, "quiet": quiet, "seed": config.seed}
            done = bench.run(work / "input.bin", work / label, **pace, stalls=stalls, trace=trace)
            return done, compare(accelerator, vectors.frames[:frames], done)

        start = time.monotonic()
        full, full_result = run("full_speed", len(vectors.frames), stalls=False)
        seconds_run = time.monotonic() - start
        count = min(config.stall_frames, len(vectors.frames))
        stalled = run("stalls", count, stalls=True)[1] if count else None
    figures = {
        "frames": len(vectors.frames),
        "first": config.first,
        "seed": config.seed,
        "random_stall_frames": count,
        **_speed(full),
        "cycles_per_frame_expected": accelerator.cycles,
        "stalls": _stalls(accelerator, full),
        "seconds_build": round(seconds_build, 3),
        "seconds_run": round(seconds_run, 3),
        "cycles_per_second": round(full.cycles / max(full.seconds, 1e-9)),
    }
    (out / "simulation.json").write_text(json.dumps(figures, indent=1) + "\n")
    save_rungs(out, [_rung(vectors, full_result, stalled, config.first)])


def _select(vectors: Vectors, config: SimulateConfig) -> Vectors:
    have = len(vectors.frames)
    if config.first + (config.frames or 1) > have:
        wanted = f"first={config.first}, frames={config.frames or 'all'}"
        raise UserError(f"[simulate]: {wanted} ask for more than the {have} saved vectors; choose less")
    end = have if config.frames is None else config.first + config.frames
    return Vectors(**{f.name: getattr(vectors, f.name)[config.first : end] for f in dataclasses.fields(vectors)})


def _check_design(accelerator: Accelerator, rtl: Path) -> None:
    """Refuse RTL that was emitted from another accelerator."""
    want = [(s.name, s.width, s.beats) for s in accelerator.streams]
    have = [(s["name"], s["width"], s["beats"]) for s in load_design(rtl)["streams"]]
    if want != have:
        raise UserError(f"{rtl}: its streams are not those of accelerator {accelerator.name}; emit it anew")


def _write_input(accelerator: Accelerator, frames: npt.NDArray[Any], path: Path) -> None:
    size = block_frames(accelerator)
    with path.open("wb") as sink:
        for start in range(0, len(frames), size):
            sink.write(pack(accelerator.input, frames[start : start + size]).tobytes())


def _speed(run: Run) -> dict[str, Any]:
    """Cycles between the last output beats of successive frames; None where fewer than two frames came out."""
    ends = [int(e) for e in run.ends]
    distances = [b - a for a, b in itertools.pairwise(ends)]
    return {
        "cycles_per_frame": statistics.median_low(distances) if distances else None,
        "cycles_per_frame_min": min(distances, default=None),
        "cycles_per_frame_max": max(distances, default=None),
        "latency_cycles": ends[0] - run.first + 1 if ends else None,
        "total_cycles": ends[-1] - run.first + 1 if ends else None,
    }


def _stalls(accelerator: Accelerator, run: Run) -> dict[str, dict[str, int]]:
    """By stream, up to the last output beat: beats, cycles a beat waited, cycles its reader waited for one."""
    return {
        s.name: {"beats": t.accepted, "valid_not_ready": t.waiting, "ready_not_valid": t.starved}
        for s, t in zip(accelerator.streams, run.streams, strict=False)
    }


def _rung(vectors: Vectors, full: Comparison, stalled: Comparison | None, first: int) -> Rung:
    equal = full.equal.copy()
    difference, replay, how = full.difference, "", ""
    if stalled is not None:
        equal[: len(stalled.equal)] &= stalled.equal
        if difference is None and stalled.difference is not None:
            difference, how = stalled.difference, "with random stalls, "
    if difference is not None:
        start = first if how else first + difference.frame  # stalls repeat from the same first frame alone
        replay = f"; replay: adiabit simulate RECIPE --frames {start}:{first + difference.frame + 1} --trace"
    outputs = full.outputs.reshape(len(full.outputs), -1)
    predictions = outputs[:, 0] if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return Rung(
        name="RTL simulation",
        frames=len(equal),
        equal=int(np.count_nonzero(equal)),
        accuracy=vectors.accuracy(predictions),
        compared="every stream, every beat",
        difference=f"{how}{difference.tell(first)}{replay}" if difference is not None else "",
    )
