# SPDX-License-Identifier: Apache-2.0
"""`adiabit check`: the ladder and the budget, for continuous integration."""

from __future__ import annotations

from typing import Annotated

import typer

from adiabit.errors import UserError
from adiabit.flows.cli.app import console, tell
from adiabit.flows.cli.run import reported
from adiabit.flows.cli.verb import Request, verb

SaveOption = Annotated[
    bool, typer.Option("--save", help="Write the run's figures to budget.baseline instead of comparing with it.")
]


@verb("check")
def check(request: Request, save: SaveOption = False) -> int:
    """Run every stage and hold the recipe's [budget]. Exit code 1: a rung differs, or a limit is not kept.

    Leaves check.json, junit.xml, summary.md and badge.json in the folder check beside the stages.
    """
    from adiabit.flows import documents
    from adiabit.flows.check import findings, results
    from adiabit.flows.check.budget import Baseline, load_baseline
    from adiabit.flows.report.terminal import rich_table

    pipeline = request.pipeline()
    budget = pipeline.recipe.budget
    if save and budget.baseline is None:
        raise UserError(f"{request.recipe}: [budget]: baseline: missing; name the file that --save writes")
    before = load_baseline(budget.baseline) if budget.baseline and not save else None
    figures = reported(pipeline)
    found = findings.check(figures, budget, before)
    place = pipeline.out / "check"
    results.write(found, place)
    if found.findings:
        console.print(rich_table(findings.table(found)))
    tell(str(place / results.SUMMARY))
    if save and budget.baseline is not None and found.passed:
        made = Baseline(name=figures.name, date=figures.date, quantities=figures.quantities)
        documents.write(budget.baseline, made)
        tell(str(budget.baseline))
    return int(not found.passed)
