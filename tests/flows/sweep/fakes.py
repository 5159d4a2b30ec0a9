# SPDX-License-Identifier: Apache-2.0
"""Trials that take no time: their figures follow from their recipes."""

from __future__ import annotations

import json
from dataclasses import replace

from adiabit.flows import documents
from adiabit.flows.sweep.trial import OUTCOME, Job, Outcome, State

RUNG = {"name": "torch", "status": "equal", "frames": 10, "equal": 10}


def figures(job: Job) -> dict[str, float]:
    """A wider network is larger and more accurate; seeds differ by a hundredth."""
    (width,), seed = job.recipe.model.widths, job.recipe.train.seed
    return {"accuracy": 1 - 1 / width + 0.01 * seed, "lut": 10.0 * width, "fps": job.recipe.compile.fold.fps or 0.0}


def fake_run(job: Job) -> Outcome:
    """Leave what a finished trial leaves."""
    (job.folder / "report").mkdir(parents=True, exist_ok=True)
    found = figures(job)
    report = {
        "name": job.recipe.name, "board": {"title": "Board", "part": "xc7", "family": "xc7"}, "rungs": [RUNG],
        "quantities": found, "exact": True, "data": "digits", "training": {"seed": job.recipe.train.seed},
        "synthesis": {"tool": "Yosys"},
    }  # fmt: skip
    (job.folder / "report" / "report.json").write_text(json.dumps(report))
    outcome = Outcome(state=State.FINISHED, exact=True, quantities=found, estimate=job.estimate)
    documents.write(job.folder / OUTCOME, outcome)
    return outcome


def fake_differing(job: Job) -> Outcome:
    """A trial whose ladder is not all equal, if its network is wide."""
    outcome = fake_run(job)
    if job.recipe.model.widths[0] < 20:
        return outcome
    path = job.folder / "report" / "report.json"
    rung = {**RUNG, "status": "DIFFERS", "equal": 9}
    path.write_text(json.dumps({**json.loads(path.read_text()), "exact": False, "rungs": [rung]}))
    documents.write(job.folder / OUTCOME, changed := replace(outcome, exact=False))
    return changed
