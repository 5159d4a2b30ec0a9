# SPDX-License-Identifier: Apache-2.0
"""ImageNet (ILSVRC 2012; Russakovsky et al., 2015) in its folders, resized and cropped to a square of RGB pixels.

A subset in the same layout is read too. Frames are decoded once, into a file of the cache for each split and size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from adiabit import files
from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.data import DATASETS, DataTable, Source
from adiabit.train.data.files import CACHE, Split, find_folder, listed
from adiabit.train.data.images import KINDS, decode
from adiabit.train.data.mapped import mapped

if TYPE_CHECKING:
    from PIL.Image import Image

REMEDY = "unpack ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar into a folder for each class, e.g. n01440764"
REPAIR = "fetch it again or remove it"
LAYOUTS = (".", "imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC")
TRAIN, TEST = "train", "val"  # ImageNet's own test split has no labels
FORM = 1  # of the cached frames; another one for each change of how images become frames
Side = Annotated[int, Field(ge=8, le=1024)]


@DATASETS.register
class ImageNet(DataTable):
    """The size of its frames."""

    dataset: Literal["imagenet"] = "imagenet"
    size: Side = 224
    """The side of the frames, squares out of the middle of the images."""
    resize: Side | None = None
    """The short side that an image is resized to before that, e.g. 256; by default 8/7 of `size`."""
    classes: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """The number of class folders; fewer in a subset."""

    @model_validator(mode="after")
    def _square_fits(self) -> Self:
        if self.short < self.size:
            raise ValueError(f"resize = {self.resize} is smaller than size = {self.size}; it must be at least as large")
        return self

    @property
    def short(self) -> int:
        """The short side of a resized image."""
        return self.resize or round(self.size * 8 / 7)

    @property
    def source(self) -> Source:
        """Squares of RGB pixels."""
        return Source((self.size, self.size, 3), self.classes)

    @property
    def legend(self) -> Legend:
        """The names of the class folders."""
        return Legend(names=tuple(folder.name for folder in class_folders(self.dir, self.classes)[TRAIN]))

    def splits(self) -> tuple[Split, Split]:
        """1,281,167 and 50,000 frames."""
        return self._split(TRAIN), self.test_split()

    def test_split(self) -> Split:
        """The images of val/."""
        return self._split(TEST)

    def files(self) -> Mapping[str, Path]:
        """All images, e.g. val/n01440764/ILSVRC2012_val_00000293.JPEG."""
        folders = class_folders(self.dir, self.classes)
        return {_name(path): path for split in folders for folder in folders[split] for path in images(folder)}

    def content(self, path: Path) -> bytes:
        """The size alone: there are 144 GB."""
        return f"{files.regular(path, REPAIR).stat().st_size}\n".encode()

    def _split(self, name: str) -> Split:
        classes = [images(folder) for folder in class_folders(self.dir, self.classes)[name]]
        paths = [path for found in classes for path in found]
        digest = hashlib.sha256(f"{FORM} {self.short}\n".encode())
        for path in paths:
            digest.update(f"{_name(path)} ".encode() + self.content(path))
        place = CACHE / "imagenet" / f"{name}-{self.size}-{digest.hexdigest()[:12]}"
        frames = mapped(place, paths, self._frame, self.source.shape)
        return Split(frames, np.repeat(np.arange(len(classes)), [len(found) for found in classes]))

    def _frame(self, path: Path) -> npt.NDArray[np.uint8]:
        return decode(path, partial(square, size=self.size, short=self.short), REPAIR)


def class_folders(folder: Path | None, classes: int) -> dict[str, list[Path]]:
    """The folders of each split, sorted by name, of which there must be as many as `classes`."""
    found = find_folder(folder, LAYOUTS, (TRAIN, TEST), "ImageNet", REMEDY)
    folders = {split: sorted(path for path in listed(found / split) if path.is_dir()) for split in (TRAIN, TEST)}
    for split, known in folders.items():
        if not known:
            raise UserError(f"{found / split}: no class folders; {REMEDY}")
    train, test = ({path.name for path in folders[split]} for split in (TRAIN, TEST))
    if odd := sorted(train ^ test):
        lacking, other = (TEST, TRAIN) if odd[0] in train else (TRAIN, TEST)
        raise UserError(f"{found / lacking}: no folder {odd[0]}, which {other}/ has; {REMEDY}")
    if len(train) != classes:
        raise UserError(f"{found / TRAIN}: {len(train)} class folders, but [data] classes = {classes}; set it to "
                        f"{len(train)} for a subset; else {REMEDY}")  # fmt: skip
    return folders


def images(folder: Path) -> list[Path]:
    """The images of a class, sorted by name."""
    found = [path for path in listed(folder) if path.suffix.lower() in KINDS]
    if not found:
        raise UserError(f"{folder}: no {' or '.join(KINDS)} files; {REMEDY}")
    return sorted(found, key=attrgetter("name"))  # paths themselves compare slowly


def _name(path: Path) -> str:
    return "/".join(path.parts[-3:])


def square(image: Image, size: int, short: int) -> npt.NDArray[np.uint8]:
    """The image (size, size, 3), cut out of the middle after its short side has been resized to `short` pixels."""
    from PIL.Image import Resampling  # needed only here

    image.draft("RGB", (2 * short, 2 * short))  # JPEG decodes to a smaller size, much faster
    side = min(image.size) * size / short
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    return np.asarray(image.convert("RGB").resize((size, size), Resampling.BILINEAR, box=box))
