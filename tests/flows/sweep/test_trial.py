# SPDX-License-Identifier: Apache-2.0
"""What becomes of a trial: its faults are its outcome, those of the machine end the sweep."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adiabit.errors import UserError
from adiabit.flows.recipe import load as load_recipe
from adiabit.flows.store import Made
from adiabit.flows.sweep import trial
from adiabit.flows.sweep.plan import Pruning
from adiabit.flows.sweep.pruning import Pruned
from adiabit.flows.sweep.trial import Job, State
from adiabit.flows.toolchain import ToolError


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "stages").mkdir()
    return Job(
        recipe=load_recipe(Path("digits")), folder=tmp_path / "runs" / "abc-seed0", shared=tmp_path / "stages",
        selection=("digits.toml", "--set", "train.epochs=2"), estimate={"lut": 100.0, "fps": 5.0}, costs={"lut": 100.0},
    )  # fmt: skip


def pipeline(monkeypatch: pytest.MonkeyPatch, result: Any) -> list[dict[str, Any]]:
    """Replace the pipeline by one whose report is this, or raises it; the arguments that it was made with."""
    made: list[dict[str, Any]] = []

    def report(command: str) -> Any:
        made[-1]["command"] = command
        made[-1]["tell"]("a line")
        if isinstance(result, BaseException):
            raise result
        return result

    def fake(recipe: Any, out: Path, **options: Any) -> Any:
        made.append({"recipe": recipe, "out": out, **options})
        stages = {name: Made(folder=out, reused=name == "train", seconds=0.0) for name in ("train", "export")}
        return SimpleNamespace(report=report, made=stages)

    monkeypatch.setattr(trial, "Pipeline", fake)
    return made


def test_a_trial_is_a_run_of_its_recipe(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = SimpleNamespace(exact=True, quantities={"lut": 90.0}, training=SimpleNamespace(hard_validation=0.9))
    (made,) = [pipeline(monkeypatch, figures)]
    outcome = trial.run(job)
    assert (outcome.state, outcome.exact, outcome.quantities, outcome.accuracy) == (
        State.FINISHED, True, {"lut": 90.0}, 0.9,
    )  # fmt: skip
    assert outcome.estimate == job.estimate
    assert trial.load(job.folder) == outcome
    assert made[0]["shared"] == job.shared
    assert made[0]["watch"] is None
    assert made[0]["command"] == "adiabit run digits.toml --set train.epochs=2"
    assert (job.folder / "run.log").read_text() == "a line\n"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (UserError("net.onnx: no such node"), "net.onnx: no such node"),
        (ToolError("yosys exited with 1; the end of x:\nline"), "yosys exited with 1; the end of x:"),
        (RuntimeError("bug\nmore"), "RuntimeError: bug"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), "FileNotFoundError: [Errno 2] No such file: 'x'"),
    ],
)
def test_a_fault_is_the_outcome(job: Job, monkeypatch: pytest.MonkeyPatch, fault: Exception, why: str) -> None:
    pipeline(monkeypatch, fault)
    outcome = trial.run(job)
    assert (outcome.state, outcome.why) == (State.FAILED, why)
    assert str(fault).splitlines()[-1] in (job.folder / "run.log").read_text()
    assert trial.load(job.folder) == outcome


def test_a_full_disk_ends_the_sweep(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        trial.run(job)
    assert trial.load(job.folder) is None


def test_a_pruned_trial_stays_pruned(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(job, pruning=Pruning())
    made = pipeline(monkeypatch, Pruned("stopped", 0.7))
    outcome = trial.run(job)
    assert (outcome.state, outcome.why, outcome.accuracy) == (State.PRUNED, "stopped", 0.7)
    assert made[0]["watch"].name == "abc-seed0"
    assert made[0]["watch"].folder == job.shared.parent / "curves"
    assert made[0]["watch"].curve.costs == {"lut": 100.0}
    assert trial.run(job) == outcome
    assert len(made) == 1
    trial.run(replace(job, pruning=None))
    trial.run(replace(job, recipe=load_recipe(Path("tfc"))))
    assert len(made) == 3


def test_a_worker_that_cannot_take_part_is_told(job: Job) -> None:
    with pytest.raises(UserError, match=r"worker: adiabit .* is installed, the sweep runs 0.0; install the same"):
        trial.run(replace(job, version="0.0"))
    with pytest.raises(UserError, match="nowhere: no such folder; a cluster needs a file system that all machines see"):
        trial.run(replace(job, shared=Path("/nowhere")))
