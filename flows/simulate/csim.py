# SPDX-License-Identifier: Apache-2.0
"""The stage `csim`: all saved vectors through the emitted HLS C++, compiled as a program, every stream compared."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.flows import toolchain
from adiabit.flows.ladder import RungName, Vectors, save_rungs
from adiabit.flows.simulate import figures
from adiabit.flows.simulate.bench import Run, Traffic
from adiabit.flows.simulate.compare import compare, write_beats
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.stage import Finding, check_design, rung_of, select
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.packing import beat_bytes
from adiabit.hw.stages.base import HLS

SOURCE = Path(__file__).with_name("record.cpp")
OPTIONS = (
    "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror",
    "-Wno-unknown-pragmas",  # HLS pragmas are for another compiler
    "-Wno-uninitialized", "-Wno-maybe-uninitialized",  # a default-constructed ap_uint masks uninitialized bits
)  # fmt: skip


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
        result = run(accelerator, vectors.frames, program, work, out / "simulate.log")
        compared = compare(accelerator, vectors.frames, result, "HLS")
    finding: Finding = "", ()
    if compared.difference:
        frame = config.first + compared.difference.frame
        replay = ("simulate", "--backend", "hls", "--frames", f"{frame}:{frame + 1}")
        finding = compared.difference.describe(config.first), replay
    made = figures.Execution(
        frames=len(vectors.frames),
        first=config.first,
        seconds_build=round(seconds_build, 3),
        seconds_run=round(result.seconds, 3),
        frames_per_second=round(len(vectors.frames) / max(result.seconds, 1e-9), 1),
    )
    figures.save(out, made)
    save_rungs(out, [rung_of(RungName.HLS, accelerator, vectors, [compared], finding=finding)])


def build(accelerator: Accelerator, sources: Path, folder: Path, log: Path, options: tuple[str, ...] = ()) -> Path:
    """Compile the emitted C++, its test bench and a recorder of its streams; returns the program's path."""
    program = (folder / "csim").absolute()
    shutil.copy(SOURCE, folder)
    args: list[str | Path] = [
        toolchain.find("g++"), *OPTIONS, *options, "-I", sources.absolute(), "-isystem", HLS / "sim",
        "-isystem", toolchain.ap_types(), f'-DADIABIT_HEADER="{accelerator.name}.hpp"',
        f'-DADIABIT_TOP="{accelerator.name}.cpp"', SOURCE.name, "-o", program,
    ]  # fmt: skip
    toolchain.run_tool(args, cwd=folder, log=log)
    return program


def run(accelerator: Accelerator, frames: npt.NDArray[Any], program: Path, folder: Path, log: Path) -> Run:
    """Stream frames (F, *input shape) through the program; returns what it recorded."""
    work = Path(tempfile.mkdtemp(dir=folder)).absolute()
    write_beats(accelerator, frames, work / "frames.bin")
    (work / "streams").mkdir()
    toolchain.run_tool([program, work / "frames.bin", work / "results.bin"], cwd=work / "streams", log=log)
    report = json.loads((work / "results.bin.json").read_text())
    streams = [*accelerator.streams, accelerator.output]
    files = (*(work / "streams" / f"{s.name}.bin" for s in accelerator.streams), work / "results.bin")
    for path in files:
        path.touch()
    traffic = [
        Traffic(accepted=path.stat().st_size // beat_bytes(s), waiting=0, starved=0, unheld=-1, valid=0, ready=1)
        for s, path in zip(streams, files, strict=True)
    ]
    return Run(
        cycles=0, first=0, ends=np.zeros(0, np.uint64), quiet=0, files=files, streams=tuple(traffic),
        names=tuple(s.name for s in accelerator.streams), wrong_last=report["wrong_last"], seconds=report["seconds"],
    )  # fmt: skip
