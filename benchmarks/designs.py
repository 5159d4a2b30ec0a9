# SPDX-License-Identifier: Apache-2.0
"""What benchmarks of several designs share: their command line, and the run of a recipe from its kept checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load

HERE = Path(__file__).parent


def parser(text: str | None, designs: Collection[str], out: str) -> argparse.ArgumentParser:
    """A command line that takes data, a folder (build/`out` by default), and the names of designs."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="folder with MNIST and CIFAR-10")
    made.add_argument("--out", type=Path, default=HERE.parent / "build" / out)
    made.add_argument("names", nargs="*", help=f"of {', '.join(designs)}")
    return made


def parsed(made: argparse.ArgumentParser, designs: Collection[str]) -> argparse.Namespace:
    """The arguments, with the names of all designs where none is given; an unknown one ends the program."""
    args = made.parse_args()
    if unknown := sorted({*args.names} - {*designs}):
        made.error(f"unknown design {unknown[0]!r}; use one of {', '.join(designs)}")
    args.names = args.names or [*designs]
    return args


def pipeline(recipe: str, data: Path, out: Path, *settings: str) -> Pipeline:
    """The stages of a shipped recipe, from its kept checkpoint."""
    places = f"data.dir='{data.absolute()}'", f"checkpoint='{HERE / 'checkpoints' / recipe}'"
    return Pipeline(load(HERE.parent / "recipes" / f"{recipe}.toml", [*places, *settings]), out)
