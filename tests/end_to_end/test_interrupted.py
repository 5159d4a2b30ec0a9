# SPDX-License-Identifier: Apache-2.0
"""A run that is killed or interrupted, at any moment and again and again, ends with the results of one that is not."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RECIPE = """
name = "tiny"
[model]
topology = "free"
widths = [16, 8]
[train]
epochs = 6
threads = 1
[export]
frames = 30
[compile.fold]
fps = 1_000_000
[simulate]
stall_frames = 4
"""
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
LINE = "adiabit: interrupted by {}; run the same command again to resume"


@dataclass
class Place:
    """A folder to run in, with a temporary folder of its own."""

    folder: Path
    verb: str

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "tmp").mkdir()
        (self.folder / "tiny.toml").write_text(RECIPE)

    def start(self) -> subprocess.Popen[str]:
        """A run of its own session."""
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
        return subprocess.Popen(
            [sys.executable, "-m", "adiabit", self.verb, "tiny.toml", "--out", "out"], cwd=self.folder, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def interrupted(self, after: float, number: signal.Signals) -> bool:
        """Run, and send the signal after so many seconds; whether the run was still there."""
        with self.start() as process:
            try:
                code = process.wait(after)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                code = process.wait(60)
            assert process.stderr is not None
            told = process.stderr.read().splitlines()
        if code == 0:
            return False
        assert code == CODES[number], told
        assert "Traceback" not in "\n".join(told)
        assert number is signal.SIGKILL or told[-1] == LINE.format(number.name)
        return True

    def finish(self) -> tuple[Any, float]:
        """Run to the end; the results, and how long it took."""
        start = time.monotonic()
        with self.start() as process:
            _, told = process.communicate()
        assert process.returncode == 0, told
        assert list((self.folder / "tmp").iterdir()) == []
        hidden = [p.name for p in (self.folder / "out").iterdir() if p.name.startswith(".") and p.suffix != ".lock"]
        assert hidden == []
        return results(self.folder / "out"), time.monotonic() - start


def results(out: Path) -> Any:
    """All that a run has found; not how long it took."""
    history = json.loads((out / "train/history.json").read_text())
    weights = hashlib.sha256((out / "train/model.pt").read_bytes()).hexdigest()
    with np.load(out / "compile/params.npz") as archive:
        parameters = {name: archive[name].tolist() for name in archive.files}
    rungs = {path.parent.name: path.read_text() for path in out.glob("*-*/rungs.json")}
    report = json.loads(page.read_text()) if (page := out / "report/report.json").exists() else {}
    kept = ("stages", "estimate", "cycles_estimate", "fps_measured", "latency_us")
    return history, weights, parameters, rungs, {key: report.get(key) for key in kept}


def undisturbed(folder: Path, verb: str) -> tuple[Any, float]:
    """The results of a run that is let be, and its seconds."""
    return Place(folder / "undisturbed", verb).finish()


def disturb(folder: Path, verb: str, counts: Mapping[signal.Signals, int], seconds: float, seed: int) -> Any:
    """Send so many signals at random moments of runs, each of which goes on where the one before was; the results."""
    rng = random.Random(seed)  # noqa: S311  # moments, not secrets
    signals = [number for number, count in counts.items() for _ in range(count)]
    rng.shuffle(signals)
    round_, place = 0, Place(folder / "0", verb)
    for number in signals:
        while not place.interrupted(rng.uniform(0.5, seconds), number):
            round_ += 1  # it had come to its end
            place = Place(folder / str(round_), verb)
    return place.finish()[0]


def test_interrupted_runs_end_with_the_same_results(tmp_path: Path) -> None:
    """Training, export and compilation; the long run goes the whole way."""
    wanted, seconds = undisturbed(tmp_path, "compile")
    counts = {signal.SIGKILL: 1, signal.SIGTERM: 1, signal.SIGINT: 1}
    assert disturb(tmp_path, "compile", counts, seconds / 2, 2) == wanted


@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(4))
def test_runs_that_are_interrupted_many_times_end_with_the_same_results(tmp_path: Path, seed: int) -> None:
    """40 SIGKILL, 20 SIGTERM and 20 SIGINT in all."""
    wanted, seconds = undisturbed(tmp_path, "run")
    counts = {signal.SIGKILL: 10, signal.SIGTERM: 5, signal.SIGINT: 5}
    assert disturb(tmp_path, "run", counts, seconds / 2, seed) == wanted
