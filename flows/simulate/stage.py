# SPDX-License-Identifier: Apache-2.0
"""The stage `simulate`: all saved vectors through the RTL at full speed, some again with random gaps and stalls."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.ladder import Rung, RungName, Vectors, save_rungs
from adiabit.flows.simulate import figures
from adiabit.flows.simulate.bench import Bench, Run, build
from adiabit.flows.simulate.compare import Comparison, compare, write_beats
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit.design import Design
from adiabit.hw.stages import Stage

EVERY = "every stream, every beat"


def simulate(
    accelerator_folder: Path,
    rtl_folder: Path,
    vectors: Vectors,
    out: Path,
    config: SimulateConfig | None = None,
    *,
    rung: RungName = RungName.RTL,
) -> None:
    """Write `simulation.json`, `rungs.json`, `simulate.log` and, on request, waveforms into `out`.

    The accepted beats of each stream must equal the golden model's values for every frame, in two runs: all frames
    back to back at full speed, from random register contents, and the first `stall_frames` with random gaps and
    stalls. `design.json` of the RTL lists the streams: every stream of our RTL, only input and output of the RTL that
    Vitis HLS makes. `rung` is the rung to report. `UserError` where a tool is missing or the frames do not exist.
    """
    config = config or SimulateConfig()
    accelerator = storage.load(accelerator_folder)
    vectors = select(vectors, config)
    golden.check_frames(accelerator.input, vectors.frames)
    check_design(accelerator, rtl_folder)
    count = min(config.stall_frames, len(vectors.frames))
    with toolchain.workplace(out) as work:
        start = time.monotonic()
        buffers = _buffers(accelerator, rtl_folder)
        fifos = [(stage.inputs[0].name, stage.outputs[0].name) for stage in buffers]
        bench = build(rtl_folder, work / "build", out / "simulate.log", fifos=fifos, trace=config.trace)
        seconds_build = time.monotonic() - start
        passes = _Passes(accelerator, vectors.frames, bench, work, config.seed)
        start = time.monotonic()
        full, compared = passes.run(end=len(vectors.frames), trace=out / "full_speed.vcd" if config.trace else None)
        seconds_run = time.monotonic() - start
        results = [compared]
        if count:
            trace = out / "stalls.vcd" if config.trace else None
            results.append(passes.run(end=count, stalls=True, trace=trace)[1])
        finding = _difference(passes, results, config.first, () if rung is RungName.RTL else ("--backend", "cosim"))
    made = figures.Simulation(
        frames=len(vectors.frames),
        first=config.first,
        seed=config.seed,
        random_stall_frames=count,
        **_speed(full),
        cycles_per_frame_expected=accelerator.cycles,
        stalls=_stalls(accelerator, full),
        fifos={
            stage.name: figures.Fill(depth=stage.capacity, high_water=peak)
            for stage, peak in zip(buffers, full.peaks, strict=True)
        },
        seconds_build=round(seconds_build, 3),
        seconds_run=round(seconds_run, 3),
        cycles_per_second=round(full.cycles / max(full.seconds, 1e-9)),
    )
    figures.save(out, made)
    watched = EVERY if len(full.names) == len(list(accelerator.streams)) else "input and output, every beat"
    save_rungs(out, [rung_of(rung, accelerator, vectors, results, compared=watched, finding=finding)])


def _buffers(accelerator: Accelerator, rtl: Path) -> list[Stage]:
    """The FIFOs whose two streams the design both exposes."""
    known = {s.name for s in Design.load(rtl).streams}
    return [s for s in accelerator.stages if s.capacity and known >= {stream.name for stream in s.streams}]


@dataclass(frozen=True)
class _Passes:
    """Runs one bench over ranges of the same frames."""

    accelerator: Accelerator
    frames: npt.NDArray[Any]
    bench: Bench
    work: Path
    seed: int

    def run(
        self, *, end: int, start: int = 0, stalls: bool = False, trace: Path | None = None
    ) -> tuple[Run, Comparison]:
        """Simulate and compare the frames from `start` to `end`."""
        frames = self.frames[start:end]
        work = Path(tempfile.mkdtemp(dir=self.work))
        write_beats(self.accelerator, frames, work / "input.bin")
        quiet = 1000 + 8 * max(s.cycles for s in self.accelerator.stages)  # no live stage is idle that long
        run = self.bench.run(
            work / "input.bin", work / "out", frames=len(frames), quiet=quiet, seed=self.seed, stalls=stalls,
            trace=trace and trace.absolute(),
        )  # fmt: skip
        return run, compare(self.accelerator, frames, run)


Finding = tuple[str, tuple[str, ...]]  # a difference, and the verb and options that reproduce it


def _difference(passes: _Passes, results: list[Comparison], first: int, options: tuple[str, ...]) -> Finding:
    """The first difference at full speed, else the first with stalls, and the command that reproduces it."""
    full, *stalled = (r.difference for r in results)
    found = full or next(iter(stalled), None)
    if found is None:
        return "", ()
    end, start = found.frame + 1, 0  # the same stalls recur only in a run from the same first frame
    if full:  # the shortest of these runs that reproduces the fault, which may depend on earlier frames
        starts = (max(0, found.frame - back) for back in (0, 1, 8, 64))
        start = next((s for s in starts if passes.run(start=s, end=end)[1].difference), 0)
    replay = ("simulate", *options, "--frames", f"{first + start}:{first + end}", "--trace")
    return f"{'' if full else 'with random stalls, '}{found.describe(first)}", replay


def select(vectors: Vectors, config: SimulateConfig) -> Vectors:
    """The vectors that the configuration selects; `UserError` if there are fewer."""
    have = len(vectors.frames)
    if config.first + (config.frames or 1) > have:
        wanted = f"first={config.first}, frames={config.frames or 'all'}"
        raise UserError(f"[simulate]: {wanted} exceed the {have} saved vectors; choose fewer frames")
    end = have if config.frames is None else config.first + config.frames
    return Vectors(**{f.name: getattr(vectors, f.name)[config.first : end] for f in dataclasses.fields(vectors)})


def check_design(accelerator: Accelerator, rtl: Path) -> None:
    """Raise `UserError` for RTL that was emitted from another accelerator."""
    want = [(s.name, s.width, s.beats) for s in accelerator.streams]
    have = [(s.name, s.width, s.beats) for s in Design.load(rtl).streams]
    if have != [row for row in want if row in have] or (have[0], have[-1]) != (want[0], want[-1]):
        raise UserError(f"{rtl}: its streams are not those of accelerator {accelerator.name}; emit it again")


def _speed(run: Run) -> dict[str, int | None]:
    """The timing fields of `figures.Simulation`; frames are timed at their last output beats."""
    ends = [int(e) for e in run.ends]
    distances = [b - a for a, b in itertools.pairwise(ends)]
    return {
        "cycles_per_frame": statistics.median_low(distances) if distances else None,
        "cycles_per_frame_min": min(distances, default=None),
        "cycles_per_frame_max": max(distances, default=None),
        "latency_cycles": ends[0] - run.first + 1 if ends else None,
        "total_cycles": ends[-1] - run.first + 1 if ends else None,
    }


def _stalls(accelerator: Accelerator, run: Run) -> dict[str, figures.Waits]:
    """The traffic of each stream, by name."""
    return {
        s.name: figures.Waits(beats=t.accepted, valid_not_ready=t.waiting, ready_not_valid=t.starved)
        for s, t in zip(accelerator.streams, run.streams, strict=False)
    }


def rung_of(
    name: RungName, accelerator: Accelerator, vectors: Vectors, results: list[Comparison], *, finding: Finding,
    compared: str = EVERY,
) -> Rung:  # fmt: skip
    """The rung for runs over the vectors: the first run covered all of them, each other one a number of the first.

    If the output is a single accumulator, the accuracy is not known here.
    """
    equal = results[0].equal.copy()
    for result in results[1:]:
        equal[: len(result.equal)] &= result.equal
    outputs = results[0].outputs.reshape(len(equal), -1, accelerator.output.channels)[:, 0]
    selected = accelerator.labels
    meaning = accelerator.meaning
    predictions = outputs[:, 0] if selected else (meaning.reals(outputs) if meaning else outputs).argmax(axis=1)
    return Rung(
        name=name,
        frames=len(equal),
        equal=int(np.count_nonzero(equal)),
        accuracy=vectors.accuracy(predictions) if selected or outputs.shape[1] > 1 else None,
        compared=compared,
        difference=finding[0],
        replay=finding[1],
    )
