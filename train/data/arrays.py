# SPDX-License-Identifier: Apache-2.0
"""Arrays of one's own: NumPy files of frames and labels.

An archive (.npz) holds `x_train`, `y_train`, `x_test`, `y_test` as Keras' mnist.npz does, and perhaps `x_val`, `y_val`;
or `x` and `y`, of which a share becomes the test split. A folder may hold them as files instead, e.g. `x_train.npy`.
`names` are the names of the classes.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from adiabit import files
from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.blocks import Shape
from adiabit.train.data import DATASETS, Source
from adiabit.train.data.files import Splits, listed
from adiabit.train.data.own import (
    INT8,
    ROOM,
    TEST,
    TRAIN,
    VALIDATION,
    OwnData,
    as_bytes,
    check_frames,
    check_labels,
    legend,
    numbered,
    parted,
)

ENDS = {"_train": TRAIN, "_val": VALIDATION, "_test": TEST, "": ""}  # of the names of arrays
REMEDY = "save it with np.save or np.savez"
UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, MemoryError, NotImplementedError, SyntaxError, RuntimeError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip  # what numpy and zipfile raise for damaged files
Array = npt.NDArray[Any]


@DATASETS.register
class Arrays(OwnData):
    """The file, and the names of the classes."""

    dataset: Literal["arrays"] = "arrays"
    file: str | None = None
    """The archive, by default the only one in the folder, or files `.npy`."""
    names: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()
    """Of the classes; else the array `names`, if there is one."""

    @property
    def source(self) -> Source:
        """As the arrays' headers and labels say."""
        members = self._members()
        shape, _, _ = self._checked(members)
        return Source(shape, len(self._labels(members)[1]))

    @property
    def legend(self) -> Legend:
        """The names that are given, else the labels; frames of int8 are stored 128 greater."""
        members = self._members()
        _, dtype, _ = self._checked(members)
        return legend(self._labels(members)[1], self.root, INT8 if dtype == np.int8 else None)

    def splits(self) -> Splits:
        """A .npy file of uint8 is mapped, so that it may exceed the memory."""
        members = self._members()
        shape, _, parts = self._checked(members)
        labels, names = self._labels(members)
        frames = {part: as_bytes(members[f"x{end}"].read(mapped=True), shape) for end, part in parts.items()}
        return parted(self, frames, labels, names, self.root)

    def files(self) -> Mapping[str, Path]:
        """The archive, or the files .npy that are read."""
        return {member.path.name: member.path for member in self._members().values()}

    def _members(self) -> dict[str, Member]:
        """The arrays by name; `UserError` where there are none."""
        if self.file is not None:
            return _archive(self.root / self.file)
        found = sorted(listed(self.root))
        known = {f"{axis}{end}" for axis in "xy" for end in ENDS} | {"names"}
        single = {path.stem: Member(path) for path in found if path.suffix == ".npy" and path.stem in known}
        if single.keys() - {"names"}:
            return single
        archives = [path for path in found if path.suffix == ".npz"]
        if len(archives) != 1:
            what = f"{len(archives)} .npz files, e.g. {archives[0].name}" if archives else "no .npz file and no x.npy"
            raise UserError(f'{self.root}: {what}; name the one to read by [data] file = "..."')
        return _archive(archives[0])

    def _parts(self, members: Mapping[str, Member]) -> dict[str, str]:
        """The ends of the names of the arrays to read, and the parts of the data that they are."""
        split = "x_train" in members
        wanted = [*(["_train", "_test"] if split else [""]), *(["_val"] if "x_val" in members and split else [])]
        if lacking := [f"{axis}{end}" for end in wanted for axis in "xy" if f"{axis}{end}" not in members]:
            raise UserError(f"{self.root}: no array {lacking[0]}; x_train, y_train, x_test and y_test are needed, or "
                            f"x and y; found: {sorted(members)[:10]}")  # fmt: skip
        return {end: part for end, part in ENDS.items() if end in wanted}

    def _checked(self, members: Mapping[str, Member]) -> tuple[Shape, np.dtype[Any], dict[str, str]]:
        """Shape (H, W, C) and type of the frames, and the parts; `UserError` where parts differ."""
        parts = self._parts(members)
        found = {end: members[f"x{end}"].frames() for end in parts}
        first, *others = found
        for end in others:
            if found[end] != found[first]:
                raise UserError(f"{members[f'x{end}'].place}: frames are {found[end][1]} {found[end][0]}, those of "
                                f"x{first} {found[first][1]} {found[first][0]}; they must be alike")  # fmt: skip
        return *found[first], parts

    def _labels(self, members: Mapping[str, Member]) -> Any:
        """Labels by part, and the names of the classes."""
        given = {}
        for end, part in self._parts(members).items():
            member, count = members[f"y{end}"], members[f"x{end}"].header()[0][0]
            given[part] = check_labels(member.read(), count, member.place)
        names = self.names
        if not names and "names" in members:
            array = members["names"].read()
            if array.ndim != 1 or array.dtype.kind != "U":
                raise UserError(
                    f"{members['names'].place}: {array.dtype} of shape {array.shape}; a row of texts is needed"
                )
            names = tuple(array.tolist())
        return numbered(given, names, self.root)


@dataclass(frozen=True)
class Member:
    """An array on disk: a file .npy, or an entry of an archive."""

    path: Path
    entry: str | None = None

    @property
    def place(self) -> str:
        """For messages."""
        return str(self.path) if self.entry is None else f"{self.path}: {self.entry.removesuffix('.npy')}"

    def header(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type; `UserError` where it is damaged."""
        with self._opened() as file:
            return self._header(file)

    def frames(self) -> tuple[Shape, np.dtype[Any]]:
        """Shape (H, W, C) and type of frames; `UserError` where they are none."""
        shape, dtype = self.header()
        return check_frames(shape, dtype, self.place), dtype

    def read(self, *, mapped: bool = False) -> Array:
        """The array; `UserError` where it is damaged or too large. A file of bytes can be mapped."""
        with self._opened() as file:
            shape, dtype = self._header(file)
            if mapped and self.entry is None and dtype == np.uint8:
                frames: Array = np.load(self.path, mmap_mode="r", allow_pickle=False)
                return frames
            if (size := math.prod(shape) * dtype.itemsize) > ROOM:
                raise UserError(f"{self.place}: {size / 1e9:,.1f} GB; at most {ROOM / 1e9:,.1f} GB are read into "
                                "memory; save it as a file .npy of uint8, which is mapped")  # fmt: skip
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)

    def _header(self, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        version = np.lib.format.read_magic(file)
        reader: Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]] = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(file)
        if dtype.hasobject:
            raise UserError(f"{self.place}: holds Python objects, which are not read; save numbers or texts")
        if not shape or min(shape) < 0:
            raise UserError(f"{self.place}: has shape {shape}; an array with an axis of frames is needed")
        return shape, dtype

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        """The file or entry; whatever numpy finds wrong with it becomes `UserError`."""
        files.regular(self.path, REMEDY)
        try:
            if self.entry is None:
                with self.path.open("rb") as file:
                    yield file
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.entry) as entry:
                    yield entry
        except UNREADABLE as error:
            raise UserError(f"{self.place}: damaged, or no array ({error}); {REMEDY}") from error


def _archive(path: Path) -> dict[str, Member]:
    files.regular(path, "name the archive by [data] file")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except UNREADABLE as error:
        raise UserError(f"{path}: damaged, or no archive ({error}); {REMEDY}") from error
    return {name.removesuffix(".npy"): Member(path, name) for name in names}
