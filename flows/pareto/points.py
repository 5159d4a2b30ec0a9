# SPDX-License-Identifier: Apache-2.0
"""The points of a Pareto page: runs that have ended, by their reports, and those of them that nothing surpasses."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adiabit.errors import UserError
from adiabit.flows import documents
from adiabit.flows.check.budget import MORE_IS_BETTER
from adiabit.flows.ladder import RungState
from adiabit.flows.report.figures import Overflow

REPORT, PAGE = Path("report") / "report.json", Path("report") / "report.html"
STAGE = "synthesis"  # where the LUTs of our own points are counted: Yosys' netlist


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Where a figure comes from; figures of unlike facts are not comparable. Empty where the source does not say."""

    data: str  # the data set of the accuracy
    frames: str  # how many of its frames were tested
    encoder: str  # whether the LUTs include what turns pixels into the first layer's bits
    part: str
    tool: str
    stage: str  # place and route, or synthesis


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run, by its report."""

    page: Path  # of its report
    seed: int | None
    exact: bool | None  # whether every rung that ran is equal; None: none ran
    ladder: str  # in words
    quantities: Mapping[str, float]
    facts: Facts
    family: str  # of the part: LUTs of different families do not compare
    overflows: tuple[str, ...] = ()  # the resources that the part has too little of


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A point: the runs of one configuration, which differ in their seeds; or one without runs, and why."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)  # what distinguishes it from other points
    state: str = "finished"
    why: str = ""  # why it is not on the front, whatever its figures are
    runs: tuple[Run, ...] = ()
    estimate: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each quantity that all runs have."""
        return {key: statistics.mean(values) for key, values in self._values.items()}

    @property
    def spread(self) -> dict[str, float]:
        """The standard deviation of each quantity over the runs; empty for fewer than two."""
        return {key: statistics.stdev(values) for key, values in self._values.items() if len(values) > 1}

    @property
    def _values(self) -> dict[str, list[float]]:
        common = set.intersection(*(set(run.quantities) for run in self.runs)) if self.runs else set()
        return {key: [run.quantities[key] for run in self.runs] for key in sorted(common)}

    @property
    def differs(self) -> bool:
        """Whether a rung of a run differs."""
        return any(run.exact is False for run in self.runs)

    @property
    def counts(self) -> bool:
        """Whether it can be on the front: it has runs, all are exact, and nothing speaks against it."""
        return bool(self.runs) and not self.why and all(run.exact for run in self.runs)

    @property
    def kind(self) -> tuple[str, str]:
        """Data set and family of the part: only points of the same kind are compared."""
        return (self.runs[0].facts.data, self.runs[0].family) if self.runs else ("", "")


def front(dots: Iterable[Dot], objectives: Sequence[str]) -> list[Dot]:
    """The points that no other of their kind surpasses, which is to be as good in every objective and better in one."""
    known = [dot for dot in dots if dot.counts and dot.mean.keys() >= set(objectives)]
    return [dot for dot in known if not any(_surpasses(other, dot, objectives) for other in known)]


def _surpasses(one: Dot, other: Dot, objectives: Sequence[str]) -> bool:
    if one.kind != other.kind:
        return False
    ours, theirs = (signed(dot.mean, objectives) for dot in (one, other))
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))


def signed(quantities: Mapping[str, float], objectives: Collection[str]) -> list[float]:
    """The objectives with their signs such that more is better."""
    return [quantities[key] if key in MORE_IS_BETTER else -quantities[key] for key in objectives]


@dataclass(frozen=True, kw_only=True)
class _Rung:
    name: str
    status: RungState
    frames: int
    equal: int


@dataclass(frozen=True, kw_only=True)
class _Board:
    title: str
    part: str
    family: str


@dataclass(frozen=True, kw_only=True)
class _Training:
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Synthesis:
    tool: str


@dataclass(frozen=True, kw_only=True)
class _Report:
    """What a page reads of `report.json`."""

    name: str
    board: _Board
    rungs: tuple[_Rung, ...]
    quantities: Mapping[str, float]
    exact: bool | None
    overflows: tuple[Overflow, ...] = ()
    data: str = ""
    training: _Training | None = None
    synthesis: _Synthesis | None = None


def load_run(folder: Path) -> tuple[str, Run]:
    """The name of a run and its facts; `UserError` where its folder has no report, or a damaged one."""
    path = folder / REPORT
    if not path.exists():
        raise UserError(f"{folder}: no report; make it with `adiabit report RECIPE --out {folder}`")
    found = documents.read(_Report, path, f"make it again with `adiabit report RECIPE --out {folder}`")
    ran = [rung for rung in found.rungs if rung.status is not RungState.NOT_RUN]
    equal = [rung for rung in ran if rung.status is RungState.EQUAL]
    frames = max((rung.frames for rung in ran), default=0)
    return found.name, Run(
        page=(folder / PAGE).absolute(), seed=found.training.seed if found.training else None, exact=found.exact,
        ladder=f"{len(equal)} of {len(ran)} rungs equal, {frames:,} frames", quantities=found.quantities,
        family=found.board.family, overflows=tuple(map(str, found.overflows)),
        facts=Facts(
            data=found.data, frames=f"{frames:,} frames, corner inputs included",
            encoder="none: the circuit reads pixels", part=found.board.part,
            tool=found.synthesis.tool if found.synthesis else "", stage=STAGE if found.synthesis else "",
        ),
    )  # fmt: skip
