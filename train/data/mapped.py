# SPDX-License-Identifier: Apache-2.0
"""Frames that exceed the memory: decoded once into a file, which is mapped."""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.train.blocks import Shape
from adiabit.train.data.images import decoded

Decode = Callable[[Path], npt.NDArray[np.uint8]]


def mapped(path: Path, images: Sequence[Path], decode: Decode, frame: Shape) -> npt.NDArray[np.uint8]:
    """The frames (N, *frame) of `images`, mapped from the file `path`, which is written first if it is missing.

    The file has one frame after the other and no header. It is written aside and renamed; an interrupted run is resumed
    after its last whole frame. `UserError` where an image is damaged, the disk is too small or `path` is no such file.
    """
    size = len(images) * math.prod(frame)
    with _locked(path):
        if not path.exists():
            _write(path, images, decode, math.prod(frame))
    if (found := path.stat().st_size) != size:
        raise UserError(f"{path}: {found:,} bytes; {len(images):,} frames have {size:,}; delete it and run again")
    return np.memmap(path, np.uint8, "r", shape=(len(images), *frame))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other run writes the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name another folder by XDG_CACHE_HOME") from error


def _write(path: Path, images: Sequence[Path], decode: Decode, size: int) -> None:
    """Write the frames, of `size` bytes each, after those that an interrupted run has left."""
    aside = path.with_name(f".{path.name}.part")
    with aside.open("ab") as file:
        done = file.tell() // size
        file.truncate(done * size)
        left = images[done:]
        _check_space(path, len(left) * size)
        _tell(f"{path}: decoding {len(left):,} images; the file will have {len(images) * size / 1e9:,.1f} GB")
        try:
            for number, frame in enumerate(decoded(left, decode), done + 1):
                file.write(frame.tobytes())
                if number * 10 // len(images) > (number - 1) * 10 // len(images):
                    _tell(f"{path}: {number:,} of {len(images):,}")
        except UserError:
            aside.unlink()  # the images will be others once the damaged one is mended
            raise
        file.flush()
        os.fsync(file)
    aside.replace(path)


def _check_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise UserError(f"{path}: needs {size / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB are free; choose a smaller "
                        "[data] size, or name another folder by XDG_CACHE_HOME")  # fmt: skip


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
