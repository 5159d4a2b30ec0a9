# SPDX-License-Identifier: Apache-2.0
"""Every method of training on MNIST; writes benchmarks/methods.md.

    python benchmarks/methods.py --data DIR [--jobs N] [--report]

The runs are those of recipes/compare_mnist.toml, as `adiabit compare` has them: what is finished is kept, what was cut
off is resumed. `--report` trains nothing and writes the table of what is finished.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from adiabit.flows.compare.plan import load_runs
from adiabit.flows.compare.run import train
from adiabit.flows.compare.table import Row, markdown, rows

HERE = Path(__file__).parent
COMPARISON = HERE.parent / "recipes" / "compare_mnist.toml"
HEAD = """\
# Methods of training on MNIST

Made by `python benchmarks/methods.py --data DIR --jobs 2` from `recipes/compare_mnist.toml`: fully binary networks,
except where the last column says otherwise, on all 54,000 training frames; 6,000 of validation choose the epoch, and
the 10,000 of the test were touched once a run. All methods of a network have the same epochs, batches, augmentation and
cosine of the learning rate. The cost is of a busy machine; [step.md](step.md) measures it side by side.

`adiabatic` has the schedule of the recipe, which was searched in 91 trials ([mnist.md](mnist.md)); what is set for
others in `recipes/compare_mnist.toml` was found in few trials on the 5,000 embedded digits, so those might gain from a
search of their own. `real` is the real-valued twin. Differences within a standard deviation say nothing, nor does a
single seed.

What it teaches so far, of one seed on TFC: weights of one bit cost 0.7 points where activations stay real, activations
of one bit cost another 2 whatever the method. With all of one bit most methods lie within a point of each other, those
whose weights carry a scale (DoReFa, XNOR-Net, BNN+) in front although the scale folds away, `adiabatic` beside them and
second by validation. What hardens at the end has the most to lose: mirror descent's soft network is the best of all and
its hard one the last; `adiabatic` closes that gap, but comes near its best only after two thirds of the epochs.
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the data sets; else ADIABIT_DATA")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "benchmarks" / "compare_mnist")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--table", type=Path, default=HERE / "methods.md")
    args = parser.parse_args(argv)
    runs = load_runs(COMPARISON, args.data)
    if not args.report:
        train(runs, args.out, args.jobs, lambda line: print(line, file=sys.stderr, flush=True), lambda: None)
    args.table.write_text(report(rows(runs, args.out)))
    print(args.table)
    return 0


def report(made: Sequence[Row]) -> str:
    """Networks of which nothing is trained are named as not run."""
    begun = {row.network for row in made if row.seeds}
    missing = [network for network in dict.fromkeys(row.network for row in made) if network not in begun]
    told = [f"Not run: {', '.join(missing)}.\n"] if missing else []
    return "\n".join([HEAD, markdown([row for row in made if row.network in begun]), *told])


if __name__ == "__main__":
    sys.exit(main())
