# SPDX-License-Identifier: Apache-2.0
"""Schedules: what a method changes over time, as state machines that need no torch.

The training loop reads the settings before each step and reports the accuracies after each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

HARD = 1e3  # from this k on, tanh(k * x) counts as sign(x) (Zhao & Xiao, 2021)
Settings = Mapping[str, Mapping[str, float | bool]]  # role of a quantizer -> attribute -> value


class Schedule:
    """Nothing changes, and training lasts for all of its epochs."""

    k_weights: float | None = None
    k_activations: float | None = None
    learning_rate_factor = 1.0
    state: ClassVar[tuple[str, ...]] = ()  # attributes that neither the table nor `at` determines

    @property
    def settings(self) -> Settings:
        """The attributes that the quantizers should have now."""
        return {}

    def at(self, share: float, step: int) -> None:
        """Advance to the share (0...1) of the epochs and the number of steps that are done."""

    def after_epoch(self, soft: float, hard: float, evaluate: Callable[[], float]) -> bool:  # noqa: ARG002
        """Take an epoch's validation accuracies; True where k was pushed. `evaluate` measures the soft one again."""
        return False

    @property
    def annealing(self) -> bool:
        """Whether the schedule still changes the network, so that a drop in accuracy means nothing yet."""
        return False

    @property
    def done(self) -> bool:
        """Whether training should stop before its last epoch."""
        return False

    @property
    def finished(self) -> bool:
        """Whether the anneal is complete when training stops, so that the network is binary."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, as plain numbers."""
        return {key: getattr(self, key) for key in self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a saved state."""
        for key, value in state.items():
            setattr(self, key, value)


def geometric(ends: tuple[float, float], share: float) -> float:
    """Geometric interpolation between two ends; the nearer end where `share` lies outside 0...1."""
    first, last = ends
    return float(first * (last / first) ** min(max(share, 0.0), 1.0))
