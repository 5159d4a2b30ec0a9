# SPDX-License-Identifier: Apache-2.0
"""Every method of training on MNIST and spoken digits, and adiabatic schedules; writes benchmarks/methods.md.

    python benchmarks/methods.py --data DIR [--jobs N] [--only NAME ...] [--report]

The runs are those of recipes/compare_NAME.toml, as `adiabit compare` has them.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from adiabit.flows.compare.plan import Run, load_runs

import comparisons  # type: ignore[import-not-found]  # isort: skip  # beside this file, on Python's path

RECIPES = Path(__file__).parent.parent / "recipes"
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

Is a better adiabatic method ahead of the others? Not by evidence: with four seeds (the last three sections) one of its
variants is first on TFC, spoken digits and CIFAR-10, but not the same one, and by less than a standard deviation of it
or of the next method. Weight decay that suits the length of the training is worth as much, to straight-through as well.
"""
PARTS = {  # by name on the command line and title
    ("mnist", "tfc"): """\
TFC on all 54,000 training frames of MNIST, 6,000 of validation and 10,000 of test; `recipes/compare_mnist.toml`.
`adiabatic` has the schedule of the recipe, which was searched in 91 trials ([mnist.md](mnist.md)); `adiabatic, default`
has the method's own. What is set for others was found in few trials on the 5,000 embedded digits, so those might gain
from a search of their own.
""",
    ("sfc", "sfc"): """\
SFC on the same frames, in 20 of the recipe's 75 epochs; `recipes/compare_sfc.toml`. The learning rate is the recipe's
for all but two; nothing was searched for this network but `adiabatic`, whose schedule is the method's own.
""",
    ("spoken_digits", "spoken_digits_small"): """\
A small convolutional network (16P-32P-32P-64-10, 8-bit spectrograms) on free-spoken-digit-dataset, upstream's split:
2,430 training frames, 270 of validation, 300 of test, which tell no more than whole per cents;
`recipes/compare_spoken_digits.toml`. Nothing was searched.
""",
    ("anneal", "digits"): """\
How the adiabatic method's default schedule was chosen: by hard validation accuracy on the 5,000 embedded digits, four
fifths of them for training and validation; `recipes/compare_anneal.toml`.
""",
    ("adiabatic_mnist", "Variants of adiabatic: tfc"): """\
Variants of the adiabatic method beside the other methods that export, in 20 of the recipe's 60 epochs;
`recipes/compare_adiabatic_mnist.toml`.
""",
    ("adiabatic_spoken_digits", "Variants of adiabatic: spoken_digits_small"): """\
The same with the methods' own learning rate, 0.01, in place of 0.003; `recipes/compare_adiabatic_spoken_digits.toml`.
""",
    ("adiabatic_cifar10", "Variants of adiabatic: cifar10_small"): """\
The same on CIFAR-10: 16-32P-64P-10, 45,000 training frames, 5,000 of validation, 10,000 of test;
`recipes/compare_adiabatic_cifar10.toml`.
""",
}


def runs(name: str, data: Path | None) -> list[Run]:
    return load_runs(RECIPES / f"compare_{name}.toml", data)


DOCUMENT = comparisons.Document(
    "methods.md", HEAD, tuple(comparisons.Part(n, title, text, partial(runs, n)) for (n, title), text in PARTS.items())
)


def main(argv: list[str] | None = None) -> int:
    return comparisons.run([DOCUMENT], __doc__, argv)  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
