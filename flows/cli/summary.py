# SPDX-License-Identifier: Apache-2.0
"""`adiabit summary`."""

from __future__ import annotations

from adiabit.flows.cli.app import app, console
from adiabit.flows.cli.verb import RecipeArgument, SetOption
from adiabit.flows.recipe import load


@app.command()
def summary(recipe: RecipeArgument, sets: SetOption = []) -> None:  # noqa: B006  # typer reads it, nobody changes it
    """Print a network layer by layer: binary and float parameters, memory, operations per frame."""
    from adiabit.flows.summary import table

    console.print(table(load(recipe, sets)))
