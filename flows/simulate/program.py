# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the program of the C simulation: the emitted HLS C++ and a recorder of its streams."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from adiabit.flows import toolchain
from adiabit.flows.progress import counting
from adiabit.flows.simulate.beats import write_beats
from adiabit.flows.simulate.runs import Run, Span, Traffic
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.packing import beat_bytes
from adiabit.hw.stages.base import HLS

SOURCE = Path(__file__).with_name("record.cpp")
OPTIONS = (
    "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror",
    "-Wno-unknown-pragmas",  # HLS pragmas are for another compiler
    "-Wno-uninitialized", "-Wno-maybe-uninitialized",  # a default-constructed ap_uint masks uninitialized bits
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Program:
    """A compiled C simulation."""

    program: Path
    log: Path
    who: str = "HLS"  # in messages

    def run(self, accelerator: Accelerator, frames: npt.NDArray[Any], _: Span, work: Path) -> Run:
        """Stream frames (F, *input shape) through the program; its files go into the folder `work`."""
        work = work.absolute()
        write_beats(accelerator, frames, work / "frames.bin")
        (work / "streams").mkdir()
        args = [self.program, work / "frames.bin", work / "results.bin"]
        toolchain.run_tool(args, cwd=work / "streams", log=self.log)
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
            cycles=0, first=0, ends=(), quiet=0, files=files, streams=tuple(traffic), wrong_last=report["wrong_last"],
            names=tuple(s.name for s in accelerator.streams), seconds=report["seconds"],
        )  # fmt: skip


def build(accelerator: Accelerator, sources: Path, folder: Path, log: Path, options: tuple[str, ...] = ()) -> Program:
    """Compile the emitted C++, its test bench and a recorder of its streams."""
    program = (folder / "csim").absolute()
    shutil.copy(SOURCE, folder)
    args: list[str | Path] = [
        toolchain.find("g++"), *OPTIONS, *options, "-I", sources.absolute(), "-isystem", HLS / "sim",
        "-isystem", toolchain.ap_types(), f'-DADIABIT_HEADER="{accelerator.name}.hpp"',
        f'-DADIABIT_TOP="{accelerator.name}.cpp"', SOURCE.name, "-o", program,
    ]  # fmt: skip
    with counting("g++ compiles the simulation"):
        toolchain.run_tool(args, cwd=folder, log=log)
    return Program(program=program, log=log.absolute())
