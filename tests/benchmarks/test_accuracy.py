# SPDX-License-Identifier: Apache-2.0
"""The accuracy benchmark trains as the recipes say, tells what is finished, and keeps its networks."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows.compare.run import folder_of
from adiabit.flows.recipe import load
from adiabit.train.checkpoint import ModelCard

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks/accuracy.py"))


def test_runs_are_the_recipes_by_another_method_and_seed(bench: dict[str, Any]) -> None:
    folders = set()
    for part in (part for document in bench["DOCUMENTS"] for part in document.parts):
        recipe = load(ROOT / f"recipes/{part.name.removesuffix('_by_speaker')}.toml")
        for run in (runs := part.runs(None)):
            assert run.recipe.model == recipe.model
            assert (run.recipe.data == recipe.data) is (part.name == recipe.name)
            changed = {key for key, value in recipe.train if getattr(run.recipe.train, key) != value}
            allowed = {"adiabatic": set(), "ste": set(), "real": {"learning_rate", "weight_decay"}}
            assert changed <= {"method", "seed", *allowed[run.label]}
            assert (run.recipe.train.method.name, run.recipe.train.seed) == (run.label, run.seed)
            folders.add(folder_of(run, Path()))
        assert {run.label for run in runs} == {"adiabatic", "ste", "real"}
    assert len(folders) == sum(len(part.runs(None)) for document in bench["DOCUMENTS"] for part in document.parts)


def test_a_table_has_what_is_finished_and_its_network_is_kept(bench: dict[str, Any], tmp_path: Path) -> None:
    out, kept = tmp_path / "out", tmp_path / "checkpoints"
    every = [run for document in bench["DOCUMENTS"] for part in document.parts for run in part.runs(None)]
    for run in every:
        if (run.network, run.seed) in {("tfc", 0), ("tfc", 2), ("spoken_digits_by_speaker", 0)}:
            (folder := folder_of(run, out)).mkdir(parents=True)
            metrics = {"hard_test": 0.94 + 0.01 * run.seed, "soft_test": 0.9, "hard_validation": 0.9, "epochs": 60,
                       "seconds": 60.0, "test_frames": 10_000}  # fmt: skip
            recipe = run.recipe
            frame = recipe.model.frame(recipe.data.source.shape)
            card = ModelCard(model=recipe.model, method=recipe.train.method, frame=frame, hard=True).model_dump(
                mode="json"
            )
            files = {"model": card, "metrics": metrics, "history": {"hard_accuracy": [0.5, 0.9]}}
            for name, content in files.items():
                (folder / f"{name}.json").write_text(json.dumps(content))
            (folder / "model.pt").touch()
    assert bench["main"](["--report", "--out", str(out), "--to", str(tmp_path)]) == 0
    text = (tmp_path / "mnist.md").read_text()
    assert "| ste | 95.00 ± 1.41 | ± 12.71 | 90.00 | 90.00 | 2 of 3 | 60 | 2.0 | 1.00 | yes |" in text
    assert "\n6 trainings, 6 minutes together.\n" in text
    assert "## lfc\n\nNot run: lfc." in text
    assert [path.name for path in kept.iterdir()] == ["tfc"]
    assert json.loads((kept / "tfc/metrics.json").read_text())["hard_test"] == 0.94


def test_a_folder_that_is_missing_is_one_line(
    bench: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--only", "catdog", "--data", str(tmp_path / "none"), "--out", str(tmp_path), "--to", str(tmp_path)]
    assert bench["main"](arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}/none" in line
    assert "name a readable folder" in line
