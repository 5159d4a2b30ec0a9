# SPDX-License-Identifier: Apache-2.0
"""Trainings are stopped by rivals that cost no more, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from adiabit.flows import documents
from adiabit.flows.sweep.plan import Pruning
from adiabit.flows.sweep.pruning import Curve, Judge, Pruned

RULE = Pruning(after=0.5, rivals=2, margin=0.01)


def judge(folder: Path, lut: float, epochs: int = 4, name: str = "mine-seed0") -> Judge:
    return Judge(RULE, folder, name, Curve(costs={"lut": lut, "fps": 100.0}, epochs=epochs, accuracies=()))


def rival(
    folder: Path, name: str, lut: float, accuracies: Sequence[float], fps: float = 100.0, epochs: int = 4
) -> None:
    curve = Curve(costs={"lut": lut, "fps": fps}, epochs=epochs, accuracies=tuple(accuracies))
    documents.write(folder / f"{name}.json", curve)


def test_two_cheaper_rivals_stop_a_training(tmp_path: Path) -> None:
    rival(tmp_path, "a-seed0", 90, [0.5, 0.8, 0.8, 0.8])
    rival(tmp_path, "b-seed0", 100, [0.7, 0.6, 0.8, 0.8])
    watch = judge(tmp_path, 100)
    watch([0.3])  # too early
    with pytest.raises(Pruned, match=r"stopped after 2 of 4 epochs at 60.00 %: 2 points that cost no more") as caught:
        watch([0.3, 0.6])
    assert caught.value.accuracy == 0.6
    judge(tmp_path, 100)([0.3, 0.695])  # b's best by then is 0.70, within the margin


@pytest.mark.parametrize("change", ["larger", "slower", "behind", "same point"])
def test_other_rivals_stop_nothing(tmp_path: Path, change: str) -> None:
    rival(tmp_path, "a-seed0", 90, [0.9, 0.9, 0.9, 0.9])
    name = "mine-seed1" if change == "same point" else "b-seed0"
    lut, fps = (101 if change == "larger" else 90), (99.0 if change == "slower" else 100.0)
    rival(tmp_path, name, lut, [0.9] if change == "behind" else [0.9, 0.9], fps)
    judge(tmp_path, 100)([0.3, 0.4])


def test_epochs_of_other_budgets_are_compared_by_their_share(tmp_path: Path) -> None:
    for name in ("a-seed0", "b-seed0"):
        rival(tmp_path, name, 90, [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9], epochs=8)
    judge(tmp_path, 100)([0.3, 0.3])  # at half of their epochs, they were at 0.1
    with pytest.raises(Pruned):
        judge(tmp_path, 100)([0.3, 0.3, 0.3])


def test_a_training_that_ends_is_not_stopped(tmp_path: Path) -> None:
    for name in ("a-seed0", "b-seed0"):
        rival(tmp_path, name, 90, [0.9] * 4)
    judge(tmp_path, 100)([0.3] * 4)
    kept = documents.read(Curve, tmp_path / "mine-seed0.json")
    assert kept.accuracies == (0.3,) * 4
