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

    accuracy: Annotated[float | None, Field(ge=0, le=1)] = None  # on the test split, hard
    fps: Limit = None
    cycles: Limit = None  # a frame, simulated
    latency_us: Limit = None
    lut: Limit = None
    ff: Limit = None
    bram18: Limit = None
    dsp: Limit = None
    toggles: Limit = None  # of all nets a frame, a proxy of energy; needs simulate.activity


class Budget(Limits):
    """What a run must keep.

    With a `baseline`, a file that `adiabit check --save` wrote, no quantity in it may be worse by more than `worse`
    per cent of its figure, or percentage points of accuracy. A table of `worse` names the quantities that are compared.
    """

    baseline: Path | None = None
    worse: Percent | dict[str, Percent] = 0.0

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
