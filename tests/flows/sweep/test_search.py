# SPDX-License-Identifier: Apache-2.0
"""Optuna's search: it goes on where it was killed, avoids what is ruled out, and finds better points than chance."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adiabit.errors import UserError
from adiabit.flows.sweep.estimator import Verdict
from adiabit.flows.sweep.plan import Plan, load_plan
from adiabit.flows.sweep.search import Tuner, tuner
from adiabit.flows.sweep.space import Point

SWEEP = """
base = "digits"
objectives = ["accuracy", "lut"]
[space]
"train.learning_rate" = { low = 1e-4, high = 1.0, log = true }
"train.batch_size" = { low = 10, high = 200, step = 10 }
"model.widths" = [[4], [64], [256]]
[search]
method = "METHOD"
trials = TRIALS
"""


def plan(folder: Path, method: str = "tpe", trials: int = 8, more: str = "") -> Plan:
    path = folder / "some.toml"
    path.write_text(SWEEP.replace("METHOD", method).replace("TRIALS", str(trials)) + more)
    return load_plan(path)


def judged(point: Point) -> Verdict:
    """Wide networks are ruled out."""
    why = "too wide" if point.overrides["model.widths"] == [256] else ""
    return Verdict(estimate={"lut": 10.0 * point.overrides["model.widths"][0]}, why=why)


def values(point: Point) -> Mapping[str, float]:
    rate, size = point.overrides["train.learning_rate"], point.overrides["train.batch_size"]
    return {"accuracy": 1 - abs(rate - 0.01) - abs(size - 100) / 1000, "lut": judged(point).estimate["lut"]}


def searched(found: Tuner) -> list[Point]:
    """Every point until the search ends."""
    points = []
    while point := found.ask():
        points.append(point)
        found.tell(point, values(point))
    return points


@pytest.mark.parametrize("method", ["tpe", "nsga2"])
def test_as_many_points_as_wanted_and_none_that_is_ruled_out(tmp_path: Path, method: str) -> None:
    points = searched(tuner(plan(tmp_path, method), tmp_path, judged))
    assert len(points) == len({point.name for point in points}) == 8
    assert {point.labels["model.widths"] for point in points} == {"[4]", "[64]"}
    assert all(point.overrides["train.batch_size"] % 10 == 0 for point in points)


def test_it_learns(tmp_path: Path) -> None:
    found = tuner(plan(tmp_path, trials=60), tmp_path, judged)
    points = searched(found)
    first, last = ([values(point)["accuracy"] for point in part] for part in (points[:20], points[40:]))
    assert sum(last) / 20 > sum(first) / 20 + 0.05


def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    found = tuner(plan(tmp_path), tmp_path, judged)
    asked = [point for point in itertools.islice(iter(found.ask, None), 3) if point]
    found.tell(asked[0], values(asked[0]))
    again = tuner(plan(tmp_path), tmp_path, judged)  # with two trials that never ended
    assert [point.name for point in again.known] == [point.name for point in asked]
    assert again.values[asked[0].name] == pytest.approx(values(asked[0]))
    for point in again.known:
        again.tell(point, values(point))
    assert len(searched(again)) == 8 - 3
    last = tuner(plan(tmp_path), tmp_path, judged)
    assert len(last.known) == 8
    assert last.ask() is None
    assert not last.open


def test_another_space_is_another_study(tmp_path: Path) -> None:
    searched(tuner(plan(tmp_path), tmp_path, judged))
    other = plan(tmp_path, more='[recipe]\n"train.epochs" = 3\n')
    assert not tuner(other, tmp_path, judged).known


def test_a_point_without_figures_does_not_count_for_optuna(tmp_path: Path) -> None:
    found = tuner(plan(tmp_path, trials=2), tmp_path, judged)
    first, second = found.ask(), found.ask()
    assert first
    assert second
    found.tell(first, None)
    found.tell(second, {"lut": 3.0})
    assert [trial.state.name for trial in found.study.trials if "why" not in trial.user_attrs] == ["FAIL", "FAIL"]


def test_a_database_may_keep_the_trials(tmp_path: Path) -> None:
    base = tmp_path / "sweep.db"
    known = plan(tmp_path, more=f'storage = "sqlite:///{base}"\n')
    assert len(searched(tuner(known, tmp_path, judged))) == 8
    assert base.exists()
    assert len(tuner(known, tmp_path, judged).known) == 8


@pytest.mark.parametrize("storage", ["nonsense", "sqlite:////no/such/folder/x.db"])
def test_a_storage_that_cannot_be_opened_is_told(tmp_path: Path, storage: str) -> None:
    known: Any = plan(tmp_path, more=f'storage = "{storage}"\n')
    with pytest.raises(UserError, match=r"some.toml: \[search\]: storage = .*; give the URL of a database") as caught:
        tuner(known, tmp_path, judged)
    assert "\n" not in str(caught.value)
