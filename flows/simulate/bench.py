# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the C++ bench of one emitted design."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.flows import toolchain
from adiabit.flows.progress import counting
from adiabit.flows.simulate.beats import write_beats
from adiabit.flows.simulate.runs import Run, Span, Traffic
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit.design import Design


class Tracing(StrEnum):
    """What a bench can record besides beats; the values are Verilator's options."""

    NONE = ""
    WAVES = "--trace"  # every change of every net (VCD)
    SAIF = "--trace-saif"  # how often each net changes


SOURCE = Path(__file__).with_name("bench.cpp")
Fifo = tuple[str, str]  # its input and output stream
TOOLS = ("verilator", "g++", "make", "perl")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A compiled bench."""

    program: Path
    rtl: Path
    log: Path
    names: tuple[str, ...]  # of the watched streams
    seed: int = 1  # of register contents, gaps and stalls
    who: str = "RTL"  # in messages

    def run(self, accelerator: Accelerator, frames: npt.NDArray[Any], span: Span, work: Path) -> Run:
        """Stream frames (F, *input shape), those of `span`, through the design.

        The files go into the folder `work`. Waveforms need a bench that was built for tracing.
        """
        write_beats(accelerator, frames, inputs := work / "input.bin")
        (out := work / "out").mkdir()
        slowest = max(s.cycles for s in accelerator.stages)
        quiet = 1000 + 8 * slowest  # no live stage is idle that long
        rest = 1000 + 2 * slowest  # a stage that sends more than it should goes on within the time of a frame
        numbers = [len(frames), quiet, rest, self.seed, int(span.stalls)]
        waves = [span.trace.absolute()] if span.trace else []
        args: list[str | Path] = [self.program, inputs.absolute(), out.absolute(), *map(str, numbers), *waves]
        toolchain.run_tool(args, cwd=self.rtl, log=self.log)  # the RTL reads its memory files from there
        return load(out, quiet, self.names)


def load(folder: Path, quiet: int, names: tuple[str, ...]) -> Run:
    """Read the results that the bench wrote into `folder`; `names` are the watched streams."""
    document: dict[str, Any] = json.loads((folder / "result.json").read_text())
    streams = tuple(Traffic(**s) for s in document.pop("streams"))
    peaks = tuple(document.pop("peaks"))
    ends = tuple(np.fromfile(folder / "ends.bin", np.uint64).tolist())
    files = tuple(folder / f"{index}.bin" for index in range(len(streams)))
    return Run(ends=ends, quiet=quiet, names=names, streams=streams, files=files, peaks=peaks, **document)


def build(
    rtl: Path, folder: Path, log: Path, *, fifos: Sequence[Fifo] = (), tracing: Tracing = Tracing.NONE,
    fast: bool = False, seed: int = 1,
) -> Bench:  # fmt: skip
    """Compile the design in `rtl` and the bench into `folder`; `UserError` where a tool is missing.

    `fifos` are the input and output streams of FIFOs whose fill is recorded. `fast` is for runs of a minute and more:
    with -O2 a CNV takes a fourth longer to compile, and an eighth less time to run; -O3 gains nothing more.
    """
    toolchain.need(*TOOLS)
    design = Design.load(rtl)
    folder.mkdir()
    shutil.copy(SOURCE, folder)
    (folder / "rtl").symlink_to(rtl.absolute())  # keeps special characters of the path out of the makefiles
    (folder / "design.h").write_text(header(design, fifos))
    args: list[str | Path] = [
        toolchain.find("verilator"), "--cc", "--exe", "--build", "-j", str(toolchain.cores()), "--prefix", "Vdut",
        "--top-module", design.top, "-Mdir", "obj", "-Wno-fatal", "--no-assert", "-O3",
        "-CFLAGS", "-std=c++17 -I..", "-MAKEFLAGS", f"OPT_FAST=-O{2 if fast else 1}",
        "--x-assign", "unique", "--x-initial", "unique", *([tracing] if tracing else []),
        *(f"rtl/{source}" for source in design.sources), "bench.cpp", "-o", "bench",
    ]  # fmt: skip
    with counting("Verilator compiles the simulation"):
        toolchain.run_tool(args, cwd=folder, log=log)
    names = tuple(s.name for s in design.streams)
    program = (folder / "obj" / "bench").absolute()
    return Bench(program=program, rtl=rtl.absolute(), log=log.absolute(), names=names, seed=seed)


def header(design: Design, fifos: Sequence[Fifo] = ()) -> str:
    """The generated header of the bench: the nets of each stream, its beats a frame and its bytes a beat."""
    streams = design.streams
    nets = [[_member(design, net) for net in (s.valid, s.ready, s.data)] for s in streams]
    rows = [f"X({i}, {s.bytes}, {', '.join(nets[i])})" for i, s in enumerate(streams)]
    beats, sizes = ", ".join(str(s.beats) for s in streams), ", ".join(str(s.bytes) for s in streams)
    order = {s.name: i for i, s in enumerate(streams)}
    ends = [", ".join(str(order[fifo[k]]) for fifo in fifos) or "0" for k in (0, 1)]
    return "\n".join([
        "#include <cstddef>",
        f"constexpr int kStreams = {len(streams)};",
        f"constexpr size_t kBeats[] = {{{beats}}}, kBytes[] = {{{sizes}}};",
        f"constexpr int kFifos = {len(fifos)}, kFifoIn[] = {{{ends[0]}}}, kFifoOut[] = {{{ends[1]}}};",
        f"constexpr size_t kInputBytes = {design.input.tdata_bits // 8};",
        f"constexpr size_t kOutputBytes = {design.output.tdata_bits // 8};",
        "static_assert(kInputBytes == kBytes[0] && kOutputBytes == kBytes[kStreams - 1], \"TDATA holds one beat\");",
        "#define ADIABIT_STREAMS(X) \\", " \\\n".join(f"  {row}" for row in rows), "",
    ])  # fmt: skip


def _member(design: Design, net: str) -> str:
    """Verilator's C++ name of a public net of the top module, in which a double underscore is escaped."""
    return "__DOT__".join(name.replace("__", "___05F") for name in (design.top, net))
