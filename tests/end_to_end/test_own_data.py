# SPDX-License-Identifier: Apache-2.0
"""A user's own data, from a recipe of under 15 lines to an equal ladder and a board project with class names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.boards.pynq.adiabit_driver.files import load_description
from adiabit.flows import cli
from adiabit.train.data import DATASETS
from tests.train.own_files import ODD, bars, shapes, table, tones

IMAGES = """
[data]
dataset = "images"
dir = "shapes"
size = [12, 14]
[model]
topology = "free"
layers = [{ conv = 12, pool = 2 }, { dense = 32 }]
[train]
epochs = 20
batch_size = 32
[export]
frames = 20
"""
AUDIO = """
[data]
dataset = "audio"
dir = "words"
rate = 8000
seconds = 0.4
steps = 16
bands = 12
[model]
topology = "free"
widths = [8]
[train]
epochs = 15
batch_size = 16
[export]
frames = 20
"""
CSV = """
[data]
dataset = "csv"
dir = "."
[model]
topology = "free"
widths = [12]
[train]
epochs = 30
batch_size = 32
[export]
frames = 20
"""
ARRAYS = """
[data]
dataset = "arrays"
dir = "arrays"
[model]
topology = "free"
widths = [16]
[train]
epochs = 30
batch_size = 32
[export]
frames = 20
"""
FUNCTION = """
[data]
dataset = "my_data.py:load"
arguments = { count = 400 }
[model]
topology = "free"
widths = [16]
[train]
epochs = 20
batch_size = 32
[export]
frames = 20
"""
LOADER = """
import helper
def load(count):
    return helper.bars(count), helper.bars(60, seed=1), ["row", "column"]
"""


def write(folder: Path, kind: str) -> None:
    """The files of a data set."""
    if kind == "images":
        shapes(folder / "shapes", 100)
    elif kind == "audio":
        tones(folder / "words", 30, ("low", "high"))
    elif kind == "csv":
        table(folder / "wines.csv", 300, ODD)
    elif kind == "arrays":
        (folder / "arrays").mkdir()
        (x, y), (u, v) = bars(400), bars(100, seed=1)
        np.savez(folder / "arrays/bars.npz", x_train=x, y_train=y, x_test=u, y_test=v)
    else:
        (folder / "my_data.py").write_text(LOADER)
        (folder / "helper.py").write_text("from tests.train.own_files import bars\n")


@pytest.mark.parametrize(
    ("kind", "recipe", "names", "least"),
    [
        ("images", IMAGES, sorted(ODD), 0.8),
        pytest.param("audio", AUDIO, ["high", "low"], 0.9, marks=pytest.mark.full),
        ("csv", CSV, sorted(ODD), 0.9),
        pytest.param("arrays", ARRAYS, ["0", "1"], 0.8, marks=pytest.mark.full),
        pytest.param("function", FUNCTION, ["row", "column"], 0.8, marks=pytest.mark.full),
    ],
    ids=["images", "audio", "csv", "arrays", "function"],
)
def test_own_data_goes_the_whole_way(
    kind: str, recipe: str, names: list[str], least: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, kind)
    path, out = tmp_path / "own.toml", tmp_path / "out"
    assert recipe.strip().count("\n") < 15
    path.write_text(recipe)
    words = [str(path), "--out", str(out), "--set", "compile.fold.fps=20000", "--set", "train.threads=1"]
    assert cli.main(["run", *words]) == 0
    report = json.loads((out / "report/report.json").read_text())
    assert report["exact"]
    assert report["training"]["hard_test"] > least
    assert report["classes"] == names
    assert {rung["name"] for rung in report["rungs"] if rung["status"] == "equal"} >= {
        "torch",
        "golden",
        "RTL simulation",
    }
    page = (out / "report/report.html").read_text()
    assert "<b>Kreis" not in page
    if kind in ("images", "csv"):
        assert "&lt;b&gt;Kreis &amp; Co." in page
        assert "正方形" in page
    assert cli.main(["bitstream", *words, "--board", "pynq-z2"]) == 0
    (project,) = out.glob("bitstream-*")
    described = json.loads((project / "own.json").read_text())
    assert described["output"]["names"] == names
    _, given, taken = load_description(project / "own.json", ("identity",))
    assert taken.named(np.array([1, 0])).tolist() == [names[1], names[0]]
    assert (given.encoding is not None) == (kind == "csv")
    capsys.readouterr()
    assert cli.main(["train", *words]) == 0
    assert "train: reused" in capsys.readouterr().out
    if kind == "csv":
        the_driver_encodes_as_the_training_did(tmp_path, given, project)


def the_driver_encodes_as_the_training_did(folder: Path, given: Any, project: Path) -> None:
    lines = (folder / "wines.csv").read_text().splitlines()[1:]
    rows = np.array([[float(cell) for cell in line.rsplit(",", 1)[0].split(",")[:13]] for line in lines])
    config = DATASETS.validate({"dataset": "csv", "dir": folder})
    train, *_, test = config.splits()
    codes = given.encode(rows)
    assert np.array_equal(codes[test.rows], test.frames)
    assert np.array_equal(codes[train.rows], train.frames)
    with np.load(project / "vectors.npz") as saved:
        assert np.array_equal(saved["frames"][:20], test.spread(20).frames)
