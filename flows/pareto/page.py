# SPDX-License-Identifier: Apache-2.0
"""The Pareto page: accuracy against resources in one HTML file that needs no network, and as CSV and JSON."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.check.findings import TITLES, written
from adiabit.flows.pareto import anchors
from adiabit.flows.pareto.points import Dot, Facts, front, signed
from adiabit.flows.report.build import environment
from adiabit.flows.report.tables import NONE, Cell, Column, Table
from adiabit.flows.store import open_folder

HTML, CSV, JSON = "pareto.html", "pareto.csv", "pareto.json"
SCRIPT = Path(__file__).with_name("pareto.js")
UNSAID = "not said"  # what a source does not tell
UNREAD = " (partly from memory, not read again)"
POINT = "Point"
TOOL = "Yosys' netlist, before place and route"


def write(dots: Sequence[Dot], objectives: Sequence[str], out: Path, *, name: str, command: str) -> None:
    """Write `pareto.html`, `pareto.csv` and `pareto.json` into the folder `out`; the first two objectives are drawn."""
    open_folder(out)
    best = {dot.name for dot in front(dots, objectives)}
    rows = [_row(dot, dot.name in best, out) for dot in dots]
    published = [_anchor(anchor) for anchor in anchors.load() if anchor.data in {dot.kind[0] for dot in dots}]
    document = {"name": name, "command": command, "objectives": list(objectives), "points": rows, "anchors": published}
    files.write_text(out / JSON, json.dumps(document, indent=1, allow_nan=False) + "\n")
    files.write_text(out / CSV, _csv(rows))
    page = environment(Path(__file__).parent).get_template("pareto.html.j2").render(
        name=name, command=command, plotly=Markup(_plotly()), data=_embedded(document),  # noqa: S704  # the library's own text
        script=Markup(SCRIPT.read_text(encoding="utf-8")), titles=Markup(json.dumps(TITLES)),  # noqa: S704  # our own
        verdict=_verdict(dots, best),
        quantities=[key for key in TITLES if any(key in dot.mean for dot in dots)], objectives=objectives,
        axes=axes(dots), anchors=bool(published), points=table(dots, best, objectives, out), runs=runs(dots, out),
        left_out=left_out(dots), conditions=conditions(dots, published),
    )  # fmt: skip
    files.write_text(out / HTML, page)


def _plotly() -> str:
    """The text of plotly.js, which the Python package ships."""
    if importlib.util.find_spec("plotly") is None:
        raise UserError("plotly: not installed; the Pareto page needs it; install it: pip install 'adiabit[sweep]'")
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _embedded(document: dict[str, Any]) -> Markup:
    """JSON that may stand inside a script element, whatever its strings contain."""
    text = json.dumps(document, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  # escaped above


def _href(page: Path, out: Path) -> str:
    return Path(os.path.relpath(page, out.absolute())).as_posix()


def _row(dot: Dot, best: bool, out: Path) -> dict[str, Any]:
    """A point as JSON types."""
    return {
        "name": dot.name, "labels": dict(dot.labels), "state": str(dot.state), "why": dot.why, "front": best,
        "counts": dot.counts, "kind": " on ".join(part for part in dot.kind if part), "mean": dot.mean,
        "spread": dot.spread, "estimate": dict(dot.estimate), "facts": asdict(dot.runs[0].facts) if dot.runs else None,
        "runs": [{"report": _href(run.page, out), "seed": run.seed, "exact": run.exact, "ladder": run.ladder,
                  "quantities": dict(run.quantities)} for run in dot.runs],
    }  # fmt: skip


def _anchor(anchor: anchors.Anchor) -> dict[str, Any]:
    """A published design as JSON types."""
    found = {key: getattr(anchor, key) for key in TITLES if getattr(anchor, key, None) is not None}
    facts = Facts(
        data=anchor.data, frames=anchor.data_note, encoder=anchor.encoder or UNSAID, part=anchor.part or UNSAID,
        tool=anchor.tool or UNSAID, stage=anchor.stage or UNSAID,
    )  # fmt: skip
    return {
        "name": anchor.name, "method": anchor.method, "mean": found, "facts": asdict(facts), "source": anchor.source,
        "url": anchor.url, "note": anchor.note, "verified": anchor.verified,
    }  # fmt: skip


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each point; the standard deviations of a single run are empty."""
    labels = list(dict.fromkeys(axis for row in rows for axis in row["labels"]))
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    spread = [f"{key}_std" for key in TITLES]
    writer.writerow(["name", *labels, "state", "front", "exact", "seeds", *TITLES, *spread, "report", "why"])
    for row in rows:
        exact = [run["exact"] for run in row["runs"]]
        writer.writerow([
            row["name"], *(row["labels"].get(axis, "") for axis in labels), row["state"], row["front"],
            all(exact) if exact else "", len(exact), *(row["mean"].get(key, "") for key in TITLES),
            *(row["spread"].get(key, "") for key in TITLES), row["runs"][0]["report"] if exact else "", row["why"],
        ])  # fmt: skip
    return sink.getvalue()


def axes(dots: Sequence[Dot]) -> dict[str, list[str]]:
    """The axes along which points differ, with the values that occur."""
    found: dict[str, dict[str, None]] = {}
    for dot in dots:
        for axis, label in dot.labels.items():
            found.setdefault(axis, {})[label] = None
    return {axis: list(labels) for axis, labels in found.items() if len(labels) > 1}


def _verdict(dots: Sequence[Dot], best: Collection[str]) -> Cell:
    """What the page shows, in a sentence."""
    every = [run for dot in dots for run in dot.runs]
    differ = sum(run.exact is not True for run in every)
    ladders = f"{differ} of {len(every)} ladders are NOT all equal" if differ else f"all {len(every)} ladders are equal"
    states = Counter(str(dot.state) for dot in dots if not dot.runs)
    rest = "".join(f"; {number} {state}" for state, number in states.items())
    points = sum(bool(dot.runs) for dot in dots)
    return Cell(f"{points} points, {len(best)} of them on the front; {ladders}{rest}", "bad" if differ else "good")


def table(dots: Sequence[Dot], best: Collection[str], objectives: Sequence[str], out: Path) -> Table:
    """The points that have runs, the best in the first objective first; each leads to the report of its first run."""
    known = [key for key in TITLES if any(key in dot.mean for dot in dots)]
    shown, labels = list(dict.fromkeys((*objectives, *known))), list(axes(dots)) or [POINT]
    ran = sorted((dot for dot in dots if dot.runs), key=lambda dot: signed(dot.mean, objectives[:1]), reverse=True)
    rows = []
    for dot in ran:
        names = [Cell(dot.labels.get(axis, dot.name)) for axis in labels]
        names[0] = replace(names[0], link=_href(dot.runs[0].page, out))
        equal = all(run.exact for run in dot.runs)
        rows.append((
            *names, Cell("yes", "good") if dot.name in best else Cell(dot.why or NONE, "warn" if dot.why else "muted"),
            *(_figure(dot, key) for key in shown), Cell(str(len(dot.runs))),
            Cell("equal", "good") if equal else Cell("NOT all equal", "bad"),
        ))  # fmt: skip
    heads = (*(Column(axis) for axis in labels), Column("On the front"), *(Column(TITLES[key], True) for key in shown),
             Column("Seeds", True), Column("Ladder"))  # fmt: skip
    note = f"Mean ± standard deviation over the seeds. Resources are those of {TOOL}."
    return Table(title="Points", columns=heads, rows=tuple(rows), notes=(note,))


def _figure(dot: Dot, key: str) -> Cell:
    if key not in dot.mean:
        return Cell(NONE, "muted")
    spread = dot.spread.get(key)
    if not spread:
        return Cell(written(key, dot.mean[key]))
    return Cell(f"{written(key, dot.mean[key])} ± {written(key, spread).removesuffix(' %')}")


def runs(dots: Sequence[Dot], out: Path) -> Table:
    """Every run, with its ladder."""
    labels = list(axes(dots)) or [POINT]
    rows = tuple(
        (*(Cell(dot.labels.get(axis, dot.name)) for axis in labels), Cell(NONE if run.seed is None else str(run.seed)),
         *(Cell(written(key, run.quantities.get(key))) for key in ("accuracy", "lut")),
         Cell(run.ladder, "good" if run.exact else "bad", _href(run.page, out)))
        for dot in dots for run in dot.runs
    )  # fmt: skip
    heads = (*map(Column, labels), Column("Seed", True), Column(TITLES["accuracy"], True), Column("LUT", True),
             Column("Ladder"))  # fmt: skip
    return Table(title="Runs", columns=heads, rows=rows)


def front_table(dots: Sequence[Dot], objectives: Sequence[str]) -> Table:
    """The points on the front, for a terminal."""
    labels, best = list(axes(dots)) or [POINT], front(dots, objectives)
    rows = tuple(
        (*(Cell(dot.labels.get(axis, dot.name)) for axis in labels), *(_figure(dot, key) for key in objectives),
         Cell(str(len(dot.runs))))
        for dot in sorted(best, key=lambda dot: signed(dot.mean, objectives[:1]), reverse=True)
    )  # fmt: skip
    heads = (*map(Column, labels), *(Column(TITLES[key], True) for key in objectives), Column("Seeds", True))
    return Table(title="Pareto front", columns=heads, rows=rows)


def checked(objectives: Sequence[str]) -> list[str]:
    """Two or more quantities; `UserError` where they are unknown or too few."""
    unknown = [name for name in objectives if name not in TITLES]
    if unknown or len(set(objectives)) < 2:
        what = f"no such quantity: {unknown[0]!r}" if unknown else f"{','.join(objectives)!r}: at least two are needed"
        raise UserError(f"--objectives: {what}; give some of {', '.join(TITLES)}, e.g. accuracy,lut")
    return list(objectives)


def left_out(dots: Sequence[Dot]) -> Table:
    """The points that have no runs, and why."""
    labels = list(axes(dots)) or [POINT]
    rows = tuple(
        (*(Cell(dot.labels.get(axis, dot.name)) for axis in labels), Cell(str(dot.state)), Cell(dot.why))
        for dot in dots if not dot.runs
    )  # fmt: skip
    heads = (*map(Column, labels), Column("State"), Column("Why", wraps=True))
    return Table(title="Left out", columns=heads, rows=rows)


def conditions(dots: Sequence[Dot], published: Sequence[dict[str, Any]]) -> Table:
    """Under which conditions each figure was obtained: ours first, then the published ones."""
    ours = dict.fromkeys(tuple(asdict(run.facts).values()) for dot in dots for run in dot.runs)
    none = Cell(NONE, "muted")
    rows = [(Cell("adiabit"), none, none, *map(Cell, facts), Cell("this page")) for facts in ours]
    for anchor in published:
        figures = (Cell(written(key, anchor["mean"].get(key))) for key in ("accuracy", "lut"))
        facts = (Cell(text, "muted" if text == UNSAID else "") for text in anchor["facts"].values())
        source = anchor["source"] + ("" if anchor["verified"] else UNREAD)
        rows.append((Cell(anchor["name"]), *figures, *facts, Cell(source, link=anchor["url"])))
    heads = (
        Column("Design"), Column(TITLES["accuracy"], True), Column("LUT", True), Column("Data"),
        Column("Test", wraps=True), Column("Encoder", wraps=True), Column("Part", wraps=True),
        Column("Tool", wraps=True), Column("LUTs counted after"), Column("Source", wraps=True),
    )  # fmt: skip
    note = (
        "Figures under unlike conditions do not compare. Encoder: whether the LUTs include the circuit that turns "
        "pixels into the bits of the first layer."
    )
    return Table(title="Conditions", columns=heads, rows=tuple(rows), notes=(note,))
