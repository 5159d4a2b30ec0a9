# SPDX-License-Identifier: Apache-2.0
"""The accuracy benchmark trains as the recipes say; its runs and its tables are told apart by their settings."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows.recipe import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks/accuracy.py"))


@pytest.fixture(scope="module")
def names(bench: dict[str, Any]) -> list[str]:
    return [name for table in bench["TABLES"] for name in table.seeds]


def test_runs_are_the_recipes_by_another_method_and_seed(bench: dict[str, Any], names: list[str]) -> None:
    runs = bench["Run"].every(names, bench["METHODS"], [], full=True)
    assert {run.name for run in runs} == set(names)
    for run in runs:
        mine, told = run.recipe(), load(ROOT / f"recipes/{run.name}.toml")
        assert (mine.data, mine.model) == (told.data, told.model)
        changed = {key for key, value in told.train if getattr(mine.train, key) != value}
        allowed = {"adiabatic": set(), "ste": set(), "real": {"learning_rate", "weight_decay"}}
        assert changed <= {"method", "seed", "threads", *allowed[run.method]}
        assert (mine.train.method.name, mine.train.seed) == (run.method, run.seed)


def test_every_run_has_a_folder_of_its_own(bench: dict[str, Any], names: list[str], tmp_path: Path) -> None:
    runs = bench["Run"].every(names, bench["METHODS"], [], full=False)
    other = bench["Run"].every(names, bench["METHODS"], ["train.epochs=7"], full=False)
    folders = {run.folder(tmp_path) for run in [*runs, *other]}
    assert len(folders) == 2 * len(runs)


def test_a_table_has_what_is_finished_and_says_what_is_not(bench: dict[str, Any], tmp_path: Path) -> None:
    table = bench["MNIST"]
    runs = bench["Run"].every(list(table.seeds), bench["METHODS"], [], full=False)
    for run, hard in zip([r for r in runs if (r.name, r.method) == ("tfc", "ste")], (0.94, 0.95, 0.96), strict=True):
        metrics = {
            "hard_test": hard,
            "soft_test": 0.9,
            "hard_validation": 0.9,
            "epochs": 60,
            "seconds": 1.0,
            "test_frames": 10_000,
        }
        run.folder(tmp_path).mkdir()
        (run.folder(tmp_path) / "metrics.json").write_text(json.dumps(metrics))
        (run.folder(tmp_path) / "model.json").touch()
    found = [run for run in runs if bench["finished"](run, tmp_path)]
    lines = bench["report"](table, found, tmp_path).splitlines()
    assert "| tfc | ste | 60 | 3 | 95.00 ± 1.00 | ± 2.52 | 90.00 ± 0.00 | 90.00 ± 0.00 | 1 |" in lines
    assert "| lfc | real | | 0 | not run | | | | |" in lines
