# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 in its binary version: records of a label and 3 x 1024 bytes, the red, green and blue planes of 32 x 32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from adiabit.errors import UserError
from adiabit.files import read_bytes
from adiabit.train.data import DATASETS, DataTable, Source
from adiabit.train.data.files import Split, checked_file, find_folder

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
REMEDY = f"download {URL} and unpack it"
LAYOUTS = ("cifar-10-batches-bin", ".", "cifar10", "cifar10/cifar-10-batches-bin")
FILES = (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin")
SIDE, PLANES, CLASSES = 32, 3, 10
RECORD = 1 + PLANES * SIDE * SIDE


@DATASETS.register
class Cifar10(DataTable):
    """No keys of its own."""

    source: ClassVar[Source] = Source((SIDE, SIDE, PLANES), CLASSES)

    dataset: Literal["cifar10"] = "cifar10"

    def splits(self) -> tuple[Split, Split]:
        """50,000 and 10,000 frames."""
        return load(self.dir)

    def files(self) -> Mapping[str, Path]:
        """The six batches."""
        return {path.name: path for path in paths(self.dir)}


def load(folder: Path | None) -> tuple[Split, Split]:
    """Training and test split, frames (N, 32, 32, 3)."""
    *train, test = (read_batch(path) for path in paths(folder))
    frames = np.concatenate([batch.frames for batch in train])
    return Split(frames, np.concatenate([batch.labels for batch in train])), test


def paths(folder: Path | None) -> list[Path]:
    """The six files, the test batch last."""
    found = find_folder(folder, LAYOUTS, FILES, "CIFAR-10 (binary version)", REMEDY)
    return [found / name for name in FILES]


def read_batch(path: Path) -> Split:
    """The frames of one file; `UserError` where it is cut short or a label is out of range."""
    again = f"{REMEDY} again"
    content = np.frombuffer(read_bytes(checked_file(path, again), again), np.uint8)
    if not len(content) or len(content) % RECORD:
        raise UserError(f"{path}: holds {len(content)} bytes, which is not a multiple of a record's {RECORD}; {again}")
    records = content.reshape(-1, RECORD)
    if (worst := int(records[:, 0].max())) >= CLASSES:
        raise UserError(f"{path}: a label is {worst}; CIFAR-10's are 0 to {CLASSES - 1}; {again}")
    planes = records[:, 1:].reshape(-1, PLANES, SIDE, SIDE)
    return Split(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64))
