# SPDX-License-Identifier: Apache-2.0
"""The result of a finished training, checked as far as a comparison uses it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.training import Metrics, load_accuracies, load_metrics
from adiabit.train.checkpoint import MODEL, ModelCard


@dataclass(frozen=True)
class Result:
    """The result of a finished training."""

    metrics: Metrics
    accuracies: tuple[float | None, ...]  # hard validation accuracy at each epoch


def load(folder: Path) -> Result:
    """Read the folder of a finished training; `UserError` if one of its files is damaged."""
    remedy = f"delete the folder {folder} to train again"
    documents.read(ModelCard, folder / MODEL, remedy)
    accuracies = load_accuracies(folder, remedy)
    return Result(load_metrics(folder, remedy), accuracies)
