# SPDX-License-Identifier: Apache-2.0
"""`adiabit init`: the files of a new project, and of continuous integration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adiabit.errors import UserError
from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import made
from adiabit.flows.init.ci import Host

NOTHING = (
    "init: nothing to write; `adiabit init DIR` writes a project into a new folder (a recipe, a README, .gitignore); "
    "`adiabit init --ci github` (or gitlab) writes the file that runs `adiabit check` into this repository; "
    "`adiabit init DIR --ci github` writes both into DIR"
)


@command()
def init(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The folder of a new project.")] = None,
    ci: Annotated[
        Host | None, typer.Option("--ci", help="Continuous integration by `adiabit check`, for this host.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Write a project to start from into DIR, with --ci also what checks it in continuous integration.

    Without DIR, --ci writes its file into the repository in the current folder, for the recipes in its folder recipes.
    """
    from adiabit.flows.init import ci as integration
    from adiabit.flows.init import project
    from adiabit.flows.init.write import write

    if folder is None and ci is None:
        raise UserError(NOTHING)
    texts = project.texts(folder) if folder else {}
    if ci is not None:
        texts |= integration.texts(ci, project.recipe(folder) if folder else integration.RECIPES)
    for path in write(folder or Path(), texts, force=force):
        made(path)
