# SPDX-License-Identifier: Apache-2.0
"""A comparison is planned, trained, interrupted, resumed and told."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.compare import run as running
from adiabit.flows.compare.plan import Run, load_runs
from adiabit.flows.compare.table import Row, markdown, rows, words, write
from adiabit.flows.store import lock
from adiabit.train import loop
from adiabit.train.checkpoint import ModelCard, write_json
from adiabit.train.methods import METHODS
from adiabit.train.methods.adiabatic import Adiabatic

RECIPES = Path(__file__).parents[2] / "recipes"
NETWORK = """
[model]
topology = "free"
widths = [12]
[train]
epochs = 2
batch_size = 400
threads = 1
learning_rate = 0.02
[train.method.schedule]
noise = 0.5
"""
COMPARISON = """
networks = ["tiny.toml"]
seeds = [0, 1]
[methods.ste]
[methods.adiabatic]
[methods.bwn]
learning_rate = 0.005
[methods.drawn]
method = { name = "binaryconnect", stochastic = true }
"""


def finish(run: Run, out: Path, accuracies: Sequence[float], **changes: Any) -> Path:
    """What a training leaves, of these hard validation accuracies; `changes` in metrics.json."""
    folder = running.folder_of(run, out)
    folder.mkdir(parents=True, exist_ok=True)
    best = max(accuracies)
    metrics = {"hard_test": best, "soft_test": best, "hard_validation": best, "epochs": len(accuracies), "seconds": 3.0}
    write_json(folder / "history.json", {"hard_accuracy": list(accuracies)})
    write_json(folder / "metrics.json", metrics | changes)
    recipe = run.recipe
    card = ModelCard(model=recipe.model, method=recipe.train.method, hard=True)
    (folder / "model.json").write_text(card.model_dump_json())
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(NETWORK)
    (tmp_path / "some.toml").write_text(COMPARISON)
    return tmp_path / "some.toml"


def test_methods_get_their_own_rates_and_the_recipes_budget(file: Path) -> None:
    runs = load_runs(file, sets=["train.epochs=5"])
    assert [(r.seed, r.label) for r in runs[:5]] == [
        (0, "ste"), (0, "adiabatic"), (0, "bwn"), (0, "drawn"), (1, "ste"),
    ]  # fmt: skip
    trains = {r.label: r.recipe.train for r in runs if r.seed == 1}
    assert {t.epochs for t in trains.values()} == {5}
    assert {t.seed for t in trains.values()} == {1}
    assert {label: t.learning_rate for label, t in trains.items()} == {
        "ste": 0.01, "adiabatic": 0.02, "bwn": 0.005, "drawn": 0.001,
    }  # fmt: skip
    assert {label: t.weight_decay for label, t in trains.items()} == {"ste": 1, "adiabatic": 1, "bwn": 0, "drawn": 0}
    own: Any = trains["adiabatic"].method
    assert own.schedule.noise == 0.5
    drawn: Any = trains["drawn"].method
    assert (drawn.name, drawn.stochastic) == ("binaryconnect", True)


@pytest.mark.parametrize("name", ["digits", "mnist", "sfc", "spoken_digits"])
def test_a_comparison_of_methods_has_every_method(name: str) -> None:
    runs = load_runs(RECIPES / f"compare_{name}.toml")
    assert {run.recipe.train.method.name for run in runs} == set(METHODS.names)
    assert {run.seed for run in runs} == {0, 1, 2}


def test_the_comparison_of_schedules_has_every_schedule() -> None:
    runs = load_runs(RECIPES / "compare_anneal.toml")
    methods = [run.recipe.train.method for run in runs]
    assert {m.schedule.kind for m in methods if isinstance(m, Adiabatic)} == {"budget", "target", "patience"}
    assert {run.seed for run in runs} == {0, 1, 2}


def test_other_settings_have_another_folder_and_a_place_of_the_data_has_not(file: Path, tmp_path: Path) -> None:
    one, other = load_runs(file)[0], load_runs(file, sets=["train.epochs=3"])[0]
    assert running.folder_of(one, tmp_path) != running.folder_of(other, tmp_path)
    moved = load_runs(file, data=tmp_path)[0]
    assert running.folder_of(moved, tmp_path) == running.folder_of(one, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("networks = []\n[methods.ste]", "networks = []: tuple should have at least 1 item"),
        ('networks = ["tiny.toml"]\n', "methods: field required"),
        (COMPARISON + "[methods.stee]\n", "[methods.'stee']: method = {'name': 'stee'}: input tag 'stee' found"),
        (COMPARISON + "[methods.bop]\nepoch = 3\n", "[methods.'bop']: epoch = 3: extra inputs are not permitted"),
        (COMPARISON + "[methods", "not TOML"),
        (f"seeds = [{'9' * 5000}]", "not TOML: Exceeds the limit (4300 digits)"),
        (f"seeds = {'[' * 300}{']' * 300}", "tables or lists are nested more than 16 levels deep"),
    ],
)
def test_what_cannot_be_compared_is_told(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_runs(file)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("missing", "No such file or directory"),
        ("folder", "a folder, not a file"),
        ("fifo", "a pipe or a device, not a file"),
        ("binary", "not text (invalid start byte at byte 0)"),
        ("deep", "not TOML: nested too deeply"),
    ],
)
def test_what_is_no_comparison_is_told(kind: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "binary":
            path.write_bytes(b"\xff\0")
        case "deep":
            path.write_text("a = " + "[" * 100_000)
    with pytest.raises(UserError) as caught:
        load_runs(path)
    assert str(caught.value).startswith(f"{path}: {told}")
    assert "compare_digits" in str(caught.value)


@pytest.mark.parametrize("network", ["net.onnx", "net.toml"])
def test_a_network_that_is_trained_already_is_refused(file: Path, network: str) -> None:
    (file.parent / "net.toml").write_text('onnx = "net.onnx"\n')
    file.write_text(COMPARISON.replace("tiny.toml", network))
    with pytest.raises(UserError) as caught:
        load_runs(file)
    assert str(caught.value) == (
        f"{file}: networks: {network}: a QONNX model, which is already trained; name a recipe with a [model]"
    )


def test_two_compares_in_one_folder_are_refused(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out := tmp_path / "out").mkdir()
    with lock(out / running.LOCK):
        assert cli.main(["compare", str(file), "--out", str(out)]) == 2
        assert capsys.readouterr().err == (
            f"adiabit: {out}: in use by another adiabit run; wait for it or use another --out\n"
        )
        assert cli.main(["compare", str(file), "--out", str(out), "--report"]) == 0


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_in_a_trainings_place_is_told_before_anything_is_trained(
    file: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, out = load_runs(file), tmp_path / "out"
    out.mkdir()
    place = running.folder_of(runs[-1], out)
    place.write_text("") if kind == "file" else place.symlink_to("gone")
    monkeypatch.setattr(running, "_train", lambda *_: pytest.fail("trained"))
    with pytest.raises(
        UserError, match=f"^{re.escape(str(place))}: not the folder of a stage; delete it and run again$"
    ):
        running.train(runs, out, print, lambda: None)


def test_a_seed_that_is_given_twice_is_trained_once(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(COMPARISON.replace("[0, 1]", "[3, 3]"))
    trained: list[str] = []
    monkeypatch.setattr(running, "_train", lambda run, _: trained.append(run.label))
    running.train(load_runs(file), tmp_path / "out", lambda _: None, lambda: None)
    assert trained == ["ste", "adiabatic", "bwn", "drawn"]


def test_an_output_folder_that_is_a_file_is_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ([], ["--report"]):
        assert cli.main(["compare", str(file), "--out", str(tmp_path / "tiny.toml"), *option]) == 2
        assert "tiny.toml: cannot make this folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("metrics.json", None, "No such file or directory"),
        ("metrics.json", "", "damaged (invalid JSON: EOF while parsing"),
        ("metrics.json", "[]", "damaged (input should be an object)"),
        ("metrics.json", '{"hard_test": 0.5}', "damaged (soft_test: field required)"),
        ("metrics.json", {"hard_test": 1.5}, "damaged (hard_test: input should be less than or equal to 1)"),
        ("metrics.json", {"soft_test": float("nan")}, "damaged (soft_test: input should be "),
        ("metrics.json", {"epochs": 0}, "damaged (epochs: input should be greater than"),
        ("metrics.json", {"seconds": "long"}, "damaged (seconds: input should be a valid number"),
        ("history.json", "{}", "damaged (hard_accuracy: field required)"),
        ("history.json", '{"hard_accuracy": []}', "damaged (hard_accuracy: tuple should have at least 1 item"),
        ("history.json", '{"hard_accuracy": ["x"]}', "damaged (hard_accuracy.0: input should be a valid number"),
        ("history.json", '{"hard_accuracy": ' + "[" * 9999, "damaged (invalid JSON: recursion limit exceeded"),
        ("model.json", "", "damaged (invalid JSON: EOF while parsing"),
        ("model.json", "{}", "damaged (model: field required)"),
    ],
)
def test_a_damaged_training_is_named(file: Path, tmp_path: Path, name: str, content: Any, told: str) -> None:
    runs, out = load_runs(file), tmp_path / "out"
    folder = finish(runs[1], out, [0.5, 0.9])
    path = folder / name
    if content is None:
        path.unlink()
    elif isinstance(content, dict):
        path.write_text(json.dumps(json.loads(path.read_text()) | content))
    else:
        path.write_text(content)
    for attempt in (lambda: rows(runs, out), lambda: running.train(runs, out, print, lambda: None)):
        with pytest.raises(UserError) as caught:
            attempt()
        assert str(caught.value).startswith(f"{path}: {told}")
        assert str(caught.value).endswith(f"; delete the folder {folder} to train again")


def test_accuracies_that_are_not_numbers_leave_gaps(file: Path, tmp_path: Path) -> None:
    runs, nan = [run for run in load_runs(file) if run.seed == 0], float("nan")
    for run, accuracies in zip(runs, ([0.5, nan, 0.9], [nan, nan], [0.7]), strict=False):
        write_json(finish(run, tmp_path / "out", [0.9]) / "history.json", {"hard_accuracy": accuracies})
    write(runs, tmp_path / "out", "some", "adiabit compare")
    assert [row.nearly for row in rows(runs, tmp_path / "out")] == [3, None, 1, None]
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<figure>") == 2
    assert "nan" not in page
    json.loads((tmp_path / "out" / "compare.json").read_text(), parse_constant=pytest.fail)


def test_a_comparison_that_is_interrupted_goes_on(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, fit, done = tmp_path / "out", loop.fit, list[str]()

    def some(data: Any, model: Any, train: Any, folder: Path, **rest: Any) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(folder.name)
        fit(data, model, train, folder, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", some)
        assert cli.main(["compare", str(file), "--out", str(out)]) == 130
    assert len(done) == 3
    assert cli.main(["compare", str(file), "--out", str(out), "--report"]) == 0
    with (out / "compare.csv").open() as source:
        assert [row["seeds"] for row in csv.DictReader(source)] == ["1", "1", "1", "0"]
    capsys.readouterr()
    assert cli.main(["compare", str(file), "--out", str(out), "--jobs", "2"]) == 0
    told = capsys.readouterr().out
    assert "5/5  tiny, " in told
    found = json.loads((out / "compare.json").read_text())
    assert [(row["method"], row["seeds"], row["why_not"]) for row in found] == [
        ("ste", 2, ""), ("adiabatic", 2, ""), ("bwn", 2, "its activations are real"),
        ("drawn", 2, "its activations are real"),
    ]  # fmt: skip
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in sorted(out.glob("tiny-ste-?-*"))]
    assert found[0]["hard"] == pytest.approx(sum(m["hard_test"] for m in metrics) / 2)
    assert found[0]["hard_spread"] == pytest.approx(abs(metrics[0]["hard_test"] - metrics[1]["hard_test"]) / 2**0.5)
    assert found[0]["cost"] == 1
    page = (out / "compare.html").read_text()
    assert page.count("<figure>") == 4
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_workers_end_with_a_killed_parent(file: Path, tmp_path: Path) -> None:
    file.write_text(COMPARISON.replace("[methods.ste]", "[train]\nepochs = 100000\n[methods.ste]"))
    command = [sys.executable, "-m", "adiabit", "compare", str(file), "--out", str(tmp_path / "out"), "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(list((tmp_path / "out").glob(".tiny-*/last.ckpt"))) < 2:
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child.pid for child in children if "_train" in child.name()]  # as Ray names them
        assert len(workers) == 2
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.05)


def test_rows_are_worded() -> None:
    row = Row(network="n", method="m", seeds=2, of=3, epochs=60, hard=0.95123, hard_spread=0.0021,
              hard_half=0.004, soft=0.96, validation=0.94, nearly=7.5, seconds=2.0, cost=1.25)  # fmt: skip
    assert words(row) == ("m", "95.12 ± 0.21", "± 0.40", "96.00", "94.00", "2 of 3", "60", "7.5", "1.25", "yes")
    nothing = Row(network="n", method="m", seeds=0, of=3, why_not="it is slow")
    assert words(nothing) == ("m", "—", "—", "—", "—", "0 of 3", "—", "—", "—", "no: it is slow")
    assert "| m | 95.12 ± 0.21 |" in markdown([row])


def test_the_charts_of_a_network_have_the_same_axes(file: Path, tmp_path: Path) -> None:
    runs = [run for run in load_runs(file) if run.seed == 0]
    for run, accuracies in zip(runs, ([0.9, 0.95], [0.52, 0.6, 0.7], [0.96, 0.97]), strict=False):
        finish(run, tmp_path / "out", accuracies)
    write(runs, tmp_path / "out", "some", "adiabit compare")
    figures = (tmp_path / "out" / "compare.html").read_text().split("<figure>")[1:]
    ticks = [re.findall(r'class="tick"[^>]*>([^<]*)<', figure) for figure in figures]
    assert ticks == [["50%", "60%", "70%", "80%", "90%", "100%", "1", "2", "3"]] * 3


def test_nothing_trained_is_told_as_nothing(file: Path, tmp_path: Path) -> None:
    runs: list[Run] = load_runs(file)
    assert [row.hard for row in rows(runs, tmp_path)] == [None] * 4
