# SPDX-License-Identifier: Apache-2.0
"""The adiabatic paper's tasks, with its topologies and schedules (Zhao & Xiao, 2021); writes benchmarks/paper.md.

    python benchmarks/paper.py --data DIR [--tasks NAME ...] [--ends 8 32] [--report]

The runs are those of benchmarks/paper/compare_NAME.toml: what is finished is kept, what was cut off is resumed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from adiabit.flows.compare.plan import Run, load_runs
from adiabit.flows.compare.run import train
from adiabit.flows.compare.table import Row, markdown, rows

HERE = Path(__file__).parent
HEAD = """\
# The adiabatic paper's tasks

Made by `python benchmarks/paper.py --data DIR`: topologies and schedules of Zhao & Xiao, Scientific Reports 11, 19797
(2021), each beside its real-valued twin. The paper claims accuracies that are almost those of the twins. Schedule A
pushes k while a target accuracy holds, B when patience runs out; `adiabatic` is our default schedule. `soft` is the
network before the last hardening. The paper leaves the first convolution and the last layer real, except on MNIST;
hardware needs integers there, so 8-bit weights stand beside it. Validation frames choose the epoch; the test split was
touched once a run.
"""
TASKS = {
    "mnist": "784-128-10, all of it 1 bit behind 8-bit pixels",
    "catdog": "16P-32P-64P-2 on 64 x 64 grey pixels",
    "audio": "16P-32P-64P-10 on 8,000 samples, kernels of 30",
    "vgg_small": "128-128P-256-256P-512-512P-10",
    "resnet20": "16-32-64, three stages of three blocks, 1-bit shortcuts",
}
ENDS = {8: "8-bit weights in the first and last layer", 32: "real weights in the first and last layer"}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the data sets; else ADIABIT_DATA")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "benchmarks" / "paper")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--ends", nargs="+", type=int, choices=ENDS, default=list(ENDS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--table", type=Path, default=HERE / "paper.md")
    parser.add_argument("--report", action="store_true", help="train nothing")
    args = parser.parse_args(argv)

    def write() -> None:
        args.table.write_text(report(args.out, args.data))

    for task in args.tasks:
        for ends in ends_of(task):
            if not args.report and (ends is None or ends in args.ends):
                train(plan(task, ends, args.data), args.out, _tell, write, args.jobs)
    write()
    print(args.table)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def ends_of(task: str) -> list[int | None]:
    """Bits of the first and last layer that a task is run with; None for those of all others."""
    return [None] if task == "mnist" else list(ENDS)


def plan(task: str, ends: int | None, data: Path | None = None) -> list[Run]:
    sets = [] if ends is None else [f"model.first_bits={ends}", f"model.last_bits={ends}"]
    return load_runs(HERE / "paper" / f"compare_{task}.toml", data, sets)


def report(out: Path, data: Path | None) -> str:
    """A section for each task and kind of ends; what is not run is told."""
    parts = [HEAD]
    for task, what in TASKS.items():
        for ends in ends_of(task):
            title = f"{task}{'' if ends is None else f', {ENDS[ends]}'}"
            made = rows(plan(task, ends, data), out)
            parts.append(f"## {title}\n\n{what[0].upper()}{what[1:]}.\n\n{body(made)}\n")
    return "\n".join(parts)


def body(made: Sequence[Row]) -> str:
    """The table without its heading, or that nothing was run."""
    return markdown(made).split("\n", 2)[2].rstrip() if any(row.seeds for row in made) else "Not run."


if __name__ == "__main__":
    sys.exit(main())
