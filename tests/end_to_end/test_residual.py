# SPDX-License-Identifier: Apache-2.0
"""The residual recipe that needs no data, from training to bitstreams and driver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adiabit.flows import cli
from adiabit.flows.bitstream import project
from adiabit.flows.ladder import load_rungs
from adiabit.hw import storage
from tests.boards.test_driver import drives
from tests.boards.test_project import play
from tests.hw.rtl.test_rtl import tool_environment

__all__ = ["tool_environment"]  # a fixture

RAN = ("torch", "QONNX", "FINN graph", "golden", "HLS C simulation", "RTL simulation")


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_a_residual_network_goes_the_whole_way(
    tmp_path: Path, tool_environment: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One test, because all of it needs the same trained network."""
    monkeypatch.setattr(project, "tool", lambda: None)
    out = tmp_path / "out"

    def run(verb: str, *options: str) -> Path:
        """The folder that a verb prints last."""
        assert cli.main([verb, "digits_residual", "--out", str(out), *options]) == 0
        return Path(capsys.readouterr().out.splitlines()[-1])

    run("run")
    report = json.loads((out / "report/report.json").read_text())
    rungs = {row["name"]: row for row in report["rungs"]}
    for name in RAN:
        assert rungs[name]["status"] == "equal", rungs[name]
        assert rungs[name]["frames"] >= 1000  # the whole test split, and corner inputs
        assert rungs[name]["accuracy"] == rungs["torch"]["accuracy"] > 0.9
    accelerator = storage.load(out / "compile")
    simulation = json.loads((out / "simulate/simulation.json").read_text())
    assert simulation["cycles_per_frame"] == accelerator.cycles

    (rung,) = load_rungs(run("bitstream", "--set", "target.board=ulx3s-85f", "--set", "compile.fold.fps=500"))
    assert (rung.name, rung.status) == ("netlist simulation", "equal")

    done = play(run("bitstream"))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(out.glob("bitstream-*/out/*.bit"))

    (tmp_path / "driver").mkdir()
    faster = run("compile", "--set", "compile.fold.fps=50_000")  # for cocotb, which simulates slowly
    drives(storage.load(faster), tmp_path / "driver", monkeypatch)
