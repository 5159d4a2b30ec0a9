# SPDX-License-Identifier: Apache-2.0
"""What data sets of a user's own share: keys, classes by their labels, and bounds."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from adiabit import files
from adiabit.errors import UserError
from adiabit.legend import Encoding, Legend
from adiabit.train.blocks import Shape
from adiabit.train.data import DataTable
from adiabit.train.data.files import Split, Splits, named_folder, stratified

ROOM = 4 << 30  # bytes of frames or rows that are read into memory, at most
CLASSES = 10_000  # at most: more labels are no classes, but numbers to predict
TRAIN, VALIDATION, TEST = "training", "validation", "test"  # of messages, and of the parts of a data set
INT8 = Encoding(low=(-128.0,), step=(1.0,))  # frames of int8 are stored as bytes, 128 greater
Labels = npt.NDArray[np.int64]


class OwnData(DataTable):
    """`[data]` of a user's own files."""

    input_bits: ClassVar[Literal[1, 8]] = 8

    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each class that becomes the test split where the files have none."""
    damaged: Literal["leave-out", "stop"] = "leave-out"
    """Damaged files or lines are left out and told on stderr, or end the run at the first."""

    def content(self, path: Path) -> bytes:
        """A digest of the content, of whatever size the file is."""
        with files.regular(path, "").open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    @property
    def root(self) -> Path:
        """The folder of the files."""
        return root(self.dir, self.dataset)

    def divided(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """A mask of the test split, stratified."""
        return stratified(labels, self.test, self.seed)


def root(folder: Path | None, what: str) -> Path:
    """The folder of a data set; `UserError` where none is named."""
    found = named_folder(folder)
    if found is None:
        raise UserError(f'recipe: [data]: dataset = "{what}" needs a folder; name it by dir = "...", which is relative '
                        "to the recipe, by --data or by ADIABIT_DATA")  # fmt: skip
    return found


def legend(names: Sequence[str], place: Path | str, encoding: Encoding | None = None) -> Legend:
    """A legend; `UserError` where the names cannot be those of classes."""
    try:
        return Legend(names=tuple(names), encoding=encoding)
    except ValueError as error:
        raise UserError(f"{place}: {error}; rename the class") from error


def check_room(count: int, shape: Shape, place: Path | str, remedy: str, size: int = 1) -> None:
    """`UserError` where so many frames, of elements of `size` bytes, exceed what is read into memory."""
    if (needed := count * math.prod(shape) * size) > ROOM:
        raise UserError(f"{place}: {count:,} frames of {' x '.join(map(str, shape))} take {needed / 1e9:,.1f} GB; at "
                        f"most {ROOM / 1e9:,.1f} GB are read into memory; {remedy}")  # fmt: skip


def check_classes(labels: Mapping[str, Labels], names: Sequence[str], place: Path | str) -> None:
    """`UserError` unless there are two classes or more, each of them in the training and in the test split."""
    if len(names) < 2:
        raise UserError(f"{place}: {'one class, ' + repr(names[0]) if names else 'no class'}; at least two are needed")
    for part in (TRAIN, TEST):
        counts = np.bincount(labels[part], minlength=len(names))
        if not counts.all():
            raise UserError(f"{place}: class {names[int(counts.argmin())]!r} has no frames in the {part} split; every "
                            "class needs some; add some, remove the class, or change [data] test or seed")  # fmt: skip


def numbered(
    parts: Mapping[str, npt.NDArray[Any]], names: Sequence[str], place: Path | str
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Labels of each part as numbers, and the names of the classes.

    Numbers from 0 stay as they are; texts are numbered in the order of `names`, else sorted (numbers by their value).
    `UserError` where they are neither, or out of range.
    """
    whole = np.concatenate([np.asarray(part).reshape(-1) for part in parts.values()])
    if whole.dtype.kind == "U":
        return _texts(parts, names or _sorted(np.unique(whole).tolist()), place)
    low, high = int(whole.min()), int(whole.max())
    count = len(names) or high + 1
    if low < 0 or high >= count:
        raise UserError(f"{place}: labels are {low} to {high}; they must be 0 to "
                        f"{count - 1}{' by [data] names' * bool(names)}; number the classes from 0")  # fmt: skip
    if count > CLASSES:
        raise UserError(f"{place}: labels reach {high}; at most {CLASSES:,} classes are possible; number them from 0")
    found = {part: labels.reshape(-1).astype(np.int64) for part, labels in parts.items()}
    return found, tuple(names) or tuple(map(str, range(count)))


def _texts(
    parts: Mapping[str, npt.NDArray[Any]], names: Sequence[str], place: Path | str
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    if len(names) > CLASSES:
        raise UserError(f"{place}: {len(names):,} different labels, e.g. {names[0]!r}; at most {CLASSES:,} are "
                        "possible; is it the column of the classes? [data] label names it")  # fmt: skip
    numbers = {name: number for number, name in enumerate(names)}
    try:
        found = {part: np.array([numbers[label] for label in labels.reshape(-1).tolist()], np.int64)
                 for part, labels in parts.items()}  # fmt: skip
    except KeyError as error:
        raise UserError(f"{place}: label {error} is none of [data] names = {list(names)[:10]}; add it") from error
    return found, tuple(names)


def _sorted(labels: list[str]) -> list[str]:
    """Sorted; by their value where all are whole numbers."""
    numeric = all(label.removeprefix("-").isdecimal() for label in labels)
    return sorted(labels, key=lambda label: (int(label), label)) if numeric else sorted(labels)


def check_labels(labels: npt.NDArray[Any], count: int, place: str) -> npt.NDArray[Any]:
    """Labels (N,) or (N, 1) of `count` frames, whole numbers or texts, as (N,); else `UserError`."""
    if labels.dtype.kind not in "iuU":
        raise UserError(f"{place}: labels are of {labels.dtype}; whole numbers from 0, or texts, are needed")
    if labels.shape not in ((count,), (count, 1)):
        raise UserError(f"{place}: labels have shape {labels.shape} for {count} frames; one label a frame is needed: "
                        f"({count},)")  # fmt: skip
    if not count:
        raise UserError(f"{place}: no frames; at least one of each class is needed")
    return labels.reshape(-1)


def check_frames(shape: tuple[int, ...], dtype: np.dtype[Any], place: str) -> Shape:
    """The shape (H, W, C) of frames of uint8 or int8, (N, features), (N, H, W) or (N, H, W, C); else `UserError`.

    Features are one row of pixels.
    """
    if dtype not in (np.uint8, np.int8):
        scaled = ", e.g. np.rint(255 * x).astype(np.uint8) for x from 0 to 1" * (dtype.kind == "f")
        raise UserError(
            f"{place}: frames are of {dtype}; bytes are needed, uint8 or int8; scale and round them{scaled}"
        )
    if not 2 <= len(shape) <= 4 or 0 in shape[1:]:
        raise UserError(f"{place}: frames have shape {shape}; (N, features), (N, H, W) or (N, H, W, C) is needed")
    return (1, shape[1], 1) if len(shape) == 2 else (*shape[1:], 1)[:3]


def as_bytes(frames: npt.NDArray[Any], shape: Shape) -> npt.NDArray[np.uint8]:
    """Frames (N, *shape) of uint8, in memory or mapped; those of int8 are stored 128 greater."""
    plain = frames if frames.dtype == np.uint8 else frames.view(np.uint8) ^ 0x80
    return np.ascontiguousarray(plain).reshape(-1, *shape)


def parted(
    table: OwnData, frames: Mapping[str, npt.NDArray[np.uint8]], labels: Mapping[str, Labels], names: Sequence[str],
    place: Path | str,
) -> Splits:  # fmt: skip
    """The splits of a data set's parts; a single one is divided. `UserError` where a class is missing in one."""
    splits = {part: Split(frames[part], labels[part]) for part in labels}
    if list(splits) == [""]:
        test = table.divided(labels[""])
        splits = {TRAIN: splits[""].take(~test), TEST: splits[""].take(test)}
    check_classes({part: split.labels for part, split in splits.items()}, names, place)
    if VALIDATION in splits:
        return splits[TRAIN], splits[VALIDATION], splits[TEST]
    return splits[TRAIN], splits[TEST]


def tell_left_out(place: Path | str, broken: Sequence[str], total: int, what: str) -> None:
    """Tell on stderr what was left out."""
    if broken:
        some = "; ".join(broken[:3]) + ("; ..." if len(broken) > 3 else "")
        print(f"{place}: {len(broken):,} of {total:,} {what} left out: {some}", file=sys.stderr)
