# SPDX-License-Identifier: Apache-2.0
"""Reading `metrics.json` and `history.json` of a finished training, for the report and for comparisons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from adiabit.flows import documents

METRICS, HISTORY = "metrics.json", "history.json"


def _finite_or_none(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Share = Annotated[float, Field(ge=0, le=1)]
Figure = Annotated[float | None, BeforeValidator(_finite_or_none)]  # None where training produced NaN or infinity
History = dict[str, list[Figure]]  # measure to its value at each epoch


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """A training's result; accuracies are in 0...1. Trainings by older versions lack the fields that may be None."""

    soft_test: Share
    hard_test: Share
    hard_validation: Share
    soft_validation: Share | None = None
    validation_frames: Annotated[int, Field(ge=1)] | None = None
    test_frames: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[int, Field(ge=1)]
    chosen_epoch: int | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # of the whole training
    method: str | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Accuracies:
    """The hard validation accuracy at each epoch, out of the history."""

    hard_accuracy: Annotated[tuple[Annotated[Share | None, BeforeValidator(_finite_or_none)], ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Training(Metrics):
    """The result of a training and the curves that led to it."""

    history: History


def load_metrics(folder: Path, remedy: str = "") -> Metrics:
    """Read `metrics.json`; `UserError` ending in `remedy` where it is missing or damaged."""
    return documents.read(Metrics, folder / METRICS, remedy)


def load_accuracies(folder: Path, remedy: str = "") -> tuple[float | None, ...]:
    """Hard validation accuracies by epoch, from `history.json`; `UserError` as :func:`load_metrics`."""
    return documents.read(_Accuracies, folder / HISTORY, remedy).hard_accuracy


def load(folder: Path, remedy: str = "") -> Training:
    """Read both files; `UserError` ending in `remedy` where one is missing or damaged."""
    history = documents.read(History, folder / HISTORY, remedy)
    return Training(**vars(load_metrics(folder, remedy)), history=history)
