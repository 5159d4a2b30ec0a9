# SPDX-License-Identifier: Apache-2.0
"""`adiabit summary`."""

from __future__ import annotations

from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import console, give
from adiabit.flows.cli.verb import RecipeArgument, SetOption
from adiabit.flows.recipe import load


@command()
def summary(recipe: RecipeArgument, sets: SetOption = []) -> None:  # noqa: B006  # typer reads it, nobody changes it
    """Print a network layer by layer: binary and float parameters, memory, operations per frame."""
    from adiabit.flows.summary import layers, table

    loaded = load(recipe, sets)
    give(layers(loaded))
    console.print(table(loaded))
