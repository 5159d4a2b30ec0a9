# SPDX-License-Identifier: Apache-2.0
"""What changes with time, as state machines: which k the quantizers have, and what an epoch's accuracy changes.

They know nothing of torch: the loop asks for settings before each step and tells the accuracies after each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from adiabit.train.methods.tables import HARD, Budget, Patience, Target

Settings = Mapping[str, Mapping[str, float | bool]]  # attributes of the quantizers of each role


class Schedule:
    """Nothing changes: done when the epochs are."""

    k_weights: float | None = None
    k_activations: float | None = None
    learning_rate_factor = 1.0
    state: ClassVar[tuple[str, ...]] = ()  # attributes that neither the table nor `at` gives

    @property
    def settings(self) -> Settings:
        """What the quantizers are to compute with now."""
        return {}

    def at(self, share: float, step: int) -> None:
        """Set what follows from the share 0...1 of the epochs, and the number of steps, that are done."""

    def after_epoch(self, soft: float, hard: float, evaluate: Callable[[], float]) -> bool:  # noqa: ARG002
        """Learn an epoch's validation accuracies; True where k was pushed. `evaluate` gives soft accuracy anew."""
        return False

    @property
    def annealing(self) -> bool:
        """Whether the network is still being changed, so that a fall in accuracy says nothing yet."""
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
        """What a resumed run needs, as plain numbers."""
        return {key: getattr(self, key) for key in self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        for key, value in state.items():
            setattr(self, key, value)


class BudgetSchedule(Schedule):
    """k follows the share of the epochs that is done; see :class:`adiabit.train.methods.tables.Budget`."""

    k_weights: float
    k_activations: float

    def __init__(self, config: Budget) -> None:
        self.config = config
        self.at(0.0, 0)

    def at(self, share: float, step: int) -> None:  # noqa: ARG002
        """Set k for a share; it depends on nothing else."""
        c, self.share = self.config, share
        self.hard_activations = share >= c.activations_until
        self.hard_weights = bool(c.weights_backward) and share >= c.weights_until
        soft_k = geometric(c.activations, share / c.activations_until if c.activations_until else 1.0)
        self.k_activations = c.backward if self.hard_activations else soft_k
        soft_k = geometric(c.weights, (share - c.weights_from) / (c.weights_until - c.weights_from))
        self.k_weights = c.weights_backward if self.hard_weights else soft_k

    @property
    def annealing(self) -> bool:
        """Until both have come to where they stay."""
        return self.share < max(self.config.weights_until, self.config.activations_until)

    @property
    def settings(self) -> Settings:
        """Noise goes with soft activations alone."""
        noise = 0.0 if self.hard_activations else self.config.noise
        return {
            "weight": {"k": self.k_weights, "hard": self.hard_weights},
            "activation": {"k": self.k_activations, "hard": self.hard_activations, "noise": noise},
        }


class _PushedSchedule(Schedule):
    """Weights and activations are pushed in turn: k becomes k * factor, until both exceed 1e3."""

    k_weights: float
    k_activations: float
    state: ClassVar[tuple[str, ...]] = ("k_weights", "k_activations", "weights_next")

    def __init__(self, config: Target | Patience) -> None:
        self.factor, self.k_base, self.power = config.factor, config.k_base, config.power
        self.k_weights = self.k_activations = config.k
        self.weights_next = True

    @property
    def annealing(self) -> bool:
        """To the schedule's own end."""
        return not self.done

    @property
    def settings(self) -> Settings:
        """Both k."""
        return {"weight": {"k": self.k_weights}, "activation": {"k": self.k_activations, "noise": 0.0}}

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
    """Schedule A; see :class:`adiabit.train.methods.tables.Target`."""

    state = (*_PushedSchedule.state, "target", "best", "short")

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
    """Schedule B; see :class:`adiabit.train.methods.tables.Patience`."""

    state = (*_PushedSchedule.state, "best", "waited", "since_best")

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


def adiabatic_schedule(config: Budget | Target | Patience) -> Schedule:
    """The schedule of a table."""
    kinds: dict[str, Callable[[Any], Schedule]] = {
        "budget": BudgetSchedule,
        "target": TargetSchedule,
        "patience": PatienceSchedule,
    }
    return kinds[config.kind](config)


def geometric(ends: tuple[float, float], share: float) -> float:
    """From the first end to the last, by a constant factor for each equal part of 0...1; outside, the nearer end."""
    first, last = ends
    return float(first * (last / first) ** min(max(share, 0.0), 1.0))
