# SPDX-License-Identifier: Apache-2.0
"""Renders the figures as `report.html` and `report.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from adiabit import files
from adiabit.boards.catalog import Board
from adiabit.flows.ladder import StageName, Vectors
from adiabit.flows.report import tables as rows
from adiabit.flows.report.charts import training_charts
from adiabit.flows.report.collect import collect
from adiabit.flows.report.drawing import draw
from adiabit.flows.report.figures import Figures
from adiabit.flows.report.mistakes import mistakes, pictures
from adiabit.flows.resources import RESOURCES, Resources
from adiabit.flows.store import open_folder

HTML, JSON = "report.html", "report.json"
SIZES = {"wide": 1080, "medium": 700, "narrow": 346}  # width of the drawing in pixels, by report.css' window class


class Bar(NamedTuple):
    """A resource: its used shares of the part's capacity, and their captions."""

    name: str
    lines: list[tuple[str, str, float]]  # CSS class, caption, share


def report(
    folders: Mapping[StageName, Path], *, name: str, board: Board, clock_mhz: float, command: str, out: Path,
    data: str = "", selection: Sequence[str] = ("RECIPE",), image: Sequence[int] = (), sound: bool = False,
) -> Figures:  # fmt: skip
    """Collect the figures of a run from its stages' folders and write the report into the folder `out`.

    `folders` are keyed by stage; any may be absent. `image` is the shape (H, W, C) of the data set's frames, which are
    spectrograms if `sound`. `UserError` if a stage's file is damaged.
    """
    figures = collect(
        folders, name=name, board=board, clock_mhz=clock_mhz, command=command, data=data, selection=selection
    )
    if (compiled := folders.get(StageName.COMPILE)) and (compiled / Vectors.FILE).exists():
        vectors = Vectors.load(compiled)
        if (found := mistakes(vectors)) is not None:
            shown = tuple(pictures(vectors, found, image, sound=sound))
            figures = replace(figures, mistakes=found, pictures=shown)
    render(figures, out)
    return figures


def render(figures: Figures, out: Path) -> None:
    """Write `report.html`, which is self-contained, and `report.json` with the same figures into the folder `out`."""
    open_folder(out)
    files.write_text(out / JSON, json.dumps(figures.document(), indent=1, allow_nan=False) + "\n")
    page = environment().get_template("report.html.j2").render(
        figures=figures, verdict=verdict(figures), cards=_cards(figures), drawings=_drawings(figures), rows=rows,
        charts=training_charts(figures.training.history if figures.training else {}), bars=_bars(figures),
    )  # fmt: skip
    files.write_text(out / HTML, page)


def environment(*more: Path) -> jinja2.Environment:
    """The Jinja environment for the pages of this folder, and of `more`."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, *more]), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def verdict(figures: Figures) -> rows.Cell:
    """One sentence on exactness: what ran and whether it agrees."""
    ran = [rung.name for rung in figures.rungs if rung.ran]
    missing = ", ".join(rung.name for rung in figures.rungs if not rung.ran)
    if figures.differences:
        return rows.Cell(f"Not exact: {', '.join(r.name for r in figures.differences)} differs", "bad")
    if not ran:
        return rows.Cell("Exactness not checked: no rung of the ladder was run", "muted")
    if warnings := list(figures.warnings):
        others = f"; {_plural(len(warnings) - 1, 'more warning')} below" if len(warnings) > 1 else ""
        return rows.Cell(f"Exact, but {warnings[0]}{others}", "warn")
    return rows.Cell(f"Exact: {len(ran)} of {len(figures.rungs)} rungs run, all equal"
                     + (f"; not run: {missing}" if missing else ""), "good")  # fmt: skip


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _drawings(figures: Figures) -> list[tuple[str, Markup]]:
    """The network drawn for windows of three widths; `draw` escapes its input."""
    if figures.accelerator is None:
        return []
    named = [re.search(r"\bstage (\w+)", rung.difference) for rung in figures.differences]
    marks = {found[1]: "differs" for found in named if found}
    return [(size, Markup(draw(figures.accelerator, marks, width=width))) for size, width in SIZES.items()]  # noqa: S704


def _cards(figures: Figures) -> list[tuple[str, str, str]]:
    """The key figures: name, value, source."""
    measured = figures.fps_measured is not None
    speed = rows.number(figures.fps_measured if measured else figures.fps_estimate, 0)
    latency = figures.latency_us
    found, by = (
        (figures.synthesis.total, "Yosys") if figures.synthesis else (figures.estimate or Resources(), "estimate")
    )
    cards = [
        ("Test accuracy", rows.percent(figures.accuracy), "hard, ±1 weights"),
        ("Frames a second", speed, f"{'simulated' if measured else 'estimated'}, {figures.clock_mhz:g} MHz"),
        ("Latency", None if latency is None else f"{latency:,.2f} µs", "simulated"),
        ("LUTs", rows.number(found.lut), by),
        ("Block RAMs", rows.number(found.bram18), f"18 Kbit each, {by}"),
    ]
    return [
        (what, much, how) if much and much != rows.NONE else (what, rows.NONE, rows.NOT_RUN)
        for what, much, how in cards
    ]


def _bars(figures: Figures) -> list[Bar]:
    bars = []
    for key, name in RESOURCES.items():
        holds = getattr(figures.capacity, key)
        lines = []
        for class_, by, found in (
            ("c0", "estimate", figures.estimate),
            ("c1", "Yosys", figures.synthesis and figures.synthesis.total),
        ):
            value = getattr(found, key) if found else None
            if value is not None and holds:
                lines.append((class_, f"{100 * value / holds:.1f} % {by}", value / holds))
        if lines:
            bars.append(Bar(name, lines))
    return bars
