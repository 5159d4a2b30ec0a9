# SPDX-License-Identifier: Apache-2.0
"""A sweep: points are chosen, trained, built and measured, and those on the front are repeated with more seeds.

Its folder has the stages of all trials in `stages`, a folder of links and results for each trial in `runs`, and
`sweep.json`, the list of its points. Finished stages are reused and an interrupted training resumes, so a sweep that
was killed goes on with the same command.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adiabit.errors import UserError
from adiabit.flows.check.findings import TITLES, written
from adiabit.flows.pareto.points import front
from adiabit.flows.recipe import Recipe
from adiabit.flows.store import open_folder
from adiabit.flows.sweep import record, trial
from adiabit.flows.sweep.engine import Engine
from adiabit.flows.sweep.estimator import Verdict, judge
from adiabit.flows.sweep.plan import Plan, Trial
from adiabit.flows.sweep.record import Entry, Record
from adiabit.flows.sweep.search import Listed, Search, Values, listed, tuner
from adiabit.flows.sweep.space import Point
from adiabit.flows.sweep.trial import Job, Outcome, State

STAGES = "stages"


@dataclass
class Sweeping:
    """A sweep in the folder `out`, which no other process uses; `after` is called whenever a trial has ended."""

    plan: Plan
    out: Path
    engine: Engine[Trial, Outcome]
    command: str
    tell: Callable[[str], None]
    after: Callable[[Record], None] = lambda _: None
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by the point's name, as the next two
    judged: dict[str, Point] = field(default_factory=dict)
    chosen: dict[str, Point] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by the trial's name
    planned: int = 0  # trials

    def run(self) -> Record:
        """Run every trial; `UserError` where all points are ruled out."""
        for folder in (record.RUNS, STAGES, trial.CURVES):
            open_folder(self.out / folder)
        search = self._search()
        self._work(search, [one for point in search.known for one in self._trials(point)])
        while again := self._repeated():
            self.planned += len(again)
            self._work(Listed([]), again)
        if not self.outcomes:
            reasons = [verdict.why for verdict in self.verdicts.values()]
            raise UserError(f"{self.plan.path}: every point is ruled out; the first: {next(iter(reasons), '')}")
        return self.record

    @property
    def record(self) -> Record:
        """The sweep so far."""
        ran = [self._entry(point) for point in self.chosen.values()]
        ruled_out = [self._entry(point) for name, point in self.judged.items() if self.verdicts[name].why]
        return Record(
            name=self.plan.path.stem, command=self.command, objectives=self.plan.sweep.objectives,
            constraints=self.plan.sweep.constraints, points=(*ran, *ruled_out),
        )  # fmt: skip

    def _entry(self, point: Point) -> Entry:
        verdict = self.verdicts[point.name]
        seeds = dict.fromkeys((*self.plan.seeds, *self.plan.front_seeds))
        names = [self.plan.trial(point, seed).name for seed in seeds]
        return Entry(
            name=point.name, labels=point.labels, ruled_out=verdict.why, estimate=verdict.estimate,
            trials=tuple(name for name in names if name in self.outcomes),
        )  # fmt: skip

    # choosing ---------------------------------------------------------------------------------------------------

    def _search(self) -> Search:
        if self.plan.sweep.search.method in ("tpe", "nsga2"):
            self.planned = (self.plan.sweep.search.trials or 0) * len(self.plan.seeds)
            return tuner(self.plan, self.out, self._judge)
        points = listed(self.plan, self._judge)
        out = sum(bool(verdict.why) for verdict in self.verdicts.values())
        self.planned = len(points) * len(self.plan.seeds)
        self.tell(f"{len(points)} points to run, {out} ruled out by the estimate")
        return Listed(self._interleaved(points))

    def _judge(self, point: Point) -> Verdict:
        """Estimate a point, once."""
        if point.name not in self.verdicts:
            self.judged[point.name] = point
            try:
                recipe = self._recipe(point)
            except UserError as error:
                self.verdicts[point.name] = Verdict(why=str(error))
            else:
                self.verdicts[point.name] = judge(recipe, self.plan.sweep.constraints)
        return self.verdicts[point.name]

    def _recipe(self, point: Point) -> Recipe:
        return self.plan.recipe(self.plan.trial(point, self.plan.seeds[0]))

    def _interleaved(self, points: Sequence[Point]) -> list[Point]:
        """The points in an order in which those that share a training do not wait for each other."""
        seen: Counter[str] = Counter()
        turns = {}
        for point in points:
            recipe = self._recipe(point)
            trained = recipe.model_dump(mode="json", include={"data", "model", "train", "onnx", "checkpoint"})
            key = json.dumps(trained, sort_keys=True)
            turns[point.name] = seen[key]
            seen[key] += 1
        return sorted(points, key=lambda point: turns[point.name])

    def _trials(self, point: Point) -> list[Trial]:
        return [self.plan.trial(point, seed) for seed in self.plan.seeds]

    def _repeated(self) -> list[Trial]:
        """The trials of further seeds that points on the front still lack; their results may change the front."""
        dots = front(self.record.dots(self.out), self.plan.sweep.objectives)
        every = [self.plan.trial(self.chosen[dot.name], seed) for dot in dots for seed in self.plan.front_seeds]
        return [one for one in every if one.name not in self.outcomes]

    # running ----------------------------------------------------------------------------------------------------

    def _work(self, search: Search, first: Iterable[Trial]) -> None:
        """Keep the engine busy with the trials `first`, then with those of the search, until both have none."""
        waiting = deque(first)
        while True:
            while self.engine.free > 0:
                if not waiting and (point := search.ask()):
                    waiting.extend(self._trials(point))
                if not waiting:
                    break
                self._give(waiting.popleft())
            if not self.engine.busy:
                return
            self._ended(search, *self.engine.next())

    def _give(self, one: Trial) -> None:
        self.chosen[one.point.name] = one.point
        estimate, objectives = self._judge(one.point).estimate, self.plan.sweep.objectives
        job = Job(
            recipe=self.plan.recipe(one), folder=self.out / record.RUNS / one.name, shared=self.out / STAGES,
            selection=self.plan.selection(one), estimate=estimate, pruning=self.plan.sweep.search.pruning,
            costs={key: value for key, value in estimate.items() if key in objectives},
        )  # fmt: skip
        self.engine.give(one, trial.run, job)

    def _ended(self, search: Search, one: Trial, outcome: Outcome) -> None:
        self.outcomes[one.name] = outcome
        shown = [f"{TITLES[key]} {written(key, outcome.quantities.get(key))}" for key in self.plan.sweep.objectives]
        what = ", ".join(shown) if outcome.state is State.FINISHED else f"{outcome.state}: {outcome.why}"
        differs = "; A RUNG DIFFERS" if outcome.exact is False else ""
        self.tell(f"{len(self.outcomes)}/{self.planned}  {one}: {what}{differs}")
        mine = [self.outcomes.get(other.name) for other in self._trials(one.point)]
        if None not in mine:
            search.tell(one.point, self._values([other for other in mine if other]))
        made = self.record
        record.save(made, self.out)
        self.after(made)

    def _values(self, outcomes: Sequence[Outcome]) -> Values:
        """The objectives of a point, over its seeds; of a pruned one by accuracy so far and estimate."""
        rows = []
        for outcome in outcomes:
            if outcome.state is State.PRUNED and outcome.accuracy is not None:
                rows.append({**outcome.estimate, "accuracy": outcome.accuracy})
            elif outcome.state is State.FINISHED and outcome.exact:
                rows.append(dict(outcome.quantities))
            else:
                return None
        objectives = self.plan.sweep.objectives
        if not all(row.keys() >= set(objectives) for row in rows):
            return None
        return {key: statistics.mean(row[key] for row in rows) for key in objectives}
