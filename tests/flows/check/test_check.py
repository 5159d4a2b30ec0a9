# SPDX-License-Identifier: Apache-2.0
"""A check fails for each limit that a run does not keep, and for each rung that differs; its outputs say so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from junitparser import Failure, JUnitXml, Skipped

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows import recipe
from adiabit.flows.check import results
from adiabit.flows.check.budget import MORE_IS_BETTER, QUANTITIES, Baseline, Budget, load_baseline
from adiabit.flows.check.findings import check
from adiabit.flows.ladder import Rung, RungName
from adiabit.flows.report.figures import Figures
from adiabit.flows.resources import Resources
from adiabit.flows.simulate.figures import Simulation
from adiabit.flows.synthesize.figures import Cells, Synthesis

RUNGS = (
    Rung(name=RungName.TORCH, frames=100, equal=100, accuracy=0.95),
    Rung(name=RungName.RTL, frames=100, equal=100, accuracy=0.95),
    Rung(name=RungName.COSIM, frames=0, equal=0, why_not="Vitis HLS is not on PATH"),
)
MEASURED = {
    "accuracy": 0.95, "fps": 1e6, "cycles": 100.0, "latency_us": 3.5, "lut": 1200.0, "ff": 900.0, "bram18": 4.0,
    "dsp": 1.0, "toggles": 5000.0,
}  # fmt: skip


def figures(rungs: tuple[Rung, ...] = RUNGS, **changes: Any) -> Figures:
    total = Cells(lut=1200, lc=1000, ff=900, bram18=4, dsp=1, carry=30, lutram=0)
    made: dict[str, Any] = {
        "simulation": Simulation(
            frames=100, first=0, seed=0, random_stall_frames=8, cycles_per_frame=100, cycles_per_frame_min=100,
            cycles_per_frame_max=100, latency_cycles=350, total_cycles=10_000, cycles_per_frame_expected=100,
            seconds_build=1.0, seconds_run=1.0, cycles_per_second=10_000.0, toggles_per_frame=5000.0,
        ),
        "synthesis": Synthesis(
            part="xc7z020clg400-1", family="xc7", tool="Yosys 0.70", stages=(), total=total, capacity=Resources(),
            logic_delay_ns=None, timing_note="", seconds=1.0,
        ),
    }  # fmt: skip
    board = catalog.load("pynq-z2")
    return Figures(name="net", board=board, clock_mhz=100.0, date="2026-11-30T10:00:00+00:00", command="adiabit check",
                   rungs=rungs, **{**made, **changes})  # fmt: skip


def differing() -> Figures:
    rung = replace(RUNGS[1], equal=99, difference="stage fc0, frame 3: 1 and -1")
    return figures((RUNGS[0], rung, RUNGS[2]))


def test_quantities_are_what_was_measured() -> None:
    assert figures().quantities == MEASURED
    assert figures(synthesis=None, simulation=None).quantities == {"accuracy": 0.95}


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_each_limit_is_held(quantity: str) -> None:
    value = MEASURED[quantity]
    beyond = value * (1.001 if quantity in MORE_IS_BETTER else 0.999)
    assert check(figures(), Budget.model_validate({quantity: value})).passed
    failed = check(figures(), Budget.model_validate({quantity: beyond}))
    assert [f.kept for f in failed.findings] == [False]
    assert not failed.passed


def test_what_was_not_measured_keeps_no_limit() -> None:
    found = check(figures(synthesis=None), Budget(lut=10_000))
    assert not found.passed
    assert str(found.findings[0]) == "LUT: not run, at most 10,000"


def test_a_rung_that_differs_fails_and_so_does_a_ladder_of_none() -> None:
    assert check(figures(), Budget()).passed
    assert not check(differing(), Budget()).passed
    assert not check(figures(()), Budget()).passed


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_baseline_allows_so_many_per_cent(quantity: str) -> None:
    def passes(share: float, worse: float | dict[str, float]) -> bool:
        value = MEASURED[quantity] * share
        if quantity == "accuracy":  # percentage points
            value = MEASURED[quantity] + share - 1
        baseline = Baseline(name="net", date="", quantities={quantity: value})
        return check(figures(), Budget(worse=worse), baseline).passed

    better, worse = (0.98, 1.03) if quantity in MORE_IS_BETTER else (1.02, 0.97)
    assert passes(better, 0.0)
    assert passes(1.0, 0.0)
    assert not passes(worse, 2.0)
    assert passes(worse, 4.0)
    assert passes(worse, {quantity: 4.0})
    assert not passes(worse, {quantity: 2.0})
    other = next(name for name in QUANTITIES if name != quantity)
    assert passes(worse, {other: 0.0})  # a table compares what it names


def test_outputs_say_what_is_over(tmp_path: Path) -> None:
    found = check(differing(), Budget(lut=1000, accuracy=0.9), Baseline(name="net", date="", quantities={"ff": 800.0}))
    results.write(found, tmp_path)
    cases = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    suites = {suite.name: {case.name: case.result for case in suite} for suite in cases}
    assert {name: [type(r) for r in result] for name, result in suites["ladder"].items()} == {
        "torch": [], "RTL simulation": [Failure], "HLS co-simulation": [Skipped],
    }  # fmt: skip
    assert {name: bool(result) for name, result in suites["budget"].items()} == {
        "Test accuracy": False, "LUT": True, "FF against the baseline": True,
    }  # fmt: skip
    assert "stage fc0, frame 3" in suites["ladder"]["RTL simulation"][0].message
    outcome = json.loads((tmp_path / "check.json").read_text())
    assert (outcome["passed"], outcome["exact"]) == (False, False)
    assert outcome["quantities"] == MEASURED
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("## net: **failed**\n")
    assert "| FF | 900 | at most 800 (baseline) | +12.5 % | NO |" in text
    badge = json.loads((tmp_path / "badge.json").read_text())
    assert badge == {"schemaVersion": 1, "label": "net", "color": "red",
                     "message": "NOT EXACT · 95.00 % · 1,200 LUT · 4 BRAM18"}  # fmt: skip


def test_the_badge_of_a_passed_check_is_green() -> None:
    assert results.badge(check(figures(), Budget()))["color"] == "brightgreen"


def test_a_missing_or_damaged_baseline_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="base.json.*`adiabit check RECIPE --save` writes the baseline"):
        load_baseline(tmp_path / "base.json")
    (tmp_path / "base.json").write_text("{}")
    with pytest.raises(UserError, match="base.json: damaged"):
        load_baseline(tmp_path / "base.json")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("accuracy = 97", r"\[budget\]: accuracy = 97: .*less than or equal to 1"),
        ("lut = inf", r"\[budget\]: lut = inf: .*finite number"),
        ("luts = 3", r"\[budget\]: luts: unknown key; did you mean 'lut'"),
        ("worse = { luts = 3 }", r"\[budget.worse\]: no such quantity: 'luts'; known quantities"),
    ],
)
def test_a_broken_budget_is_one_line(table: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(f"[budget]\n{table}\n")
    with pytest.raises(UserError, match=message):
        recipe.load(tmp_path / "net.toml")


def test_the_baseline_lies_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text('[budget]\nbaseline = "base.json"\n')
    assert recipe.load(tmp_path / "net.toml").budget.baseline == tmp_path / "base.json"
