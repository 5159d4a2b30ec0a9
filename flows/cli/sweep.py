# SPDX-License-Identifier: Apache-2.0
"""`adiabit sweep` and `adiabit pareto`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adiabit.flows.cli import completion
from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import give, made, show, tell
from adiabit.flows.cli.verb import DataOption, JobsOption, RayOption, SetOption, command_line


@command()
def sweep(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A sweep: a file, or the name of a shipped one, e.g. sweep_digits.",
            autocompletion=completion.sweeps,
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the runs; build/FILE by default.")] = None,
    data: DataOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    jobs: JobsOption = 1,
    ray: RayOption = "",
) -> int:
    """Run many variants of a recipe, for accuracy against resources. Exit code 1: a rung differs, or a run failed.

    A sweep that was interrupted goes on with the same command.
    """
    from adiabit.flows.pareto import page
    from adiabit.flows.report.terminal import rich_table
    from adiabit.flows.store import lock, open_folder
    from adiabit.flows.sweep.engine import opened
    from adiabit.flows.sweep.plan import load_plan
    from adiabit.flows.sweep.record import Record
    from adiabit.flows.sweep.run import Sweeping
    from adiabit.flows.sweep.trial import State

    plan = load_plan(file, data, sets)
    place = (out or Path("build") / file.stem).absolute()

    def after(record: Record) -> None:
        page.write(record.dots(place), record.objectives, place, name=record.name, command=record.command)

    open_folder(place)
    with lock(place / ".lock"), opened(jobs, ray, **plan.sweep.resources.model_dump()) as engine:
        record = Sweeping(plan, place, engine, command_line(), tell, after).run()
    dots = record.dots(place)
    failed = any(dot.state is State.FAILED or dot.differs for dot in dots)
    show(rich_table(page.front_table(dots, record.objectives)), always=failed)
    give(dots)
    made(place / page.HTML)
    return int(failed)


@command()
def pareto(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs (build/NAME) and of sweeps.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the page.")] = Path("build/pareto"),
    objectives: Annotated[
        str, typer.Option(help="Two or more of accuracy, lut, ff, bram18, dsp, fps, cycles, latency_us, toggles.")
    ] = "accuracy,lut",
) -> None:
    """Draw runs that have ended as accuracy against resources, on one page."""
    from adiabit.flows.pareto import page
    from adiabit.flows.pareto.points import Dot, load_run
    from adiabit.flows.sweep import record

    dots: list[Dot] = []
    for folder in folders:
        if (folder / record.FILE).exists():
            dots += record.load(folder).dots(folder)
        else:
            name, run = load_run(folder)
            dots.append(Dot(name=str(folder), labels={"run": name}, runs=(run,)))
    wanted = page.checked(objectives.split(","))
    page.write(dots, wanted, out, name="pareto", command=command_line())
    give(dots)
    made(out / page.HTML)
