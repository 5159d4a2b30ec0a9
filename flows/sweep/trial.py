# SPDX-License-Identifier: Apache-2.0
"""One trial, in whichever process and machine it runs: a normal run of its recipe, and what became of it."""

from __future__ import annotations

import hashlib
import shlex
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from adiabit import __version__
from adiabit.errors import UserError
from adiabit.files import refused
from adiabit.flows import documents
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import Recipe
from adiabit.flows.sweep.plan import Pruning
from adiabit.flows.sweep.pruning import Curve, Judge, Pruned
from adiabit.flows.toolchain import ToolError

OUTCOME, LOG = "outcome.json", "run.log"
CURVES = "curves"  # beside the folder of the stages


class State(StrEnum):
    """What became of a trial."""

    WAITING = "waiting"
    FINISHED = "finished"
    RULED_OUT = "ruled out"  # before it was trained
    PRUNED = "pruned"  # while it was trained
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a trial: measured quantities of a finished one, else why there are none."""

    state: State
    why: str = ""
    recipe: str = ""  # a digest
    exact: bool | None = None  # whether every rung that ran is equal
    quantities: Mapping[str, float] = field(default_factory=dict)
    estimate: Mapping[str, float] = field(default_factory=dict)
    accuracy: float | None = None  # on the validation split, when training ended
    seconds: float = 0.0  # of all its stages, those that another trial made included
    overhead: float = 0.0  # seconds of this process beyond the stages that it made


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a worker needs; the folders are on a file system that every machine sees, and absolute."""

    recipe: Recipe
    folder: Path
    shared: Path
    selection: tuple[str, ...]
    estimate: Mapping[str, float]
    costs: Mapping[str, float]  # those of the estimate that are objectives
    pruning: Pruning | None = None
    version: str = __version__

    @property
    def digest(self) -> str:
        """A digest of the recipe."""
        return hashlib.sha256(self.recipe.model_dump_json().encode()).hexdigest()[:16]


def run(job: Job) -> Outcome:
    """Run every stage of a trial and write its report, its log and its outcome.

    A fault of the trial is its outcome, and a trial that was pruned is not trained on. `UserError` where this machine
    cannot take part; what the machine refuses to write, such as on a full disk, is an `OSError`.
    """
    if job.version != __version__:
        raise UserError(f"worker: adiabit {__version__} is installed, the sweep runs {job.version}; install the same")
    if not job.shared.is_dir():
        raise UserError(f"worker: {job.shared}: no such folder; a cluster needs a file system that all machines see")
    if (before := load(job.folder)) and before.state is State.PRUNED and before.recipe == job.digest and job.pruning:
        return before
    job.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with (job.folder / LOG).open("a", encoding="utf-8", buffering=1) as log:
        try:
            outcome = _finished(job, lambda line: print(line, file=log))
        except Pruned as end:
            outcome = Outcome(state=State.PRUNED, why=str(end), accuracy=end.accuracy)
        except (UserError, ToolError) as error:
            outcome = Outcome(state=State.FAILED, why=str(error).splitlines()[0])
            print(error, file=log)
        except Exception as error:  # a bug in one trial must not end the others; its traceback is in its log
            if refused(error):
                raise
            outcome = Outcome(state=State.FAILED, why=f"{type(error).__name__}: {error}".splitlines()[0])
            traceback.print_exc(file=log)
    overhead = outcome.overhead + time.monotonic() - start
    outcome = replace(outcome, recipe=job.digest, estimate=job.estimate, overhead=overhead)
    documents.write(job.folder / OUTCOME, outcome)
    return outcome


def _finished(job: Job, tell: Callable[[str], None]) -> Outcome:
    """The outcome of a run whose stages can all be made."""
    watch = None
    if job.pruning is not None:
        curve = Curve(costs=job.costs, epochs=job.recipe.train.epochs, accuracies=())
        watch = Judge(job.pruning, job.shared.parent / CURVES, job.folder.name, curve)
    pipeline = Pipeline(
        job.recipe, job.folder, shared=job.shared, tell=tell, quiet=True, watch=watch, selection=job.selection
    )
    figures = pipeline.report(shlex.join(["adiabit", "run", *job.selection]))
    made = pipeline.made.values()
    return Outcome(
        state=State.FINISHED, exact=figures.exact, quantities=figures.quantities,
        accuracy=figures.training.hard_validation if figures.training else None,
        seconds=sum(stage.seconds for stage in made),
        overhead=-sum(stage.seconds for stage in made if not stage.reused),
    )  # fmt: skip


def load(folder: Path) -> Outcome | None:
    """The outcome of a trial that has ended; None if it has not, or its outcome is damaged and it is run again."""
    path = folder / OUTCOME
    if not path.exists():
        return None
    try:
        return documents.read(Outcome, path)
    except UserError:
        return None
