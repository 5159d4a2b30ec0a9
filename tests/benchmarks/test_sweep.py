# SPDX-License-Identifier: Apache-2.0
"""The page of sweeps tells what was run, and what was not."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from adiabit.flows.sweep import trial
from adiabit.flows.sweep.engine import Here
from adiabit.flows.sweep.plan import load_plan
from adiabit.flows.sweep.run import Sweeping
from tests.flows.sweep.fakes import fake_run


def test_a_section_has_the_front_and_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "sweep.py"))
    assert bench["section"]("digits", tmp_path / "none") == "## digits\n\nNot run.\n"
    monkeypatch.setattr(trial, "run", fake_run)
    (tmp_path / "some.toml").write_text('base = "digits"\n[recipe]\n"model.topology" = "free"\n'
                                        '[space]\n"model.widths" = [[4], [8]]\n')  # fmt: skip
    Sweeping(load_plan(tmp_path / "some.toml"), tmp_path / "out", Here(), "adiabit sweep", lambda _: None).run()
    text = bench["section"]("digits", tmp_path / "out")
    assert "2 points, 2 of them on the front; 2 runs, of which 2 have a ladder that is equal at every rung." in text
    assert "| [8] | 87.50 % | 80 | 1 |\n| [4] | 75.00 % | 40 | 1 |" in text
    assert "did not run at once, so its time is not known" in text
    (tmp_path / "out" / "seconds.json").write_text(json.dumps({"seconds": 120.0, "jobs": 2, "cores": 4}))
    assert "All 2 took 2 minutes, 2 at once on 4 cores." in bench["section"]("digits", tmp_path / "out")
