# SPDX-License-Identifier: Apache-2.0
"""The recipe's table `[budget]`, and the baseline that it may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from adiabit.flows import documents

Limit = Annotated[float | None, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Limits(BaseModel):
    """Limits of measured quantities: accuracy and frames a second at least, everything else at most."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    accuracy: Annotated[float | None, Field(ge=0, le=1)] = None
    """At least this share of the test split, hard."""
    fps: Limit = None
    """At least so many frames a second, simulated."""
    cycles: Limit = None
    """At most so many cycles a frame, simulated."""
    latency_us: Limit = None
    """At most so many microseconds from a frame's first beat to its result, simulated."""
    lut: Limit = None
    """At most, by Yosys."""
    ff: Limit = None
    """At most, by Yosys."""
    bram18: Limit = None
    """Block RAMs of 18 Kbit at most, by Yosys."""
    dsp: Limit = None
    """At most, by Yosys."""
    toggles: Limit = None
    """At most so many changes of all nets a frame, a proxy of energy; needs `simulate.activity`."""


class Budget(Limits):
    """What a run must keep.

    With a `baseline`, a file that `adiabit check --save` wrote, no quantity in it may be worse by more than `worse`
    per cent of its figure, or percentage points of accuracy. A table of `worse` names the quantities that are compared.
    """

    baseline: Path | None = None
    """A file beside the recipe, which `adiabit check RECIPE --save` writes and you commit: nothing in it may get
    worse.
    """
    worse: Percent | dict[str, Percent] = 0.0
    """By more than so many per cent, or points of accuracy; or a table of the quantities that are compared, e.g. `{
    lut = 2, accuracy = 0.5 }`.
    """

    @field_validator("worse")
    @classmethod
    def _known(cls, worse: float | dict[str, float]) -> float | dict[str, float]:
        unknown = sorted(set(worse) - set(QUANTITIES)) if isinstance(worse, dict) else []
        if unknown:
            raise ValueError(f"no such quantity: {unknown[0]!r}; known quantities: {list(QUANTITIES)}")
        return worse

    def tolerance(self, quantity: str) -> float | None:
        """By how much a quantity may be worse than in the baseline; None if it is not compared."""
        return self.worse.get(quantity) if isinstance(self.worse, dict) else self.worse


QUANTITIES = tuple(Limits.model_fields)
MORE_IS_BETTER = ("accuracy", "fps")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The quantities of an earlier run; those that were not measured are missing."""

    name: str
    date: str  # ISO 8601, UTC
    quantities: Mapping[str, float]


def load_baseline(path: Path) -> Baseline:
    """Read a baseline; `UserError` where the file is missing or damaged."""
    return documents.read(Baseline, path, "`adiabit check RECIPE --save` writes the baseline")
