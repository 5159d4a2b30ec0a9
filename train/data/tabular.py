# SPDX-License-Identifier: Apache-2.0
"""Tables of one's own (CSV): a column a feature, and a column of classes.

Features become bytes by their ranges in the training split (:class:`adiabit.legend.Encoding`), which travel with the
network to its host.
"""

from __future__ import annotations

import array
import csv
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from adiabit import files
from adiabit.errors import UserError
from adiabit.legend import LEVELS, Encoding, Legend
from adiabit.train.data import DATASETS, Source
from adiabit.train.data.files import Splits, listed
from adiabit.train.data.own import (
    ROOM,
    TEST,
    TRAIN,
    VALIDATION,
    Labels,
    OwnData,
    legend,
    numbered,
    parted,
    tell_left_out,
)

NAMES = {"train.csv": TRAIN, "validation.csv": VALIDATION, "test.csv": TEST}
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))  # in lower case
CELL = 1 << 16  # characters, at most


@DATASETS.register
class Csv(OwnData):
    """Which columns are read, and how."""

    dataset: Literal["csv"] = "csv"
    file: str | None = None
    """By default `train.csv` and `test.csv`, or the only file."""
    label: str | None = None
    """The column of the classes; by default the last."""
    ignore: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()
    """Columns that are not read."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Between the cells of a line."""
    missing: Literal["leave-out", "median", "stop"] = "leave-out"
    """Rows without a value are left out; or get the median of the feature; or end the run."""
    outliers: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Share of the values at either end of a feature that are clipped."""

    @property
    def source(self) -> Source:
        """One row of as many pixels as features."""
        read = self._read()
        return Source((1, len(read.columns), 1), len(read.names))

    @property
    def legend(self) -> Legend:
        """The distinct labels, sorted, and the ranges of the features in the training split."""
        read = self._read()
        return legend(read.names, self.root, read.encoding)

    def splits(self) -> Splits:
        """Frames (N, features)."""
        read = self._read()
        frames = {part: read.encoding.encode(rows) for part, rows in read.rows.items()}
        return parted(self, frames, read.labels, read.names, self.root)

    def files(self) -> Mapping[str, Path]:
        """One, two or three files."""
        return {path.name: path for path in self._paths().values()}

    def _paths(self) -> dict[str, Path]:
        if self.file is not None:
            return {"": self.root / self.file}
        found = {path.name: path for path in sorted(listed(self.root)) if path.suffix.lower() == ".csv"}
        if {"train.csv", "test.csv"} <= found.keys():
            return {part: found[name] for name, part in NAMES.items() if name in found}
        if len(found) != 1:
            what = f"{len(found)} .csv files, {', '.join(list(found)[:3])}" if found else "no .csv file"
            raise UserError(f"{self.root}: {what}; train.csv and test.csv are needed, or one file; name it by "
                            '[data] file = "..."')  # fmt: skip
        return {"": next(iter(found.values()))}

    def _read(self) -> Read:
        """The content of the files, kept as long as they do not change."""
        paths = self._paths()
        stamps = []
        for path in paths.values():
            stat = files.regular(path, "name a CSV file by [data] file").stat()
            stamps.append((stat.st_size, stat.st_mtime_ns, stat.st_ino))
        return _read(self, tuple(paths.items()), tuple(stamps))


@dataclass(frozen=True)
class Read:
    """What the files hold: features as reals, and classes."""

    columns: tuple[str, ...]  # the features
    rows: Mapping[str, npt.NDArray[np.float64]]  # (N, features) of each part; the part is "" where it is divided later
    labels: Mapping[str, Labels]
    names: tuple[str, ...]
    encoding: Encoding


@lru_cache(maxsize=2)
def _read(table: Csv, paths: tuple[tuple[str, Path], ...], stamps: object) -> Read:  # noqa: ARG001  (only of the cache)
    sheets = {part: _Sheet.read(table, path) for part, path in paths}
    (_, first), *others = sheets.items()
    for _, sheet in others:
        if sheet.header != first.header:
            one, two = next((a, b) for a, b in _padded(sheet.header, first.header) if a != b)
            raise UserError(f"{sheet.path}: the header has {one!r} where {first.path.name} has {two!r}; the files "
                            "must have the same columns in the same order")  # fmt: skip
    labels, names = numbered({part: np.array(sheet.labels, np.str_) for part, sheet in sheets.items()}, (), table.root)
    rows = {part: sheet.rows for part, sheet in sheets.items()}
    trained = rows[TRAIN] if TRAIN in rows else rows[""][~table.divided(labels[""])]
    return Read(first.columns, rows, labels, names, _encoding(table, trained, first.columns))


def _padded(one: Sequence[str], two: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    longest = max(len(one), len(two))
    for index in range(longest):
        yield (one[index] if index < len(one) else None), (two[index] if index < len(two) else None)


def _encoding(table: Csv, rows: npt.NDArray[np.float64], columns: tuple[str, ...]) -> Encoding:
    """The ranges of the features in the training split's rows (N, features)."""
    if not len(rows):
        raise UserError(f"{table.root}: no rows in the training split; at least one of each class is needed")
    if (empty := np.isnan(rows).all(axis=0)).any():
        raise UserError(f"{table.root}: column {columns[int(empty.argmax())]!r} has no values in the training split; "
                        "name it in [data] ignore")  # fmt: skip
    low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
    if table.outliers:
        inner = np.nanquantile(rows, (table.outliers, 1 - table.outliers), axis=0)
        low, high = np.where(inner[0] < inner[1], inner, (low, high))  # of a feature that is nearly constant, all
    step = high / LEVELS - low / LEVELS  # the difference itself may overflow
    if constant := [name for name, width in zip(columns, step, strict=True) if not width > 0]:
        some = ", ".join(map(repr, constant[:5])) + (", ..." if len(constant) > 5 else "")
        print(f"{table.root}: {len(constant)} of {len(columns)} columns are constant in the training split and become "
              f"0: {some}", file=sys.stderr)  # fmt: skip
    fill = np.nanmedian(rows, axis=0) if table.missing == "median" else np.array([])
    numbers = (tuple(map(float, row)) for row in (low, step, fill))
    return Encoding(**dict(zip(("low", "step", "fill"), numbers, strict=True)), columns=columns)


@dataclass
class _Sheet:
    """One file, read line by line."""

    table: Csv
    path: Path
    header: list[str]
    label: int = 0  # the column of the classes
    features: list[int] = field(default_factory=list)  # the other columns
    labels: list[str] = field(default_factory=list)
    values: array.array[float] = field(default_factory=lambda: array.array("d"))
    odd: list[str] = field(default_factory=list)  # lines of another length
    gaps: list[str] = field(default_factory=list)  # lines with missing values
    missing: int = 0  # values

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(self.header[index] for index in self.features)

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """Features (N, features), NaN where one is missing."""
        return np.frombuffer(self.values, np.float64).reshape(-1, len(self.features))

    @classmethod
    def read(cls, table: Csv, path: Path) -> _Sheet:
        """`UserError` names file, line and column of what cannot be read."""
        try:
            with files.regular(path, "").open(encoding="utf-8-sig", newline="") as file:
                csv.field_size_limit(CELL)
                lines = csv.reader(file, delimiter=table.delimiter, skipinitialspace=True, strict=True)
                sheet = cls(table, path, [cell.strip() for cell in next(lines, [])])
                sheet._choose_columns()
                total = 0
                for line in lines:
                    if line:
                        total += 1
                        sheet._add(line, lines.line_num)
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{path}: not a CSV file of UTF-8 text ({error}); save it anew") from error
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; name a readable CSV file") from error
        tell_left_out(path, sheet.odd, total, f"lines have not {len(sheet.header)} cells and were")
        tell_left_out(path, sheet.gaps, total, "lines lack values and were")
        if sheet.missing and table.missing == "median":
            print(f"{path}: {sheet.missing:,} missing values became the medians of their columns", file=sys.stderr)
        if not sheet.labels:
            raise UserError(f"{path}: no rows below the header; at least one of each class is needed")
        return sheet

    def _choose_columns(self) -> None:
        header, table = self.header, self.table
        if header and all(_number(cell) is not None for cell in header):
            raise UserError(f"{self.path}: the first line, {', '.join(header[:4])}, holds numbers, not the names of "
                            "the columns; put a header line in front")  # fmt: skip
        if len(set(header)) != len(header):
            twice = next(name for k, name in enumerate(header) if name in header[:k])
            raise UserError(f"{self.path}: column {twice!r} is there twice; rename one")
        wanted = (*([table.label] if table.label is not None else []), *table.ignore)
        if lacking := [name for name in wanted if name not in header]:
            other = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
            hint = f"; the delimiter seems to be {other!r}: set [data] delimiter" if other else ""
            raise UserError(f"{self.path}: no column {lacking[0]!r}; known columns: {header[:20]}{hint}")
        kept = [index for index, name in enumerate(header) if name not in table.ignore]
        if len(kept) < 2:
            raise UserError(f"{self.path}: columns {header[:5]}; a feature and a label are needed at least; set [data] "
                            "delimiter if it is not a comma")  # fmt: skip
        self.label = header.index(table.label) if table.label is not None else kept[-1]
        if self.label not in kept:
            raise UserError(f"{self.path}: column {table.label!r} is both label and ignored; remove it from ignore")
        self.features = [index for index in kept if index != self.label]

    def _add(self, line: list[str], number: int) -> None:
        """Append a line, or note why not."""
        if len(line) != len(self.header):
            if self.table.damaged == "stop":
                raise UserError(f"{self.path}: line {number}: {len(line)} cells; the header has {len(self.header)}; "
                                'mend it, or set damaged = "leave-out"')  # fmt: skip
            self.odd.append(f"line {number}")
            return
        label = line[self.label].strip()
        values = [self._value(line[index], index, number) for index in self.features]
        gaps = sum(map(math.isnan, values))
        unlabelled = label.lower() in MISSING - {"none", "na"}
        if (gaps and self.table.missing != "median") or unlabelled:
            if self.table.missing == "stop":
                index = self.label if unlabelled else self.features[[math.isnan(value) for value in values].index(True)]
                raise UserError(f"{self.path}: line {number}: column {self.header[index]!r} has no value; fill it, or "
                                'set missing = "leave-out" or "median"')  # fmt: skip
            self.gaps.append(f"line {number}")
            return
        self.missing += gaps
        self.labels.append(label)
        self.values.extend(values)
        if 8 * len(self.values) > ROOM:
            raise UserError(f"{self.path}: more than {ROOM / 8e9:,.1f} billion values; use fewer rows")

    def _value(self, cell: str, index: int, line: int) -> float:
        if (value := _number(cell)) is None:
            raise UserError(f"{self.path}: line {line}: column {self.header[index]!r} has {cell[:40]!r}, which is no "
                            "finite number; replace it by numbers, e.g. a column of 0 and 1 for each value, or name "
                            "the column in [data] ignore or as label")  # fmt: skip
        return value


def _number(cell: str) -> float | None:
    """A finite number, NaN for a missing one, None for anything else."""
    try:
        value = float(cell)
    except ValueError:
        return math.nan if cell.strip().lower() in MISSING else None
    if "_" in cell or math.isinf(value):
        return None
    return value
