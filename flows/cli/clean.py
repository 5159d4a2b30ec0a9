# SPDX-License-Identifier: Apache-2.0
"""`adiabit clean`: what the folders of stages take, and removing those that are not used."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from adiabit.errors import UserError
from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import give, show, tell


@command()
def clean(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR...]", help="Folders of runs, of sweeps, or above them; build by default."),
    ] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Remove what no link points to.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Remove every stage's folder; reports remain.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed.")] = False,
) -> None:
    """List the folders of stages: size, age, and whether a run uses them. With --stale or --all, remove them."""
    from adiabit.flows import clean as cleaning
    from adiabit.flows.report.tables import Cell, Column, Table
    from adiabit.flows.report.terminal import rich_table

    if stale and everything:
        raise UserError("--stale and --all exclude each other; give one of them")
    states = frozenset(cleaning.State) if everything else cleaning.REMOVED if stale else frozenset[cleaning.State]()
    items = cleaning.find(places or [Path("build")])
    shown = [item for item in items if not states or item.state in states]
    give([{"folder": i.folder, "stage": i.stage, "state": i.state, "bytes": i.bytes, "modified": i.modified,
           "removed": bool(states) and not dry_run} for i in shown])  # fmt: skip
    rows = tuple(
        (Cell(str(item.folder)), Cell(item.state), Cell(megabytes(item.bytes)), Cell(age(time.time() - item.modified)))
        for item in shown
    )  # fmt: skip
    heads = (Column("Folder"), Column("State"), Column("Size", True), Column("Age", True))
    if rows:
        show(rich_table(Table(title="Stages", columns=heads, rows=rows)))
    total = f"{len(shown)} folders, {megabytes(sum(item.bytes for item in shown))}"
    if states and not dry_run:
        cleaning.clear(items, states)
        tell(f"removed: {total}")
        return
    tell(f"would be removed: {total}" if states else f"{total}; --stale removes what no run uses, --all everything")


def megabytes(size: int) -> str:
    """Bytes as text."""
    return f"{size / 1e6:,.1f} MB"


def age(seconds: float) -> str:
    """A time that has passed as text."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
