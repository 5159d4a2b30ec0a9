# SPDX-License-Identifier: Apache-2.0
"""Cats and dogs: Microsoft's PetImages (Asirra; Kaggle's Dogs vs. Cats), any size, brought to 64 x 64 grey pixels."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.train.data.files import Split, find_folder

REMEDY = (
    "download kagglecatsanddogs_5340.zip from https://www.microsoft.com/en-us/download/details.aspx?id=54765 "
    "and unpack it"
)
LAYOUTS = ("PetImages", ".", "kagglecatsanddogs_5340/PetImages")
CLASSES = ("Cat", "Dog")
KINDS = (".jpg", ".jpeg", ".png")
SIDE = 64
TEST = 5  # an id that this divides is in the test split


def load(folder: Path | None) -> tuple[Split, Split]:
    """Training and test split, frames (N, 64, 64, 1), cats are 0, dogs are 1.

    Files that are no images (the published archive has two) are left out and told on stderr.
    """
    files = paths(folder)
    images = [read_image(path) for path in files]
    broken = [f"{path.parent.name}/{path.name}" for path, image in zip(files, images, strict=True) if image is None]
    if broken:
        told = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
        print(f"PetImages: {len(broken)} of {len(files)} files are no images and were left out: {told}",
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
    files = [p for name in CLASSES for p in (found / name).iterdir() if p.suffix.lower() in KINDS]
    if not files:
        raise UserError(f"{found}: no {' or '.join(KINDS)} files in {' and '.join(CLASSES)}; {REMEDY}")
    if strange := [path for path in files if not path.stem.isdecimal()]:
        raise UserError(f"{strange[0]}: the name is no number; PetImages numbers its files, and the number chooses the "
                        "split; rename or remove the file")  # fmt: skip
    return sorted(files, key=lambda path: (path.parent.name, int(path.stem), path.name))


def read_image(path: Path) -> npt.NDArray[np.uint8] | None:
    """(64, 64) grey, stretched to a square; None for what is no image."""
    from PIL import Image, UnidentifiedImageError  # wanted here alone

    try:
        with Image.open(path) as image:
            image.draft("L", (2 * SIDE, 2 * SIDE))  # JPEG decodes to a smaller size, much faster
            return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):  # Pillow's, for all that damage can be
        return None
