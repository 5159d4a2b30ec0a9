# SPDX-License-Identifier: Apache-2.0
"""Every method of training on MNIST and spoken digits, and adiabatic schedules; writes benchmarks/methods.md.

    python benchmarks/methods.py --data DIR [--jobs N] [--only NAME ...] [--report]

The runs are those of recipes/compare_NAME.toml, as `adiabit compare` has them: what is finished is kept, what was cut
off is resumed. `--report` trains nothing and writes the tables of what is finished. A part of which nothing is finished
keeps the section that the document has already.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from adiabit.flows.compare.plan import Run, load_runs
from adiabit.flows.compare.run import train
from adiabit.flows.compare.table import Row, markdown, rows

HERE = Path(__file__).parent
HEAD = """\
# Methods of training

Made by `python benchmarks/methods.py --data DIR --jobs 2`: fully binary networks, except where the last column says
otherwise. Validation frames choose the epoch, and those of the test were touched once a run. All methods of a network
have the same epochs, batches, augmentation and cosine of the learning rate. `real` is the real-valued twin. The cost is
of a busy machine; [step.md](step.md) measures it side by side. Differences within a standard deviation say nothing, nor
does a single seed.

What it teaches. Weights of one bit cost little (0.7 points on TFC, 0.2 on SFC); activations of one bit cost three to
four times that, whatever the method, and width wins it back. Among networks all of one bit the best half lies within
half a point on MNIST and its order changes from network to network, so that no method is worth more than a wider
layer; what does lose, on every network, is weights that harden late (mirror descent, BNEW: soft networks among the
best, hard ones among the last) and gradients that narrow with time (IR-Net). `adiabatic` is in the best half on MNIST
and second on spoken digits by the test, not by validation: level with straight-through everywhere, ahead of it on the
embedded digits alone, which is where its default was chosen.
"""
PARTS = {
    "mnist": """\
TFC on all 54,000 training frames of MNIST, 6,000 of validation and 10,000 of test; `recipes/compare_mnist.toml`.
`adiabatic` has the schedule of the recipe, which was searched in 91 trials ([mnist.md](mnist.md)); `adiabatic, default`
has the method's own. What is set for others was found in few trials on the 5,000 embedded digits, so those might gain
from a search of their own.
""",
    "sfc": """\
SFC on the same frames, in 20 of the recipe's 75 epochs; `recipes/compare_sfc.toml`. The learning rate is the recipe's
for all but two; nothing was searched for this network but `adiabatic`, whose schedule is the method's own.
""",
    "spoken_digits": """\
A small convolutional network (16P-32P-32P-64-10, 8-bit spectrograms) on free-spoken-digit-dataset, upstream's split:
2,430 training frames, 270 of validation, 300 of test, which tell no more than whole per cents;
`recipes/compare_spoken_digits.toml`. Nothing was searched.
""",
    "anneal": """\
How the adiabatic method's default schedule was chosen: by hard validation accuracy on the 5,000 embedded digits, four
fifths of them for training and validation; `recipes/compare_anneal.toml`.
""",
    "adiabatic_mnist": """\
Variants of the adiabatic method beside the other methods that export, in 20 of the recipe's 60 epochs;
`recipes/compare_adiabatic_mnist.toml`.
""",
    "adiabatic_spoken_digits": """\
The same with the methods' own learning rate, 0.01, in place of 0.003; `recipes/compare_adiabatic_spoken_digits.toml`.
""",
    "adiabatic_cifar10": """\
The same on CIFAR-10: 16-32P-64P-10, 45,000 training frames, 5,000 of validation, 10,000 of test;
`recipes/compare_adiabatic_cifar10.toml`.
""",
}
TITLES = {
    "adiabatic_mnist": "Variants of adiabatic: tfc",
    "adiabatic_spoken_digits": "Variants of adiabatic: spoken_digits_small",
    "adiabatic_cifar10": "Variants of adiabatic: cifar10_small",
}  # of the other parts, the network's name


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the data sets; else ADIABIT_DATA")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "benchmarks" / "compare")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="train these")
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--table", type=Path, default=HERE / "methods.md")
    args = parser.parse_args(argv)
    plans = {name: load_runs(HERE.parent / "recipes" / f"compare_{name}.toml", args.data) for name in PARTS}

    earlier = sections(args.table.read_text()) if args.table.exists() else {}

    def write() -> None:
        args.table.write_text(report(plans, args.out, earlier))

    for name in args.only:
        if not args.report:
            train(plans[name], args.out, lambda line: print(line, file=sys.stderr, flush=True), write, args.jobs)
    write()
    print(args.table)
    return 0


def report(plans: Mapping[str, Sequence[Run]], out: Path, earlier: Mapping[str, str]) -> str:
    """A section for each part."""
    return "\n".join([HEAD, *(section(name, rows(runs, out), earlier) for name, runs in plans.items())])


def section(name: str, made: Sequence[Row], earlier: Mapping[str, str]) -> str:
    """One of which nothing is trained is the earlier one, or is named as not run."""
    title = TITLES.get(name, made[0].network)
    if not any(row.seeds for row in made):
        return earlier.get(title, f"## {title}\n\nNot run: {name}.\n")
    _, table = markdown(made).split("\n", 1)
    return f"## {title}\n\n{PARTS[name]}{table}"


def sections(text: str) -> dict[str, str]:
    """The sections of a document by their titles."""
    _, *found = f"\n{text}".split("\n## ")
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in found}


if __name__ == "__main__":
    sys.exit(main())
