# SPDX-License-Identifier: Apache-2.0
"""`adiabit compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adiabit.flows.cli import completion
from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import give, made, show, tell
from adiabit.flows.cli.verb import DataOption, JobsOption, RayOption, SetOption, command_line


@command()
def compare(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A comparison: a file, or the name of a shipped one, e.g. compare_digits.",
            autocompletion=completion.comparisons,
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the trainings; build/FILE by default.")] = None,
    data: DataOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    jobs: JobsOption = 1,
    ray: RayOption = "",
    report_only: Annotated[bool, typer.Option("--report", help="Train nothing; report what is finished.")] = False,
) -> None:
    """Train methods x networks x seeds and tabulate the results; an interrupted comparison resumes."""
    from adiabit.flows.compare import plan, run, table
    from adiabit.flows.report.terminal import rich_table

    runs = plan.load_runs(file, data, sets)
    place = out or Path("build") / file.stem

    def write() -> None:
        table.write(runs, place, file.stem, command_line())

    if not report_only:
        run.train(runs, place, tell, write, jobs, ray)
    write()
    found = table.rows(runs, place)
    for network in dict.fromkeys(row.network for row in found):
        show(rich_table(table.table(network, found)))
    give(found)
    made(place / "compare.html")
