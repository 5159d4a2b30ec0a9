# SPDX-License-Identifier: Apache-2.0
"""The adiabatic method's schedules, one for each kind of table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from adiabit.train.methods.adiabatic import Budget, Patience, Target
from adiabit.train.schedule import HARD, Schedule, Settings, geometric


class BudgetSchedule(Schedule):
    """k as a function of the share of the epochs that is done, as :class:`Budget` describes it."""

    k_weights: float
    k_activations: float

    def __init__(self, config: Budget) -> None:
        self.config = config
        self.at(0.0, 0)

    def at(self, share: float, step: int) -> None:  # noqa: ARG002
        """Set k, which depends on the share alone."""
        c, self.share = self.config, share
        self.hard_activations = share >= c.activations_until
        self.hard_weights = bool(c.weights_backward) and share >= c.weights_until
        soft_k = geometric(c.activations, share / c.activations_until if c.activations_until else 1.0)
        self.k_activations = c.backward if self.hard_activations else soft_k
        soft_k = geometric(c.weights, (share - c.weights_from) / (c.weights_until - c.weights_from))
        self.k_weights = c.weights_backward if self.hard_weights else soft_k
        self.hard_share = share / c.activations_until if c.one_by_one and not self.hard_activations else 0.0

    @property
    def annealing(self) -> bool:
        """Until weights and activations have reached their last stage."""
        return self.share < max(self.config.weights_until, self.config.activations_until)

    @property
    def settings(self) -> Settings:
        """k and hardness of both roles; only soft activations have noise."""
        noise = 0.0 if self.hard_activations else self.config.noise
        activation = {"k": self.k_activations, "hard": self.hard_activations, "noise": noise}
        return {
            "weight": {"k": self.k_weights, "hard": self.hard_weights},
            "activation": {**activation, "hard_share": self.hard_share},
        }


class _PushedSchedule(Schedule):
    """Pushes weights and activations in turn: k becomes k * factor, until both exceed 1e3."""

    k_weights: float
    k_activations: float
    state: ClassVar[tuple[str, ...]] = ("k_weights", "k_activations", "weights_next")

    def __init__(self, config: Target | Patience) -> None:
        self.factor, self.k_base, self.power = config.factor, config.k_base, config.power
        self.k_weights = self.k_activations = config.k
        self.weights_next = True

    @property
    def annealing(self) -> bool:
        """Until the schedule ends."""
        return not self.done

    @property
    def settings(self) -> Settings:
        """k of both roles."""
        return {"weight": {"k": self.k_weights}, "activation": {"k": self.k_activations, "noise": 0.0}}

    @property
    def learning_rate_factor(self) -> float:  # type: ignore[override]
        """1 / (k / k_base)**power with the larger k of the two."""
        return float((max(self.k_weights, self.k_activations) / self.k_base) ** -self.power)

    @property
    def done(self) -> bool:
        """Whether both k exceed 1e3, so that nothing is left to push."""
        return min(self.k_weights, self.k_activations) > HARD

    @property
    def finished(self) -> bool:
        """Whether the schedule ended by itself and not because the epochs did."""
        return self.done

    def push(self) -> None:
        """Multiply the k whose turn it is, or the other one if it is hard already."""
        if (self.weights_next and self.k_weights <= HARD) or self.k_activations > HARD:
            self.k_weights *= self.factor
        else:
            self.k_activations *= self.factor
        self.weights_next = not self.weights_next


class TargetSchedule(_PushedSchedule):
    """Schedule A, as :class:`Target` describes it."""

    state = (*_PushedSchedule.state, "target", "best", "short")

    def __init__(self, config: Target) -> None:
        super().__init__(config)
        self.config = config
        self.target, self.best, self.short = config.target, 0.0, 0

    def after_epoch(self, soft: float, hard: float, evaluate: Callable[[], float]) -> bool:  # noqa: ARG002
        """Push while the soft accuracy reaches the target; lower the target when patience runs out."""
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
    """Schedule B, as :class:`Patience` describes it."""

    state = (*_PushedSchedule.state, "best", "waited", "since_best")

    def __init__(self, config: Patience) -> None:
        super().__init__(config)
        self.config = config
        self.best, self.waited, self.since_best = 0.0, 0, 0

    @property
    def done(self) -> bool:
        """Whether both k exceed 1e3, or `stale` epochs brought no better hard accuracy."""
        return super().done or self.since_best >= self.config.stale

    def after_epoch(self, soft: float, hard: float, evaluate: Callable[[], float]) -> bool:  # noqa: ARG002
        """Push after `patience` epochs without a better hard accuracy."""
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


def adiabatic_schedule(config: Budget | Target | Patience) -> Schedule:
    """The schedule that a table describes."""
    kinds: dict[str, Callable[[Any], Schedule]] = {
        "budget": BudgetSchedule,
        "target": TargetSchedule,
        "patience": PatienceSchedule,
    }
    return kinds[config.kind](config)
