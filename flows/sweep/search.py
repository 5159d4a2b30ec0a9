# SPDX-License-Identifier: Apache-2.0
"""Which point comes next: those of a list, or those that Optuna chooses by the results so far."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from adiabit.errors import UserError
from adiabit.flows.check.budget import MORE_IS_BETTER
from adiabit.flows.sweep.estimator import Verdict
from adiabit.flows.sweep.plan import Plan
from adiabit.flows.sweep.plan import Search as SearchConfig
from adiabit.flows.sweep.space import Point, Space

IN_VAIN = 1000  # points in a row that are ruled out or known, before a search gives up
JOURNAL = "optuna.log"
Values = Mapping[str, float] | None  # the objectives of a point; None if it has none


class Search(Protocol):
    """Chooses points."""

    @property
    def known(self) -> list[Point]:
        """Points of an earlier run of the sweep that will not be asked for again."""

    def ask(self) -> Point | None:
        """The next point; None if there is none."""

    def tell(self, point: Point, values: Values) -> None:
        """Take in the objectives of a point; None if it has none."""


@dataclass
class Listed:
    """Points that are known from the start."""

    points: list[Point]
    known: list[Point] = field(default_factory=list)

    def ask(self) -> Point | None:
        """The next point of the list."""
        return self.points.pop(0) if self.points else None

    def tell(self, point: Point, values: Values) -> None:
        """A list does not depend on results."""


def listed(plan: Plan, judged: Callable[[Point], Verdict]) -> list[Point]:
    """The points of a grid, or random ones, that are not ruled out; `judged` is told of all."""
    search = plan.sweep.search
    if search.method == "grid":
        return [point for point in plan.space.grid() if not judged(point).why]
    found: dict[str, Point] = {}
    in_vain = 0
    for point in plan.space.random(search.seed):
        new = point.name not in found and not judged(point).why
        in_vain = 0 if new else in_vain + 1
        if new:
            found[point.name] = point
        if len(found) == search.trials or in_vain == IN_VAIN:
            break
    return list(found.values())


@dataclass
class Tuner:
    """Points that Optuna chooses: TPE or NSGA-II, of several objectives.

    Its trials are kept in a journal file or a database, so a sweep goes on where it was killed.
    """

    study: Any
    space: Space
    objectives: Sequence[str]
    trials: int
    judged: Callable[[Point], Verdict]
    known: list[Point] = field(default_factory=list)  # of an earlier run of the sweep
    values: dict[str, Values] = field(default_factory=dict)  # of every point that was not ruled out, by name
    open: dict[str, Any] = field(default_factory=dict)  # Optuna's trials that have no values yet, by the point's name

    def __post_init__(self) -> None:
        import optuna

        axes = {axis.name for axis in self.space.axes}
        for left in self.study.trials:
            if left.params.keys() != axes:  # killed while it was asked for
                continue
            point = self._point(left.params)
            if self.judged(point).why or point.name in self.values:
                continue
            self.values[point.name] = dict(zip(self.objectives, left.values, strict=True)) if left.values else None
            self.known.append(point)
            if not left.state.is_finished():  # it was killed with the sweep
                self.open[point.name] = optuna.trial.Trial(self.study, left._trial_id)

    def ask(self) -> Point | None:
        """The next point that is neither ruled out nor known."""
        for _ in range(IN_VAIN if len(self.values) < self.trials else 0):
            trial = self.study.ask(self._distributions())
            point = self._point(trial.params)
            if why := self.judged(point).why:
                self._rule_out(trial, point, why)
            elif point.name in self.values:
                self._close(trial, self.values[point.name])
            else:
                self.open[point.name], self.values[point.name] = trial, None
                return point
        return None

    def tell(self, point: Point, values: Values) -> None:
        """Take in the objectives of a point."""
        self.values[point.name] = values
        if trial := self.open.pop(point.name, None):
            self._close(trial, values)

    def _close(self, trial: Any, values: Values) -> None:
        """End a trial of Optuna's; without values, it does not count."""
        import optuna

        if values is None or not values.keys() >= set(self.objectives):
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            trial.set_constraint("ruled out", 0.0)
            self.study.tell(trial, [values[name] for name in self.objectives])

    def _rule_out(self, trial: Any, point: Point, why: str) -> None:
        """Tell Optuna the estimate and that it breaks a constraint, so that it looks elsewhere."""
        estimate = self.judged(point).estimate
        trial.set_user_attr("why", why)
        trial.set_constraint("ruled out", 1.0)
        worst = {name: 0.0 if name in MORE_IS_BETTER else 1e12 for name in self.objectives}
        self.study.tell(trial, [estimate.get(name, worst[name]) for name in self.objectives])

    def _point(self, params: Mapping[str, Any]) -> Point:
        labels = {}
        for axis in self.space.axes:
            value = params[axis.name]
            labels[axis.name] = value if axis.range is None else json.dumps(value)
        return self.space.point(labels)

    def _distributions(self) -> dict[str, Any]:
        from optuna import distributions as kinds

        made: dict[str, Any] = {}
        for axis in self.space.axes:
            if axis.range is None:
                made[axis.name] = kinds.CategoricalDistribution(list(axis.choices))
                continue
            low, high, step, log = axis.range.low, axis.range.high, axis.range.step, axis.range.log
            if axis.range.integers:
                made[axis.name] = kinds.IntDistribution(int(low), int(high), log=log, step=int(step or 1))
            else:
                made[axis.name] = kinds.FloatDistribution(low, high, log=log, step=step)
        return made


def tuner(plan: Plan, out: Path, judged: Callable[[Point], Verdict]) -> Tuner:
    """Optuna's study of a sweep; another space, or other objectives, are another study of the same storage."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise UserError(
            "optuna: not installed; [search] method needs it; install it: pip install 'adiabit[sweep]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep, search = plan.sweep, plan.sweep.search
    asked = json.dumps([sweep.space, sweep.recipe, sweep.objectives, search.method, search.seed], sort_keys=True)
    name = f"{plan.path.stem}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"
    directions: Any = ["maximize" if name in MORE_IS_BETTER else "minimize" for name in sweep.objectives]
    try:
        study = optuna.create_study(
            storage=_storage(search, out), study_name=name, directions=directions, load_if_exists=True
        )
    except Exception as error:  # whatever the database's driver raises
        if search.storage is None:
            raise
        raise UserError(
            f"{plan.path}: [search]: storage = {search.storage!r}: {str(error).splitlines()[0]}; give the URL of a "
            "database, e.g. sqlite:///sweep.db"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = _sampler(search, len(study.trials))
    return Tuner(study, plan.space, sweep.objectives, search.trials or 0, judged)


def _storage(search: SearchConfig, out: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return search.storage or JournalStorage(JournalFileBackend(str(out / JOURNAL)))


def _sampler(search: SearchConfig, done: int) -> Any:
    """The sampler; after `done` trials it draws other random numbers than at the start."""
    from optuna import samplers

    if search.method == "nsga2":
        return samplers.NSGAIISampler(seed=search.seed + done, population_size=search.population)
    startup = max(1, (search.trials or 0) // 3)  # random ones first
    return samplers.TPESampler(seed=search.seed + done, multivariate=True, n_startup_trials=startup)
