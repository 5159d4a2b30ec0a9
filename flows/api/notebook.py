# SPDX-License-Identifier: Apache-2.0
"""How the objects show themselves in a notebook: the report's tables, charts and drawing, in the report's own style."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from adiabit.flows.report import tables as rows
from adiabit.flows.report.build import environment, verdict
from adiabit.flows.report.charts import training_charts
from adiabit.flows.report.drawing import draw

if TYPE_CHECKING:
    from adiabit.flows.api.results import Simulated
    from adiabit.flows.report.figures import Figures

WIDTH = 900  # pixels of the drawing; a narrower page scrolls it


def training(figures: Figures) -> str:
    """The accuracies and their curves."""
    figures = _ran(figures)
    charts = training_charts(figures.training.history if figures.training else {})
    return _page(tables=[rows.accuracy(figures)], charts=charts)


def ladder(figures: Figures) -> str:
    """The rungs that were run."""
    return _page(verdict=verdict(figures), tables=[rows.ladder(_ran(figures))])


def accelerator(figures: Figures) -> str:
    """The drawing, the rungs that were run and the stages."""
    return _page(
        verdict=verdict(figures), drawing=_drawing(figures), tables=[rows.ladder(_ran(figures)), rows.stages(figures)]
    )


def utilization(figures: Figures) -> str:
    """Resources in all and by stage."""
    return _page(tables=[rows.resources(figures), rows.stages(figures)])


def report(figures: Figures) -> str:
    """All of it."""
    tables = [rows.ladder(figures), rows.accuracy(figures), rows.resources(figures), rows.stages(figures)]
    return _page(verdict=verdict(figures), drawing=_drawing(figures), tables=tables)


def simulation(found: Simulated) -> str:
    """Equality and speed of a simulation."""
    speed = [("Frames", found.frames), ("Equal to the golden model", found.equal),
             ("Cycles a frame", found.cycles_per_frame), ("Latency in cycles", found.latency_cycles)]  # fmt: skip
    cells = tuple((rows.Cell(name), rows.Cell(rows.number(value) or rows.NONE)) for name, value in speed)
    columns = (rows.Column("RTL simulation"), rows.Column("Measured", True))
    word = rows.Cell("Exact: every beat of every stream equals the golden model's", "good")
    word = word if found.exact else rows.Cell(f"Not exact: {found.difference}", "bad")
    return _page(verdict=word, tables=[rows.Table(title="Simulation", columns=columns, rows=cells)])


def _ran(figures: Figures) -> Figures:
    return replace(figures, rungs=tuple(rung for rung in figures.rungs if rung.ran))


def _drawing(figures: Figures) -> Markup:
    """The stages; `draw` escapes its input."""
    return Markup(draw(figures.accelerator, width=WIDTH)) if figures.accelerator else Markup("")  # noqa: S704


def _page(**parts: Any) -> str:
    """The parts under a style of their own, which touches nothing else on the page."""
    page = environment(Path(__file__).parent).get_template("notebook.html.j2")
    return page.render(**{"verdict": None, "drawing": "", "tables": [], "charts": [], **parts})
