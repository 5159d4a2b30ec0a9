# SPDX-License-Identifier: Apache-2.0
"""The stage `csim`: all saved vectors through the emitted HLS C++, compiled as a program, every stream compared."""

from __future__ import annotations

import time
from pathlib import Path

from adiabit.flows import toolchain
from adiabit.flows.ladder import RungName, Vectors, save_rungs
from adiabit.flows.simulate import figures
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.passes import Passes
from adiabit.flows.simulate.program import build
from adiabit.flows.simulate.slices import cut, join
from adiabit.flows.simulate.stage import Finding, check_design, rung_of, select
from adiabit.hw import golden, storage


def simulate_c(
    accelerator_folder: Path, hls_folder: Path, vectors: Vectors, out: Path, config: SimulateConfig | None = None
) -> None:
    """Write `simulation.json`, `rungs.json` and `simulate.log` into `out`.

    Each stream's beats must equal the golden model's values for every frame. `UserError` where a tool is missing or
    the frames do not exist.
    """
    config = config or SimulateConfig()
    accelerator = storage.load(accelerator_folder)
    vectors = select(vectors, config)
    golden.check_frames(accelerator.input, vectors.frames)
    check_design(accelerator, hls_folder)
    with toolchain.workplace(out) as work:
        start = time.monotonic()
        program = build(accelerator, hls_folder, work, out / "simulate.log")
        seconds_build = time.monotonic() - start
        passes = Passes(accelerator_folder, accelerator, vectors.frames, program, work, config.processes)
        outcomes = passes.run_all(cut(accelerator, len(vectors.frames)))
    compared = join(outcomes)
    finding: Finding = "", ()
    if compared.difference:
        frame = config.first + compared.difference.frame
        replay = ("simulate", "--backend", "hls", "--frames", f"{frame}:{frame + 1}")
        finding = compared.difference.describe(config.first), replay
    seconds = sum(one.run.seconds for one in outcomes)
    made = figures.Execution(
        frames=len(vectors.frames),
        first=config.first,
        seconds_build=round(seconds_build, 3),
        seconds_run=round(seconds, 3),
        frames_per_second=round(sum(one.span.end - one.span.start for one in outcomes) / max(seconds, 1e-9), 1),
    )
    figures.save(out, made)
    save_rungs(out, [rung_of(RungName.HLS, accelerator, vectors, [compared], finding=finding)])
