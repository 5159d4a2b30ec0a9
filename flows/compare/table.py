# SPDX-License-Identifier: Apache-2.0
"""A comparison's table and curves: CSV, Markdown, JSON and one HTML file."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from adiabit.flows.compare.plan import Run
from adiabit.flows.compare.run import finished, folder_of
from adiabit.flows.report.build import environment
from adiabit.flows.report.charts import Chart, curve_chart
from adiabit.flows.report.tables import NONE, Cell, Column, Table

NEARLY = 0.95  # of a run's best hard validation accuracy
ACCURACY = Chart(title="Hard validation accuracy", write="{:.1%}".format, ceiling=1.0)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method on a network, over its seeds. Accuracies are shares; `None` where there is no spread, or nothing yet."""

    network: str
    method: str
    seeds: int
    of: int
    epochs: int | None = None  # the most that a run had
    hard: float | None = None  # test accuracy, mean
    hard_spread: float | None = None  # its standard deviation
    soft: float | None = None
    validation: float | None = None  # hard
    nearly: float | None = None  # mean epochs until 95 % of the run's best hard validation accuracy
    seconds: float | None = None  # of an epoch, of the quickest seed
    cost: float | None = None  # of an epoch, in those of the network's first method
    why_not: str = ""  # it does not export


def rows(runs: Sequence[Run], out: Path) -> list[Row]:
    """In the order of the file; only finished runs count."""
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
    row = Row(
        network=first.network, method=first.label, seeds=0, of=len(runs), why_not=first.recipe.train.method.why_not
    )
    done = [folder_of(run, out) for run in runs if finished(run, out)]
    if not done:
        return row
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in done]
    histories = [json.loads((folder / "history.json").read_text()) for folder in done]

    def mean(key: str) -> float:
        return float(statistics.mean(m[key] for m in metrics))

    hard = [m["hard_test"] for m in metrics]
    return replace(
        row, seeds=len(done), epochs=max(m["epochs"] for m in metrics), hard=mean("hard_test"), soft=mean("soft_test"),
        validation=mean("hard_validation"), hard_spread=statistics.stdev(hard) if len(hard) > 1 else None,
        nearly=statistics.mean(_nearly(history["hard_accuracy"]) for history in histories),
        seconds=min(m["seconds"] / m["epochs"] for m in metrics),
    )  # fmt: skip


def _nearly(accuracies: Sequence[float]) -> int:
    """The first epoch, from 1, that reaches 95 % of the best."""
    return next(epoch for epoch, value in enumerate(accuracies, 1) if value >= NEARLY * max(accuracies))


def table(network: str, made: Sequence[Row]) -> Table:
    """One network's rows, best first."""
    heads = (
        Column("Method"), Column("Hard test", True), Column("Soft test", True), Column("Hard validation", True),
        Column("Seeds", True), Column("Epochs", True), Column("To 95 %", True), Column("Cost", True),
        Column("Exports", wraps=True),
    )  # fmt: skip
    first = next(row.method for row in made if row.network == network)
    mine = sorted((row for row in made if row.network == network), key=lambda row: -(row.hard or 0))
    return Table(
        title=network, columns=heads, rows=tuple(tuple(Cell(text) for text in words(row)) for row in mine),
        notes=("Accuracy in per cent of the test split, mean ± standard deviation over the seeds. To 95 %: mean epochs "
               "until a run's hard validation accuracy reaches 95 % of its best. Cost: time of an epoch, in that of "
               f"{first}, the quickest seeds', on a machine that may have been busy.",),
    )  # fmt: skip


def words(row: Row) -> tuple[str, ...]:
    """A row as it is shown."""
    spread = f" ± {100 * row.hard_spread:.2f}" if row.hard_spread is not None else ""
    hard = NONE if row.hard is None else f"{100 * row.hard:.2f}{spread}"
    soft, validation = (NONE if v is None else f"{100 * v:.2f}" for v in (row.soft, row.validation))
    return (
        row.method, hard, soft, validation, f"{row.seeds}" if row.seeds == row.of else f"{row.seeds} of {row.of}",
        NONE if row.epochs is None else str(row.epochs), NONE if row.nearly is None else f"{row.nearly:.1f}",
        NONE if row.cost is None else f"{row.cost:.2f}", f"no: {row.why_not}" if row.why_not else "yes",
    )  # fmt: skip


def markdown(made: Sequence[Row]) -> str:
    """All networks' tables."""
    lines: list[str] = []
    for network in dict.fromkeys(row.network for row in made):
        shown = table(network, made)
        lines += [f"## {network}", "", "| " + " | ".join(c.head for c in shown.columns) + " |"]
        lines += ["|" + "".join(" ---: |" if c.figures else " --- |" for c in shown.columns)]
        lines += ["| " + " | ".join(cell.text for cell in row) + " |" for row in shown.rows] + ["", *shown.notes, ""]
    return "\n".join(lines)


def write(runs: Sequence[Run], out: Path, name: str, command: str) -> None:
    """Write compare.csv, compare.md, compare.json and compare.html into the folder of the trainings."""
    made, folder = rows(runs, out), out
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "compare.csv").open("w", newline="", encoding="utf-8") as sink:
        writer = csv.DictWriter(sink, fieldnames=list(asdict(made[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in made)
    (folder / "compare.md").write_text(markdown(made), encoding="utf-8")
    (folder / "compare.json").write_text(json.dumps([asdict(row) for row in made], indent=1) + "\n", encoding="utf-8")
    networks = list(dict.fromkeys(row.network for row in made))
    page = environment().get_template("compare.html.j2").render(
        name=name, command=command, sections=[(table(n, made), list(_curves(n, runs, out))) for n in networks],
    )  # fmt: skip
    (folder / "compare.html").write_text(page, encoding="utf-8")


def _curves(network: str, runs: Sequence[Run], out: Path) -> Iterator[tuple[Chart, Markup]]:
    """A chart a method: its mean curve beside that of the network's first method; all have the same axes."""
    labels = list(dict.fromkeys(run.label for run in runs if run.network == network))
    means = {label: mean for label in labels if (mean := _mean(network, label, runs, out))}
    lowest = min((min(mean) for mean in means.values()), default=0.0)
    epochs = range(1, max(map(len, means.values()), default=0) + 1)
    for label, mean in means.items():
        first = next(iter(means))
        shown = {label: mean} if label == first else {label: mean, first: means[first]}
        chart = replace(ACCURACY, title=label, curves=shown, floor=lowest)
        yield chart, curve_chart(chart, epochs)


def _mean(network: str, label: str, runs: Sequence[Run], out: Path) -> list[float]:
    """Hard validation accuracy by epoch, the mean of the finished seeds that came so far."""
    curves: list[list[Any]] = [
        json.loads((folder_of(run, out) / "history.json").read_text())["hard_accuracy"]
        for run in runs
        if (run.network, run.label) == (network, label) and finished(run, out)
    ]
    longest = max((len(curve) for curve in curves), default=0)
    return [statistics.mean(c[i] for c in curves if i < len(c)) for i in range(longest)]
