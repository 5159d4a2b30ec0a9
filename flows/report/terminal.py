# SPDX-License-Identifier: Apache-2.0
"""Tables on the terminal, by Rich."""

from __future__ import annotations

import rich.box
import rich.table
import rich.text

from adiabit.flows.report.figures import Figures
from adiabit.flows.report.tables import Table, accuracy, ladder, resources

STYLES = {"good": "green", "bad": "bold white on red", "warn": "yellow", "muted": "dim", "": ""}


def tables(figures: Figures) -> list[rich.table.Table]:
    """The ladder, accuracy, and resources and speed, for the terminal."""
    return [rich_table(table) for table in (ladder(figures), accuracy(figures), resources(figures))]


def rich_table(table: Table) -> rich.table.Table:
    """For the terminal."""
    made = rich.table.Table(title=table.title, title_justify="left", title_style="bold", box=rich.box.SIMPLE_HEAD,
                            caption="\n".join(table.notes) or None, caption_justify="left")  # fmt: skip
    for column in table.columns:
        made.add_column(column.head, justify="right" if column.figures else "left")
    for row in table.rows:
        made.add_row(*(rich.text.Text(cell.text, STYLES[cell.tone]) for cell in row))
    return made
