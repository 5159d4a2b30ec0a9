# SPDX-License-Identifier: Apache-2.0
"""Points over their runs, and the front: only like is compared with like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adiabit.errors import UserError
from adiabit.flows.pareto.points import Dot, Facts, Run, front, load_run

OBJECTIVES = ("accuracy", "lut")


def run(accuracy: float, lut: float, **changes: Any) -> Run:
    data = changes.pop("data", "mnist")
    facts = Facts(data=data, frames="10 frames", encoder="none", part="xc7", tool="Yosys", stage="synthesis")
    fields: dict[str, Any] = {"page": Path("/r.html"), "seed": 0, "exact": True, "ladder": "all", "family": "xc7"}
    return Run(**fields | changes, quantities={"accuracy": accuracy, "lut": lut}, facts=facts)


def dot(name: str, *runs: Run, **changes: Any) -> Dot:
    return Dot(name=name, runs=runs, **changes)


def names(*dots: Dot) -> list[str]:
    return [found.name for found in front(dots, OBJECTIVES)]


def test_the_front_is_what_nothing_surpasses() -> None:
    dots = [dot("small", run(0.8, 10)), dot("same", run(0.8, 10)), dot("good", run(0.9, 20)), dot("bad", run(0.85, 21)),
            dot("worse", run(0.9, 21))]  # fmt: skip
    assert names(*dots) == ["small", "same", "good"]


@pytest.mark.parametrize(
    "other",
    [dot("x", run(0.9, 5, data="digits")), dot("x", run(0.9, 5, family="ecp5")), dot("x", run(0.9, 5), why="over"),
     dot("x", run(0.9, 5, exact=False)), dot("x", run(0.9, 5), run(0.9, 5, exact=None)), dot("x")],
)  # fmt: skip
def test_what_is_unlike_or_not_exact_surpasses_nothing(other: Dot) -> None:
    assert "mine" in names(dot("mine", run(0.8, 10)), other)


def test_a_point_is_the_mean_of_its_runs() -> None:
    one = dot("one", run(0.8, 10), run(0.9, 14, seed=1))
    assert one.mean == pytest.approx({"accuracy": 0.85, "lut": 12})
    assert one.spread == pytest.approx({"accuracy": 0.05 * 2**0.5, "lut": 2 * 2**0.5})
    assert dot("one", run(0.8, 10)).spread == {}
    assert names(one, dot("other", run(0.86, 12))) == ["other"]


def report(folder: Path, **changes: Any) -> Path:
    rungs = [{"name": "torch", "status": "equal", "frames": 1034, "equal": 1034},
             {"name": "board", "status": "not run", "frames": 0, "equal": 0}]  # fmt: skip
    document = {"name": "net", "board": {"title": "B", "part": "xc7z020", "family": "xc7", "luts": 1}, "rungs": rungs,
                "quantities": {"accuracy": 0.9}, "exact": True, "data": "digits", "training": {"seed": 3},
                "overflows": [{"name": "LUT", "needs": 300, "holds": 100}]}  # fmt: skip
    (folder / "report").mkdir(parents=True, exist_ok=True)
    (folder / "report" / "report.json").write_text(json.dumps(document | changes))
    return folder


def test_a_run_is_read_from_its_report(tmp_path: Path) -> None:
    name, found = load_run(report(tmp_path / "a"))
    assert name == "net"
    assert (found.seed, found.exact, found.family, found.quantities) == (3, True, "xc7", {"accuracy": 0.9})
    assert found.ladder == "1 of 1 rungs equal, 1,034 frames"
    assert found.page == tmp_path / "a" / "report" / "report.html"
    assert (found.facts.data, found.facts.part, found.facts.stage) == ("digits", "xc7z020", "")
    assert found.overflows == ("does not fit: LUT 300 of 100 (300 %)",)
    _, found = load_run(report(tmp_path / "b", synthesis={"tool": "Yosys 0.70"}, overflows=[]))
    assert (found.facts.tool, found.facts.stage, found.overflows) == ("Yosys 0.70", "synthesis", ())


def test_a_folder_without_a_report_and_a_damaged_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{tmp_path}: no report; make it with `adiabit report RECIPE --out "):
        load_run(tmp_path)
    path = report(tmp_path, exact="perhaps") / "report" / "report.json"
    with pytest.raises(UserError, match=rf"^{path}: damaged \(exact: .*; make it again with `adiabit report"):
        load_run(tmp_path)
