# SPDX-License-Identifier: Apache-2.0
"""What the command line prints where: quiet, verbose, as JSON, into closed pipes, without colours, to old terminals."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adiabit.boards import catalog
from adiabit.flows import cli
from adiabit.flows.cli.app import ORDER
from adiabit.flows.ladder import Rung, RungName, save_rungs
from adiabit.flows.pipeline import Pipeline

STAGES = ("train", "export", "compile", "emit", "simulate", "synthesize", "bitstream")
ADIABIT = [sys.executable, "-m", "adiabit"]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of which every stage is made, and leaves nothing."""
    monkeypatch.chdir(tmp_path)
    (stage := tmp_path / "stage").mkdir()

    def folder(self: Pipeline, stage_name: Any) -> Path:
        self.tell(f"{stage_name}: running")
        return stage

    monkeypatch.setattr(Pipeline, "folder", folder)
    monkeypatch.setattr(Pipeline, "folders", property(lambda _: dict.fromkeys(["compile"], stage)))
    path = tmp_path / "net.toml"
    path.write_text("[train]\nepochs = 1\n")
    return path


def differing(folder: Path) -> None:
    save_rungs(folder, [Rung(name=RungName.GOLDEN, frames=2, equal=1, difference="stage fc0, frame 1")])


@pytest.mark.parametrize("verb", [*STAGES, "run", "report", "check"])
def test_json_is_one_document_on_stdout(verb: str, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main([verb, str(recipe), "--json"])
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["verb"] == verb
    assert told["exit_code"] == code == (1 if verb == "check" else 0)  # a check in which no rung ran does not pass
    assert told["error"] is None
    assert told["result"]["name"] == "net"
    assert told["made"]
    assert "running" in captured.err or verb == "bitstream"
    assert cli.main([verb, str(recipe)]) == code
    assert capsys.readouterr().out.splitlines()[-1] == told["made"][-1]


@pytest.mark.parametrize(
    "arguments", [["boards"], ["doctor"], ["summary", "digits"], ["init", "demo"], ["clean", "."]], ids=lambda a: a[0]
)
def test_json_of_the_other_verbs(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = cli.main([*arguments, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["verb"], told["exit_code"]) == (arguments[0], code)
    if arguments == ["boards"]:
        assert [board["name"] for board in told["result"]] == catalog.names()
    if arguments == ["init", "demo"]:
        assert "demo/demo.toml" in told["made"]


def test_json_tells_a_fault_and_a_difference(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "nowhere.toml", "--json"]) == 2
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["exit_code"] == 2
    assert captured.err == f"adiabit: {told['error']}\n"
    differing(tmp_path / "stage")
    assert cli.main(["compile", str(recipe), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 1
    assert [rung["difference"] for rung in told["result"]["rungs"] if rung["name"] == "golden"] == [
        "stage fc0, frame 1"
    ]


def test_json_keeps_what_child_processes_print_from_stdout() -> None:
    """A program that the command starts, and a C library, write to the file descriptor of stdout."""
    code = (
        "import subprocess\nfrom adiabit.flows import cli\nfrom adiabit.flows.cli import output\n"
        "from adiabit.flows.cli.app import command\n"
        "@command('boards')\ndef noisy() -> None:\n    print('ours')\n    subprocess.run(['echo', 'child'])\n"
        "    output.give([float('nan')])\n"
        "cli.main(['boards', '--json'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["result"] == [None]
    assert {"ours", "child"} <= set(done.stderr.splitlines())


@pytest.mark.parametrize("option", ["--quiet", "-q"])
@pytest.mark.parametrize("verb", [*STAGES, "run"])
def test_quiet_prints_the_path_alone(verb: str, option: str, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([verb, str(recipe), option], [option, verb, str(recipe)]):
        assert cli.main(arguments) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        lines = captured.out.splitlines()
        assert [Path(line).exists() for line in lines] == [True] or verb == "bitstream"


def test_quiet_tells_a_difference_and_a_fault(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    differing(tmp_path / "stage")
    assert cli.main(["compile", str(recipe), "-q"]) == 1
    assert "stage fc0, frame 1" in capsys.readouterr().out
    assert cli.main(["compile", "nowhere.toml", "-q"]) == 2
    assert capsys.readouterr().err.startswith("adiabit: nowhere.toml: ")


def test_verbose_tells_on_stderr_why_a_stage_is_made_and_what_its_tools_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from adiabit.flows.store import Store
    from adiabit.flows.toolchain import run_tool

    def folder(self: Pipeline, _: Any) -> Path:
        def make(place: Path) -> None:
            run_tool(["echo", "a b"], cwd=place, log=place / "echo.log")

        key = {"fold": {"fps": self.recipe.compile.fold.fps}}
        return Store(tmp_path / "out", self.tell).stage("compile", key, make).folder

    monkeypatch.setattr(Pipeline, "folder", folder)
    (recipe := tmp_path / "net.toml").write_text("")
    for options, told in (
        (["--set", "compile.fold.fps=1"], "compile: not reused, because there is no folder of it"),
        (["--set", "compile.fold.fps=2"], "compile: not reused, because fold.fps changed from 1.0 to 2.0"),
    ):
        assert cli.main(["compile", str(recipe), "-v", *options]) == 0
        captured = capsys.readouterr()
        assert told in captured.err.splitlines()
        assert "$ echo 'a b'" in captured.err
        assert "echo.log" in captured.err
        assert "echo" not in captured.out
    assert cli.main(["compile", str(recipe), "-v", "--set", "compile.fold.fps=2"]) == 0
    assert capsys.readouterr().err == ""
    assert not logging.getLogger("adiabit").handlers
    assert cli.main(["compile", str(recipe), "--set", "compile.fold.fps=3"]) == 0
    assert capsys.readouterr().err == ""


def test_quiet_and_verbose_exclude_each_other(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-q", "run", str(recipe), "-v"]) == 2
    assert capsys.readouterr().err == "adiabit: --quiet and --verbose exclude each other; give one of them\n"


@pytest.mark.parametrize("verb", ORDER)
def test_every_verb_takes_them(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("--quiet", "--verbose", "--json"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fly"], "No such command 'fly'"),
        (["run", "digits", "--fly"], "No such option: --fly"),
        (["-x"], "No such option: -x"),
    ],
)
def test_unknown_words_are_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("arguments", [["boards"], ["boards", "--json"], ["--help"], ["doctor"]], ids=" ".join)
def test_a_closed_pipe_ends_a_command_in_silence(arguments: list[str]) -> None:
    """As in `adiabit boards | head -1`, but the reader has gone before the first line."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*ADIABIT, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert done.stderr == "" or "--json" in arguments  # everything else goes there


def on_a_terminal(arguments: list[str], **variables: str) -> str:
    """What a command prints on a terminal."""
    parent, child = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100", **variables}
    with subprocess.Popen([*ADIABIT, *arguments], stdout=child, stderr=child, stdin=child, env=environment) as process:
        os.close(child)
        parts = []
        try:
            while part := os.read(parent, 1 << 16):
                parts.append(part)
        except OSError:  # how Linux tells the end of a terminal
            pass
    os.close(parent)
    assert process.returncode in (0, 2)
    return b"".join(parts).decode()


def test_no_color() -> None:
    colour = re.compile(r"\x1b\[[\d;]*3[0-7]m")
    assert colour.search(on_a_terminal(["--help"]))
    assert not colour.search(on_a_terminal(["--help"], NO_COLOR="1"))
    assert "\x1b" not in on_a_terminal(["boards"], TERM="dumb")


def test_a_log_has_no_escapes() -> None:
    done = subprocess.run([*ADIABIT, "doctor"], capture_output=True, text=True, check=False)
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8_ends_no_command(encoding: str, tmp_path: Path) -> None:
    variables = {
        **os.environ,
        "PYTHONIOENCODING": encoding,
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
    }
    for arguments, code in ((["boards"], 0), (["summary", "digits"], 0), (["run", "größe.toml"], 2)):
        done = subprocess.run([*ADIABIT, *arguments], capture_output=True, env=variables, cwd=tmp_path, check=False)
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
