# SPDX-License-Identifier: Apache-2.0
"""The trainings of a comparison, several in parallel; finished ones are kept, interrupted ones are resumed."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from adiabit.flows.compare.plan import Run
from adiabit.flows.compare.results import load
from adiabit.flows.store import Store, lock, open_folder
from adiabit.train.processes import end_with_parent

LOCK = ".lock"


def folder_of(run: Run, out: Path) -> Path:
    """The path of a run's finished folder, whether it exists or not; other settings have another folder."""
    return Store(out).place(_name(run), _key(run))


def finished(run: Run, out: Path) -> Path | None:
    """A run's finished folder, if it exists."""
    return Store(out).finished(_name(run), _key(run))


def _name(run: Run) -> str:
    label = re.sub(r"[^a-z0-9+]+", "-", run.label.lower())
    return f"{run.network}-{label}-{run.seed}"


def _key(run: Run) -> dict[str, Any]:
    """Everything that a training's result depends on; the data's folder, threads and device are not part of it."""
    recipe = run.recipe
    return {
        "data": recipe.data.model_dump(mode="json", exclude={"dir"}),
        "model": recipe.model.model_dump(mode="json"),
        "train": recipe.train.model_dump(mode="json", exclude={"threads", "device"}),
    }


def train(runs: Sequence[Run], out: Path, jobs: int, tell: Callable[[str], None], after: Callable[[], None]) -> None:
    """Train the unfinished runs, `jobs` in parallel; `after` is called after each.

    `UserError`, before anything is trained, if another run uses `out`, a finished training is damaged, or something
    else is in the place of a training's folder.
    """
    open_folder(out)
    with lock(out / LOCK):
        pending = {}  # by folder: two runs with the same settings are one training
        for run in runs:
            if (folder := finished(run, out)) is not None:
                load(folder)
            else:
                pending[folder_of(run, out)] = run
        _train_all(list(pending.values()), out, jobs, tell, after)


def _train_all(
    pending: Sequence[Run], out: Path, jobs: int, tell: Callable[[str], None], after: Callable[[], None]
) -> None:
    def done(number: int, run: Run) -> None:
        tell(f"{number}/{len(pending)}  {run.network}, {run.label}, seed {run.seed}")
        after()

    if jobs == 1:
        for number, run in enumerate(pending, 1):
            _train(run, out)
            done(number, run)
        return
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=end_with_parent) as pool:
        futures = {pool.submit(_train, run, out): run for run in pending}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                future.result()
                done(number, futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _train(run: Run, out: Path) -> None:
    from adiabit.train.loop import fit

    def make(folder: Path) -> None:
        fit(run.recipe.data, run.recipe.model, run.recipe.train, folder, progress=False, quiet=True)

    Store(out).stage(_name(run), _key(run), make, resumes=True)
