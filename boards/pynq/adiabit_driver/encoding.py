# SPDX-License-Identifier: Apache-2.0
"""Raw features to bytes as the training did it: the same function as `adiabit.legend.Encoding.encode`."""

from __future__ import annotations

from typing import Any

import numpy as np

LEVELS = 255  # the largest byte
KEYS = ("low", "step", "fill")


class Encoding:
    """The nearest integer to (x - low) / step, ties to even, clipped to 0...255; where step is 0, 0.

    `fill` replaces NaN, if the description has it. `ValueError` where the description is damaged.
    """

    def __init__(self, description: Any, elements: int) -> None:
        if not isinstance(description, dict):
            raise TypeError(f"encoding = {description!r}, an object is needed")
        rows = [np.array(_numbers(description, key, elements), float) for key in KEYS]
        self.low, self.step, self.fill = rows
        self.elements = elements
        self.columns = tuple(map(str, description.get("columns", ())))  # names of the features, in their order

    def encode(self, rows: Any) -> Any:
        """Rows (F, ...) of real numbers as bytes (F, elements); `ValueError` where they do not fit."""
        values = np.asarray(rows, np.float64)
        if values.ndim < 2 or values.size != len(values) * self.elements or not len(values):
            raise ValueError(f"rows have shape {values.shape}; at least one of {self.elements} features is needed")
        values = values.reshape(len(values), self.elements)
        missing = np.isnan(values)
        if missing.any():
            if not len(self.fill):
                row, column = np.argwhere(missing)[0]
                name = self.columns[column] if self.columns else column
                raise ValueError(f"row {row}, feature {name} is NaN; the network was trained without missing values")
            values = np.where(missing, self.fill, values)
        with np.errstate(over="ignore"):  # infinity is clipped
            levels = (values - self.low) / np.where(self.step > 0, self.step, 1.0)
        return np.rint(np.where(self.step > 0, levels, 0.0).clip(0, LEVELS)).astype(np.uint8)


def _numbers(description: Any, key: str, elements: int) -> Any:
    row = description.get(key, []) if key == "fill" else description[key]
    lengths = (1, elements) if key != "fill" else (0, 1, elements)
    if not isinstance(row, list) or len(row) not in lengths or not all(_finite(number) for number in row):
        raise ValueError(f"encoding: {key} = {row!r}, {elements} numbers are needed")
    if key == "step" and min(row) < 0:
        raise ValueError(f"encoding: step = {row!r}, numbers of at least 0 are needed")
    return row


def _finite(number: Any) -> bool:
    return type(number) in (int, float) and bool(np.isfinite(number))
