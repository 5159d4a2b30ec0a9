# SPDX-License-Identifier: Apache-2.0
"""Cats and dogs: Microsoft's PetImages (Asirra; Kaggle's Dogs vs. Cats), any size, brought to 64 x 64 grey pixels."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.train.data.files import Split, find_folder, listed

REMEDY = (
    "download kagglecatsanddogs_5340.zip from https://www.microsoft.com/en-us/download/details.aspx?id=54765 "
    "and unpack it"
)
LAYOUTS = ("PetImages", ".", "kagglecatsanddogs_5340/PetImages")
CLASSES = ("Cat", "Dog")
KINDS = (".jpg", ".jpeg", ".png")
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")  # what such files turn out to be; Pillow would run Ghostscript for EPS
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
    files = [p for name in CLASSES for p in listed(found / name) if p.suffix.lower() in KINDS]
    if not files:
        raise UserError(f"{found}: no {' or '.join(KINDS)} files in {' and '.join(CLASSES)}; {REMEDY}")
    if strange := [path for path in files if not path.stem.isdecimal()]:
        raise UserError(f"{strange[0]}: the name is no number; PetImages numbers its files, and the number chooses the "
                        "split; rename or remove the file")  # fmt: skip
    return sorted(files, key=lambda path: (path.parent.name, int(path.stem), path.name))


def read_image(path: Path) -> npt.NDArray[np.uint8] | None:
    """(64, 64) grey, stretched to a square, of the first frame; None for what is no image, or one beyond memory."""
    from PIL import Image, UnidentifiedImageError  # wanted here alone

    bombs = Image.DecompressionBombWarning, Image.DecompressionBombError  # from 89 million pixels on
    if not path.is_file():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                image.draft("L", (2 * SIDE, 2 * SIDE))  # JPEG decodes to a smaller size, much faster
                grey = image.convert("L") if image.mode[:1] != "I" else Image.fromarray(eight_bits(np.asarray(image)))
                return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, *bombs):  # Pillow's, for all that damage can be
        return None


def eight_bits(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Of the 16 bits that a PNG may have; Pillow would clip them."""
    return (image.clip(0, 0xFFFF) / 257).round().astype(np.uint8)
