# SPDX-License-Identifier: Apache-2.0
"""Accuracy against LUTs: the shipped sweeps, their fronts, and what a trial costs beyond its stages.

Usage: python benchmarks/sweep.py [digits] [mnist] [--data DIR] [--jobs N] [--report]
Runs `adiabit sweep` for each, which goes on where it was interrupted, and writes benchmarks/sweep.md. The time of a
sweep is known only if it ran at once; it is kept in its folder. --report runs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from adiabit.flows.pareto import anchors
from adiabit.flows.pareto.page import front_table
from adiabit.flows.pareto.points import Dot, front
from adiabit.flows.report.tables import markdown
from adiabit.flows.sweep import record, trial
from adiabit.flows.sweep.trial import Outcome

HERE = Path(__file__).parent
NAMES = ("digits", "mnist")
TIME = "seconds.json"
HEAD = """# Accuracy against LUTs

Made by `python benchmarks/sweep.py --data DIR`. Every point was trained, compiled, run through the whole ladder on the
full test split and corner inputs, and synthesized by Yosys (xc7z020). LUTs are counted before place and route; pixels
are binarized, or read as they are, in the circuit.
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="run these; by default all")
    parser.add_argument("--data", type=Path, help="folder with the data sets; else ADIABIT_DATA")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--report", action="store_true", help="run nothing")
    args = parser.parse_args(argv)
    for name in args.names or NAMES:
        if not args.report:
            run(name, args.out / f"sweep_{name}", args.data, args.jobs)
    (HERE / "sweep.md").write_text("\n".join([HEAD, *(section(name, args.out / f"sweep_{name}") for name in NAMES)]))
    print(HERE / "sweep.md")
    return 0


def run(name: str, out: Path, data: Path | None, jobs: int) -> None:
    """Run or resume a sweep; the time of one that ran at once is kept."""
    fresh, start = not out.exists(), time.monotonic()
    command = [sys.executable, "-m", "adiabit", "sweep", f"sweep_{name}", "--out", str(out), "--jobs", str(jobs)]
    subprocess.run([*command, *(["--data", str(data)] if data else [])], check=True)
    if fresh:
        kept = {
            "seconds": time.monotonic() - start,
            "jobs": jobs,
            "cores": os.cpu_count(),
        }
        (out / TIME).write_text(json.dumps(kept))


def section(name: str, out: Path) -> str:
    """What a sweep found."""
    if not (out / record.FILE).exists():
        return f"## {name}\n\nNot run.\n"
    made = record.load(out)
    dots = made.dots(out)
    found = [one for dot in dots for one in (trial.load(out / record.RUNS / run) for run in _runs(made, dot)) if one]
    lines = [f"## {name}", "", f"    adiabit sweep recipes/sweep_{name}.toml --jobs 2", ""]
    lines += [
        _summary(dots, made.objectives),
        "",
        _cost(found, out),
        "",
        *markdown(front_table(dots, made.objectives)),
    ]
    if published := [anchor for anchor in anchors.load() if anchor.data == name]:
        lines += ["", *_published(published)]
    return "\n".join([*lines, ""])


def _runs(made: record.Record, dot: Dot) -> tuple[str, ...]:
    return next(entry.trials for entry in made.points if entry.name == dot.name)


def _summary(dots: Sequence[Dot], objectives: Sequence[str]) -> str:
    runs = [run for dot in dots for run in dot.runs]
    equal = sum(run.exact is True for run in runs)
    best = front(dots, objectives)
    return (
        f"{sum(bool(dot.runs) for dot in dots)} points, {len(best)} of them on the front; {len(runs)} runs, of which "
        f"{equal} have a ladder that is equal at every rung."
    )


def _cost(found: Sequence[Outcome], out: Path) -> str:
    over = statistics.median(outcome.overhead for outcome in found)
    text = f"A trial takes {over:.1f} s beyond its stages (median)"
    if not (out / TIME).exists():
        return f"{text}. The sweep did not run at once, so its time is not known."
    kept = json.loads((out / TIME).read_text())
    took = f"{kept['seconds'] / 60:.0f} minutes, {kept['jobs']} at once on {kept['cores']} cores"
    return f"{text}. All {len(found)} took {took}."


def _published(found: Sequence[anchors.Anchor]) -> list[str]:
    """The published designs, the most accurate first, with what is known of their conditions."""
    lines = [
        "Published designs, under other conditions; their encoders are counted only where it says so, and what a "
        "source does not say is left empty (`flows/pareto/anchors.toml` has the sources).", "",
        "| Design | Test accuracy | LUT | Encoder | Part | LUTs counted after |",
        "| --- | ---: | ---: | --- | --- | --- |",
    ]  # fmt: skip
    for anchor in sorted(found, key=lambda anchor: -anchor.accuracy):
        known = [anchor.encoder, anchor.part, anchor.stage]
        name = anchor.name + ("" if anchor.verified else " (partly from memory)")
        cells = [name, f"{100 * anchor.accuracy:.1f} %", f"{anchor.lut:,}", *(text or "" for text in known)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
