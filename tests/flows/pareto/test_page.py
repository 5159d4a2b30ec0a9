# SPDX-License-Identifier: Apache-2.0
"""The Pareto page: complete in one file, without a request, the same figures in the table, CSV and JSON."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.pareto import anchors
from adiabit.flows.pareto.page import axes, checked, conditions, front_table, left_out, table, write
from adiabit.flows.pareto.points import Dot, front
from adiabit.flows.report.tables import texts
from tests.flows.pareto.test_points import OBJECTIVES, dot, report, run

EVIL = "</script><script>alert(1)</script>&\u2028"


def dots(folder: Path) -> list[Dot]:
    page = folder / "runs" / "a" / "report" / "report.html"
    return [
        dot("a", run(0.8, 10, page=page), run(0.9, 14, seed=1, page=page), labels={"width": "4", "x": EVIL}),
        dot("b", run(0.7, 50, page=page), labels={"width": "8", "x": EVIL}),
        dot("c", run(0.95, 60, page=page), labels={"width": "16", "x": EVIL}, why="LUT: 60, at most 50"),
        dot("d", labels={"width": "32", "x": EVIL}, state="ruled out", why="LUT: 900, at most 50, by the estimate"),
    ]


@pytest.fixture
def page(tmp_path: Path) -> str:
    write(dots(tmp_path), OBJECTIVES, tmp_path, name="some", command="adiabit sweep some.toml")
    return (tmp_path / "pareto.html").read_text()


def test_the_page_needs_nothing_else(page: str) -> None:
    own = re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)  # plotly.js
    assert len(page) - len(own) > 1e6
    assert not re.search(
        r"""(src|href)=["']?(https?:)?//""", own.replace('href="https://', "").replace("http://www", "")
    )
    assert "<link" not in own
    assert EVIL not in page
    assert "alert(1)</script>" not in own


def test_embedded_data_are_the_json_file(page: str, tmp_path: Path) -> None:
    (embedded,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, flags=re.DOTALL)
    document = json.loads((tmp_path / "pareto.json").read_text(), parse_constant=pytest.fail)
    assert json.loads(embedded) == document
    points: dict[str, Any] = {point["name"]: point for point in document["points"]}
    assert {name: point["front"] for name, point in points.items()} == {"a": True, "b": False, "c": False, "d": False}
    assert points["a"]["mean"] == pytest.approx({"accuracy": 0.85, "lut": 12})
    assert points["a"]["runs"][1]["report"] == "runs/a/report/report.html"
    assert points["d"]["runs"] == []


def test_the_csv_has_a_line_for_each_point(page: str, tmp_path: Path) -> None:
    with (tmp_path / "pareto.csv").open(newline="") as source:
        rows = list(csv.DictReader(source))
    assert [(row["name"], row["front"], row["exact"], row["seeds"], row["lut"]) for row in rows] == [
        ("a", "True", "True", "2", "12"), ("b", "False", "True", "1", "50"), ("c", "False", "True", "1", "60"),
        ("d", "False", "", "0", ""),
    ]  # fmt: skip
    assert rows[0]["x"] == EVIL
    assert rows[0]["lut_std"].startswith("2.828")
    assert rows[1]["lut_std"] == ""


def test_the_tables(tmp_path: Path) -> None:
    found = dots(tmp_path)
    best = {one.name for one in front(found, OBJECTIVES)}
    assert axes(found) == {"width": ["4", "8", "16", "32"]}  # not x, in which they do not differ
    assert [row[:4] for row in texts(table(found, best, OBJECTIVES, tmp_path))] == [
        ["16", "LUT: 60, at most 50", "95.00 %", "60"], ["4", "yes", "85.00 % ± 7.07", "12 ± 3"],
        ["8", "—", "70.00 %", "50"],
    ]  # fmt: skip
    assert texts(left_out(found)) == [["32", "ruled out", "LUT: 900, at most 50, by the estimate"]]
    assert texts(front_table(found, OBJECTIVES)) == [["4", "85.00 % ± 7.07", "12 ± 3", "2"]]


def test_published_designs_are_those_of_the_data(page: str, tmp_path: Path) -> None:
    document = json.loads((tmp_path / "pareto.json").read_text())
    published = {anchor.name for anchor in anchors.load() if anchor.data == "mnist"}
    assert {anchor["name"] for anchor in document["anchors"]} == published
    assert 'id="published"' in page
    shown = {row[0] for row in texts(conditions(dots(tmp_path), document["anchors"]))}
    assert shown == {"adiabit", *published}
    write([dot("a", run(0.8, 10, data="digits"))], OBJECTIVES, tmp_path, name="some", command="x")
    assert json.loads((tmp_path / "pareto.json").read_text())["anchors"] == []
    assert 'id="published"' not in (tmp_path / "pareto.html").read_text()


def test_ladders_that_differ_are_told(tmp_path: Path) -> None:
    write([dot("a", run(0.8, 10), run(0.8, 10, exact=False))], OBJECTIVES, tmp_path, name="some", command="x")
    page = (tmp_path / "pareto.html").read_text()
    assert "1 points, 0 of them on the front; 1 of 2 ladders are NOT all equal" in page
    assert "verdict bad" in page


def test_runs_that_exist_make_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [
        report(tmp_path / name, name=name, quantities={"accuracy": 0.9, "lut": 5}, overflows=[]) for name in "ab"
    ]
    command = ["pareto", *map(str, folders), "--out", str(tmp_path / "page")]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page' / 'pareto.html'}\n"
    document = json.loads((tmp_path / "page" / "pareto.json").read_text())
    assert [point["labels"] for point in document["points"]] == [{"run": "a"}, {"run": "b"}]
    assert document["points"][0]["runs"][0]["report"] == "../a/report/report.html"
    assert cli.main([*command, "--objectives", "lut,watts"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("adiabit: --objectives: no such quantity: 'watts'; give some of accuracy, ")


def test_one_objective_is_too_few() -> None:
    assert checked(["lut", "fps"]) == ["lut", "fps"]
    with pytest.raises(UserError, match="'lut': at least two are needed"):
        checked(["lut"])
