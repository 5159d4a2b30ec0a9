# SPDX-License-Identifier: Apache-2.0
"""The stage `simulate`: all saved vectors through the RTL at full speed, some again with random gaps and stalls."""

from __future__ import annotations

import dataclasses
import statistics
import time
from pathlib import Path

import numpy as np

from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.ladder import Rung, RungName, Vectors, save_rungs
from adiabit.flows.simulate import figures
from adiabit.flows.simulate.activity import record
from adiabit.flows.simulate.bench import Tracing, build
from adiabit.flows.simulate.compare import Comparison
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.passes import Passes
from adiabit.flows.simulate.runs import Run, Span
from adiabit.flows.simulate.slices import Outcome, cut, distances, first_different, join, peaks, placed
from adiabit.flows.simulate.slices import work as work_of
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit.design import Design
from adiabit.hw.stages import Stage

EVERY = "every stream, every beat"
COSIM = ("--backend", "cosim")  # of the command line
OUTPUTS = "outputs.npy"  # what came out for each frame, (F, *output shape), at full speed
LONG = 1 << 26  # the work, in cycles, of a simulation for which a bench that compiles longer and runs faster pays off


def simulate(
    accelerator_folder: Path,
    rtl_folder: Path,
    vectors: Vectors,
    out: Path,
    config: SimulateConfig | None = None,
    *,
    rung: RungName = RungName.RTL,
) -> None:
    """Write `simulation.json`, `rungs.json`, `outputs.npy` and a log into `out`, on request waveforms, `activity.saif`.

    The accepted beats of each stream must equal the golden model's values for every frame, twice: all frames back to
    back at full speed, from random register contents, and the first `stall_frames` with random gaps and stalls. Many
    frames are cut into slices (:mod:`adiabit.flows.simulate.slices`), unless waveforms are wanted. `design.json` of the
    RTL lists the streams: every stream of our RTL, only input and output of the RTL that Vitis HLS makes. `rung` is the
    rung to report. `UserError` where a tool is missing or the frames do not exist.
    """
    config = config or SimulateConfig()
    accelerator = storage.load(accelerator_folder)
    vectors = select(vectors, config)
    golden.check_frames(accelerator.input, vectors.frames)
    check_design(accelerator, rtl_folder)
    buffers = _buffers(accelerator, rtl_folder)
    with toolchain.workplace(out) as work:
        start = time.monotonic()
        fast = work_of(accelerator, len(vectors.frames)) >= LONG
        fifos = [(stage.inputs[0].name, stage.outputs[0].name) for stage in buffers]
        log = out / "simulate.log"
        tracing = Tracing.WAVES if config.trace else Tracing.NONE
        bench = build(rtl_folder, work / "build", log, fifos=fifos, tracing=tracing, fast=fast, seed=config.seed)
        built = time.monotonic()
        passes = Passes(accelerator_folder, accelerator, vectors.frames, bench, work, config.processes)
        full, paused = _run(passes, config, out)
        ended = time.monotonic()
        toggles = record(passes, rtl_folder, config, out, log) if config.activity else None
        finding = _difference(passes, full, paused, config.first, () if rung is RungName.RTL else COSIM)
    made = dataclasses.replace(
        _figures(accelerator, config, full, paused, buffers), toggles_per_frame=toggles,
        seconds_build=round(built - start, 3), seconds_run=round(ended - built, 3),
    )  # fmt: skip
    figures.save(out, made)
    watched = EVERY if len(full[0].run.names) == len(list(accelerator.streams)) else "input and output, every beat"
    results = [join(full), *(one.compared for one in paused)]
    np.save(out / OUTPUTS, results[0].outputs)
    save_rungs(out, [rung_of(rung, accelerator, vectors, results, compared=watched, finding=finding)])


def _run(passes: Passes, config: SimulateConfig, out: Path) -> tuple[list[Outcome], list[Outcome]]:
    """The runs at full speed, and those with stalls, all side by side."""
    out, frames, trace = out.absolute(), len(passes.frames), config.trace
    count = min(config.stall_frames, frames)
    full = [Span(end=frames, trace=out / "full_speed.vcd")] if trace else cut(passes.accelerator, frames)
    paused = [Span(end=count, stalls=True, trace=out / "stalls.vcd" if trace else None)] if count else []
    outcomes = passes.run_all([*paused, *full])  # the longest first
    return outcomes[len(paused) :], outcomes[: len(paused)]


def _figures(
    accelerator: Accelerator,
    config: SimulateConfig,
    full: list[Outcome],
    paused: list[Outcome],
    buffers: list[Stage],
) -> figures.Simulation:
    """What `simulation.json` holds besides the seconds."""
    return figures.Simulation(
        frames=full[-1].span.end,
        first=config.first,
        seed=config.seed,
        random_stall_frames=sum(one.span.end for one in paused),
        **_speed(full),
        cycles_per_frame_expected=accelerator.cycles,
        counted_frames=full[0].span.end,
        stalls=_stalls(accelerator, full[0].run),
        fifos={
            stage.name: figures.Fill(depth=stage.capacity, high_water=peak)
            for stage, peak in zip(buffers, peaks(full), strict=True)
        },
        seconds_build=0.0,
        seconds_run=0.0,
        cycles_per_second=round(sum(o.run.cycles for o in full) / max(sum(o.run.seconds for o in full), 1e-9)),
    )


def _buffers(accelerator: Accelerator, rtl: Path) -> list[Stage]:
    """The FIFOs whose two streams the design both exposes."""
    known = {s.name for s in Design.load(rtl).streams}
    return [s for s in accelerator.stages if s.capacity and known >= {stream.name for stream in s.streams}]


Finding = tuple[str, tuple[str, ...]]  # a difference, and the verb and options that reproduce it


def _difference(
    passes: Passes, full: list[Outcome], paused: list[Outcome], first: int, options: tuple[str, ...]
) -> Finding:
    """The first difference at full speed, else the first with stalls, and the command that reproduces it."""
    one = first_different(full) or first_different(paused)
    if one is None:
        return "", ()
    found, start = placed(one), one.span.start  # the same stalls recur only in a run from the same first frame
    end = found.frame + 1
    if not one.span.stalls:  # the shortest of these runs that reproduces the fault, which may depend on earlier frames
        starts = (max(one.span.start, found.frame - back) for back in (0, 1, 8, 64))
        alone = (Span(start=s, end=end) for s in starts)
        start = next((s.start for s in alone if passes.run(s).compared.difference), start)
    replay = ("simulate", *options, "--frames", f"{first + start}:{first + end}", "--trace")
    return f"{'with random stalls, ' if one.span.stalls else ''}{found.describe(first)}", replay


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


def _speed(full: list[Outcome]) -> dict[str, int | None]:
    """The timing fields of `figures.Simulation`; frames are timed at their last output beats.

    The total is the time from the first frame's first beat to its result, and on to each next result.
    """
    cycles, run = distances(full), full[0].run
    latency = run.ends[0] - run.first + 1 if run.ends else None
    return {
        "cycles_per_frame": statistics.median_low(cycles) if cycles else None,
        "cycles_per_frame_min": min(cycles, default=None),
        "cycles_per_frame_max": max(cycles, default=None),
        "latency_cycles": latency,
        "total_cycles": latency + sum(cycles) if latency is not None else None,
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
    known = accelerator.labels or accelerator.output.channels > 1
    predictions = golden.predictions(accelerator, results[0].outputs).reshape(len(equal), -1)[:, 0]
    return Rung(
        name=name,
        frames=len(equal),
        equal=int(np.count_nonzero(equal)),
        accuracy=vectors.accuracy(predictions) if known else None,
        compared=compared,
        difference=finding[0],
        replay=finding[1],
    )
