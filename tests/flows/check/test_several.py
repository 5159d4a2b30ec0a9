# SPDX-License-Identifier: Apache-2.0
"""Several recipes are all checked, and what becomes of each is told in one place."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest
from junitparser import Error, JUnitXml

from adiabit.boards import catalog
from adiabit.flows import cli
from adiabit.flows.check import findings, results, several
from adiabit.flows.check.budget import Budget
from adiabit.flows.check.several import Outcome, fault, gather
from adiabit.flows.ladder import Rung, RungName
from adiabit.flows.report.figures import Figures

FAULT = "sh exited with 3; the end of log:\nfatal | error: <no> space"


def checked(out: Path, name: str, limit: float | None = None) -> Outcome:
    """The outcome of a recipe whose results are in `out`."""
    rung = Rung(name=RungName.TORCH, frames=10, equal=10, accuracy=0.9)
    figures = Figures(name=name, board=catalog.load("pynq-z2"), clock_mhz=100.0, date="", command="", rungs=(rung,))
    found = findings.check(figures, Budget(accuracy=limit))
    results.write(found, out / "check")
    (out / "report").mkdir()
    (out / "report" / several.REPORT).write_text(f"report of {name}")
    return Outcome(recipe=Path(f"{name}.toml"), name=name, out=out, passed=found.passed)


def test_the_results_of_all_are_in_one_folder(tmp_path: Path) -> None:
    place = tmp_path / "all" / "results"
    outcomes = [
        checked(tmp_path / "a", "a"),
        Outcome(recipe=Path("sub/b.toml"), name="b", out=tmp_path / "b", passed=False, fault=FAULT),
        checked(tmp_path / "c", "c", limit=0.95),
    ]
    assert [outcome.code for outcome in outcomes] == [0, 2, 1]
    gather(outcomes, place)
    assert json.loads((place / "failed.json").read_text()) == ["sub/b.toml", "c.toml"]
    assert (place / "failed.json").read_text().count("\n") == 1  # fits into an output of a step
    heads = [line for line in (place / "summary.md").read_text().splitlines() if line.startswith("## ")]
    assert heads == ["## a: passed", "## b: **no result**", "## c: **failed**"]
    assert "\n    fatal | error: <no> space\n" in (place / "summary.md").read_text()
    cases = {(c.classname, c.name): c.result for suite in JUnitXml.fromfile(str(place / "junit.xml")) for c in suite}
    ((error,),) = [result for key, result in cases.items() if key == ("b", "sub/b.toml")]
    assert isinstance(error, Error)
    assert error.message == FAULT
    assert bool(cases["c.budget", "Test accuracy"])
    assert cases["a.ladder", "torch"] == []
    assert sorted(p.name for p in (place / "a").iterdir()) == sorted([*results.FILES, several.REPORT])
    assert (place / "c" / several.REPORT).read_text() == "report of c"
    assert not (place / "b").exists()


def test_a_fault_leaves_nothing_of_an_earlier_check(tmp_path: Path) -> None:
    passed = checked(tmp_path / "a", "a")
    gather([passed], tmp_path / "results")
    gather([Outcome(recipe=passed.recipe, name="a", out=passed.out, passed=False, fault=FAULT)], tmp_path / "results")
    assert list((tmp_path / "results/a").iterdir()) == []


def test_no_recipe_is_told(tmp_path: Path) -> None:
    gather([], tmp_path)
    assert (tmp_path / "summary.md").read_text() == "No recipe was checked.\n"
    assert list(JUnitXml.fromfile(str(tmp_path / "junit.xml"))) == []
    assert (tmp_path / "failed.json").read_text() == "[]\n"


@pytest.mark.parametrize(
    ("code", "lines", "told"),
    [
        (2, ["warning\n", "adiabit: a: wrong\n"], "a: wrong"),
        (2, ["adiabit: a\n", "x\n", "adiabit: sh failed:\n", "\x1b[1mlast\x1b[0m\x00 line\n"],
         "sh failed:\n[1mlast[0m line"),
        (1, ["Traceback\n", *["  frame\n"] * 20, "ValueError: a\n"], "frame\n" + "  frame\n" * 10 + "ValueError: a"),
        (-signal.SIGKILL, ["epoch 1\n"], "ended by SIGKILL, as if out of memory"),
        (-signal.SIGSEGV, [], "ended by SIGSEGV"),
        (3, [], "exit code 3"),
    ],
)  # fmt: skip
def test_a_fault_is_what_a_process_told_last(code: int, lines: list[str], told: str) -> None:
    assert fault(code, lines) == told


@pytest.mark.parametrize("code", [1, 2])
def test_a_process_without_a_result_is_a_fault_whatever_was_there(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An earlier check has passed, and a bug ends with the exit code of a check that did not."""
    passed = checked(tmp_path / "a", "a")
    if code == 1:
        stub = "import sys; sys.exit('adiabit: no')"
    else:  # as where the disk is full behind check.json
        stub = f"import pathlib, sys; pathlib.Path({str(passed.out / 'check/check.json')!r}).touch(); sys.exit(2)"
    (tmp_path / "adiabit.py").write_text(stub)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = several.run(passed.recipe, "a", passed.out, ["a.toml"])
    assert outcome.fault == ("no" if code == 1 else "exit code 2")
    assert capsys.readouterr().err == ("adiabit: no\n" if code == 1 else "")


def test_one_recipe_at_fault_leaves_nothing_of_an_earlier_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checked(Path("build/a"), "a")
    Path("a.toml").write_text('onnx = "missing.onnx"\n')
    assert cli.main(["check", "a.toml"]) == 2
    assert capsys.readouterr().err.startswith("adiabit: missing.onnx: ")
    assert list(Path("build/a/check").iterdir()) == []


def test_one_that_is_at_fault_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.toml").write_text("x = 1\n")
    Path("b.toml").write_text('onnx = "missing.onnx"\n')
    assert cli.main(["check", "*.toml", "--results", "results", "--changed-since", ""]) == 2
    captured = capsys.readouterr()
    assert "no commit to compare with; all of 2 recipes are checked" in captured.out
    assert captured.out.splitlines()[-1] == "results/summary.md"
    assert re.findall(r"^adiabit: (.*?): ", captured.err, re.MULTILINE) == ["a.toml", "missing.onnx"]
    assert re.findall(r"^([ab]\.toml) +no result", captured.out, re.MULTILINE) == ["a.toml", "b.toml"]
    assert json.loads(Path("results/failed.json").read_text()) == ["a.toml", "b.toml"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out", "o"], "--out o: one folder for 2 recipes; omit it, or check one by one"),
        (["--checkpoint", "c"], "--checkpoint c: one folder for 2 recipes; omit it, or check one by one"),
        (["--set", "name='n'"], "b.toml: name = 'n': a.toml has it too, and they would share a folder; rename one"),
    ],
)
def test_what_several_cannot_share_is_refused(
    options: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(f"{name}.toml").write_text("")
    assert cli.main(["check", "a.toml", "b.toml", *options]) == 2
    assert capsys.readouterr().err == f"adiabit: {told}\n"


def test_results_that_cannot_be_written_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", "true")
    for name in ("a.toml", "file"):
        Path(name).write_text("")
    assert cli.main(["check", "a.toml", "--results", "file"]) == 2
    assert capsys.readouterr().err == "adiabit: file: cannot make this folder (File exists); use another --results\n"
