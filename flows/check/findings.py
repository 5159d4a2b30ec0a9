# SPDX-License-Identifier: Apache-2.0
"""What a run keeps of its budget, and what not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adiabit.flows.check.budget import MORE_IS_BETTER, QUANTITIES, Baseline, Budget, Limits
from adiabit.flows.report.figures import Figures
from adiabit.flows.report.tables import NOT_RUN, Cell, Column, Table
from adiabit.flows.resources import RESOURCES

TITLES = {
    "accuracy": "Test accuracy", "fps": "Frames a second", "cycles": "Cycles a frame", "latency_us": "Latency, µs",
    **RESOURCES, "toggles": "Toggles a frame",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A quantity beside a limit; `value` is None where it was not measured, which keeps no limit."""

    quantity: str
    value: float | None
    limit: float
    baseline: float | None = None  # where the limit comes from one

    @property
    def at_least(self) -> bool:
        """Whether the limit is a lower one."""
        return self.quantity in MORE_IS_BETTER

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def bound(self) -> str:
        """The limit in words."""
        where = " (baseline)" if self.baseline is not None else ""
        return f"{'at least' if self.at_least else 'at most'} {written(self.quantity, self.limit)}{where}"

    def __str__(self) -> str:
        return f"{TITLES[self.quantity]}: {written(self.quantity, self.value)}, {self.bound}"


@dataclass(frozen=True, kw_only=True)
class Check:
    """The outcome of a check: the run's figures, and their quantities beside the limits."""

    figures: Figures
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every rung that ran is equal, at least one ran, and every limit is kept."""
        return bool(self.figures.exact) and all(finding.kept for finding in self.findings)


def check(figures: Figures, budget: Budget, baseline: Baseline | None = None) -> Check:
    """Compare a run with its budget and, if given, with the baseline."""
    measured = figures.quantities
    found = [*limits(measured, budget), *(_comparisons(measured, budget, baseline) if baseline else ())]
    return Check(figures=figures, findings=tuple(found))


def limits(measured: Mapping[str, float], budget: Limits) -> Iterator[Finding]:
    """Each limit that is given, beside its quantity."""
    for name in QUANTITIES:
        limit = getattr(budget, name)
        if limit is not None:
            yield Finding(quantity=name, value=measured.get(name), limit=limit)


def _comparisons(measured: Mapping[str, float], budget: Budget, baseline: Baseline) -> Iterator[Finding]:
    for name, before in baseline.quantities.items():
        tolerance = budget.tolerance(name)
        if tolerance is None or name not in QUANTITIES:
            continue
        margin = tolerance / 100 * (1 if name == "accuracy" else before)
        limit = before - margin if name in MORE_IS_BETTER else before + margin
        yield Finding(quantity=name, value=measured.get(name), limit=limit, baseline=before)


def written(quantity: str, value: float | None) -> str:
    """A quantity's value as text."""
    if value is None:
        return NOT_RUN
    if quantity == "accuracy":
        return f"{100 * value:.2f} %"
    return f"{value:,.2f}" if quantity == "latency_us" else f"{value:,.0f}"


def change(finding: Finding) -> str:
    """The change against the baseline."""
    if finding.baseline is None or finding.value is None:
        return ""
    if finding.quantity == "accuracy":
        return f"{100 * (finding.value - finding.baseline):+.2f} points"
    return f"{100 * (finding.value / finding.baseline - 1):+.1f} %" if finding.baseline else ""


def table(found: Check) -> Table:
    """Each limit, and whether it is kept."""
    heads = (Column("Quantity"), Column("Value", True), Column("Limit"), Column("Change", True), Column("Kept"))
    rows = tuple(
        (Cell(TITLES[f.quantity]), Cell(written(f.quantity, f.value)), Cell(f.bound), Cell(change(f)),
         Cell("yes", "good") if f.kept else Cell("NO", "bad"))
        for f in found.findings
    )  # fmt: skip
    return Table(title="Budget", columns=heads, rows=rows)
