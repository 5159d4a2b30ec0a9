# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the paper's tasks: every task has its runs, and what is not run is told."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows.compare.run import folder_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks/paper.py"))


def test_every_task_has_both_schedules_and_its_twin(bench: dict[str, Any]) -> None:
    for part in bench["PARTS"]:
        runs = part.runs(None)
        ends = int(part.name.rpartition("_")[2]) if part.name != "mnist" else 1
        kinds = ["budget"] if ends == 8 else ["budget", "target", "patience"]
        for seed in {run.recipe.train.seed for run in runs}:
            methods = [run.recipe.train.method for run in runs if run.recipe.train.seed == seed]
            assert [m.name for m in methods] == ["real", "ste", *["adiabatic"] * len(kinds)]
            assert [m.schedule.kind for m in methods[2:]] == kinds
        assert {(run.recipe.model.first_bits, run.recipe.model.last_bits) for run in runs} == {(ends, ends)}


def test_what_is_not_run_is_told(bench: dict[str, Any], tmp_path: Path) -> None:
    assert bench["main"](["--report", "--out", str(tmp_path / "out"), "--to", str(tmp_path)]) == 0
    text = (tmp_path / "paper.md").read_text()
    assert text.count("Not run: ") == 9  # MNIST, and four tasks with ends of two kinds
    assert "## audio, real weights in the first and last layer\n\nNot run: audio_32." in text


def test_runs_with_the_recipes_ends_are_those_of_the_accuracy_benchmark(
    bench: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    accuracy = runpy.run_path(str(ROOT / "benchmarks/accuracy.py"))
    for network in ("resnet20", "vgg_small"):
        (theirs,) = (p for d in accuracy["DOCUMENTS"] for p in d.parts if p.name == network)
        (ours,) = (p for p in bench["PARTS"] if p.name == f"{network}_8")
        expected = {folder_of(run, Path()) for run in theirs.runs(None)}
        assert {folder_of(run, Path()) for run in ours.runs(None)} == expected
