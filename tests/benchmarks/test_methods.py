# SPDX-License-Identifier: Apache-2.0
"""The benchmark of methods tells what is finished, and what was not run."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows.compare.plan import load_runs
from adiabit.flows.compare.run import folder_of
from adiabit.train.checkpoint import ModelCard

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks/methods.py"))


def test_the_tables_tell_what_is_finished(bench: dict[str, Any], tmp_path: Path) -> None:
    first = load_runs(ROOT / "recipes/compare_mnist.toml")[0]
    (folder := folder_of(first, tmp_path)).mkdir()
    metrics = {"hard_test": 0.9512, "soft_test": 0.96, "hard_validation": 0.95, "test_frames": 10_000, "epochs": 2,
               "seconds": 8.0}  # fmt: skip
    recipe = first.recipe
    card = ModelCard(model=recipe.model, method=recipe.train.method, hard=True).model_dump(mode="json")
    for name, content in {"model": card, "metrics": metrics, "history": {"hard_accuracy": [0.5, 0.95]}}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    assert bench["main"](["--report", "--out", str(tmp_path), "--to", str(tmp_path)]) == 0
    text = (tmp_path / "methods.md").read_text()
    assert "## tfc\n\nTFC on all 54,000 training frames" in text
    assert "| ste | 95.12 | ± 0.42 | 96.00 | 95.00 | 1 of 3 | 2 | 2.0 | 1.00 | yes |" in text
    assert "## sfc\n\nNot run: sfc." in text
    assert text.count("| Method |") == 1


def test_a_part_that_was_not_run_keeps_its_section(bench: dict[str, Any], tmp_path: Path) -> None:
    table = tmp_path / "methods.md"
    table.write_text("# Old head\n\n## sfc\n\nMeasured before.\n\n## tfc\n\nToo.\n")
    assert bench["main"](["--report", "--out", str(tmp_path), "--to", str(tmp_path)]) == 0
    text = table.read_text()
    assert "Old head" not in text
    assert "## tfc\n\nToo.\n\n## sfc\n\nMeasured before.\n\n## spoken_digits_small\n\nNot run: spoken_digits.\n" in text
    assert text.endswith("## Variants of adiabatic: cifar10_small\n\nNot run: adiabatic_cifar10.\n")
    assert bench["main"](["--report", "--out", str(tmp_path), "--to", str(tmp_path)]) == 0
    assert table.read_text() == text
