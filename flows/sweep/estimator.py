# SPDX-License-Identifier: Apache-2.0
"""What a point will cost, before anything is trained; what surely breaks a constraint is ruled out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.check.findings import Finding, limits
from adiabit.flows.recipe import Recipe
from adiabit.flows.resources import RESOURCES
from adiabit.flows.sweep.plan import Constraints

SLACK = 0.25  # an estimate rules out what exceeds a limit by more; benchmarks/estimate.md has the errors of networks
EXACT = ("cycles", "fps")  # without slack


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The estimated quantities of a point, and why it is ruled out; empty if it is not."""

    estimate: Mapping[str, float] = field(default_factory=dict)
    why: str = ""


def judge(recipe: Recipe, constraints: Constraints) -> Verdict:
    """Estimate the accelerator of a recipe; one that is trained already is estimated when it is compiled.

    A folding that is impossible rules a point out, too.
    """
    if recipe.onnx is not None:
        return Verdict()
    try:
        estimate = _estimate(recipe)
    except UserError as error:
        return Verdict(why=str(error))
    return Verdict(estimate=estimate, why="; ".join(_breaches(recipe, constraints, estimate)))


def _estimate(recipe: Recipe) -> dict[str, float]:
    from adiabit.flows.finn.folding import folded
    from adiabit.flows.untrained import accelerator
    from adiabit.hw.estimate import estimate
    from adiabit.train.config import check_sizes

    check_sizes(recipe.data, recipe.model, recipe.train)
    board = catalog.load(recipe.target.board)
    clock = recipe.target.clock_mhz or board.clock_mhz
    found = estimate(folded(accelerator(recipe), recipe.compile.fold, board, clock))
    cost = found.resources
    return {
        "lut": cost.luts, "ff": cost.ffs, "bram18": cost.bram18, "dsp": cost.dsps, "cycles": found.cycles,
        "fps": clock * 1e6 / found.cycles, "latency_us": found.latency / clock,
    }  # fmt: skip


def _breaches(recipe: Recipe, constraints: Constraints, estimate: Mapping[str, float]) -> Iterator[str]:
    """The limits that the estimate breaks by more than its error."""
    for finding in limits(estimate, constraints):
        if finding.value is not None and not _near(finding):
            yield f"{finding}, by the estimate"
    board = catalog.load(recipe.target.board)
    capacity = {"lut": board.luts, "ff": board.ffs, "bram18": board.bram18, "dsp": board.dsps}
    for key, name in RESOURCES.items():
        if constraints.fits and estimate[key] > (1 + SLACK) * capacity[key]:
            yield f"{name}: {estimate[key]:,.0f}, {board.title} has {capacity[key]:,}, by the estimate"


def _near(finding: Finding) -> bool:
    """Whether a limit is kept, or broken by no more than the estimate's error."""
    slack = 0.0 if finding.quantity in EXACT else SLACK
    factor = 1 + slack if finding.at_least else 1 / (1 + slack)
    assert finding.value is not None  # noqa: S101  # the caller has checked
    value = finding.value * factor
    return value >= finding.limit if finding.at_least else value <= finding.limit
