# SPDX-License-Identifier: Apache-2.0
"""Runs spans of frames through a simulator and compares each with the golden model, in several processes.

`python -m adiabit.flows.simulate.passes FOLDER` is one of these processes: it takes the next span that no other one
has taken, until none is left.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError
from adiabit.flows import documents, toolchain
from adiabit.flows.progress import Done, counting
from adiabit.flows.simulate.bench import Bench
from adiabit.flows.simulate.compare import Comparison, Difference, compare
from adiabit.flows.simulate.program import Program
from adiabit.flows.simulate.runs import Run, Span
from adiabit.flows.simulate.slices import LEAST_WORK, Outcome
from adiabit.flows.simulate.slices import work as work_of
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator

JOB, FRAMES, FOUND, ARRAYS = "job.json", "frames.npy", "found.json", "compared.npz"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process needs besides the frames, which lie beside this file."""

    accelerator: Path
    simulator: Bench | Program
    spans: tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a process writes about a span, besides arrays."""

    run: Run
    difference: Difference | None


@dataclass(frozen=True)
class Passes:
    """Runs one simulator over spans of the same frames."""

    folder: Path  # of the accelerator
    accelerator: Accelerator
    frames: npt.NDArray[Any]
    simulator: Bench | Program
    work: Path
    jobs: int  # processes at once

    def run(self, span: Span) -> Outcome:
        """Simulate and compare the frames of a span in this process."""
        return _run(self.accelerator, self.frames, self.simulator, span, self.work)

    def run_all(self, spans: Sequence[Span]) -> list[Outcome]:
        """Simulate and compare several spans, in as many processes as pay off."""
        jobs, frames = min(self.jobs, len(spans)), sum(span.end - span.start for span in spans)
        with counting(f"{self.simulator.who} simulation, frames", frames) as done:
            if jobs == 1 or work_of(self.accelerator, frames) < LEAST_WORK:
                return [self._counted(span, done) for span in spans]
            return self._in_processes(spans, jobs, done)

    def _counted(self, span: Span, done: Done) -> Outcome:
        outcome = self.run(span)
        done(span.end - span.start)
        return outcome

    def _in_processes(self, spans: Sequence[Span], jobs: int, done: Done) -> list[Outcome]:
        with TemporaryDirectory(dir=self.work) as name:
            folder = Path(name).absolute()
            job = Job(accelerator=self.folder.absolute(), simulator=self.simulator, spans=tuple(spans))
            documents.write(folder / JOB, job)
            np.save(folder / FRAMES, self.frames)
            command: list[str | Path] = [sys.executable, "-P", "-m", __name__, folder]
            threads = {"OMP_NUM_THREADS": str(max(1, toolchain.cores() // jobs))}  # of each golden model's products
            environment = {**toolchain.environment(), **threads}
            commands = [(command, self.simulator.log)] * jobs
            left = dict(enumerate(spans))

            def count() -> None:
                for index in [index for index in left if (folder / str(index) / FOUND).exists()]:
                    span = left.pop(index)
                    done(span.end - span.start)

            for _ in toolchain.run_tools(
                commands, cwd=folder, env=environment, temporary=folder, at_once=jobs, meanwhile=count
            ):
                pass
            return [_load(span, folder / str(index)) for index, span in enumerate(spans)]


def _run(
    accelerator: Accelerator, frames: npt.NDArray[Any], simulator: Bench | Program, span: Span, beside: Path
) -> Outcome:
    """Simulate and compare a span; the recorded beats are deleted."""
    chosen = frames[span.start : span.end]
    with TemporaryDirectory(dir=beside) as name:
        run = simulator.run(accelerator, chosen, span, Path(name))
        return Outcome(span=span, run=run, compared=compare(accelerator, chosen, run, simulator.who))


def _load(span: Span, folder: Path) -> Outcome:
    """Read what a process wrote about a span."""
    found = documents.read(Found, folder / FOUND)
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        compared = Comparison(difference=found.difference, equal=arrays["equal"], outputs=arrays["outputs"])
        run = replace(found.run, ends=tuple(arrays["ends"].tolist()))
    return Outcome(span=span, run=run, compared=compared)


def _save(outcome: Outcome, folder: Path) -> None:
    """Write what :func:`_load` reads."""
    run, compared = outcome.run, outcome.compared
    np.savez(folder / ARRAYS, equal=compared.equal, outputs=compared.outputs, ends=np.array(run.ends, np.uint64))
    documents.write(folder / FOUND, Found(run=replace(run, ends=()), difference=compared.difference))


def main(folder: Path) -> None:
    """Run the spans of the job in `folder` that no other process has taken."""
    job = documents.read(Job, folder / JOB)
    accelerator = storage.load(job.accelerator)
    frames = np.load(folder / FRAMES, mmap_mode="r")
    for index, span in enumerate(job.spans):
        try:
            (place := folder / str(index)).mkdir()
        except FileExistsError:
            continue
        _save(_run(accelerator, frames, job.simulator, span, place), place)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (UserError, toolchain.ToolError) as error:
        sys.exit(str(error))  # to the log, whose end the parent shows
