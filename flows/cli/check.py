# SPDX-License-Identifier: Apache-2.0
"""`adiabit check`: the ladder and the budget, for continuous integration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from adiabit.errors import UserError
from adiabit.flows.cli import completion
from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import current, give, made, show, tell
from adiabit.flows.cli.run import reported
from adiabit.flows.cli.verb import CheckpointOption, DataOption, OutOption, Request, SetOption

RecipesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RECIPE...",
        help="Files, names of shipped recipes, or patterns such as 'recipes/*.toml'.",
        autocompletion=completion.recipes,
    ),
]
SaveOption = Annotated[
    bool, typer.Option("--save", help="Write the run's figures to budget.baseline instead of comparing with it.")
]
SinceOption = Annotated[
    str | None, typer.Option("--changed-since", metavar="REF", help="Only recipes affected by changes since a commit.")
]
ResultsOption = Annotated[
    Path | None, typer.Option("--results", metavar="DIR", help="Gather summary, JUnit XML and reports of all recipes.")
]


@command()
def check(
    recipes: RecipesArgument,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    save: SaveOption = False,
    since: SinceOption = None,
    place: ResultsOption = None,
) -> int:
    """Run every stage and hold the recipe's budget. Exit code 1: a rung differs, or a limit is not kept.

    Leaves check.json, junit.xml, summary.md and badge.json in the folder check beside the stages.

    Of several recipes, all are checked, whatever becomes of one; the exit code is the highest of theirs.
    """
    from adiabit.flows.check import selection

    chosen = selection.expand(recipes)
    for option, given in (("--out", out), ("--checkpoint", checkpoint)):
        if given is not None and len(chosen) > 1:
            raise UserError(f"{option} {given}: one folder for {len(chosen)} recipes; omit it, or check one by one")
    requests = {recipe: Request(recipe, out, data, checkpoint, sets) for recipe in chosen}
    if since is not None:
        chosen, why = selection.changed(chosen, since, lambda recipe: requests[recipe].pipeline().recipe)
        tell(why)
    if len(chosen) == 1 and place is None:
        return check_one(requests[chosen[0]], save=save)
    return check_all([requests[recipe] for recipe in chosen], save=save, place=place)


def check_one(request: Request, *, save: bool) -> int:
    """Check one recipe in this process; the exit code."""
    from adiabit.flows import documents
    from adiabit.flows.check import findings, results
    from adiabit.flows.check.budget import Baseline, load_baseline
    from adiabit.flows.report.terminal import rich_table

    pipeline = request.pipeline()
    budget, place = pipeline.recipe.budget, pipeline.out / "check"
    results.remove(place)  # an earlier result does not stand for this run
    if save and budget.baseline is None:
        raise UserError(f"{request.recipe}: [budget]: baseline: missing; name the file that --save writes")
    before = load_baseline(budget.baseline) if budget.baseline and not save else None
    figures = reported(pipeline)
    found = findings.check(figures, budget, before)
    results.write(found, place)
    if found.findings:
        show(rich_table(findings.table(found)), always=not found.passed)
    give(results.document(found))
    made(place / results.SUMMARY)
    if save and budget.baseline is not None and found.passed:
        saved = Baseline(name=figures.name, date=figures.date, quantities=figures.quantities)
        documents.write(budget.baseline, saved)
        made(budget.baseline)
    return int(not found.passed)


def check_all(requests: Sequence[Request], *, save: bool, place: Path | None) -> int:
    """Check several recipes, one after the other, and gather their results in `place`; the highest exit code."""
    from adiabit.flows.check import results, several
    from adiabit.flows.report.terminal import rich_table

    named = [(request, *_named(request)) for request in requests]
    _check_names({request.recipe: name for request, name, _ in named})
    outcomes = []
    for request, name, out in named:
        tell(f"check: {request.recipe}")
        words = [*request.words(), *(["--save"] if save else []), *current().words()]
        outcomes.append(several.run(request.recipe, name, out, words))
    if outcomes:
        show(rich_table(several.table(outcomes)), always=any(outcome.code for outcome in outcomes))
    give(outcomes)
    if place is not None:
        several.gather(outcomes, place)
        made(place / results.SUMMARY)
    return max((outcome.code for outcome in outcomes), default=0)


def _named(request: Request) -> tuple[str, Path]:
    """The name of a recipe and the folder of its stages; a recipe that cannot be read has the file's name."""
    try:
        pipeline = request.pipeline()
    except UserError:
        return request.recipe.stem, Path("build") / request.recipe.stem
    return pipeline.recipe.name, pipeline.out


def _check_names(names: Mapping[Path, str]) -> None:
    """`UserError` where two recipes have the same name."""
    first: dict[str, Path] = {}
    for recipe, name in names.items():
        if (twin := first.setdefault(name, recipe)) != recipe:
            raise UserError(f"{recipe}: name = {name!r}: {twin} has it too, and they would share a folder; rename one")
