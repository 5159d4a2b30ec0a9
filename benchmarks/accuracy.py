# SPDX-License-Identifier: Apache-2.0
"""Adiabatic, straight-through and real-valued training of the recipes; writes benchmarks/{mnist,conv,cifar10}.md.

    python benchmarks/accuracy.py --data DIR [--recipes NAME ...] [--report]

The settings are the recipes'; only method and seed are changed, and the real-valued twin has a learning rate and
weight decay that suit it. A run that is finished is not run again and one that was cut off is resumed, so the command
can be repeated. `--report` writes the tables of what is finished and trains nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from adiabit.flows.intervals import of_mean
from adiabit.flows.recipe import Recipe, load
from adiabit.train.config import TrainConfig
from adiabit.train.loop import fit
from adiabit.train.methods import METHODS as METHODS_BY_NAME
from adiabit.train.methods.real import Real

HERE = Path(__file__).parent
Method = Literal["adiabatic", "ste", "real"]
METHODS: tuple[Method, ...] = ("adiabatic", "ste", "real")
KEPT = ("model.pt", "model.json", "metrics.json", "history.json")


@dataclass(frozen=True)
class Table:
    """One file of results."""

    file: str
    title: str
    seeds: dict[str, int]  # by recipe
    told: str  # how the settings were found, what was learnt
    anchor: str = ""  # figures of others
    reduced: dict[str, str] = field(default_factory=dict)  # recipe to an override that this machine's time asked for


MNIST = Table(
    file="mnist.md",
    title="MNIST, fully binary 784-{64|256|1024}x3-10",
    seeds={"tfc": 3, "sfc": 3, "lfc": 1},
    told="""\
The settings were searched by hand on the validation split: 91 trials of mostly one seed, 58 of them on TFC, 7 of them
`ste`, which takes the settings over and might gain from a search of its own. Test figures of earlier settings were seen
on the way: TFC's after 80 epochs, before its epochs were cut to 60 to save time, SFC's after 50 and 75 epochs and LFC's
after 25 and 75, after which epochs, augmentation and the schedule of the two were chosen anew: on the validation split,
but by somebody who knew that they had to improve.

What was learnt: a long anneal of weights suits the narrow TFC. The wider SFC and LFC do better with a short one: after
5 % of the epochs weights and activations are sign forward, and the slope of tanh backward.""",
    anchor="BNN-PYNQ's own trainings, for comparison (1000 epochs, epoch chosen on the test split): "
    "TFC 93.17, SFC 97.81, LFC 98.88.",
)
CONV = Table(
    file="conv.md",
    title="Convolutional networks, 8-bit input, all else one bit",
    seeds={"digits_conv": 3, "spoken_digits": 3, "catdog": 1},
    told="""\
`digits_conv`: 5,000 embedded MNIST digits (1,000 are the test). `spoken_digits`: free-spoken-digit-dataset, upstream's
split. `catdog`: PetImages, every fifth is the test.

The settings are those of SFC and LFC, with the augmentation of each kind of data, after few trials: one of `catdog`.
Of `spoken_digits` the test figures of four earlier runs of one seed were seen (93.7 to 97.7, 25 to 40
epochs, without zoom), after which the schedule was changed, zoom added and the epochs raised to 60. Its 300 test frames
tell no more than whole per cents. `digits_conv` has the long anneal of TFC; the short one was no better in one run.""",
)
CIFAR10 = Table(
    file="cifar10.md",
    title="CIFAR-10, 8-bit RGB, all else one bit",
    seeds={"cnv": 1, "resnet20": 1, "vgg_small": 1},
    told="""\
45,000 training frames, 5,000 of validation, 10,000 of test. `cnv` has one bit everywhere behind the pixels; first and
last layer of `resnet20` have 8-bit weights, and its shortcuts are one bit. The epochs are what two CPU cores did in the
time there was; the recipes' 200 are one line, e.g. on a GPU (not run):
`python benchmarks/accuracy.py --data DIR --recipes cnv resnet20 vgg_small --full --set train.device=cuda`.

The settings were not searched for these networks.""",
    reduced={"cnv": "train.epochs=100", "resnet20": "train.epochs=60", "vgg_small": "train.epochs=40"},
    anchor="For comparison, BNN-PYNQ's own CNV (1000 epochs, epoch chosen on the test split): 84.22.",
)
TABLES = (MNIST, CONV, CIFAR10)


@dataclass(frozen=True)
class Run:
    """One training."""

    name: str  # of the recipe
    method: Method
    seed: int
    overrides: tuple[str, ...] = ()

    @classmethod
    def every(cls, names: Sequence[str], methods: Sequence[Method], sets: Sequence[str], *, full: bool) -> list[Run]:
        """Each network's adiabatic run of seed 0 first, so that a cut-off benchmark tells the most."""
        made = []
        for table in TABLES:
            for name in (n for n in table.seeds if n in names):
                reduced = () if full or name not in table.reduced else (table.reduced[name],)
                made += [cls(name, m, s, (*reduced, *sets)) for m in methods for s in range(table.seeds[name])]
        return sorted(made, key=lambda r: (r.seed, methods.index(r.method), names.index(r.name)))

    def recipe(self) -> Recipe:
        """The recipe, trained by this method."""
        recipe = load(HERE.parent / "recipes" / f"{self.name}.toml", self.overrides)
        changes: dict[str, Any] = {"seed": self.seed, "threads": None}
        if self.method != "adiabatic":
            changes["method"] = METHODS_BY_NAME.validate(self.method)
        if self.method == "real":
            changes |= {"learning_rate": Real.learning_rate, "weight_decay": Real.weight_decay}
        return recipe.model_copy(update={"train": recipe.train.model_copy(update=changes)})

    def folder(self, out: Path) -> Path:
        """Where the run's files are; other settings have another folder."""
        settings: TrainConfig = self.recipe().train
        digest = hashlib.sha256(settings.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:8]
        return out / f"{self.name}-{self.method}-{self.seed}-{digest}"


def main(argv: list[str] | None = None) -> int:
    names = [name for table in TABLES for name in table.seeds]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the data sets; else ADIABIT_DATA")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "benchmarks" / "accuracy")
    parser.add_argument("--recipes", nargs="+", choices=names, default=names)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override, as adiabit run has it"
    )
    parser.add_argument("--full", action="store_true", help="as many epochs as the recipes say")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--report", action="store_true", help="train nothing")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    for run in [] if args.report else Run.every(args.recipes, args.methods, args.set, full=args.full):
        train(run, args.out, args.data)
    for table in TABLES:
        if set(table.seeds) & set(args.recipes):
            every = Run.every(list(table.seeds), METHODS, args.set, full=args.full)
            found = [run for run in every if finished(run, args.out)]
            (HERE / table.file).write_text(report(table, found, args.out))
            keep_checkpoints(found, args.out)
            print(HERE / table.file)
    return 0


def finished(run: Run, out: Path) -> bool:
    return (run.folder(out) / "model.json").exists()


def train(run: Run, out: Path, data: Path | None) -> None:
    folder = run.folder(out)
    if finished(run, out):
        return
    folder.mkdir(parents=True, exist_ok=True)
    print(f"== {folder.name}", file=sys.stderr, flush=True)
    recipe = run.recipe()
    source = recipe.data.model_copy(update={"dir": data}) if data else recipe.data
    fit(source, recipe.model, recipe.train, folder, progress=False)


def report(table: Table, found: Sequence[Run], out: Path) -> str:
    """The table as Markdown, of the runs that are finished."""
    lines = [
        f"# {table.title}",
        "",
        "Made by `python benchmarks/accuracy.py --data DIR`, with the settings of `recipes/`. Accuracy in per cent",
        "of the test split, mean ± standard deviation over the seeds. The epoch was chosen by hard accuracy on a",
        "validation split of 10 % of the training frames; the test split was touched once a run, at its end.",
        "`hard`: every weight and activation is one bit, as the hardware computes. `soft`: the same network before",
        "its last hardening. `real` is the real-valued twin (ReLU) of the same topology on the same input. All",
        "methods of a network have the same epochs, batches and learning-rate schedule. Seconds are those of one",
        "thread of a shared machine, and tell no more than the order. Differences within a standard deviation say",
        "nothing, nor does a single seed. 95 %: half the interval of the mean, by the seeds (Student's t) and the",
        "number of test frames.",
        "",
        table.told,
        "",
        "| recipe | method | epochs | seeds | hard test | 95 % | soft test | hard validation | seconds a run |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in table.seeds:
        for method in METHODS:
            mine = [run.folder(out) for run in found if (run.name, run.method) == (name, method)]
            lines.append(_row(name, method, [json.loads((f / "metrics.json").read_text()) for f in mine]))
    return "\n".join([*lines, *(["", table.anchor] if table.anchor else [])]) + "\n"


def _row(name: str, method: str, rows: list[dict[str, Any]]) -> str:
    if not rows:
        return f"| {name} | {method} | | 0 | not run | | | | |"

    def percent(key: str) -> str:
        values = [100 * row[key] for row in rows]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.2f}{spread}"

    hard = "" if method != "real" else "(real) "
    seconds = statistics.mean(row["seconds"] for row in rows)
    half = of_mean([row["hard_test"] for row in rows], rows[0].get("test_frames"))
    interval = f"± {100 * half:.2f}" if half is not None else ""
    return (
        f"| {name} | {method} | {rows[0]['epochs']} | {len(rows)} | {hard}{percent('hard_test')} | {interval} "
        f"| {percent('soft_test')} | {percent('hard_validation')} | {seconds:.0f} |"
    )


def keep_checkpoints(found: Sequence[Run], out: Path) -> None:
    """Copy the adiabatic networks of seed 0 beside the tables: one byte a weight."""
    for run in found:
        if (run.method, run.seed) == ("adiabatic", 0):
            target = HERE / "checkpoints" / run.name
            target.mkdir(parents=True, exist_ok=True)
            for file in KEPT:
                shutil.copy(run.folder(out) / file, target / file)


if __name__ == "__main__":
    sys.exit(main())
