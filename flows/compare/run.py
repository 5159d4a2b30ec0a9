# SPDX-License-Identifier: Apache-2.0
"""The trainings of a comparison, several in parallel; finished ones are kept, interrupted ones are resumed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adiabit.flows.compare.plan import Run
from adiabit.flows.compare.results import load
from adiabit.flows.store import Store, lock, open_folder
from adiabit.flows.sweep.engine import Engine, opened
from adiabit.train.source import digest

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
        "model": recipe.model.portable.model_dump(mode="json"),
        "module": digest(recipe.model),
        "train": recipe.train.model_dump(mode="json", exclude={"threads", "device"}),
    }


def train(
    runs: Sequence[Run], out: Path, tell: Callable[[str], None], after: Callable[[], None], jobs: int = 1, ray: str = ""
) -> None:
    """Train the unfinished runs, `jobs` in parallel or on the Ray cluster `ray`; `after` is called after each.

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
        if pending:
            with opened(jobs, ray) as engine:
                _train_all(list(pending.values()), out.absolute(), engine, tell, after)


def _train_all(
    pending: Sequence[Run], out: Path, engine: Engine[Run, None], tell: Callable[[str], None], after: Callable[[], None]
) -> None:
    waiting = deque(pending)
    for number in range(1, len(pending) + 1):
        while waiting and engine.free > 0:
            run = waiting.popleft()
            engine.give(run, _train, run, out)
        run, _ = engine.next()
        tell(f"{number}/{len(pending)}  {run.network}, {run.label}, seed {run.seed}")
        after()


def _train(run: Run, out: Path) -> None:
    from adiabit.train.loop import fit

    def make(folder: Path) -> None:
        fit(run.recipe.data, run.recipe.model, run.recipe.train, folder, progress=False, quiet=True)

    Store(out).stage(_name(run), _key(run), make, resumes=True)
