# SPDX-License-Identifier: Apache-2.0
"""The space of a sweep: axes of all kinds, their points, and what is no axis."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import pytest

from adiabit.flows.sweep.space import Range, Space

SPACE: dict[str, Any] = {
    "model.widths": [[4], [8, 8]],
    "train.epochs": {"low": 2, "high": 6, "step": 2},
    "folding": {"slow": {"compile.fold.fps": 1e4}, "fast": {"compile.fold.fps": 1e6, "target.board": "zcu104"}},
}


def test_a_grid_has_every_combination() -> None:
    points = Space.of(SPACE).grid()
    assert len(points) == 2 * 3 * 2
    assert len({point.name for point in points}) == len(points)
    assert points[0].overrides == {"model.widths": [4], "train.epochs": 2, "compile.fold.fps": 1e4}
    assert points[-1].labels == {"model.widths": "[8, 8]", "train.epochs": "6", "folding": "fast"}
    assert points[-1].overrides["target.board"] == "zcu104"
    assert str(points[0]) == "model.widths = [4], train.epochs = 2, folding = slow"


def test_the_name_of_a_point_depends_on_nothing_but_its_keys() -> None:
    one = Space.of({"a": {"x": {"train.epochs": 3}, "y": {"train.epochs": 4}}}).grid()
    other = Space.of({"train.epochs": [4, 3]}).grid()
    assert {point.name for point in one} == {point.name for point in other}


def test_no_axis_is_the_base_recipe_alone() -> None:
    (point,) = Space.of({}).grid()
    assert (dict(point.overrides), str(point)) == ({}, "the base recipe")


@pytest.mark.parametrize("seed", [0, 1])
def test_random_points_are_those_of_the_seed(seed: int) -> None:
    space = Space.of({**SPACE, "train.learning_rate": {"low": 0.001, "high": 0.1, "log": True}})
    drawn, again = (list(itertools.islice(space.random(seed), 50)) for _ in range(2))
    assert drawn == again
    rates = [point.overrides["train.learning_rate"] for point in drawn]
    assert all(0.001 <= rate <= 0.1 for rate in rates)
    assert 10 < sum(rate < 0.01 for rate in rates) < 40  # half of them on a logarithmic scale
    assert {point.overrides["train.epochs"] for point in drawn} == {2, 4, 6}
    assert drawn != list(itertools.islice(space.random(seed + 1), 50))


def test_a_range_of_integers_has_both_ends() -> None:
    rng = random.Random(0)  # noqa: S311  # nothing secret is drawn
    assert {Range(low=1, high=3).draw(rng) for _ in range(50)} == {1, 2, 3}
    assert {Range(low=1, high=3, log=True).draw(rng) for _ in range(50)} == {1, 2, 3}
    assert Range(low=0.0, high=0.3, step=0.1).values == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"train.epochs": 3}, "train.epochs: must be a list of values, a range such as"),
        ({"train.epochs": []}, "train.epochs: must be a list of values, a range such as"),
        ({"train": {"epochs": [1]}}, "train: must be a list of values, a range such as"),
        ({"train.epochs": {"low": 3, "high": 3}}, "train.epochs: low = 3 must be less than high = 3"),
        ({"train.epochs": {"low": 1}}, "train.epochs: high: field required"),
        ({"train.epochs": {"low": 0, "high": 3, "log": True}}, "a logarithmic range needs low > 0, and has no step"),
        ({"train.epochs": {"low": 0, "high": 3, "step": 4}}, "step = 4 must be positive, and at most high - low"),
        ({"a": {"x": {"k": 1}}, "k": [1, 2]}, "k: set by two axes; keep one"),
    ],
)
def test_what_is_no_space_is_told(tables: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        Space.of(tables)


def test_a_grid_needs_steps_and_an_end() -> None:
    with pytest.raises(ValueError, match="rate: a grid needs a step in each range"):
        Space.of({"rate": {"low": 0.1, "high": 1.0}}).grid()
    with pytest.raises(ValueError, match="a grid of 1,000,000 points; at most 100,000 are allowed; search at random"):
        Space.of({name: list(range(100)) for name in "abc"}).grid()
