# SPDX-License-Identifier: Apache-2.0
"""The space of a sweep: axes, and points that take a value on each.

An axis is a key of the recipe with a list of values or a range of numbers, or a name with choices that each set several
keys at once:

    [space]
    "model.widths" = [[16], [32, 32]]
    "train.learning_rate" = { low = 0.001, high = 0.1, log = true }
    [space.folding.slow]
    "compile.fold.fps" = 10_000
    [space.folding.fast]
    "compile.fold.fps" = 1_000_000
    "target.board" = "zcu104"

The key `base` in a choice names another base recipe for its points.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

Overrides = Mapping[str, Any]  # values of the recipe, by dotted key
MOST = 100_000  # points of a grid


class Range(BaseModel):
    """An interval of numbers, both ends included; integers where all that is given are integers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} must be less than high = {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range needs low > 0, and has no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(f"step = {self.step:g} must be positive, and at most high - low")
        return self

    @property
    def integers(self) -> bool:
        """Whether its numbers are integers."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step) if n is not None)

    @property
    def values(self) -> list[int | float] | None:
        """All numbers of the range; None if it has no step."""
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return [self.low + k * self.step for k in range(count)]

    def draw(self, rng: random.Random) -> int | float:
        """A random number of the range, uniform on its scale."""
        if self.values is not None:
            return rng.choice(self.values)
        if self.log:
            drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            return min(max(round(drawn), int(self.low)), int(self.high)) if self.integers else drawn
        return rng.randint(int(self.low), int(self.high)) if self.integers else rng.uniform(self.low, self.high)


@dataclass(frozen=True)
class Axis:
    """An axis of the space: labelled choices, each with the keys of the recipe that it sets, or a range of one key."""

    name: str
    choices: Mapping[str, Overrides]
    range: Range | None = None

    @classmethod
    def of(cls, name: str, given: Any) -> Axis:
        """The axis that a line or a table of `[space]` describes; `ValueError` where it describes none."""
        if isinstance(given, list) and given:
            return cls(name, {_label(value): {name: value} for value in given})
        if isinstance(given, dict) and given and all(isinstance(value, dict) for value in given.values()):
            return cls(name, given)
        if isinstance(given, dict) and given.keys() & {"low", "high"}:
            return cls(name, {}, Range.model_validate(given))
        raise ValueError(
            "must be a list of values, a range such as { low = 1, high = 8, step = 1 }, or tables of choices, each "
            "with keys of the recipe"
        )

    @property
    def keys(self) -> set[str]:
        """The keys of the recipe that it sets."""
        return {self.name} if self.range else {key for choice in self.choices.values() for key in choice}

    @property
    def labels(self) -> list[str] | None:
        """The labels of all values; None for a range without a step."""
        if self.range is None:
            return list(self.choices)
        return None if self.range.values is None else [_label(value) for value in self.range.values]

    def draw(self, rng: random.Random) -> str:
        """The label of a random value."""
        return rng.choice(list(self.choices)) if self.range is None else _label(self.range.draw(rng))

    def overrides(self, label: str) -> Overrides:
        """The keys of the recipe that a value sets."""
        return self.choices[label] if self.range is None else {self.name: json.loads(label)}


@dataclass(frozen=True)
class Point:
    """A point of the space: the label of its value on each axis, and the keys of the recipe that they set."""

    labels: Mapping[str, str]
    overrides: Overrides

    @property
    def name(self) -> str:
        """The name of its folder, which depends on nothing but the keys it sets."""
        return hashlib.sha256(json.dumps(self.overrides, sort_keys=True).encode()).hexdigest()[:10]

    def __str__(self) -> str:
        return ", ".join(f"{axis} = {label}" for axis, label in self.labels.items()) or "the base recipe"


@dataclass(frozen=True)
class Space:
    """All axes of a sweep."""

    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> Space:
        """The space that the table `[space]` describes; `ValueError` names the axis of a fault."""
        axes = []
        for name, given in tables.items():
            try:
                axes.append(Axis.of(name, given))
            except ValueError as error:
                raise ValueError(f"{name}: {_reason(error)}") from error
        keys = [key for axis in axes for key in axis.keys]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise ValueError(f"{twice}: set by two axes; keep one")
        return cls(tuple(axes))

    def point(self, labels: Mapping[str, str]) -> Point:
        """The point of these labels."""
        overrides: dict[str, Any] = {}
        for axis in self.axes:
            overrides |= axis.overrides(labels[axis.name])
        return Point(dict(labels), overrides)

    def grid(self) -> list[Point]:
        """Every point; `ValueError` where a range has no step, or there are too many."""
        columns = {axis.name: axis.labels for axis in self.axes}
        if endless := next((name for name, labels in columns.items() if labels is None), None):
            raise ValueError(f"{endless}: a grid needs a step in each range")
        known = {name: labels for name, labels in columns.items() if labels is not None}
        if (count := math.prod(map(len, known.values()))) > MOST:
            raise ValueError(f"a grid of {count:,} points; at most {MOST:,} are allowed; search at random")
        rows = itertools.product(*known.values())
        return [self.point(dict(zip(known, row, strict=True))) for row in rows]

    def random(self, seed: int) -> Iterator[Point]:
        """Random points without end."""
        rng = random.Random(seed)  # noqa: S311  # nothing secret is drawn
        while True:
            yield self.point({axis.name: axis.draw(rng) for axis in self.axes})


def _label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _reason(error: ValueError) -> str:
    """The first fault of a pydantic error; else the error's own text."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    reason = first["msg"].removeprefix("Value error, ")
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {reason[0].lower()}{reason[1:]}" if place else reason
