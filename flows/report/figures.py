# SPDX-License-Identifier: Apache-2.0
"""The figures of a run; the figure of a stage that did not run is None, never a guess."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adiabit.boards.catalog import Board
from adiabit.flows.bitstream.figures import Bitstream, OnBoard
from adiabit.flows.ladder import Rung
from adiabit.flows.report.mistakes import Mistakes
from adiabit.flows.resources import RESOURCES, Resources
from adiabit.flows.simulate.figures import Simulation
from adiabit.flows.synthesize.figures import Synthesis
from adiabit.flows.training import Training
from adiabit.hw.accelerator import Accelerator


@dataclass(frozen=True, kw_only=True)
class Overflow:
    """A resource that the circuit needs more of than the part has."""

    name: str
    needs: float
    holds: int

    def __str__(self) -> str:
        """The line for terminal and report."""
        share = f" ({max(101, round(100 * self.needs / self.holds))} %)" if self.holds else ""
        return f"does not fit: {self.name} {self.needs:,.0f} of {self.holds:,}{share}"


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """One stage of the accelerator; `kind` is empty for the logic outside the stages."""

    name: str
    kind: str = ""
    pe: int | None = None
    simd: int | None = None
    memory: str | None = None
    cycles: int | None = None
    estimate: Resources | None = None
    synthesis: Resources | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Everything in the report; `seconds` is the time that each stage of the flow took to run."""

    name: str
    board: Board
    clock_mhz: float
    date: str  # ISO 8601, UTC
    data: str = ""  # the data set that the accuracy was measured on
    classes: tuple[str, ...] = ()  # their names in the order of the labels, where they have names
    mistakes: Mistakes | None = None  # of the labelled vectors
    command: str
    rungs: tuple[Rung, ...]
    stages: tuple[StageFigures, ...] = ()
    cycles_estimate: int | None = None  # per frame, in steady state
    latency_estimate: int | None = None  # in cycles
    training: Training | None = None
    estimate: Resources | None = None
    simulation: Simulation | None = None
    synthesis: Synthesis | None = None
    bitstream: Bitstream | None = None
    on_board: OnBoard | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""  # what would fit, if the accelerator does not fit
    accelerator: Accelerator | None = field(default=None, compare=False)  # for the drawing; not in report.json
    pictures: tuple[str, ...] = field(default=(), compare=False)  # of the hardest frames; likewise

    @property
    def capacity(self) -> Resources:
        """The resources of the board's part."""
        return Resources(lut=self.board.luts, ff=self.board.ffs, bram18=self.board.bram18, dsp=self.board.dsps)

    def class_name(self, label: int) -> str:
        """The name of a class, or its number where it has none."""
        return self.classes[label] if self.classes else str(label)

    def needs(self, resource: str) -> float | None:
        """How much of a resource (a field of `Resources`) the circuit needs, by synthesis or else by the estimate."""
        found = (getattr(r, resource) for r in (self.synthesis and self.synthesis.total, self.estimate) if r)
        return next((value for value in found if value is not None), None)

    @property
    def overflows(self) -> tuple[Overflow, ...]:
        """The resources that the part has too little of."""
        rows = [(name, self.needs(key), getattr(self.capacity, key)) for key, name in RESOURCES.items()]
        if self.synthesis and self.board.carries is not None:
            rows.append(("carry cells", self.synthesis.total.carry, self.board.carries))
        return tuple(
            Overflow(name=name, needs=needs, holds=holds) for name, needs, holds in rows if needs and needs > holds
        )

    @property
    def warnings(self) -> dict[str, list[str]]:
        """Warnings that equality shows little, each with the rungs it concerns."""
        found: dict[str, list[str]] = {}
        for rung in self.rungs:
            for warning in rung.warnings:
                found.setdefault(warning, []).append(rung.name)
        return found

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
        """Whether all rungs that ran are equal; None if none ran."""
        ran = [r for r in self.rungs if r.ran]
        return not self.differences if ran else None

    @property
    def accuracy(self) -> float | None:
        """The hard test accuracy: the training's, else that of the last rung that ran on labelled frames."""
        if self.training:
            return self.training.hard_test
        return next((r.accuracy for r in reversed(self.rungs) if r.accuracy is not None), None)

    @property
    def fps_estimate(self) -> float | None:
        """Frames per second at the clock, from the estimated cycles."""
        return self.clock_mhz * 1e6 / self.cycles_estimate if self.cycles_estimate else None

    @property
    def fps_measured(self) -> float | None:
        """Frames per second at the clock, from the simulated cycles."""
        cycles = self.simulation.cycles_per_frame if self.simulation else None
        return self.clock_mhz * 1e6 / cycles if cycles else None

    @property
    def latency_us(self) -> float | None:
        """Microseconds from a frame's first beat to its result, at the clock."""
        cycles = self.simulation.latency_cycles if self.simulation else None
        return cycles / self.clock_mhz if cycles is not None else None

    @property
    def quantities(self) -> dict[str, float]:
        """The measured quantities by the keys of a recipe's `[budget]`; those that were not measured are missing."""
        total = self.synthesis.total if self.synthesis else None
        found = {
            "accuracy": self.accuracy, "fps": self.fps_measured,
            "cycles": self.simulation.cycles_per_frame if self.simulation else None, "latency_us": self.latency_us,
            "toggles": self.simulation.toggles_per_frame if self.simulation else None,
            **{key: getattr(total, key) if total else None for key in RESOURCES},
        }  # fmt: skip
        return {name: float(value) for name, value in found.items() if value is not None}

    def document(self) -> dict[str, Any]:
        """The figures as JSON types, including derived ones."""
        derived = {"exact": self.exact, "quantities": self.quantities, "fps_estimate": self.fps_estimate,
                   "fps_measured": self.fps_measured, "latency_us": self.latency_us,
                   "overflows": [dataclasses.asdict(overflow) for overflow in self.overflows]}  # fmt: skip
        fields = dataclasses.asdict(dataclasses.replace(self, accelerator=None))
        del fields["accelerator"], fields["pictures"]
        fields["rungs"] = [{**dataclasses.asdict(r), "status": r.status} for r in self.rungs]
        return {**fields, **derived, "capacity": dataclasses.asdict(self.capacity)}
