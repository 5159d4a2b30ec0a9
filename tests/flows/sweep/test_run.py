# SPDX-License-Identifier: Apache-2.0
"""A sweep chooses, orders, repeats and records its trials; the trials themselves are fakes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adiabit.errors import UserError
from adiabit.flows import cli, documents
from adiabit.flows.pareto.points import front
from adiabit.flows.sweep import record, trial
from adiabit.flows.sweep.engine import Here
from adiabit.flows.sweep.plan import load_plan
from adiabit.flows.sweep.record import Record
from adiabit.flows.sweep.run import Sweeping
from adiabit.flows.sweep.trial import OUTCOME, Job, Outcome, State
from tests.flows.sweep.fakes import fake_differing, fake_run

BASE = '[model]\ntopology = "free"\nwidths = [12]\n[compile.fold]\nfps = 10_000\n'
SPACE = '[space]\n"model.widths" = [[4], [8], [16], [32]]\n'


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "run", fake_run)


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[[str], tuple[Record, list[str]]]:
    """Runs a sweep of this text in the folder out; its record and what it told."""
    (tmp_path / "tiny.toml").write_text(BASE)

    def run(text: str) -> tuple[Record, list[str]]:
        (tmp_path / "some.toml").write_text('base = "tiny.toml"\n' + text)
        told: list[str] = []
        plan = load_plan(tmp_path / "some.toml")
        made = Sweeping(plan, tmp_path / "out", Here(), "adiabit sweep some.toml", told.append).run()
        assert record.load(tmp_path / "out") == made
        return made, told

    return run


def test_points_on_the_front_are_repeated_with_further_seeds(sweep: Any, tmp_path: Path) -> None:
    text = 'front_seeds = [1, 2]\n[space]\n"model.widths" = [[4], [8]]\n"compile.fold.fps" = [10_000, 20_000]\n'
    made, told = sweep(text)
    dots = made.dots(tmp_path / "out")
    assert [len(dot.runs) for dot in dots] == [3, 3, 3, 3]  # fps is no objective, so both are as good
    made, told = sweep('objectives = ["accuracy", "lut", "fps"]\n' + text)
    dots = {tuple(dot.labels.values()): dot for dot in made.dots(tmp_path / "out")}
    assert {labels: len(dot.runs) for labels, dot in dots.items()} == {
        ("[4]", "20000"): 3, ("[8]", "20000"): 3, ("[4]", "10000"): 1, ("[8]", "10000"): 1,
    }  # fmt: skip
    assert dots["[4]", "20000"].mean["accuracy"] == pytest.approx(0.76)
    assert dots["[4]", "20000"].spread["accuracy"] == pytest.approx(0.01)
    assert {dot.labels["compile.fold.fps"] for dot in front(dots.values(), made.objectives)} == {"20000"}
    assert told[0] == "4 points to run, 0 ruled out by the estimate"
    assert len(told) == 1 + 4 + 4
    assert told[1].startswith(
        "1/4  model.widths = [4], compile.fold.fps = 10000, seed 0: Test accuracy 75.00 %, LUT 40, "
    )
    assert told[-1].startswith("8/8  ")


def test_points_that_share_a_training_are_apart(sweep: Any) -> None:
    _, told = sweep('[space]\n"model.widths" = [[4], [8]]\n"compile.fold.fps" = [10_000, 20_000]\n')
    assert [line.split("= ")[1].split(",")[0] for line in told[1:]] == ["[4]", "[8]", "[4]", "[8]"]


def test_constraints_rule_out_before_and_after(sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, told = sweep(SPACE + "[constraints]\nlut = 170\naccuracy = 0.8\n")
    dots = {dot.labels["model.widths"]: dot for dot in made.dots(tmp_path / "out")}
    ruled_out = [label for label, dot in dots.items() if dot.state is State.RULED_OUT]
    assert ruled_out == ["[16]", "[32]"]
    assert "by the estimate" in dots["[32]"].why
    assert not dots["[32]"].runs
    assert dots["[4]"].why == "Test accuracy: 75.00 %, at least 80.00 %"
    assert [dot.labels["model.widths"] for dot in front(dots.values(), made.objectives)] == ["[8]"]
    assert told[0] == "2 points to run, 2 ruled out by the estimate"


def test_all_points_ruled_out_is_a_fault_of_the_file(sweep: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"some.toml: every point is ruled out; the first: LUT: .* at most 1, by the"):
        sweep(SPACE + "[constraints]\nlut = 1\n")
    with pytest.raises(UserError, match=r"every point is ruled out; the first: .*\[train\]: epoch: unknown key"):
        sweep('[space]\n"train.epoch" = [1, 2]\n')


def test_random_points_are_as_many_as_wanted(sweep: Any) -> None:
    text = '[space."model.widths"]\n' + "".join(f'w{n} = {{ "model.widths" = [{n}] }}\n' for n in range(2, 12))
    made, _ = sweep(text + '[search]\nmethod = "random"\ntrials = 4\nseed = 3\n')
    assert len(made.points) == len({point.name for point in made.points}) == 4
    made, _ = sweep(text + '[search]\nmethod = "random"\ntrials = 40\n')
    assert len(made.points) == 10  # there are no more


def test_a_failed_trial_does_not_end_the_others(sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def some(job: Job) -> Outcome:
        if job.recipe.model.widths != (8,):
            return fake_run(job)
        job.folder.mkdir(exist_ok=True)
        documents.write(job.folder / OUTCOME, outcome := Outcome(state=State.FAILED, why="no luck"))
        return outcome

    monkeypatch.setattr(trial, "run", some)
    made, told = sweep(SPACE + "[search.pruning]\n")
    dots = {dot.labels["model.widths"]: dot for dot in made.dots(tmp_path / "out")}
    assert (dots["[8]"].state, dots["[8]"].why) == (State.FAILED, "no luck")
    assert [label for label, dot in dots.items() if dot.runs] == ["[4]", "[16]", "[32]"]
    assert any("failed: no luck" in line for line in told)


def test_the_command_ends_in_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.toml").write_text(BASE)
    (tmp_path / "some.toml").write_text('base = "tiny.toml"\nfront_seeds = [1]\n' + SPACE)
    assert cli.main(["sweep", str(tmp_path / "some.toml"), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == str(tmp_path / "out" / "pareto.html")
    assert "Pareto front" in told
    with (tmp_path / "out" / "pareto.csv").open() as source:
        rows = list(csv.DictReader(source))
    assert [(row["model.widths"], row["seeds"], row["front"]) for row in rows] == [
        (f"[{width}]", "2", "True") for width in (4, 8, 16, 32)
    ]
    assert all((tmp_path / "out" / row["report"]).parent.is_dir() for row in rows)


def test_a_rung_that_differs_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "run", fake_differing)
    (tmp_path / "tiny.toml").write_text(BASE)
    (tmp_path / "some.toml").write_text('base = "tiny.toml"\n' + SPACE)
    assert cli.main(["sweep", str(tmp_path / "some.toml"), "--out", str(tmp_path / "out")]) == 1
    assert "model.widths = [32], seed 0: Test accuracy 96.88 %, LUT 320; A RUNG DIFFERS" in capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "pareto.json").read_text())
    assert {row["labels"]["model.widths"]: row["front"] for row in document["points"]} == {
        "[4]": True, "[8]": True, "[16]": True, "[32]": False,
    }  # fmt: skip
    assert "1 of 4 ladders are NOT all equal" in (tmp_path / "out" / "pareto.html").read_text()


def test_a_sweep_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from adiabit.flows.store import lock

    (tmp_path / "tiny.toml").write_text(BASE)
    (tmp_path / "some.toml").write_text('base = "tiny.toml"\n' + SPACE)
    (tmp_path / "out").mkdir()
    with lock(tmp_path / "out" / ".lock"):
        assert cli.main(["sweep", str(tmp_path / "some.toml"), "--out", str(tmp_path / "out")]) == 2
    assert "in use by another adiabit run" in capsys.readouterr().err


def test_a_damaged_outcome_is_made_again(sweep: Any, tmp_path: Path) -> None:
    made, _ = sweep(SPACE)
    path = tmp_path / "out" / "runs" / made.points[0].trials[0] / OUTCOME
    path.write_text("{")
    assert trial.load(path.parent) is None
    again, _ = sweep(SPACE)
    assert again == replace(made)
    assert trial.load(path.parent) is not None
