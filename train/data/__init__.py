# SPDX-License-Identifier: Apache-2.0
"""Data sets, a module each: the keys of its table, what its frames are, and how its files are read.

A module registers its table with `DATASETS.register`; nothing else names it. Frames are uint8, from files in their
authors' own layout or from an installed package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, SerializeAsAny

from adiabit.errors import UserError
from adiabit.files import read_bytes
from adiabit.legend import NO_LEGEND, Legend
from adiabit.train.blocks import Shape
from adiabit.train.data.files import Split, Splits, checked_file, stratified
from adiabit.train.registry import Registry, discover
from adiabit.train.table import Seed, Table

__all__ = [
    "DATASETS",
    "PLACES",
    "DataConfig",
    "DataTable",
    "Dataset",
    "Source",
    "Split",
    "Splits",
    "digest",
    "load",
    "load_test",
]


PLACES = frozenset(("dir", "folder"))  # keys of `[data]` that change no result: where the files are


@dataclass(frozen=True)
class Source:
    """What the frames of a data set are."""

    shape: Shape  # (H, W, C)
    classes: int


class DataTable(Table):
    """`[data]` of a recipe: a name, to which a data set's own table adds its keys, its source and its loader."""

    dataset: str
    """See below."""
    dir: Path | None = None
    """Folder that holds the files in a layout below, relative to the recipe; else the environment variable
    `ADIABIT_DATA`.
    """
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training split that is held out to choose the checkpoint, stratified."""
    seed: Seed = 0
    """Of the validation split, and of the test split of data of your own."""

    input_bits: ClassVar[Literal[1, 8]] = 1  # that a dense network takes by default; convolutions take 8

    @property
    def sound(self) -> bool:
        """Whether its frames are spectrograms (time steps, bands, 1); where no key matters, a class variable."""
        return False

    @property
    def source(self) -> Source:
        """What its frames are; where no key matters, a class variable."""
        raise NotImplementedError

    @property
    def legend(self) -> Legend:
        """The names of its classes and the encoding of its features; where no key matters, a class variable."""
        return NO_LEGEND

    def beside(self, folder: Path) -> Self:
        """The table with its relative paths resolved against the recipe's folder."""
        return self if self.dir is None else self.model_copy(update={"dir": folder / self.dir})

    def splits(self) -> Splits:
        """Training and test split; `UserError` says what is missing or damaged and how to get it.

        A validation split comes between them where the data set has one of its own.
        """
        raise NotImplementedError

    def test_split(self) -> Split:
        """The test split alone, for a data set whose training split is costly to read."""
        return self.splits()[-1]

    def files(self) -> Mapping[str, Path]:
        """The files that :meth:`splits` reads, by a name that does not depend on where they lie."""
        return {}

    def content(self, path: Path) -> bytes:
        """What of a file enters the digest; `UserError` where it cannot be read."""
        return read_bytes(checked_file(path, ""), "")

    def version(self) -> str:
        """What identifies data that does not come from files."""
        return ""


DATASETS: Registry[DataTable] = Registry(tag="dataset", default="digits")
DataConfig = Annotated[SerializeAsAny[DataTable], PlainValidator(DATASETS.validate)]


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits; the validation split is taken out of the training split."""

    train: Split
    validation: Split
    test: Split

    def shaped(self, frame: Shape) -> Dataset:
        """The same elements in frames of another shape, e.g. (H, W, C) for (features,)."""
        return Dataset(self.train.shaped(frame), self.validation.shaped(frame), self.test.shaped(frame))


def load(config: DataConfig) -> Dataset:
    """Read a data set; `UserError` says what is missing or damaged and how to get it."""
    train, *validation, test = config.splits()
    if validation:
        return Dataset(train, validation[0], test)
    held = stratified(train.labels, config.validation, config.seed)
    if not held.any() or held.all():
        raise UserError(
            f"recipe: [data]: validation = {config.validation} of {len(held)} frames leaves a split empty; "
            "choose another share"
        )
    return Dataset(train.take(~held), train.take(held), test)


def load_test(config: DataConfig) -> Split:
    """The test split of :func:`load`."""
    return config.test_split()


def digest(config: DataConfig) -> str:
    """A digest of the names and contents of a data set's files, wherever they lie."""
    hashed = hashlib.sha256(config.version().encode())
    for name, path in config.files().items():
        hashed.update(f"{name}\n".encode(errors="surrogateescape"))  # a name that is not UTF-8
        with suppress(UserError):  # the loader reports the file or leaves it out
            hashed.update(config.content(path))
    return hashed.hexdigest()


discover(__name__)
