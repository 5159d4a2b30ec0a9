# SPDX-License-Identifier: Apache-2.0
"""Curves over epochs as SVG without scripts; hovering shows the values of an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from adiabit.flows.report import svg

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 10, 38  # room for the axes
COLUMNS = 120  # most epochs that show their values

Values = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The title of a chart, its curves by legend, and the format of their values."""

    title: str
    curves: Mapping[str, Values] = field(default_factory=dict)
    write: Callable[[float], str] = "{:.4g}".format
    log: bool = False
    floor: float | None = None  # lower end of the axis
    ceiling: float | None = None  # upper end of the axis


CHARTS = (  # each with the legends of its curves by key in the history
    (Chart(title="Validation accuracy", write="{:.1%}".format, ceiling=1.0),
     {"soft_accuracy": "soft", "hard_accuracy": "hard (±1)"}),
    (Chart(title="Steepness k", log=True), {"k_weights": "weights", "k_activations": "activations"}),
    (Chart(title="Signs on the move", write="{:.2%}".format, floor=0.0),
     {"flip_ratio": "flipped", "unsaturated": "unsaturated"}),
    (Chart(title="Loss", floor=0.0), {"loss": "training loss"}),
    (Chart(title="Learning rate", log=True), {"lr": "learning rate"}),
)  # fmt: skip


def training_charts(history: Mapping[str, Values]) -> list[tuple[Chart, Markup]]:
    """The charts of a training, except empty ones."""
    epochs = [e for e in history.get("epoch", ()) if e is not None]
    made = []
    for plan, keys in CHARTS:
        curves = {name: history[key] for key, name in keys.items() if _shown(history.get(key, ()), plan.log)}
        if epochs and curves:
            chart = replace(plan, curves=curves)
            made.append((chart, curve_chart(chart, epochs)))
    return made


def _shown(values: Values, log: bool) -> bool:
    return any(v is not None and (v > 0 or not log) for v in values)


def curve_chart(chart: Chart, epochs: Sequence[float]) -> Markup:
    """Curves of values by epoch; a value that is None, or not positive on a log axis, leaves a gap."""
    values = [v for curve in chart.curves.values() for v in curve if v is not None and (v > 0 or not chart.log)]
    ticks = log_ticks(min(values), max(values)) if chart.log else linear_ticks(*_span(chart, values))
    across = _scale(min(epochs), max(epochs), LEFT, WIDTH - RIGHT)
    ends = [math.log10(t) if chart.log else t for t in (ticks[0], ticks[-1])]
    up = _scale(ends[0], ends[1], HEIGHT - BOTTOM, TOP)

    def place(epoch: float, value: float | None) -> tuple[float, float] | None:
        if value is None or (chart.log and value <= 0):
            return None
        return across(epoch), up(math.log10(value) if chart.log else value)

    axes = _axes(chart, ticks, [place(epochs[0], t) for t in ticks], epochs, across)
    places = [[place(e, v) for e, v in zip(epochs, curve, strict=False)] for curve in chart.curves.values()]
    lines = [svg.element("path", d=_path(curve), class_=f"curve c{i}") for i, curve in enumerate(places)]
    return svg.picture(
        WIDTH, HEIGHT, f"{chart.title} by epoch", axes, *lines, *_columns(chart, epochs, places), class_="chart"
    )


def _span(chart: Chart, values: Sequence[float]) -> tuple[float, float]:
    low = min(values) if chart.floor is None else chart.floor
    high = max(values) if chart.ceiling is None else chart.ceiling
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda v: round(start + (end - start) * ((v - low) / (high - low) if high > low else 0.5), 1)


def _axes(
    chart: Chart,
    ticks: Sequence[float],
    places: Sequence[tuple[float, float] | None],
    epochs: Sequence[float],
    across: Callable[[float], float],
) -> Markup:
    parts = []
    write = _tick_writer(chart, ticks)
    for tick, place in zip(ticks, places, strict=True):
        y = place[1] if place else 0.0
        parts.append(svg.element("path", d=f"M{LEFT} {y:g}H{WIDTH - RIGHT}", class_="grid"))
        parts.append(svg.text(LEFT - 8, y + 4, write(tick), "tick", "end"))
    marks = sorted({round(t) for t in linear_ticks(min(epochs), max(epochs)) if min(epochs) <= t <= max(epochs)})
    parts += [svg.text(across(epoch), HEIGHT - BOTTOM + 16, f"{epoch}", "tick", "middle") for epoch in marks]
    return svg.join(*parts)


def _tick_writer(chart: Chart, ticks: Sequence[float]) -> Callable[[float], str]:
    """The fewest digits that distinguish the ticks."""
    if "%" in chart.write(0.5):
        for digits in range(4):
            written = [f"{t:.{digits}%}" for t in ticks]
            if len(set(written)) == len(written):
                return lambda t: f"{t:.{digits}%}"
    return "{:.4g}".format


def _path(places: Sequence[tuple[float, float] | None]) -> str:
    """A line through the places, interrupted where one is missing; an isolated place is a dot."""
    parts, pen = [], "M"
    for i, place in enumerate(places):
        if place is None:
            pen = "M"
            continue
        alone = pen == "M" and (i + 1 == len(places) or places[i + 1] is None)
        parts.append(f"{pen}{place[0]:g} {place[1]:g}" + ("h.1" if alone else ""))
        pen = "L"
    return "".join(parts)


def _columns(
    chart: Chart, epochs: Sequence[float], places: Sequence[Sequence[tuple[float, float] | None]]
) -> list[Markup]:
    """Invisible columns, each with a hairline, dots and the values of its epoch, shown on hover."""
    every = max(1, -(-len(epochs) // COLUMNS))
    width = (WIDTH - LEFT - RIGHT) / max(1, (len(epochs) - 1) / every)
    made = []
    for i in range(0, len(epochs), every):
        here = [
            (k, name, curve[i], places[k][i]) for k, (name, curve) in enumerate(chart.curves.items()) if i < len(curve)
        ]
        seen = [(k, name, value, place) for k, name, value, place in here if value is not None and place is not None]
        if not seen:
            continue
        x = seen[0][3][0]
        words = f"epoch {epochs[i]:g}" + "".join(f" · {name} {chart.write(value)}" for _, name, value, _ in seen)
        parts = [svg.element("rect", x=x - width / 2, y=TOP, width=width, height=HEIGHT - TOP - BOTTOM)]
        parts += [svg.element("path", d=f"M{x:g} {TOP}V{HEIGHT - BOTTOM}", class_="hair")]
        parts += [svg.element("circle", cx=x, cy=place[1], r=3.5, class_=f"c{k}") for k, _, _, place in seen]
        parts += [svg.text(4, HEIGHT - 4, words, "values")]
        made.append(svg.element("g", *parts, class_="at"))
    return made


def linear_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """`about` round numbers, from at or below `low` to at or above `high`."""
    raw = (high - low) / about or 1.0
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(m * base for m in (1, 2, 2.5, 5, 10) if m * base >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten around the values; also 2 and 5 times these where the values span less than two decades."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    if last - first > 2:
        step = -(-(last - first) // 6)
        return [10.0**e for e in range(first, last + step, step)]
    marks = [m * 10.0**e for e in range(first, last + 2) for m in (1, 2, 5)]
    start = max(i for i, m in enumerate(marks) if m <= low * (1 + 1e-9))
    stop = next(i for i, m in enumerate(marks) if m >= high * (1 - 1e-9) and i > start)
    return marks[start : stop + 1]
