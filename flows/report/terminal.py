# SPDX-License-Identifier: Apache-2.0
"""Tables for the terminal, by Rich; if it is too narrow, the last columns move to a second line of each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.text import Text

from adiabit.flows.report.figures import Figures
from adiabit.flows.report.tables import NONE, Cell, Table, accuracy, ladder, number, percent, resources
from adiabit.flows.resources import RESOURCES, Resources

STYLES = {"good": "green", "bad": "bold white on red", "warn": "yellow", "muted": "dim", "": ""}
GAP = 2  # characters between two columns
ENOUGH = 22  # characters for a column that wraps, if its cells then need at most `LINES` lines
LINES = 3


def tables(figures: Figures) -> list[RenderableType]:
    """The ladder, accuracy, resources and speed, and what does not fit the part, for the terminal."""
    shown = [rich_table(table) for table in (ladder(figures), accuracy(figures), resources(figures))]
    return [*shown, *_overflows(figures)]


def outcome(figures: Figures) -> list[RenderableType]:
    """The results of a run so far: the rungs that were run; accuracy, cycles and resources in a line each."""
    ran = tuple(rung for rung in figures.rungs if rung.ran)
    shown: list[RenderableType] = [rich_table(ladder(replace(figures, rungs=ran)))] if ran else []
    lines = (_training(figures), _speed(figures), _timing(figures), _resources(figures))
    return [
        *shown,
        *(Text(line) for line in lines if line),
        *_overflows(figures),
    ]


def _overflows(figures: Figures) -> list[RenderableType]:
    """The resources that do not fit the part, and what would fit."""
    lines = [Text(str(overflow), STYLES["bad"]) for overflow in figures.overflows]
    return [*lines, Text(figures.advice)] if figures.advice else [*lines]


def _training(figures: Figures) -> str:
    training = figures.training
    if training is None:
        return ""
    hard = f"accuracy, hard: {percent(training.hard_validation)} validation, {percent(training.hard_test)} test"
    return f"{hard} ({training.method}, {training.epochs} epochs)"


def _speed(figures: Figures) -> str:
    simulated, fps = figures.simulation, figures.fps_measured or figures.fps_estimate
    if fps is None:
        return ""
    cycles = simulated.cycles_per_frame if simulated and simulated.cycles_per_frame else figures.cycles_estimate
    by = "simulated" if figures.fps_measured else "the slowest stage's"
    return f"{number(cycles)} cycles a frame ({by}), {number(fps, 0)} frames a second at {figures.clock_mhz:g} MHz"


def _resources(figures: Figures) -> str:
    routed = figures.bitstream
    if routed and routed.total != Resources():
        found, by = routed.total, routed.tool
    else:
        found = Resources(**{key: figures.needs(key) for key in RESOURCES})
        by = "Yosys" if figures.synthesis else "estimate"
    rows = ((getattr(found, key), name, getattr(figures.capacity, key)) for key, name in RESOURCES.items())
    parts = [f"{number(needs)} of {number(holds)} {name}" for needs, name, holds in rows if needs is not None]
    return f"{', '.join(parts)} ({by}, {figures.board.part})" if parts else ""


def _timing(figures: Figures) -> str:
    routed = figures.bitstream
    if routed is None or (routed.fmax_mhz is None and routed.slack_ns is None):
        return ""
    reached = f"{routed.slack_ns:.2f} ns slack" if routed.fmax_mhz is None else f"{routed.fmax_mhz:.1f} MHz"
    return f"{reached} after place and route ({routed.tool}), clock {figures.clock_mhz:g} MHz"


def rich_table(table: Table) -> RenderableType:
    """A table that Rich can print."""
    return _Fitted(table)


@dataclass(frozen=True)
class _Fitted:
    """A table that is laid out when it is printed, because the width is known only then."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        table, kept = self.table, _kept(self.table, options.max_width)
        yield Text(table.title, "bold")
        if kept == len(table.columns):
            yield _whole(table)
        else:
            yield from _folded(table, kept)
        yield from (Text(warning, STYLES["warn"]) for warning in table.warnings)
        yield from (Text(note, STYLES["muted"]) for note in table.notes)
        yield Text()


def _kept(table: Table, width: int) -> int:
    """How many columns fit side by side into a terminal of this width; at least one."""
    used, kept = -GAP, 0
    for i, column in enumerate(table.columns):
        wanted = _width(table, i)
        used += GAP + (max(min(wanted, ENOUGH), wanted // LINES) if column.wraps else wanted)
        if used <= width:
            kept = i + 1
    return max(1, kept)


def _width(table: Table, column: int) -> int:
    return max(map(cell_len, (table.columns[column].head, *(row[column].text for row in table.rows))))


def _whole(table: Table) -> rich.table.Table:
    made = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column in table.columns:
        made.add_column(column.head, justify="right" if column.figures else "left", no_wrap=not column.wraps)
    for row in table.rows:
        made.add_row(*(_styled(cell) for cell in row))
    return made


def _folded(table: Table, kept: int) -> Iterator[RenderableType]:
    """The first cells of each row in columns, the others on the line below."""
    widths = [_width(table, i) for i in range(kept)]
    yield _line(table, tuple(Cell(column.head) for column in table.columns[:kept]), widths, "bold")
    yield Text("─" * (sum(widths) + GAP * (kept - 1)))
    for row in table.rows:
        yield _line(table, row[:kept], widths)
        rest = [
            Text(" ").join([Text(column.lead), _styled(cell)] if column.lead else [_styled(cell)])
            for column, cell in zip(table.columns[kept:], row[kept:], strict=True)
            if cell.text != NONE
        ]
        if rest:
            yield Padding(Text(" · ").join(rest), (0, 0, 0, 2), expand=False)


def _line(table: Table, row: tuple[Cell, ...], widths: list[int], style: str = "") -> Text:
    parts = []
    for column, cell, width in zip(table.columns, row, widths, strict=False):
        room = " " * (width - cell_len(cell.text))
        parts.append(Text.assemble(room if column.figures else "", _styled(cell), "" if column.figures else room))
    line = Text(" " * GAP).join(parts)
    line.stylize(style)
    return line


def _styled(cell: Cell) -> Text:
    return Text(cell.text, STYLES[cell.tone])
