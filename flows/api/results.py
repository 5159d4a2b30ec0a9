# SPDX-License-Identifier: Apache-2.0
"""What an accelerator's methods return: figures, which show themselves in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adiabit.flows.ladder import RungName, load_rungs
from adiabit.flows.resources import RESOURCES, Resources
from adiabit.flows.simulate import figures as simulating
from adiabit.hw import golden

if TYPE_CHECKING:
    import numpy.typing as npt

    from adiabit.flows.report.figures import Figures
    from adiabit.hw.accelerator import Accelerator


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What the RTL did in Verilator, compared with the golden model: every stream, every beat."""

    outputs: npt.NDArray[np.int64]
    """What came out of the RTL, (F, *output shape)."""
    predictions: npt.NDArray[np.int64]
    """The class of each frame (F,), of the outputs."""
    equal: int
    """Frames without a difference."""
    difference: str
    """The first difference: stage, frame, position, channel, both values; empty if there is none."""
    accuracy: float | None
    """Of the saved vectors that are labelled, 0...1."""
    figures: simulating.Simulation = field(repr=False)
    """All figures: cycles, stalls by stream, high-water marks of FIFOs."""

    @classmethod
    def read(cls, folder: Path, graph: Accelerator) -> Simulated:
        """The result of a simulation's folder."""
        from adiabit.flows.simulate.stage import OUTPUTS

        outputs = np.load(folder / OUTPUTS, allow_pickle=False)
        rung = next(rung for rung in load_rungs(folder) if rung.name is RungName.RTL)
        return cls(
            outputs=outputs, predictions=golden.predictions(graph, outputs), equal=rung.equal,
            difference=rung.difference, accuracy=rung.accuracy, figures=simulating.load(folder),
        )  # fmt: skip

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.outputs)

    @property
    def exact(self) -> bool:
        """Whether every beat of every stream equals the golden model's."""
        return self.equal == self.frames

    @property
    def cycles_per_frame(self) -> int | None:
        """The median; None for a single frame."""
        return self.figures.cycles_per_frame

    @property
    def latency_cycles(self) -> int | None:
        """Cycles from a frame's first beat to its result."""
        return self.figures.latency_cycles

    def __repr__(self) -> str:
        verdict = "all equal" if self.exact else f"{self.difference}"
        return (f"Simulated({self.equal:,} of {self.frames:,} frames equal the golden model, {verdict}; "
                f"{self.cycles_per_frame} cycles a frame, {self.latency_cycles} cycles of latency)")  # fmt: skip

    def _repr_html_(self) -> str:
        from adiabit.flows.api.notebook import simulation

        return simulation(self)


@dataclass(frozen=True, kw_only=True)
class Utilization:
    """Resources of an accelerator on a part, in all and by stage."""

    by: str
    """Who counted: "estimate", or Yosys with its version."""
    part: str
    """The part, as Vivado names it."""
    total: Resources
    """LUTs, flip-flops, block RAMs of 18 Kbit and DSPs in all."""
    stages: Mapping[str, Resources]
    """The same by stage."""
    capacity: Resources
    """What the part has."""
    cycles: int | None
    """Cycles a frame, those of the slowest stage."""
    figures: Figures = field(repr=False)
    """All figures of the run."""

    @classmethod
    def estimated(cls, figures: Figures) -> Utilization:
        """By the fitted model of :mod:`adiabit.hw.stages.cost`."""
        rows = {row.name: row.estimate for row in figures.stages if row.estimate}
        return cls._of(figures, "estimate", figures.estimate or Resources(), rows)

    @classmethod
    def synthesized(cls, figures: Figures) -> Utilization:
        """By Yosys."""
        assert figures.synthesis is not None  # noqa: S101  # the caller made it
        rows = {row.name: row.synthesis for row in figures.stages if row.synthesis}
        return cls._of(figures, figures.synthesis.tool, figures.synthesis.total, rows)

    @classmethod
    def _of(cls, figures: Figures, by: str, total: Resources, rows: Mapping[str, Resources]) -> Utilization:
        return cls(
            by=by, part=figures.board.part, total=Resources(**{key: getattr(total, key) for key in RESOURCES}),
            stages=rows, capacity=figures.capacity, cycles=figures.cycles_estimate, figures=figures,
        )  # fmt: skip

    @property
    def fits(self) -> bool:
        """Whether the part has enough of everything."""
        return all((getattr(self.total, key) or 0) <= (getattr(self.capacity, key) or 0) for key in RESOURCES)

    def __str__(self) -> str:
        used = ", ".join(f"{getattr(self.total, key):,.0f} {name}" for key, name in RESOURCES.items()
                         if getattr(self.total, key))  # fmt: skip
        return f"{self.cycles:,} cycles a frame, {used} on {self.part} by {self.by}"

    def _repr_html_(self) -> str:
        from adiabit.flows.api.notebook import utilization

        return utilization(self.figures)


@dataclass(frozen=True)
class Report:
    """The figures of a whole run, and the page that shows them."""

    figures: Figures = field(repr=False)
    """All figures of the run."""
    path: Path
    """The page, report.html; report.json is beside it."""

    @property
    def exact(self) -> bool:
        """Whether all rungs that ran agree, in every integer."""
        return self.figures.agrees

    @property
    def quantities(self) -> Mapping[str, float]:
        """The measured quantities by the keys of a recipe's `[budget]`: accuracy, lut, ff, bram18, cycles, fps, ..."""
        return self.figures.quantities

    def _repr_html_(self) -> str:
        from adiabit.flows.api.notebook import report

        return report(self.figures)
