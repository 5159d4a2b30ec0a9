# SPDX-License-Identifier: Apache-2.0
"""What a host must know of a network's ends: the names of the classes, and how raw features become bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit import files
from adiabit.errors import UserError

FILE = "legend.json"
LEVELS = 255  # the largest byte


def check_names(names: Sequence[str]) -> None:
    """`ValueError` where class names are empty, repeated, or cannot be written as UTF-8."""
    for name in names:
        if not isinstance(name, str) or not name or "\0" in name:
            raise ValueError(f"class name {name!r}: must be text, not empty and without NUL")
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"class name {name!r}: must be UTF-8") from error
    if len(set(names)) != len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise ValueError(f"class name {twice!r}: is there twice")


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How features become bytes: the nearest integer to (x - low) / step, ties to even, clipped to 0...255.

    Each is by feature, or one number for all. A feature of step 0 is constant and becomes 0. `fill` replaces missing
    values (NaN), if it is given. `columns` are the names of the features, if they have names. The driver has the
    same function (`adiabit_driver/encoding.py`); a test holds them equal. `ValueError` where the numbers do not go
    together.
    """

    low: tuple[float, ...]
    step: tuple[float, ...]
    fill: tuple[float, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sizes = {len(row) for row in (self.low, self.step, self.fill, self.columns) if row}
        if not self.low or not self.step or len(sizes) != 1:
            raise ValueError("an encoding needs as many low as step, and as many fill and columns, if any")
        if not all(math.isfinite(value) for row in (self.low, self.step, self.fill) for value in row):
            raise ValueError("an encoding needs finite numbers")
        if min(self.step) < 0:
            raise ValueError("the steps of an encoding are at least 0")

    def encode(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Rows (N, features) of reals as bytes; `ValueError` where one is missing and there is no `fill`."""
        values = np.asarray(rows, np.float64)
        missing = np.isnan(values)
        if missing.any():
            if not self.fill:
                raise ValueError("a value is NaN, and the encoding has no fill for it")
            values = np.where(missing, np.asarray(self.fill), values)
        step = np.asarray(self.step)
        with np.errstate(over="ignore"):  # infinity is clipped
            levels = (values - np.asarray(self.low)) / np.where(step > 0, step, 1.0)
        codes: npt.NDArray[np.uint8] = np.rint(np.where(step > 0, levels, 0.0).clip(0, LEVELS)).astype(np.uint8)
        return codes


@dataclass(frozen=True, kw_only=True)
class Legend:
    """Class names in the order of the labels, or () if they have none, and the encoding of raw features, if any.

    `ValueError` where names are empty, repeated, or not text.
    """

    names: tuple[str, ...] = ()
    encoding: Encoding | None = None

    def __post_init__(self) -> None:
        check_names(self.names)

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Legend:
        """From JSON types; `KeyError`, `TypeError` or `ValueError` where it is something else."""
        names, encoding = document.get("names", ()), document.get("encoding")
        if encoding is None:
            return cls(names=tuple(names))
        low, step, fill = (tuple(map(float, encoding.get(key, ()))) for key in ("low", "step", "fill"))
        columns = tuple(map(str, encoding.get("columns", ())))
        return cls(names=tuple(names), encoding=Encoding(low=low, step=step, fill=fill, columns=columns))


NO_LEGEND = Legend()


def save(folder: Path, legend: Legend) -> None:
    """Write `legend.json` into an existing folder."""
    files.write_text(folder / FILE, json.dumps(legend.document(), indent=1) + "\n")


def load(folder: Path) -> Legend:
    """Read `legend.json`; `UserError` where it is missing or damaged."""
    path = folder / FILE
    try:
        return Legend.read(json.loads(files.read_text(path, "`adiabit export` makes it")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: no class names and encoding ({error!r}); export anew") from error
