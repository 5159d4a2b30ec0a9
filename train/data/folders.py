# SPDX-License-Identifier: Apache-2.0
"""Data sets of a folder a class: how folders are found and divided, and what becomes of damaged files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.blocks import Shape
from adiabit.train.data import Source
from adiabit.train.data.files import Split, Splits
from adiabit.train.data.own import (
    TEST,
    TRAIN,
    VALIDATION,
    Labels,
    OwnData,
    check_classes,
    check_room,
    legend,
    tell_left_out,
)

FOLDERS = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": TEST}
HIDDEN = (".", "_")  # what the names of folders and files begin with that are no class and no frame
Frame = npt.NDArray[np.uint8]
Item = tuple[Path, int]  # a file and its class


class ClassFolders(OwnData):
    """A folder a class, below `train/` and `test/` (and `validation/` or `val/`), or below the folder itself."""

    kinds: ClassVar[tuple[str, ...]]  # suffixes of the files

    classes: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()
    """The class folders to use, in this order; else all, sorted."""

    @property
    def shape(self) -> Shape:
        """Of a frame, (H, W, C)."""
        raise NotImplementedError

    def frame(self, path: Path) -> Frame:
        """A file as a frame; `UserError` where it is damaged."""
        raise NotImplementedError

    def frames(self, paths: Sequence[Path], read: Callable[[Path], Frame | UserError]) -> Iterable[Frame | UserError]:
        """What `read` makes of each file, in order."""
        return map(read, paths)

    def own_splits(self, items: Sequence[Item], labels: Labels) -> dict[str, npt.NDArray[np.bool_]]:  # noqa: ARG002
        """Masks of the splits of a data set without folders for them."""
        test = self.divided(labels)
        return {TRAIN: ~test, TEST: test}

    @property
    def source(self) -> Source:
        """As many classes as folders."""
        return Source(self.shape, len(self.legend.names))

    @property
    def legend(self) -> Legend:
        """The names of the folders."""
        names, _ = class_folders(self.root, self.classes)
        return legend(names, self.root)

    def splits(self) -> Splits:
        """The frames of all files that can be read."""
        names, items = self._items()
        splits = {part: self._split(items[part], part) for part in items}
        check_classes({part: split.labels for part, split in splits.items()}, names, self.root)
        if VALIDATION in splits:
            return splits[TRAIN], splits[VALIDATION], splits[TEST]
        return splits[TRAIN], splits[TEST]

    def test_split(self) -> Split:
        """Decodes the files of the test split alone."""
        return self._split(self._items()[1][TEST], TEST)

    def files(self) -> Mapping[str, Path]:
        """All files by their path below the folder, e.g. train/cat/12.jpg."""
        names, folders = class_folders(self.root, self.classes)
        return {
            path.relative_to(self.root).as_posix(): path
            for part in folders.values() for name in names for path in below(part[name])
            if path.suffix.lower() in self.kinds
        } | self.more_files()  # fmt: skip

    def more_files(self) -> dict[str, Path]:
        """Files beside the class folders that tell of the splits."""
        return {}

    def _items(self) -> tuple[tuple[str, ...], dict[str, list[Item]]]:
        """The names of the classes and the files of each split."""
        names, folders = class_folders(self.root, self.classes)
        parts = {part: list(self._files(found, names)) for part, found in folders.items()}
        if "" not in parts:
            return names, parts
        items = parts[""]
        masks = self.own_splits(items, np.array([label for _, label in items], np.int64))
        return names, {part: [items[row] for row in np.flatnonzero(mask)] for part, mask in masks.items()}

    def _files(self, folders: Mapping[str, Path], names: Sequence[str]) -> Iterator[Item]:
        other, count = [], 0
        for label, name in enumerate(names):
            found = sorted(below(folders[name]))
            chosen = [path for path in found if path.suffix.lower() in self.kinds]
            if not chosen:
                raise UserError(f"{folders[name]}: no {', '.join(self.kinds)} files; every class folder needs some; "
                                "add some, or remove the folder")  # fmt: skip
            other += [str(path.relative_to(self.root)) for path in found if path.suffix.lower() not in self.kinds]
            count += len(found)
            yield from ((path, label) for path in chosen)
        tell_left_out(self.root, other, count, f"files are not {', '.join(self.kinds)} and were")

    def _split(self, items: Sequence[Item], part: str) -> Split:
        check_room(len(items), self.shape, self.root, "choose a smaller size")
        frames, kept, broken = np.empty((len(items), *self.shape), np.uint8), list[int](), list[str]()
        for (_, label), frame in zip(items, self.frames([path for path, _ in items], self._read), strict=True):
            if isinstance(frame, UserError):
                if self.damaged == "stop":
                    raise UserError(f'{frame}, or set damaged = "leave-out"')
                broken.append(str(frame).replace(f"{self.root}/", ""))
            else:
                frames[len(kept)] = frame
                kept.append(label)
        tell_left_out(self.root, broken, len(items), f"files of the {part} split cannot be read and were")
        return Split(frames[: len(kept)], np.array(kept, np.int64))

    def _read(self, path: Path) -> Frame | UserError:
        try:
            return self.frame(path)
        except UserError as error:
            return error


def class_folders(root: Path, chosen: Sequence[str]) -> tuple[tuple[str, ...], dict[str, dict[str, Path]]]:
    """The names of the classes, and by split their folders; the split is "" where folders tell of none."""
    top = subfolders(root)
    parts = {"": top}
    if ("train" in top and not top.keys() - FOLDERS.keys()) or {"train", "test"} <= top.keys():
        if "test" not in top:
            raise UserError(f"{root}: has train/ but no test/; add it, or put the class folders beside each other, of "
                            "which [data] test is a share")  # fmt: skip
        parts = {FOLDERS[name]: subfolders(top[name]) for name in FOLDERS if name in top}
    names = tuple(chosen) or tuple(sorted(next(iter(parts.values()))))
    for part, folders in parts.items():
        place = root if not part else next(top[name] for name in FOLDERS if name in top and FOLDERS[name] == part)
        if lacking := [name for name in names if name not in folders]:
            raise UserError(f"{place}: no folder {lacking[0]!r}, which is a class; every split needs all classes; "
                            f"known folders: {sorted(folders)[:10]}")  # fmt: skip
        if not chosen and (more := sorted(folders.keys() - set(names))):
            raise UserError(f"{place}: has a folder {more[0]!r}, which the training split lacks; remove it, or choose "
                            "[data] classes")  # fmt: skip
    if len(set(names)) < 2:
        raise UserError(
            f"{root}: class folders {list(names)}; at least two different ones are needed, a folder a class"
        )
    return names, parts


def subfolders(folder: Path) -> dict[str, Path]:
    """The folders directly in a folder, by name, without hidden ones; `UserError` where it cannot be read."""
    return {entry.name: Path(entry.path) for entry in _entries(folder) if _is_folder(entry)}


def below(folder: Path) -> Iterator[Path]:
    """All files below a folder, without hidden ones; links to folders are not followed, so that it ends."""
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from below(Path(entry.path))
        else:
            yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(HIDDEN)]
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; name a readable folder with a folder a class") from error
