# SPDX-License-Identifier: Apache-2.0
"""The tables of the report, shown by `terminal.py` and by the templates of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adiabit.flows.frontend.explain import Layer
from adiabit.flows.intervals import of_share
from adiabit.flows.ladder import RUNGS, Rung, RungState
from adiabit.flows.report.figures import Figures, StageFigures
from adiabit.flows.resources import RESOURCES, Resources
from adiabit.hw.stages import Memory
from adiabit.hw.stages.matrix_vector import MEMORIES

NONE = "—"
NOT_RUN = str(RungState.NOT_RUN)
CONFUSIONS = 15  # pairs of classes that are listed


@dataclass(frozen=True)
class Cell:
    """The text of a cell; `tone` is good, bad, warn, muted or empty, `link` the address that it leads to."""

    text: str
    tone: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column; figures are right-aligned, words left-aligned."""

    head: str
    figures: bool = False
    wraps: bool = False  # its cells may take several lines
    label: str | None = None  # shown before a cell that is not in its column; by default the head

    @property
    def lead(self) -> str:
        """The text before a cell that is not shown in its column."""
        return self.head if self.label is None else self.label


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of cells, followed by warnings and notes."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def ladder(figures: Figures) -> Table:
    """Each rung against the one before."""
    tones = {RungState.EQUAL: "good", RungState.DIFFERS: "bad", RungState.NOT_RUN: "muted"}
    rows = []
    for rung in figures.rungs:
        tone = "warn" if rung.status is RungState.EQUAL and rung.warnings else tones[rung.status]
        if rung.why_not:
            cells = [Cell(NONE, "muted")] * 3 + [Cell(rung.why_not, "muted")]
        else:
            text = "; ".join(part for part in (rung.compared or _reference(rung), rung.difference) if part)
            cells = [Cell(count(rung.frames)), Cell(count(rung.equal), "bad" if tone == "bad" else ""),
                     Cell(percent(rung.accuracy)), Cell(text, "bad" if rung.difference else "")]  # fmt: skip
        rows.append((Cell(rung.name), Cell(rung.status, tone), *cells))
    heads = (Column("Rung"), Column("Status"), Column("Frames", True), Column("Equal", True), Column("Accuracy", True),
             Column("Compared with the rung before", wraps=True, label=""))  # fmt: skip
    warnings = tuple(f"{', '.join(names)}: {warning}" for warning, names in figures.warnings.items())
    return Table(title="Ladder of exactness", columns=heads, rows=tuple(rows), warnings=warnings)


def layers(found: Sequence[Layer]) -> Table:
    """The layers of a QONNX model, and their operations in all."""
    rows: list[tuple[Cell, ...]] = [
        (Cell(layer.name), Cell(layer.kind), Cell(" x ".join(map(str, layer.shape))), Cell(layer.data),
         Cell(layer.weights), Cell(count(layer.xnor) if layer.xnor else ""),
         Cell(count(layer.multiply) if layer.multiply else ""))
        for layer in found
    ]  # fmt: skip
    totals = (count(sum(layer.xnor for layer in found)), count(sum(layer.multiply for layer in found)))
    rows.append((Cell("in all"), *[Cell("")] * 4, *map(Cell, totals)))
    heads = (Column("Node"), Column("Kind"), Column("Shape"), Column("Makes"), Column("Weights"),
             Column("XNOR", True), Column("Multiply", True))  # fmt: skip
    return Table(title="Layers", columns=heads, rows=tuple(rows))


def _reference(rung: Rung) -> str:
    return "the reference" if rung.name == RUNGS[0] else ""


def accuracy(figures: Figures) -> Table:
    """Accuracy during training, after training, and on each rung."""
    training, rows = figures.training, []
    for name, kind in (("Trained network, soft", "soft"), ("Trained network, hard (±1)", "hard")):
        values = [getattr(training, f"{kind}_{split}") if training else None for split in ("validation", "test")]
        shown = [_or_not_run(percent(v) if v is not None else None, training is not None) for v in values]
        frames = training.test_frames if training else None
        rows.append((Cell(name), *shown, _interval(values[1], frames), _or_none(count(frames) if frames else None)))
    for rung in figures.rungs:
        ran = not rung.why_not
        test = Cell(percent(rung.accuracy)) if ran else Cell(NOT_RUN, "muted")
        rows.append(
            (Cell(rung.name), _or_none(None), test, _or_none(None), _or_none(count(rung.frames) if ran else None))
        )
    heads = (Column("Network"), Column("Validation", True), Column("Test", True), Column("95 % interval", True),
             Column("Frames", True))  # fmt: skip
    notes = ("The interval is what so many test frames can tell (Wilson's).",
             "A rung's accuracy is over its labelled frames; corner inputs have no label.")  # fmt: skip
    return Table(title="Accuracy", columns=heads, rows=tuple(rows), notes=notes)


def _or_none(text: str | None) -> Cell:
    return Cell(NONE, "muted") if text is None else Cell(text)


def _interval(share: float | None, frames: int | None) -> Cell:
    """The 95 % interval of a test accuracy."""
    if share is None or not frames:
        return _or_none(None)
    low, high = of_share(share, frames)
    return Cell(f"{percent(low)} to {percent(high)}")


def confusions(figures: Figures) -> Table:
    """The most frequent mistakes: label, prediction, and how many of the label's frames."""
    counts = figures.mistakes.confusion if figures.mistakes else ()
    wrong = sorted((-n, i, j) for i, row in enumerate(counts) for j, n in enumerate(row) if n and i != j)
    rows = tuple(
        (Cell(figures.class_name(i)), Cell(figures.class_name(j)), Cell(count(-n)), Cell(percent(-n / sum(counts[i]))))
        for n, i, j in wrong[:CONFUSIONS]
    )
    heads = (Column("Class"), Column("Taken for"), Column("Frames", True), Column("Of the class", True))
    return Table(title="Mistakes", columns=heads, rows=rows)


def resources(figures: Figures) -> Table:
    """Resources and speed: estimated, measured, and the capacity of the part."""
    synthesis = figures.synthesis
    rows = []
    for key, name in RESOURCES.items():
        estimate, holds = getattr(figures.estimate or Resources(), key), getattr(figures.capacity, key)
        measured = getattr(synthesis.total, key) if synthesis else None
        shown = [_or_not_run(number(estimate), figures.estimate is not None)]
        shown += [_or_not_run(number(measured), synthesis is not None)]
        rows.append((Cell(name), *shown, Cell("Yosys", "muted"), Cell(count(holds)), _used(figures.needs(key), holds)))
    notes = [f"Logic delay: {synthesis.timing_note}"] if synthesis and synthesis.timing_note else []
    if figures.estimate and not synthesis:
        notes.append("Used: the estimate's share of the capacity, because nothing was synthesized.")
    sim = figures.simulation
    if sim and sim.cycles_per_frame_min != sim.cycles_per_frame_max:
        span = f"{number(sim.cycles_per_frame_min)} to {number(sim.cycles_per_frame_max)}"
        notes.append(f"Cycles a frame are the median over {sim.frames} simulated frames, which took {span}.")
    heads = (Column("Figure"), Column("Estimate", True), Column("Measured", True), Column("by"),
             Column("Capacity", True), Column("Used", True))  # fmt: skip
    rows += [_delay(figures), *_speed(figures), *_activity(figures), *_routed(figures), *_on_board(figures)]
    return Table(title="Resources and speed", columns=heads, rows=tuple(rows), notes=tuple(notes))


def _delay(figures: Figures) -> tuple[Cell, ...]:
    period, synthesis = 1e3 / figures.clock_mhz, figures.synthesis
    delay = synthesis.logic_delay_ns if synthesis else None
    shown = _or_not_run(None if delay is None else f"{delay:.2f} ns", synthesis is not None)
    return (Cell("Logic delay"), Cell(NONE, "muted"), shown, Cell("Yosys", "muted"), Cell(f"{period:.2f} ns"),
            _used(delay, period))  # fmt: skip


def _speed(figures: Figures) -> list[tuple[Cell, ...]]:
    sim, ran = figures.simulation, figures.simulation is not None
    compiled = figures.cycles_estimate is not None
    cycles = sim.cycles_per_frame if sim else None
    measured = _or_not_run(number(cycles), ran)
    if cycles is not None and figures.cycles_estimate is not None and cycles != figures.cycles_estimate:
        measured = Cell(measured.text, "bad")
    latency, at = sim.latency_cycles if sim else None, f"at {figures.clock_mhz:g} MHz"
    guess, took = (_micro(cycles, figures.clock_mhz) for cycles in (figures.latency_estimate, latency))
    rows = [
        ("Cycles a frame", _or_not_run(number(figures.cycles_estimate), compiled), measured),
        (f"Frames a second {at}", _or_not_run(number(figures.fps_estimate, 0), compiled),
         _or_not_run(number(figures.fps_measured, 0), ran)),
        ("Latency in cycles", _or_not_run(number(figures.latency_estimate), compiled),
         _or_not_run(number(latency), ran)),
        (f"Latency {at}", _or_not_run(guess, compiled), _or_not_run(took, ran)),
    ]  # fmt: skip
    tail = (Cell("simulation", "muted"), Cell(NONE, "muted"), Cell(NONE, "muted"))
    return [(Cell(name), estimate, got, *tail) for name, estimate, got in rows]


def _activity(figures: Figures) -> list[tuple[Cell, ...]]:
    """The changes of all nets; empty if they were not counted."""
    found, none = figures.quantities.get("toggles"), Cell(NONE, "muted")
    if found is None:
        return []
    return [(Cell("Toggles a frame"), none, Cell(count(found)), Cell("simulation", "muted"), none, none)]


def _routed(figures: Figures) -> list[tuple[Cell, ...]]:
    """The whole chip after place and route, with the system around the accelerator; empty if it was not made."""
    made = figures.bitstream
    if made is None:
        return []
    by, none = Cell(made.tool, "muted"), Cell(NONE, "muted")
    clock = Cell(f"{figures.clock_mhz:g} MHz")
    rows: list[tuple[Cell, ...]] = []
    if made.fmax_mhz is not None:
        rows.append((Cell("Fmax, routed"), none, Cell(f"{made.fmax_mhz:.1f} MHz"), by, clock,
                     _used(figures.clock_mhz, made.fmax_mhz)))  # fmt: skip
    if made.slack_ns is not None:
        rows.append((Cell("Worst slack, routed"), none, Cell(f"{made.slack_ns:.2f} ns"), by, clock, none))
    for key, name in RESOURCES.items():
        value, holds = getattr(made.total, key), getattr(figures.capacity, key)
        rows.append((Cell(f"{name}, routed"), none, _figure(value), by, Cell(count(holds)), _used(value, holds)))
    return rows


def _on_board(figures: Figures) -> list[tuple[Cell, ...]]:
    """The driver's measurements on a board; empty if it did not run."""
    found, none = figures.on_board, Cell(NONE, "muted")
    if found is None:
        return []
    latency = None if found.latency_seconds is None else f"{1e6 * found.latency_seconds:,.0f} µs"
    rows = [
        ("Cycles a frame, board", number(found.cycles_per_frame)),
        ("Frames a second, board", number(found.frames_per_second, 0)),
        ("Latency, board, host included", latency),
    ]
    tail = (Cell("driver", "muted"), none, none)
    return [(Cell(name), none, _or_not_run(value, True), *tail) for name, value in rows]


def _micro(cycles: float | None, clock_mhz: float) -> str | None:
    return None if cycles is None else f"{cycles / clock_mhz:,.2f} µs"


def stages(figures: Figures) -> Table:
    """Each stage of the accelerator, with its resources by the estimate and by Yosys."""
    heads = [
        Column("Stage"),
        Column("Kind"),
        Column("PE", True),
        Column("SIMD", True),
        Column("Memory"),
        Column("Cycles", True),
    ]
    heads += [Column(f"{name} {by}", True) for name in RESOURCES.values() for by in ("est.", "Yosys")]
    rows = []
    for stage in figures.stages:
        slowest = stage.cycles is not None and stage.cycles == figures.cycles_estimate
        cells = [Cell(stage.name), Cell(stage.kind or NONE, "muted"), *(_figure(v) for v in (stage.pe, stage.simd))]
        cells += [
            _memory(stage),
            Cell(number(stage.cycles) or NONE, "warn" if slowest else ""),
        ]
        cells += [_figure(value) for key in RESOURCES for value in _both(stage, key)]
        rows.append(tuple(cells))
    note = "Yosys mapped each stage by itself; the total is their sum."
    notes = (note,) if figures.synthesis else ()
    return Table(title="Stages", columns=tuple(heads), rows=tuple(rows), notes=notes)


def _memory(stage: StageFigures) -> Cell:
    return Cell(MEMORIES[Memory(stage.memory)]) if stage.memory else Cell(NONE, "muted")


def _both(stage: StageFigures, key: str) -> list[float | None]:
    return [getattr(found or Resources(), key) for found in (stage.estimate, stage.synthesis)]


def stalls(figures: Figures) -> Table:
    """The beats of each stream, and the cycles in which it waited."""
    found = figures.simulation.stalls if figures.simulation else {}
    rows = [
        (Cell(name), *(_figure(n) for n in (waits.beats, waits.valid_not_ready, waits.ready_not_valid)))
        for name, waits in found.items()
    ]
    heads = (
        Column("Stream"), Column("Beats", True), Column("Valid not ready", True), Column("Ready not valid", True),
    )  # fmt: skip
    return Table(title="Stalls", columns=heads, rows=tuple(rows))


def fifos(figures: Figures) -> Table:
    """The depth of each FIFO, and its highest fill."""
    found = figures.simulation.fifos if figures.simulation else {}
    rows = [(Cell(name), _figure(fill.depth), _figure(fill.high_water)) for name, fill in found.items()]
    heads = (Column("FIFO"), Column("Depth", True), Column("High-water mark", True))
    return Table(title="FIFOs", columns=heads, rows=tuple(rows))


def seconds(figures: Figures) -> Table:
    """The time that each stage of the flow took to run."""
    rows: list[tuple[str, str]] = [(stage, f"{took:,.1f} s") for stage, took in figures.seconds.items()]
    if sim := figures.simulation:
        rows += [("simulate: build", f"{sim.seconds_build:,.1f} s"), ("simulate: run", f"{sim.seconds_run:,.1f} s")]
        rows.append(("simulate: cycles a second", count(sim.cycles_per_second)))
    shown = tuple((Cell(name), Cell(took)) for name, took in rows)
    return Table(title="Time", columns=(Column("Stage of the flow"), Column("Took", True)), rows=shown)


def versions(figures: Figures) -> Table:
    """The versions of the tools."""
    found = dict(figures.versions)
    if figures.synthesis:
        found["synthesized by"] = figures.synthesis.tool
    rows = tuple((Cell(name), Cell(version)) for name, version in found.items())
    return Table(title="Tools", columns=(Column("Package"), Column("Version", True)), rows=rows)


def count(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{value:,.0f}"


def number(value: float | None, digits: int = 2) -> str | None:
    """A number with thousands separators, and decimals only if it has any."""
    if value is None:
        return None
    return f"{value:,.{digits}f}" if digits and value != round(value) else count(value)


def percent(share: float | None) -> str:
    """A share of 1 in per cent."""
    return NONE if share is None else f"{100 * share:.2f} %"


def _figure(value: float | None) -> Cell:
    return Cell(number(value) or NONE, "" if value else "muted")


def _or_not_run(shown: str | None, ran: bool) -> Cell:
    return Cell(shown) if shown is not None else Cell(NONE if ran else NOT_RUN, "muted")


def _used(value: float | None, capacity: float) -> Cell:
    if value is None or not capacity:
        return Cell(NONE, "muted")
    share = value / capacity
    return Cell(f"{100 * share:.1f} %", "bad" if share > 1 else "warn" if share > 0.8 else "")


def markdown(table: Table) -> list[str]:
    """The lines of a table in Markdown, without its warnings and notes."""
    heads = [f"| {' | '.join(column.head for column in table.columns)} |",
             f"| {' | '.join('---:' if column.figures else '---' for column in table.columns)} |"]  # fmt: skip
    return [*heads, *(f"| {' | '.join(cell.text.replace('|', chr(92) + '|') for cell in row)} |" for row in table.rows)]


def texts(table: Table) -> Sequence[Sequence[str]]:
    """The rows as plain strings."""
    return [[cell.text for cell in row] for row in table.rows]
