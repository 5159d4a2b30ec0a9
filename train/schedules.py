# SPDX-License-Identifier: Apache-2.0
"""The annealing schedules as state machines: which k the quantizers have, and what an epoch's accuracy changes.

They know nothing of torch: the loop asks for k before each step and tells the accuracies after each epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adiabit.train.config import HARD, Budget, Patience, Target, TrainConfig


@dataclass(frozen=True)
class Slopes:
    """What the quantizers are told; None leaves them as they are."""

    weights: float | None = None  # k
    activations: float | None = None
    hard_weights: bool = False  # forward sign, backward with k
    hard_activations: bool = False
    noise: float = 0.0  # std of the noise before an activation, in units of 1 / k


class Schedule:
    """Nothing to anneal (the methods ste and real): done when the epochs are."""

    k_weights: float | None = None
    k_activations: float | None = None
    learning_rate_factor = 1.0

    @property
    def slopes(self) -> Slopes:
        """What the quantizers are to compute with now."""
        return Slopes(self.k_weights, self.k_activations)

    def at(self, share: float) -> None:
        """Set k for the share 0...1 of the epochs that is done."""

    def after_epoch(self, soft: float, hard: float, evaluate: Callable[[], float]) -> bool:  # noqa: ARG002
        """Learn an epoch's validation accuracies; True where k was pushed. `evaluate` gives soft accuracy anew."""
        return False

    @property
    def done(self) -> bool:
        """Whether training ends before its epochs do."""
        return False

    @property
    def finished(self) -> bool:
        """Whether, when training stops, the anneal has come to its end and the network is the binary one."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, as plain numbers."""
        constant = ("factor", "k_base", "power", "config")
        return {key: value for key, value in vars(self).items() if key not in constant}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        for key, value in state.items():
            setattr(self, key, value)


class BudgetSchedule(Schedule):
    """k follows the share of the epochs that is done; see :class:`adiabit.train.config.Budget`."""

    def __init__(self, config: Budget) -> None:
        self.config = config
        self.at(0.0)

    def at(self, share: float) -> None:
        """Set k for a share; it depends on nothing else."""
        c = self.config
        self.hard_activations = share >= c.activations_until
        self.hard_weights = c.weights_backward is not None and share >= c.weights_until
        soft_k = _geometric(c.activations, share / c.activations_until if c.activations_until else 1.0)
        self.k_activations = c.backward if self.hard_activations else soft_k
        soft_k = _geometric(c.weights, (share - c.weights_from) / (c.weights_until - c.weights_from))
        self.k_weights = c.weights_backward if c.weights_backward is not None and self.hard_weights else soft_k

    @property
    def slopes(self) -> Slopes:
        """Noise goes with soft activations alone."""
        noise = 0.0 if self.hard_activations else self.config.noise
        return Slopes(self.k_weights, self.k_activations, self.hard_weights, self.hard_activations, noise)


class _PushedSchedule(Schedule):
    """Weights and activations are pushed in turn: k becomes k * factor, until both exceed 1e3."""

    def __init__(self, config: Target | Patience) -> None:
        self.factor, self.k_base, self.power = config.factor, config.k_base, config.power
        self.k_weights: float = config.k
        self.k_activations: float = config.k
        self.weights_next = True

    @property
    def learning_rate_factor(self) -> float:  # type: ignore[override]
        """1 / (k / k_base)**power with the larger k."""
        return float((max(self.k_weights, self.k_activations) / self.k_base) ** -self.power)

    @property
    def done(self) -> bool:
        """Whether both k exceed 1e3, so that there is nothing left to push."""
        return min(self.k_weights, self.k_activations) > HARD

    @property
    def finished(self) -> bool:
        """Whether the schedule came to its own end, not to that of the epochs."""
        return self.done

    def push(self) -> None:
        """Multiply the k whose turn it is, or the other where that one is hard already."""
        if (self.weights_next and self.k_weights <= HARD) or self.k_activations > HARD:
            self.k_weights *= self.factor
        else:
            self.k_activations *= self.factor
        self.weights_next = not self.weights_next


class TargetSchedule(_PushedSchedule):
    """Schedule A; see :class:`adiabit.train.config.Target`."""

    def __init__(self, config: Target) -> None:
        super().__init__(config)
        self.config = config
        self.target, self.best, self.short = config.target, 0.0, 0

    def after_epoch(self, soft: float, hard: float, evaluate: Callable[[], float]) -> bool:  # noqa: ARG002
        """Push while the soft accuracy reaches the target; lower the target when patience ends."""
        self.best = max(self.best, soft)
        self.short = 0 if soft >= self.target else self.short + 1
        if self.short >= self.config.patience:
            self.target, self.short = self.best, 0
        elif self.short:
            return False
        self._step()
        for _ in range(self.config.pushes - 1):
            if self.done or evaluate() < self.target:
                break
            self._step()
        return True

    def _step(self) -> None:
        self.push()
        self.best = 0.0  # the best at this k


class PatienceSchedule(_PushedSchedule):
    """Schedule B; see :class:`adiabit.train.config.Patience`."""

    def __init__(self, config: Patience) -> None:
        super().__init__(config)
        self.config = config
        self.best, self.waited, self.since_best = 0.0, 0, 0

    @property
    def done(self) -> bool:
        """Whether both k exceed 1e3, or too many epochs went by without a better hard accuracy."""
        return super().done or self.since_best >= self.config.stale

    def after_epoch(self, soft: float, hard: float, evaluate: Callable[[], float]) -> bool:  # noqa: ARG002
        """Push when `patience` epochs brought no better hard accuracy."""
        if hard > self.best:
            self.best, self.waited, self.since_best = hard, 0, 0
            return False
        self.waited += 1
        self.since_best += 1
        if self.waited < self.config.patience:
            return False
        self.waited = 0
        self.push()
        return True


def make_schedule(config: TrainConfig) -> Schedule:
    """The schedule that a configuration names; ste and real have nothing to anneal."""
    if config.method != "adiabatic":
        return Schedule()
    kinds: dict[str, Callable[[Any], Schedule]] = {
        "budget": BudgetSchedule,
        "target": TargetSchedule,
        "patience": PatienceSchedule,
    }
    return kinds[config.schedule.kind](config.schedule)


def _geometric(ends: tuple[float, float], share: float) -> float:
    first, last = ends
    return float(first * (last / first) ** min(max(share, 0.0), 1.0))
