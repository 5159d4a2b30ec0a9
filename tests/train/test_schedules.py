# SPDX-License-Identifier: Apache-2.0
"""The annealing schedules' state machines, told accuracies that the test makes up."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from adiabit.train.method import method
from adiabit.train.methods.adiabatic import Adiabatic, Budget, Patience, Target
from adiabit.train.methods.adiabatic.schedules import BudgetSchedule, PatienceSchedule, TargetSchedule
from adiabit.train.schedule import Schedule


def unasked() -> float:
    raise AssertionError("must not evaluate anew")


def answers(values: Iterable[float]) -> tuple[list[float], object]:
    left = list(values)
    return left, lambda: left.pop(0)


def test_budget_anneals_activations_first_then_weights() -> None:
    config = Budget(
        activations=(1, 16), activations_until=0.4, backward=1.6, noise=0.5, weights=(3, 300), weights_from=0.4,
        weights_until=0.8, weights_backward=False,
    )  # fmt: skip
    schedule = BudgetSchedule(config)
    seen = []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        schedule.at(share, 0)
        weights, activations = schedule.settings["weight"], schedule.settings["activation"]
        assert not weights["hard"]
        seen.append((activations["k"], activations["hard"], activations["noise"], weights["k"]))
    assert seen == [
        (1.0, False, 0.5, 3.0),
        (pytest.approx(4.0), False, 0.5, 3.0),
        (1.6, True, 0.0, 3.0),
        (1.6, True, 0.0, pytest.approx(30.0)),
        (1.6, True, 0.0, pytest.approx(300.0)),
        (1.6, True, 0.0, pytest.approx(300.0)),
    ]
    assert not schedule.done
    assert schedule.finished
    assert schedule.after_epoch(1.0, 1.0, unasked) is False


def test_budget_hardens_weights_too_where_they_have_a_backward_slope() -> None:
    schedule = BudgetSchedule(Budget(weights=(1, 16), weights_from=0.0, weights_until=0.5, weights_backward=1.2))
    seen = []
    for share in (0.0, 0.25, 0.5, 1.0):
        schedule.at(share, 0)
        weights = schedule.settings["weight"]
        seen.append((weights["k"], weights["hard"]))
    assert seen == [(1.0, False), (pytest.approx(4.0), False), (1.2, True), (1.2, True)]


def test_budget_hardens_activations_one_by_one() -> None:
    schedule = BudgetSchedule(Budget(activations=(2, 2), activations_until=0.5, one_by_one=True, noise=0.0))
    seen = []
    for share in (0.0, 0.25, 0.4, 0.5, 1.0):
        schedule.at(share, 0)
        activations = schedule.settings["activation"]
        seen.append((activations["k"], activations["hard"], activations["hard_share"]))
    assert seen == [(2.0, False, 0.0), (2.0, False, 0.5), (2.0, False, 0.8), (1.6, True, 0.0), (1.6, True, 0.0)]


def test_budget_hardens_activations_at_once_by_default() -> None:
    schedule = BudgetSchedule(Budget(activations_until=0.5))
    schedule.at(0.25, 0)
    assert schedule.settings["activation"]["hard_share"] == 0.0


def test_null_of_earlier_versions_is_no_backward_slope() -> None:
    assert Budget.model_validate({"weights_backward": None}).weights_backward is False


def test_target_pushes_in_turn_while_the_target_holds_at_most_three_times() -> None:
    schedule = TargetSchedule(Target(target=0.9, k=1, factor=1.5, pushes=3, k_base=1, power=1))
    left, evaluate = answers([0.95, 0.93])
    assert schedule.after_epoch(0.92, 0.5, evaluate)  # type: ignore[arg-type]
    assert left == []
    assert (schedule.k_weights, schedule.k_activations) == (1.5**2, 1.5)  # weights, activations, weights
    assert schedule.learning_rate_factor == pytest.approx(1.5**-2)  # the larger k counts
    left, evaluate = answers([0.89, 1.0])
    assert schedule.after_epoch(0.9, 0.5, evaluate)  # type: ignore[arg-type]
    assert left == [1.0]  # the first push broke the target: no second
    assert (schedule.k_weights, schedule.k_activations) == (1.5**2, 1.5**2)


def test_target_falls_to_the_best_of_this_k_when_patience_ends_and_that_pushes() -> None:
    schedule = TargetSchedule(Target(target=1.0, patience=3))
    assert not schedule.after_epoch(0.7, 0.0, unasked)
    assert not schedule.after_epoch(0.9, 0.0, unasked)
    assert (schedule.k_weights, schedule.target) == (1.0, 1.0)
    _, evaluate = answers([0.6])
    assert schedule.after_epoch(0.8, 0.0, evaluate)  # type: ignore[arg-type]
    assert (schedule.k_weights, schedule.k_activations, schedule.target) == (1.5, 1.0, 0.9)
    assert schedule.best == 0.0  # a new k


def test_target_is_done_when_both_k_exceed_a_thousand() -> None:
    schedule = TargetSchedule(Target(target=0.0, k=600))
    _, evaluate = answers([1.0] * 10)
    assert not schedule.finished
    schedule.after_epoch(1.0, 1.0, evaluate)  # type: ignore[arg-type]  # weights 900, activations 900, weights 1350
    assert not schedule.done
    schedule.after_epoch(1.0, 1.0, evaluate)  # type: ignore[arg-type]  # activations 1350
    assert (schedule.k_weights, schedule.k_activations) == (1350.0, 1350.0)
    assert schedule.done
    assert schedule.finished


def test_patience_pushes_after_stale_epochs_and_ends() -> None:
    schedule = PatienceSchedule(Patience(patience=2, stale=5))
    hard = [0.5, 0.6, 0.6, 0.4, 0.61, 0.6, 0.6, 0.6, 0.6, 0.6]
    pushed = [schedule.after_epoch(1.0, h, unasked) for h in hard]
    assert pushed == [False, False, False, True, False, False, True, False, True, False]
    assert (schedule.k_weights, schedule.k_activations) == (1.5**2, 1.5)
    assert schedule.done  # five epochs since 0.61
    assert schedule.finished


@pytest.mark.parametrize("kind", ["target", "patience"])
def test_a_state_that_was_saved_goes_on_where_it_was(kind: str) -> None:
    table = Adiabatic.model_validate({"schedule": {"kind": kind, "patience": 2}})
    one, other = method(table).schedule(), method(table).schedule()
    accuracies = [0.5, 0.5, 0.7, 0.6, 0.6, 0.6]
    for accuracy in accuracies:
        one.after_epoch(accuracy, accuracy, lambda: 0.0)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert vars(other) == vars(one)


def test_methods_without_an_anneal_are_hard_when_the_epochs_end() -> None:
    schedule = method("ste").schedule()
    assert type(schedule) is Schedule
    assert (schedule.k_weights, schedule.finished, schedule.learning_rate_factor) == (None, True, 1.0)
