# SPDX-License-Identifier: Apache-2.0
"""`sweep.json`: the points of a sweep and their trials, so that its page can be made without its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.check.findings import limits
from adiabit.flows.pareto.points import Dot, load_run
from adiabit.flows.sweep import trial as trials
from adiabit.flows.sweep.plan import Constraints
from adiabit.flows.sweep.trial import State

FILE, RUNS = "sweep.json", "runs"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A point: chosen, or ruled out."""

    name: str
    labels: Mapping[str, str]
    trials: tuple[str, ...] = ()  # their folders below `runs`, of those that have ended
    ruled_out: str = ""  # why
    estimate: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A sweep."""

    name: str
    command: str
    objectives: tuple[str, ...]
    constraints: Constraints
    points: tuple[Entry, ...]

    def dots(self, out: Path) -> list[Dot]:
        """The points as a page shows them; `out` is the folder of the sweep."""
        return [self._dot(entry, out) for entry in self.points]

    def _dot(self, entry: Entry, out: Path) -> Dot:
        if entry.ruled_out:
            return Dot(name=entry.name, labels=entry.labels, state=State.RULED_OUT, why=entry.ruled_out,
                       estimate=entry.estimate)  # fmt: skip
        ended = {name: outcome for name in entry.trials if (outcome := trials.load(out / RUNS / name))}
        bad = [outcome for outcome in ended.values() if outcome.state is not State.FINISHED]
        runs = [load_run(out / RUNS / name)[1] for name, end in ended.items() if end.state is State.FINISHED]
        dot = Dot(name=entry.name, labels=entry.labels, runs=tuple(runs), estimate=entry.estimate,
                  state=bad[0].state if bad else State.FINISHED if ended else State.WAITING)  # fmt: skip
        why = "; ".join([*(outcome.why for outcome in bad), *self._breaches(dot)])
        return Dot(**{**vars(dot), "why": why})

    def _breaches(self, dot: Dot) -> list[str]:
        """The constraints that the measured figures break."""
        found = [str(finding) for finding in limits(dot.mean, self.constraints) if dot.runs and not finding.kept]
        over = [line for run in dot.runs for line in run.overflows]
        return [*found, *(dict.fromkeys(over) if self.constraints.fits else [])]


def save(record: Record, out: Path) -> None:
    """Write the file into the sweep's folder."""
    documents.write(out / FILE, record)


def load(out: Path) -> Record:
    """Read the file of a sweep's folder; `UserError` where it is missing or damaged."""
    return documents.read(Record, out / FILE, "`adiabit sweep FILE` makes it")
