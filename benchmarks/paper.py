# SPDX-License-Identifier: Apache-2.0
"""The adiabatic paper's tasks, with its topologies and schedules (Zhao & Xiao, 2021); writes benchmarks/paper.md.

    python benchmarks/paper.py --data DIR [--jobs N] [--only NAME ...] [--report]

The runs are those of benchmarks/paper/compare_NAME.toml.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from adiabit.flows.compare.plan import Run, load_runs

import comparisons  # type: ignore[import-not-found]  # isort: skip  # beside this file, on Python's path

HEAD = """\
# The adiabatic paper's tasks

Made by `python benchmarks/paper.py --data DIR`: topologies and schedules of Zhao & Xiao, Scientific Reports 11, 19797
(2021), each beside its real-valued twin. The paper claims accuracies that are almost those of the twins. Schedule A
pushes k while a target accuracy holds, B when patience runs out; `adiabatic` is our default schedule. `soft` is the
network before the last hardening. The paper leaves the first convolution and the last layer real, except on MNIST;
hardware needs integers there, so 8-bit weights stand beside it, without A and B. Validation frames choose the epoch,
and the test split was touched once a run.
"""
TASKS = {
    "mnist": "784-128-10, all of it 1 bit behind 8-bit pixels",
    "catdog": "16P-32P-64P-2 on 64 x 64 grey pixels",
    "audio": "16P-32P-64P-10 on 8,000 samples, kernels of 30",
    "vgg_small": "128-128P-256-256P-512-512P-10",
    "resnet20": "16-32-64, three stages of three blocks, 1-bit shortcuts",
}
ENDS = {8: "8-bit weights in the first and last layer", 32: "real weights in the first and last layer"}


def runs(task: str, ends: int | None, data: Path | None) -> list[Run]:
    """The runs of a task, with first and last layers of `ends` bits; None for those of all others.

    The paper's schedules are run with the paper's ends alone.
    """
    sets = [] if ends is None else [f"model.first_bits={ends}", f"model.last_bits={ends}"]
    every = load_runs(Path(__file__).parent / "paper" / f"compare_{task}.toml", data, sets)
    return [run for run in every if ends != 8 or "schedule" not in run.label]


def part(task: str, ends: int | None) -> comparisons.Part:
    name, title = (task, task) if ends is None else (f"{task}_{ends}", f"{task}, {ENDS[ends]}")
    return comparisons.Part(name, title, f"{TASKS[task]}.\n", partial(runs, task, ends))


PARTS = tuple(part(task, ends) for task in TASKS for ends in ([None] if task == "mnist" else ENDS))
DOCUMENT = comparisons.Document("paper.md", HEAD, PARTS)


def main(argv: list[str] | None = None) -> int:
    return comparisons.run([DOCUMENT], __doc__, argv)  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
