# SPDX-License-Identifier: Apache-2.0
"""`adiabit init`: the files of a repository that uses adiabit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adiabit.errors import UserError
from adiabit.flows.cli.app import app, tell
from adiabit.flows.init.ci import Host


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The root of the repository.")] = Path(),
    ci: Annotated[
        Host | None, typer.Option("--ci", help="Continuous integration by `adiabit check`, for this host.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Write the files that run `adiabit check` in continuous integration into a repository."""
    from adiabit.flows.init.ci import texts
    from adiabit.flows.init.write import write

    if ci is None:
        raise UserError("init: nothing to write; choose with --ci github or --ci gitlab")
    for path in write(folder, texts(ci), force=force):
        tell(str(path))
