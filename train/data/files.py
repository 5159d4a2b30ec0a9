# SPDX-License-Identifier: Apache-2.0
"""What the loaders share: frames with labels, the search for files, and stratified selection."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit import files
from adiabit.errors import UserError
from adiabit.train.blocks import Shape

CACHE = files.CACHE
LARGEST = 1 << 30  # bytes of one file, or of its unpacked content; the largest file of these data sets has 47 MB


@dataclass(frozen=True)
class Split:
    """Frames, which are read as they are asked for, and their `labels` (N,) int64 classes.

    `stored` (M, *frame) uint8 has them as the host sends them, images channel-last: in memory, or mapped from a file
    that may exceed the memory. `rows` (N,) are the split's own frames of it, by default all.
    """

    stored: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def frames(self) -> npt.NDArray[np.uint8]:
        """All frames (N, *frame)."""
        return self.stored if self.rows is None else self.stored[self.rows]

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """A copy of the frames at some rows of the split."""
        return self.stored[rows if self.rows is None else self.rows[rows]]

    def take(self, rows: npt.NDArray[Any]) -> Split:
        """The frames that an index or a mask selects; none is read."""
        own = np.arange(len(self)) if self.rows is None else self.rows
        return Split(self.stored, self.labels[rows], own[rows])

    def spread(self, count: int | None) -> Split:
        """At most `count` frames, evenly spread over the split."""
        if count is None or count >= len(self):
            return self
        return self.take(np.linspace(0, len(self) - 1, count).round().astype(np.int64))

    def shaped(self, frame: Shape) -> Split:
        """The same elements in frames of another shape."""
        return Split(self.stored.reshape(-1, *frame), self.labels, self.rows)


Splits = tuple[Split, Split] | tuple[Split, Split, Split]  # training, its own validation split if any, test


def named_folder(folder: Path | None) -> Path | None:
    """The folder that --data or [data] dir names, else ADIABIT_DATA's, else None; `UserError` where it is no folder."""
    named = folder or (Path(os.environ["ADIABIT_DATA"]) if os.environ.get("ADIABIT_DATA") else None)
    if named is not None:
        listed(named)
    return named


def listed(folder: Path) -> list[Path]:
    """The content of a folder; `UserError` where it cannot be read."""
    try:
        return list(folder.iterdir())
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"{folder}: {reason}; name a readable folder that holds the data set by --data or ADIABIT_DATA"
        ) from error


def checked_file(path: Path, remedy: str) -> Path:
    """The path, if it is a regular file of at most `LARGEST` bytes; else `UserError`, which ends in `remedy`."""
    if (size := files.regular(path, remedy).stat().st_size) > LARGEST:
        raise UserError(f"{path}: {size:,} bytes; a file may have at most {LARGEST:,}; {remedy}")
    return path


def find_folder(folder: Path | None, layouts: Sequence[str], marks: Sequence[str], what: str, remedy: str) -> Path:
    """The first of `layouts` below the named folder that contains all of `marks`."""
    root = named_folder(folder)
    if root is None:
        raise UserError(f"recipe: [data]: {what} needs a folder; {remedy}, and name the folder by --data or "
                        "ADIABIT_DATA")  # fmt: skip
    for layout in layouts:
        if all((root / layout / mark).exists() for mark in marks):
            return root / layout
    places = " or ".join("the folder itself" if layout == "." else f"{layout}/" for layout in layouts)
    raise UserError(f"{root}: no {', '.join(marks)} in {places}; the folder must hold {what}; {remedy}")


def stratified(labels: npt.NDArray[np.int64], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """A mask of labels (N,) that selects the given share of each class at random, by the seed."""
    rng, mask = np.random.default_rng(seed), np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        mask[rows[: round(len(rows) * share)]] = True
    return mask
