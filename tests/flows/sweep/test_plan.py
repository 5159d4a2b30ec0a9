# SPDX-License-Identifier: Apache-2.0
"""The file of a sweep: its trials, the command that repeats one, and every fault in a line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from adiabit.errors import UserError
from adiabit.flows import shipped
from adiabit.flows.recipe import load
from adiabit.flows.sweep.plan import load_plan, toml

BASE = '[model]\ntopology = "free"\nwidths = [12]\n[train]\nepochs = 2\n'
SWEEP = """
base = "tiny.toml"
seeds = [0, 1]
front_seeds = [1, 2]
[recipe]
"train.epochs" = 5
[space]
"model.widths" = [[4], [8]]
[space.data.small]
"export.frames" = 10
[space.data.other]
base = "other.toml"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(BASE)
    (tmp_path / "other.toml").write_text(BASE + "batch_size = 32\n")
    (tmp_path / "some.toml").write_text(SWEEP)
    return tmp_path / "some.toml"


def test_a_trial_is_the_base_with_the_keys_of_its_point(file: Path, tmp_path: Path) -> None:
    plan = load_plan(file, tmp_path, ["train.threads=1"])
    assert plan.seeds == (0, 1)
    assert plan.front_seeds == (2,)
    trials = [plan.trial(point, 1) for point in plan.space.grid()]
    recipes = [plan.recipe(trial) for trial in trials]
    assert [r.model.widths for r in recipes] == [(4,), (4,), (8,), (8,)]
    assert [r.export.frames for r in recipes] == [10, None, 10, None]
    assert [r.train.batch_size for r in recipes] == [256, 32, 256, 32]
    assert {(r.train.epochs, r.train.seed, r.train.threads, r.data.dir) for r in recipes} == {(5, 1, 1, tmp_path)}
    assert trials[0].name == f"{trials[0].point.name}-seed1"


def test_the_words_of_a_trial_choose_the_same_recipe(file: Path) -> None:
    plan = load_plan(file, sets=["train.threads=1"])
    for point in plan.space.grid():
        trial = plan.trial(point, 0)
        path, *options = plan.selection(trial)
        assert options[::2] == ["--set"] * (len(options) // 2)
        again = load(Path(path), options[1::2])
        assert again.model_copy(update={"name": "x"}) == plan.recipe(trial).model_copy(update={"name": "x"})


@pytest.mark.parametrize("value", [3, 0.5, True, "a b", [1, [2, 3]], {"name": "bop", "rates": [1e-3]}, [{"dense": 8}]])
def test_a_value_is_written_as_toml(value: Any) -> None:
    assert tomllib.loads(f"v = {toml(value)}")["v"] == value


def test_a_network_that_is_trained_has_no_seeds(file: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text('onnx = "net.onnx"\n')
    file.write_text('base = "tiny.toml"\n[space]\n"compile.fold.fps" = [1, 2]\n')
    plan = load_plan(file)
    assert plan.seeds == (None,)
    assert plan.front_seeds == ()
    trial = plan.trial(plan.space.grid()[0], None)
    assert trial.name == trial.point.name


@pytest.mark.parametrize("name", shipped.names(shipped.SWEEP))
def test_shipped_sweeps_have_recipes(name: str) -> None:
    plan = load_plan(Path(name))
    points = plan.space.grid()
    assert len(points) >= 22
    for point in points:
        plan.recipe(plan.trial(point, 0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "base: field required"),
        ('base = "tiny.toml"\nobjectives = ["accuracy"]', "objectives: tuple should have at least 2 items"),
        ('base = "tiny.toml"\nobjectives = ["lut", "lut"]', "objectives: value error, an objective is there twice"),
        ('base = "tiny.toml"\nobjectives = ["lut", "luts"]', "objectives.1: input should be 'accuracy', 'lut', 'ff'"),
        ('base = "tiny.toml"\nspaces = {}', "spaces: extra inputs are not permitted"),
        ('base = "tiny.toml"\n[search]\nmethod = "tpe"', "method = 'tpe' needs trials, the number of points"),
        ('base = "tiny.toml"\n[search]\ntrials = 3', "trials goes with random, tpe and nsga2"),
        ('base = "tiny.toml"\n[search]\nstorage = "x"', "storage is that of tpe and nsga2; grid needs none"),
        ('base = "tiny.toml"\n[space]\n"train.seed" = [1, 2]', "train.seed: seeds are not a part of the space"),
        ('base = "tiny.toml"\n[recipe]\nx = 1\n[space]\nx = [1, 2]', "x: set by [space] and by [recipe]; keep one"),
        ('base = "tiny.toml"\n[space]\nx = 1', "[space]: x: must be a list of values, a range such as"),
        ('base = "tiny.toml"\n[constraints]\nluts = 3', "constraints.luts: extra inputs are not permitted"),
        ("base = [", "not TOML"),
    ],
)
def test_what_is_no_sweep_is_told(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_plan(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_base_and_a_missing_sweep_are_told(file: Path, tmp_path: Path) -> None:
    file.write_text('base = "none.toml"\n')
    with pytest.raises(UserError, match="none.toml: No such file or directory"):
        load_plan(file)
    with pytest.raises(UserError, match="no sweep of that name ships with adiabit; nearest: sweep_"):
        load_plan(Path("sweep_digit"))
