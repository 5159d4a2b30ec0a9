# SPDX-License-Identifier: Apache-2.0
"""The table and curves of a comparison, as CSV, Markdown, JSON and a single HTML file."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path

from markupsafe import Markup

from adiabit import files
from adiabit.flows.compare.plan import Run
from adiabit.flows.compare.results import Result, load
from adiabit.flows.compare.run import finished
from adiabit.flows.intervals import of_mean
from adiabit.flows.report.build import environment
from adiabit.flows.report.charts import Chart, Values, curve_chart
from adiabit.flows.report.tables import NONE, Cell, Column, Table
from adiabit.flows.report.tables import markdown as table_markdown
from adiabit.flows.store import open_folder

NEARLY = 0.95  # of a run's best hard validation accuracy
ACCURACY = Chart(title="Hard validation accuracy", write="{:.1%}".format, ceiling=1.0)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method on a network, over its seeds; accuracies are in 0...1, and None without a finished run.

    A single finished run has no spread.
    """

    network: str
    method: str
    seeds: int  # finished
    of: int  # planned
    epochs: int | None = None  # of the longest run
    hard: float | None = None  # test accuracy, mean
    hard_spread: float | None = None  # its standard deviation
    hard_half: float | None = None  # half its 95 % interval, by the seeds and the number of test frames
    soft: float | None = None
    validation: float | None = None  # hard
    nearly: float | None = None  # mean epochs until 95 % of the run's best hard validation accuracy
    seconds: float | None = None  # per epoch, of the fastest seed
    cost: float | None = None  # seconds per epoch relative to the network's first method
    why_not: str = ""  # why it cannot be exported


def rows(runs: Sequence[Run], out: Path) -> list[Row]:
    """One row for each method on each network, in the order of the file; only finished runs count."""
    made: dict[tuple[str, str], Row] = {}
    for run in runs:
        key = (run.network, run.label)
        if key not in made:
            made[key] = _row([r for r in runs if (r.network, r.label) == key], out)
    ordered = sorted(made.values(), key=lambda row: list(dict.fromkeys(r.network for r in runs)).index(row.network))
    first = {row.network: row.seconds for row in reversed(ordered) if row.seconds}
    return [replace(row, cost=row.seconds / first[row.network]) if row.seconds else row for row in ordered]


def _row(runs: Sequence[Run], out: Path) -> Row:
    first = runs[0]
    row = Row(network=first.network, method=first.label, seeds=0, of=len(runs), why_not=first.recipe.why_not)
    done = _results(runs, out)
    if not done:
        return row
    metrics = [result.metrics for result in done]
    hard = [m.hard_test for m in metrics]
    return replace(
        row, seeds=len(done), epochs=max(m.epochs for m in metrics), hard=statistics.mean(hard),
        soft=statistics.mean(m.soft_test for m in metrics),
        validation=statistics.mean(m.hard_validation for m in metrics),
        hard_spread=statistics.stdev(hard) if len(hard) > 1 else None,
        hard_half=of_mean(hard, metrics[0].test_frames),
        nearly=_mean(_nearly(result.accuracies) for result in done),
        seconds=min(m.seconds / m.epochs for m in metrics),
    )  # fmt: skip


def _results(runs: Sequence[Run], out: Path) -> list[Result]:
    return [load(folder) for run in runs if (folder := finished(run, out)) is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of the known values; None if there are none."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _nearly(accuracies: Values) -> int | None:
    """The first epoch, counted from 1, that reaches 95 % of the best; None if no accuracy is known."""
    best = max((value for value in accuracies if value is not None), default=None)
    if best is None:
        return None
    return next(epoch for epoch, value in enumerate(accuracies, 1) if value is not None and value >= NEARLY * best)


def table(network: str, made: Sequence[Row]) -> Table:
    """One network's rows, best first."""
    heads = (
        Column("Method"), Column("Hard test", True), Column("95 %", True), Column("Soft test", True),
        Column("Hard validation", True), Column("Seeds", True), Column("Epochs", True), Column("To 95 %", True),
        Column("Cost", True), Column("Exports", wraps=True),
    )  # fmt: skip
    first = next(row.method for row in made if row.network == network)
    mine = sorted((row for row in made if row.network == network), key=lambda row: -(row.hard or 0))
    return Table(
        title=network, columns=heads, rows=tuple(tuple(Cell(text) for text in words(row)) for row in mine),
        notes=("Accuracy in per cent of the test split, mean ± standard deviation over the seeds. 95 %: half "
               "the interval of the mean, by the seeds (Student's t) and the test frames. To 95 %: mean epochs "
               "until a run's hard validation accuracy reaches 95 % of its best. Cost: time per epoch relative to "
               f"{first}, each by its fastest seed, on a machine that may have been busy.",),
    )  # fmt: skip


def words(row: Row) -> tuple[str, ...]:
    """A row as the texts of its cells."""
    spread = f" ± {100 * row.hard_spread:.2f}" if row.hard_spread is not None else ""
    hard = NONE if row.hard is None else f"{100 * row.hard:.2f}{spread}"
    soft, validation = (NONE if v is None else f"{100 * v:.2f}" for v in (row.soft, row.validation))
    half = NONE if row.hard_half is None else f"± {100 * row.hard_half:.2f}"
    return (
        row.method, hard, half, soft, validation, f"{row.seeds}" if row.seeds == row.of else f"{row.seeds} of {row.of}",
        NONE if row.epochs is None else str(row.epochs), NONE if row.nearly is None else f"{row.nearly:.1f}",
        NONE if row.cost is None else f"{row.cost:.2f}", f"no: {row.why_not}" if row.why_not else "yes",
    )  # fmt: skip


def markdown(made: Sequence[Row]) -> str:
    """The tables of all networks as Markdown."""
    lines: list[str] = []
    for network in dict.fromkeys(row.network for row in made):
        shown = table(network, made)
        lines += [f"## {network}", "", *table_markdown(shown), "", *shown.notes, ""]
    return "\n".join(lines)


def write(runs: Sequence[Run], out: Path, name: str, command: str) -> None:
    """Write compare.csv, compare.md, compare.json and compare.html into the folder of the trainings."""
    made = rows(runs, out)
    open_folder(out)
    files.write_text(out / "compare.csv", _csv(made))
    files.write_text(out / "compare.md", markdown(made))
    files.write_text(out / "compare.json", json.dumps([asdict(row) for row in made], indent=1) + "\n")
    networks = list(dict.fromkeys(row.network for row in made))
    page = environment().get_template("compare.html.j2").render(
        name=name, command=command, sections=[(table(n, made), list(_curves(n, runs, out))) for n in networks],
    )  # fmt: skip
    files.write_text(out / "compare.html", page)


def _csv(made: Sequence[Row]) -> str:
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, fieldnames=list(asdict(made[0])))
    writer.writeheader()
    writer.writerows(asdict(row) for row in made)
    return sink.getvalue()


def _curves(network: str, runs: Sequence[Run], out: Path) -> Iterator[tuple[Chart, Markup]]:
    """One chart per method: its mean curve and that of the network's first method; all have the same axes."""
    labels = list(dict.fromkeys(run.label for run in runs if run.network == network))
    found = {label: _mean_curve(network, label, runs, out) for label in labels}
    means = {label: mean for label, mean in found.items() if _mean(mean) is not None}
    lowest = min((value for mean in means.values() for value in mean if value is not None), default=0.0)
    epochs = range(1, max(map(len, means.values()), default=0) + 1)
    for label, mean in means.items():
        first = next(iter(means))
        shown = {label: mean} if label == first else {label: mean, first: means[first]}
        chart = replace(ACCURACY, title=label, curves=shown, floor=lowest)
        yield chart, curve_chart(chart, epochs)


def _mean_curve(network: str, label: str, runs: Sequence[Run], out: Path) -> list[float | None]:
    """The hard validation accuracy at each epoch: the mean of the finished seeds that lasted that long."""
    mine = [run for run in runs if (run.network, run.label) == (network, label)]
    return [_mean(epoch) for epoch in zip_longest(*(result.accuracies for result in _results(mine, out)))]
