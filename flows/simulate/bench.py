# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the C++ bench of one emitted design."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.flows import toolchain
from adiabit.hw.emit.design import Design

SOURCE = Path(__file__).with_name("bench.cpp")
Fifo = tuple[str, str]  # its input and output stream
TOOLS = ("verilator", "g++", "make", "perl")


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The activity of one stream in a run."""

    accepted: int  # beats
    waiting: int  # cycles of valid and not ready, up to the last output beat
    starved: int  # cycles of ready and not valid, up to the last output beat
    unheld: int  # the first beat that was withdrawn or changed before it was accepted; -1: none
    valid: int  # at the end of the run
    ready: int  # at the end of the run


@dataclass(frozen=True, kw_only=True)
class Run:
    """The bench's results for one run, and the files of recorded beats."""

    cycles: int  # simulated, including the quiet ones at the end
    first: int  # cycle of the first input beat
    ends: npt.NDArray[np.uint64]  # cycle of each frame's last output beat
    wrong_last: int  # the first output beat with a wrong TLAST; -1: none
    seconds: float
    quiet: int  # cycles without a beat after which the run ends
    names: tuple[str, ...]  # of the watched streams
    streams: tuple[Traffic, ...]  # of the watched streams, then of the AXI output port
    files: tuple[Path, ...]  # the accepted beats of each
    peaks: tuple[int, ...] = ()  # the highest fill of each FIFO, in beats

    @classmethod
    def load(cls, folder: Path, quiet: int, names: tuple[str, ...]) -> Run:
        """Read the results that the bench wrote into `folder`; `names` are the watched streams."""
        document: dict[str, Any] = json.loads((folder / "result.json").read_text())
        streams = tuple(Traffic(**s) for s in document.pop("streams"))
        peaks = tuple(document.pop("peaks"))
        ends = np.fromfile(folder / "ends.bin", np.uint64)
        files = tuple(folder / f"{index}.bin" for index in range(len(streams)))
        return cls(ends=ends, quiet=quiet, names=names, streams=streams, files=files, peaks=peaks, **document)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A compiled bench."""

    program: Path
    rtl: Path
    log: Path
    names: tuple[str, ...]  # of the watched streams

    def run(
        self, inputs: Path, out: Path, *, frames: int, quiet: int, seed: int, stalls: bool, trace: Path | None = None
    ) -> Run:
        """Stream the beats in `inputs` through the design; `trace` needs a bench that was built for tracing."""
        out.mkdir()
        numbers = [str(n) for n in (frames, quiet, seed, int(stalls))]
        places = [str(path.absolute()) for path in (inputs, out)]
        waves = [str(trace.absolute())] if trace else []
        args = [str(self.program), *places, *numbers, *waves]
        toolchain.run_tool(args, cwd=self.rtl, log=self.log)  # the RTL reads its memory files from there
        return Run.load(out, quiet, self.names)


def build(rtl: Path, folder: Path, log: Path, *, fifos: Sequence[Fifo] = (), trace: bool = False) -> Bench:
    """Compile the design in `rtl` and the bench into `folder`; `UserError` where a tool is missing.

    `fifos` are the input and output streams of FIFOs whose fill is recorded. g++ runs with -O1: -O2 and -O3 take up to
    50 % longer to compile, and the bench runs no faster (10,000 frames of a TFC).
    """
    toolchain.need(*TOOLS)
    design = Design.load(rtl)
    folder.mkdir()
    shutil.copy(SOURCE, folder)
    (folder / "rtl").symlink_to(rtl.absolute())  # keeps special characters of the path out of the makefiles
    (folder / "design.h").write_text(header(design, fifos))
    args: list[str | Path] = [
        toolchain.find("verilator"), "--cc", "--exe", "--build", "-j", str(os.cpu_count() or 1), "--prefix", "Vdut",
        "--top-module", design.top, "-Mdir", "obj", "-Wno-fatal", "--no-assert", "-O3",
        "-CFLAGS", "-O1 -std=c++17 -I..",
        "--x-assign", "unique", "--x-initial", "unique", *(["--trace"] if trace else []),
        *(f"rtl/{source}" for source in design.sources), "bench.cpp", "-o", "bench",
    ]  # fmt: skip
    toolchain.run_tool(args, cwd=folder, log=log)
    names = tuple(s.name for s in design.streams)
    return Bench(program=(folder / "obj" / "bench").absolute(), rtl=rtl.absolute(), log=log.absolute(), names=names)


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
