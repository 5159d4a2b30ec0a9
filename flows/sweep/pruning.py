# SPDX-License-Identifier: Apache-2.0
"""Stopping the training of points that will not reach the front.

A small network is less accurate than a large one and still belongs on the front, so accuracy alone says nothing. A
training is stopped after an epoch if at least `rivals` points that cost no more than it, by the estimate and in every
objective but accuracy, were better by more than `margin` at the same share of their epochs. What is compared is the
best validation accuracy so far of the network as it is trained (soft). The curves lie in a folder that all workers see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.check.budget import MORE_IS_BETTER
from adiabit.flows.sweep.plan import Pruning


class Pruned(Exception):  # noqa: N818  # it is an outcome, not an error
    """A training was stopped, at its best validation accuracy so far."""

    def __init__(self, why: str, accuracy: float) -> None:
        super().__init__(why)
        self.accuracy = accuracy


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The training of a trial: what it costs, and its validation accuracy at each epoch so far."""

    costs: Mapping[str, float]
    epochs: int  # planned
    accuracies: tuple[float, ...]

    def best(self, share: float) -> float | None:
        """The best accuracy up to a share of the epochs; None if it has not come so far."""
        count = max(1, round(share * self.epochs))
        return max(self.accuracies[:count]) if len(self.accuracies) >= count else None

    def costs_no_more(self, than: Curve) -> bool:
        """Whether it is at least as good in every objective but accuracy."""
        return all(
            value >= than.costs[key] if key in MORE_IS_BETTER else value <= than.costs[key]
            for key, value in self.costs.items()
        )


@dataclass
class Judge:
    """Follows the training of one trial, and stops it; `folder` has the curves of all trials."""

    pruning: Pruning
    folder: Path
    name: str
    curve: Curve

    def __call__(self, accuracies: Sequence[float]) -> None:
        """Keep the accuracies so far; `Pruned` where the training is to be stopped."""
        mine = Curve(costs=self.curve.costs, epochs=self.curve.epochs, accuracies=tuple(accuracies))
        documents.write(self.folder / f"{self.name}.json", mine)
        share = len(accuracies) / mine.epochs
        if share < self.pruning.after or share >= 1:
            return
        limit = max(accuracies) + self.pruning.margin
        better = [name for name, rival in self._rivals() if (best := rival.best(share)) is not None and best > limit
                  and rival.costs_no_more(mine)]  # fmt: skip
        if len(better) >= self.pruning.rivals:
            raise Pruned(
                f"stopped after {len(accuracies)} of {mine.epochs} epochs at {100 * max(accuracies):.2f} %: "
                f"{len(better)} points that cost no more were better by then, {', '.join(sorted(better)[:3])}",
                max(accuracies),
            )

    def _rivals(self) -> Iterator[tuple[str, Curve]]:
        for path in self.folder.glob("*.json"):
            if path.stem.partition("-")[0] != self.name.partition("-")[0]:  # another point, not another seed
                yield path.stem, documents.read(Curve, path)
