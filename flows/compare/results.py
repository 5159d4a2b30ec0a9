# SPDX-License-Identifier: Apache-2.0
"""What a finished training left, checked as far as a comparison uses it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.training import Metrics, load_accuracies, load_metrics
from adiabit.train.checkpoint import MODEL, ModelCard


@dataclass(frozen=True)
class Result:
    """A finished training."""

    metrics: Metrics
    accuracies: tuple[float | None, ...]  # hard, validation, by epoch


def load(folder: Path) -> Result:
    """Read the folder of a finished training; `UserError` where one of its files is damaged."""
    remedy = f"delete the folder {folder}, it is trained anew"
    documents.read(ModelCard, folder / MODEL, remedy)
    accuracies = load_accuracies(folder, remedy)
    return Result(load_metrics(folder, remedy), accuracies)
