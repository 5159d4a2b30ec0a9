# SPDX-License-Identifier: Apache-2.0
"""Cats and dogs: Microsoft's PetImages (Asirra; Kaggle's Dogs vs. Cats), scaled to 64 x 64 grey pixels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.data import DATASETS, DataTable, Source
from adiabit.train.data.files import Split, find_folder, listed
from adiabit.train.data.images import KINDS, bombs_refused, decode, eight_bits

if TYPE_CHECKING:
    from PIL.Image import Image

REMEDY = (
    "download kagglecatsanddogs_5340.zip from https://www.microsoft.com/en-us/download/details.aspx?id=54765 "
    "and unpack it"
)
LAYOUTS = ("PetImages", ".", "kagglecatsanddogs_5340/PetImages")
CLASSES = ("Cat", "Dog")
SIDE = 64
TEST = 5  # ids that are multiples of this are in the test split


@DATASETS.register
class CatDog(DataTable):
    """No keys of its own."""

    source: ClassVar[Source] = Source((SIDE, SIDE, 1), len(CLASSES))
    legend: ClassVar[Legend] = Legend(names=CLASSES)

    dataset: Literal["catdog"] = "catdog"

    def splits(self) -> tuple[Split, Split]:
        """About 20,000 and 5,000 frames."""
        return load(self.dir)

    def files(self) -> Mapping[str, Path]:
        """All images, e.g. Cat/12.jpg."""
        return {f"{path.parent.name}/{path.name}": path for path in paths(self.dir)}


def load(folder: Path | None) -> tuple[Split, Split]:
    """Training and test split, frames (N, 64, 64, 1); cats are class 0, dogs 1.

    Files that are not images (the published archive has two) are left out and reported on stderr.
    """
    files = paths(folder)
    with bombs_refused():
        images = [read_image(path) for path in files]
    broken = [f"{path.parent.name}/{path.name}" for path, image in zip(files, images, strict=True) if image is None]
    if broken:
        names = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
        print(f"PetImages: {len(broken)} of {len(files)} files are not images and were left out: {names}",
              file=sys.stderr)  # fmt: skip
    kept = [(path, image) for path, image in zip(files, images, strict=True) if image is not None]
    test = np.array([int(path.stem) % TEST == 0 for path, _ in kept], dtype=np.bool_)
    labels = np.array([CLASSES.index(path.parent.name) for path, _ in kept], dtype=np.int64)
    for split, name in ((test, "test"), (~test, "training")):
        if len(np.unique(labels[split])) < len(CLASSES):
            raise UserError(f"{files[0].parents[1]}: the {name} split, ids {'' if name == 'test' else 'not '}divisible "
                            f"by {TEST}, lacks cats or dogs; {REMEDY}")  # fmt: skip
    whole = Split(np.stack([image for _, image in kept])[..., None], labels)
    return whole.take(~test), whole.take(test)


def paths(folder: Path | None) -> list[Path]:
    """All image files, cats first, in the order of their numbers."""
    found = find_folder(folder, LAYOUTS, CLASSES, "PetImages", REMEDY)
    files = [p for name in CLASSES for p in listed(found / name) if p.suffix.lower() in KINDS]
    if not files:
        raise UserError(f"{found}: no {' or '.join(KINDS)} files in {' and '.join(CLASSES)}; {REMEDY}")
    if strange := [path for path in files if not path.stem.isdecimal()]:
        raise UserError(f"{strange[0]}: the name is not a number; PetImages numbers its files, and the number chooses "
                        "the split; rename or remove the file")  # fmt: skip
    return sorted(files, key=lambda path: (path.parent.name, int(path.stem), path.name))


def read_image(path: Path) -> npt.NDArray[np.uint8] | None:
    """The image as :func:`grey`; None for a file that is not an image or is too large."""
    try:
        return decode(path, grey, REMEDY)
    except UserError:
        return None


def grey(image: Image) -> npt.NDArray[np.uint8]:
    """The image as (64, 64) grey, stretched to a square."""
    from PIL.Image import Resampling, fromarray  # needed only here

    image.draft("L", (2 * SIDE, 2 * SIDE))  # JPEG decodes to a smaller size, much faster
    levels = image.convert("L") if image.mode[:1] != "I" else fromarray(eight_bits(np.asarray(image)))
    return np.asarray(levels.resize((SIDE, SIDE), Resampling.BILINEAR), dtype=np.uint8)
