# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the paper's tasks: every task has its runs, and what is not run is told."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks/paper.py"))


def test_every_task_has_both_schedules_and_its_twin(bench: dict[str, Any]) -> None:
    for task in bench["TASKS"]:
        for ends in bench["ends_of"](task):
            runs = bench["plan"](task, ends)
            methods = [run.recipe.train.method for run in runs]
            assert [m.name for m in methods] == ["real", "ste", "adiabatic", "adiabatic", "adiabatic"]
            assert [m.schedule.kind for m in methods[2:]] == ["budget", "target", "patience"]
            bits = {(run.recipe.model.first_bits, run.recipe.model.last_bits) for run in runs}
            assert bits == {(ends or 1, ends or 1)}


def test_what_is_not_run_is_told(bench: dict[str, Any], tmp_path: Path) -> None:
    table = tmp_path / "paper.md"
    assert bench["main"](["--report", "--out", str(tmp_path / "out"), "--table", str(table)]) == 0
    text = table.read_text()
    assert text.count("Not run.") == 9  # MNIST, and four tasks with ends of two kinds
    assert "## audio, real weights in the first and last layer" in text
