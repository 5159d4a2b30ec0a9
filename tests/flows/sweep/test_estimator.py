# SPDX-License-Identifier: Apache-2.0
"""Points that cannot keep a constraint are ruled out before training, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adiabit.flows.recipe import Recipe, load
from adiabit.flows.sweep.estimator import SLACK, judge
from adiabit.flows.sweep.plan import Constraints


def recipe(**values: Any) -> Recipe:
    return load(Path("digits"), values={"model.topology": "free", "model.widths": [32], **values})


def test_the_estimate_is_that_of_the_folded_accelerator() -> None:
    verdict = judge(recipe(**{"compile.fold.fps": 1e6}), Constraints())
    assert not verdict.why
    assert verdict.estimate["cycles"] <= 100
    assert verdict.estimate["fps"] == 100e6 / verdict.estimate["cycles"]
    assert verdict.estimate["lut"] > judge(recipe(**{"compile.fold.fps": 1e4}), Constraints()).estimate["lut"] > 0


@pytest.mark.parametrize("key", ["lut", "ff", "bram18", "latency_us"])
def test_an_estimate_rules_out_beyond_its_error(key: str) -> None:
    found = judge(recipe(), Constraints()).estimate[key]
    kept, broken = (Constraints.model_validate({key: found / (1 + SLACK) * share}) for share in (1.01, 0.99))
    assert not judge(recipe(), kept).why
    why = judge(recipe(), broken).why
    assert "at most" in why
    assert why.endswith("by the estimate")


def test_cycles_are_exact_and_have_no_slack() -> None:
    cycles = judge(recipe(), Constraints()).estimate["cycles"]
    assert not judge(recipe(), Constraints(cycles=cycles)).why
    assert judge(recipe(), Constraints(cycles=cycles - 1)).why
    assert judge(recipe(), Constraints(fps=100e6 / cycles + 1)).why


def test_what_is_measured_only_rules_nothing_out() -> None:
    assert not judge(recipe(), Constraints(accuracy=1.0)).why


def test_a_network_that_does_not_fit_is_ruled_out_if_it_must_fit() -> None:
    large = {"model.widths": [4096, 4096], "compile.fold.fps": 1e6}
    assert "LUT: " in judge(recipe(**large), Constraints()).why
    assert not judge(recipe(**large), Constraints(fits=False)).why


def test_an_impossible_folding_is_ruled_out() -> None:
    assert "fps" in judge(recipe(**{"compile.fold.fps": 1e9}), Constraints()).why


def test_a_third_partys_model_is_not_estimated() -> None:
    assert judge(load(Path("net.onnx")), Constraints(lut=1)).why == ""
