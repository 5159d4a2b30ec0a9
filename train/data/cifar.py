# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 and CIFAR-100 in their binary versions: records of one or two labels and the planes of 32 x 32 pixels.

The planes are 3 x 1024 bytes: red, green and blue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from adiabit.errors import UserError
from adiabit.files import read_bytes
from adiabit.legend import Legend
from adiabit.train.data import DATASETS, DataTable, Source
from adiabit.train.data.files import Split, checked_file, find_folder

SITE = "https://www.cs.toronto.edu/~kriz"
SIDE, PLANES = 32, 3
CIFAR10_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"
FINE_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
COARSE_NAMES = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""


@dataclass(frozen=True)
class Binary:
    """A data set's binary version, as its authors publish it."""

    name: str
    archive: str
    layouts: tuple[str, ...]
    files: tuple[str, ...]  # the last one is the test split
    labels: tuple[str, ...]  # of a record, a byte each

    @property
    def remedy(self) -> str:
        """How to get it."""
        return f"download {SITE}/{self.archive} and unpack it"

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return len(self.labels) + PLANES * SIDE * SIDE

    def paths(self, folder: Path | None) -> list[Path]:
        """The files, the test split last."""
        found = find_folder(folder, self.layouts, self.files, f"{self.name} (binary version)", self.remedy)
        return [found / name for name in self.files]

    def load(self, folder: Path | None, label: str, classes: int) -> tuple[Split, Split]:
        """Training and test split, frames (N, 32, 32, 3), with one of the labels."""
        *train, test = (self.read(path, label, classes) for path in self.paths(folder))
        return Split(*(np.concatenate([getattr(part, what) for part in train]) for what in ("frames", "labels"))), test

    def read(self, path: Path, label: str, classes: int) -> Split:
        """The frames of one file; `UserError` where it is cut short or a label is out of range."""
        again = f"{self.remedy} again"
        content = np.frombuffer(read_bytes(checked_file(path, again), again), np.uint8)
        if not len(content) or len(content) % self.record:
            raise UserError(f"{path}: holds {len(content)} bytes, which is not a multiple of a record's {self.record}; "
                            f"{again}")  # fmt: skip
        records = content.reshape(-1, self.record)
        labels = records[:, self.labels.index(label)]
        if (worst := int(labels.max())) >= classes:
            raise UserError(f"{path}: a {label} is {worst}; {self.name}'s are 0 to {classes - 1}; {again}")
        planes = records[:, len(self.labels) :].reshape(-1, PLANES, SIDE, SIDE)
        return Split(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels.astype(np.int64))


CIFAR10 = Binary(
    "CIFAR-10", "cifar-10-binary.tar.gz", ("cifar-10-batches-bin", ".", "cifar10", "cifar10/cifar-10-batches-bin"),
    (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"), ("label",),
)  # fmt: skip
CIFAR100 = Binary(
    "CIFAR-100", "cifar-100-binary.tar.gz", ("cifar-100-binary", ".", "cifar100", "cifar100/cifar-100-binary"),
    ("train.bin", "test.bin"), ("coarse label", "fine label"),
)  # fmt: skip


@DATASETS.register
class Cifar10(DataTable):
    """No keys of its own."""

    source: ClassVar[Source] = Source((SIDE, SIDE, PLANES), 10)
    legend: ClassVar[Legend] = Legend(names=tuple(CIFAR10_NAMES.split()))

    dataset: Literal["cifar10"] = "cifar10"

    def splits(self) -> tuple[Split, Split]:
        """50,000 and 10,000 frames."""
        return CIFAR10.load(self.dir, "label", self.source.classes)

    def files(self) -> Mapping[str, Path]:
        """The six batches."""
        return {path.name: path for path in CIFAR10.paths(self.dir)}


@DATASETS.register
class Cifar100(DataTable):
    """Two sets of labels."""

    dataset: Literal["cifar100"] = "cifar100"
    labels: Literal["fine", "coarse"] = "fine"
    """The 100 classes, or their 20 superclasses."""

    @property
    def source(self) -> Source:
        """100 or 20 classes."""
        return Source((SIDE, SIDE, PLANES), len(self.legend.names))

    @property
    def legend(self) -> Legend:
        """The names in the authors' `fine_label_names.txt` or `coarse_label_names.txt`."""
        names = FINE_NAMES if self.labels == "fine" else COARSE_NAMES
        return Legend(names=tuple(names.split()))

    def splits(self) -> tuple[Split, Split]:
        """50,000 and 10,000 frames."""
        return CIFAR100.load(self.dir, f"{self.labels} label", self.source.classes)

    def files(self) -> Mapping[str, Path]:
        """Both splits."""
        return {path.name: path for path in CIFAR100.paths(self.dir)}
