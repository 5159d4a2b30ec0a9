# SPDX-License-Identifier: Apache-2.0
"""The whole way: a recipe in, a ladder equal at every rung out; run again, everything is reused."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows import cli
from adiabit.flows.ladder import StageName
from adiabit.flows.simulate import cosim
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.storage import digest, load
from adiabit.train.anneal import Anneal
from adiabit.train.checkpoint import load_tensors

RECIPE = """
[model]
topology = "free"
widths = [24, 8, 16]
[train]
epochs = 3
[compile.fold]
fps = 1_000_000
"""
RAN = ("torch", "QONNX", "FINN graph", "golden", "HLS C simulation", "RTL simulation")


@pytest.fixture(autouse=True, scope="module")
def no_vitis() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosim, "tool", lambda: None)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, no_vitis: None) -> Path:
    """A folder with a recipe that has gone the whole way, of a name that systems allow and tools do not expect."""
    folder = tmp_path_factory.mktemp("run") / """it's a "test"; $x é"""
    folder.mkdir()
    (folder / "tiny.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["run", "tiny.toml", "--out", "out"]) == 0  # relative, as users write it
    return folder


def test_a_recipe_goes_the_whole_way(place: Path) -> None:
    report = json.loads((place / "out/report/report.json").read_text())
    rungs = {row["name"]: row for row in report["rungs"]}
    for name in RAN:
        assert rungs[name]["status"] == "equal", rungs[name]
        assert rungs[name]["frames"] == rungs[name]["equal"] >= 1000
        assert rungs[name]["accuracy"] == rungs["torch"]["accuracy"] > 0.3
    for name in set(rungs) - set(RAN):
        assert rungs[name]["status"] == "not run"


def test_run_again_every_stage_is_reused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(place / "tiny.toml"), "--out", str(place / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("report.html")
    assert [line.split(":")[0] for line in lines if ": reused" in line] == [
        s for s in StageName if s not in (StageName.COSIM, StageName.BITSTREAM, StageName.VERIFIED)
    ]


def test_a_checkpoint_is_not_trained_and_tells_of_its_training(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trained,) = (place / "out").glob("train-*")
    command = ["run", str(place / "tiny.toml"), "--out", str(place / "out"), "--checkpoint", str(trained)]
    assert cli.main(command) == 0
    assert "train:" not in capsys.readouterr().out
    report = json.loads((place / "out/report/report.json").read_text())
    assert report["training"]["hard_test"] == json.loads((trained / "metrics.json").read_text())["hard_test"]
    assert len(report["training"]["history"]["epoch"]) == 3


def test_what_a_board_found_is_the_last_rung(place: Path) -> None:
    (compiled,) = (place / "out").glob("compile-*")
    record = {"identity": digest(load(compiled)), "frames": 1034, "equal": 1034, "first": None, "measured": {}}
    (place / "board.json").write_text(json.dumps(record))
    command = ["report", str(place / "tiny.toml"), "--out", str(place / "out"), "--verified", str(place / "board.json")]
    assert cli.main(command) == 0
    assert last_rung(place)["status"] == "equal"
    (place / "board.json").write_text(json.dumps(record | {"equal": 1033, "first": 4}))
    assert cli.main(command) == 1
    assert last_rung(place)["difference"] == "frame 4: the board's result differs"


def verb(place: Path, name: str, *options: str) -> list[str]:
    """A command on a few frames of the network that `place` has trained."""
    (trained,) = (place / "out").glob("train-*")
    few = ["--out", str(place / "few"), "--checkpoint", str(trained), "--set", "export.frames=20"]
    return [name, str(place / "tiny.toml"), *few, *options]


def test_every_verb_ends_with_its_result(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {}
    for name in ("export", "compile", "simulate", "synthesize"):
        assert cli.main(verb(place, name)) == 0
        told[name] = capsys.readouterr().out
        assert str(place / "few" / f"{name}-") in told[name].splitlines()[-1]
    assert re.search(r"QONNX +equal +54 +54", told["export"])
    assert re.search(r"golden +equal +54 +54", told["compile"])
    assert "96 cycles a frame (the slowest stage's)" in told["compile"]
    assert re.search(r"LUT, .* \(estimate, xc7z020clg400-1\)", told["compile"])
    assert re.search(r"RTL simulation +equal +54 +54", told["simulate"])
    assert "96 cycles a frame (simulated), 1,041,667 frames a second at 100 MHz" in told["simulate"]
    assert re.search(r"LUT, .* \(Yosys, xc7z020clg400-1\)", told["synthesize"])


def test_a_check_holds_the_budget_and_the_baseline(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def check(*budget: str) -> int:
        sets = [word for line in budget for word in ("--set", f"budget.{line}")]
        return cli.main(verb(place, "check", *sets))

    assert check("cycles=96", "lut=5000") == 0
    assert check("cycles=95", "lut=5000") == 1
    assert re.search(r"Cycles a frame +96 +at most 95 +NO", capsys.readouterr().out)
    assert "**failed**" in (place / "few/check/summary.md").read_text()
    base = "baseline='base.json'"
    assert check(base) == 2
    assert "`adiabit check RECIPE --save` writes the baseline" in capsys.readouterr().err
    assert cli.main(verb(place, "check", "--set", f"budget.{base}", "--save")) == 0
    assert check(base) == 0
    saved = json.loads((place / "base.json").read_text())
    (place / "base.json").write_text(json.dumps(saved | {"quantities": saved["quantities"] | {"cycles": 94.0}}))
    assert check(base) == 1
    assert check(base, "worse={cycles=3, lut=0}") == 0


def test_a_rung_that_differs_is_exit_code_1_and_its_replay_shows_it(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emit = emit_rtl.emit

    def faulty(accelerator: Any, folder: Path) -> None:
        emit(accelerator, folder)
        for path in folder.glob("fc1_weights.mem"):
            path.write_text(path.read_text().translate(str.maketrans("0123456789abcdef", "fedcba9876543210")))

    monkeypatch.setattr(emit_rtl, "emit", faulty)
    command = verb(place, "simulate", "--set", "simulate.stall_frames=2")
    assert cli.main([*command, "--fresh"]) == 0  # RTL that was emitted before
    assert cli.main(verb(place, "emit", "--fresh")) == 0
    capsys.readouterr()
    assert cli.main(command) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "RTL simulation DIFFERS" in shown
    replay = re.search(r"replay: (adiabit simulate .*? --trace)", shown)
    assert replay is not None
    words = shlex.split(replay[1])
    assert words[1:3] == command[:2]
    assert words[3:-3] == command[2:]
    assert cli.main(words[1:]) == 1


def last_rung(place: Path) -> Any:
    return json.loads((place / "out/report/report.json").read_text())["rungs"][-1]


def test_measured_cycles_a_frame_are_the_fold_of_the_slowest_stage(place: Path) -> None:
    (simulation,) = (place / "out").glob("simulate-*/simulation.json")
    figures = json.loads(simulation.read_text())
    assert figures["cycles_per_frame"] == figures["cycles_per_frame_expected"]


def test_a_killed_run_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "kill.toml"
    recipe.write_text('[model]\ntopology = "free"\nwidths = [16]\n[train]\nepochs = 40\n')
    command = [sys.executable, "-m", "adiabit", "train", str(recipe), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not (saved := list(tmp_path.glob("out/.train-*.partial/last.ckpt"))):
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not list(tmp_path.glob("out/train-*"))
    done = load_tensors(saved[0])["callbacks"]["Anneal"]["history"]["epoch"]
    started = []
    measure = Anneal.on_train_epoch_end

    def counted(anneal: Anneal, trainer: Any, module: Any) -> None:
        started.append(trainer.current_epoch + 1)
        measure(anneal, trainer, module)

    monkeypatch.setattr(Anneal, "on_train_epoch_end", counted)
    assert cli.main(command[3:]) == 0
    (history,) = tmp_path.glob("out/train-*/history.json")
    assert json.loads(history.read_text())["epoch"] == done + started == list(range(1, 41))
