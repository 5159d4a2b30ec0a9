# SPDX-License-Identifier: Apache-2.0
"""Checkpoints, data and stage folders with damaged files: a correct run, or one line and exit code 2."""

from __future__ import annotations

import functools
import gzip
import random
import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.ladder import load_rungs
from adiabit.hw import storage
from adiabit.train import data
from adiabit.train.checkpoint import ModelCard, load_model, save_model
from adiabit.train.data import DATASETS, cifar, imagenet, mnist
from adiabit.train.methods.ste import Ste
from adiabit.train.network import Network
from adiabit.train.topology import ModelConfig
from tests.fuzz.damage import damaged
from tests.train.own_files import bars, shapes, table, tones


def rounds(quick: int, full: int, seed: int) -> Any:
    """So many seeds in the ordinary run, and others in the long one."""
    seeds = [
        *range(seed, seed + quick),
        *(pytest.param(s, marks=pytest.mark.full) for s in range(seed + quick, seed + full)),
    ]
    return pytest.mark.parametrize("seed", seeds)


def spoil(folder: Path, seed: int, pattern: str = "*") -> str:
    """Damage one of the folder's files, or put something else in its place; what was done."""
    rng = random.Random(seed)  # noqa: S311  # no secret
    path = rng.choice(sorted(p for p in folder.rglob(pattern) if p.is_file()))
    what = rng.choice(("bytes", "bytes", "bytes", "bytes", "missing", "folder", "dangling"))
    content = path.read_bytes()
    if what == "bytes":
        what, content = damaged(rng, content)
        path.write_bytes(content)
        return f"{path.name}: {what}"
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "dangling":
        path.symlink_to("gone")
    return f"{path.name}: {what}"


def told(error: UserError, folder: Path, what: str) -> None:
    text = str(error)
    assert "\n" not in text, what
    assert str(folder) in text, (what, text)


@rounds(12, 100, 0)
def test_checkpoints(seed: int, tmp_path: Path) -> None:
    model = ModelConfig(topology="free", widths=(6, 4))
    net = Network(model, "ste", frame=(9,), classes=3)
    save_model(tmp_path, net, ModelCard(model=model, frame=(9,), classes=3, method=Ste(), hard=True))
    what = spoil(tmp_path, seed)
    try:
        loaded = load_model(tmp_path)
    except UserError as error:
        told(error, tmp_path, what)
    else:
        assert {k: v.shape for k, v in loaded.state_dict().items()} == {k: v.shape for k, v in net.state_dict().items()}


def _idx(folder: Path, rng: np.random.Generator) -> None:
    for name in mnist.MNIST_FILES:
        count = 40 if name.startswith("train") else 20
        images = "images" in name
        head = np.array([0x803, count, 28, 28] if images else [0x801, count], ">i4").tobytes()
        body = rng.integers(0, 256, count * 784, np.uint8) if images else np.arange(count, dtype=np.uint8) % 10
        content = head + body.tobytes()
        packed = name.startswith("t10k")
        (folder / f"{name}{'.gz' * packed}").write_bytes(gzip.compress(content) if packed else content)


def _cifar(folder: Path, rng: np.random.Generator, version: cifar.Binary = cifar.CIFAR10) -> None:
    for name in version.files:
        records = rng.integers(0, 256, (40, version.record), np.uint8)
        records[:, : len(version.labels)] = np.arange(40)[:, None] % 10
        (folder / name).write_bytes(records.tobytes())


def _pets(folder: Path, rng: np.random.Generator) -> None:
    for name in ("Cat", "Dog"):
        (folder / name).mkdir()
        for number in range(12):
            picture = Image.fromarray(rng.integers(0, 256, (9, 8, 3), np.uint8))
            picture.save(folder / name / f"{number}.{'png' if number % 2 else 'jpg'}")


def _imagenet(folder: Path, rng: np.random.Generator) -> None:
    for split in ("train", "val"):
        for name in ("n01440764", "n02105855"):
            (folder / split / name).mkdir(parents=True)
            for number in range(6):
                picture = Image.fromarray(rng.integers(0, 256, (19, 28, 3), np.uint8))
                picture.save(folder / split / name / f"{number}.JPEG", "JPEG")


def _speech(folder: Path, rng: np.random.Generator) -> None:
    for digit in range(3):
        for index in range(10):
            with wave.open(str(folder / f"{digit}_jackson_{index}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(rng.integers(-9999, 9999, 900, np.int16).tobytes())


def _images(folder: Path, rng: np.random.Generator) -> None:
    shapes(folder, 8, ("a", "b"), seed=int(rng.integers(99)))


def _audio(folder: Path, rng: np.random.Generator) -> None:
    tones(folder, 8, ("a", "b"), seed=int(rng.integers(99)))


def _csv(folder: Path, rng: np.random.Generator) -> None:
    table(folder / "a.csv", 40, ("a", "b"), features=3, seed=int(rng.integers(99)))


def _arrays(folder: Path, rng: np.random.Generator) -> None:
    frames, labels = bars(40, seed=int(rng.integers(99)))
    np.savez(folder / "a.npz", x=frames, y=labels)


def _npy(folder: Path, rng: np.random.Generator) -> None:
    frames, labels = bars(40, seed=int(rng.integers(99)))
    np.save(folder / "x.npy", frames)
    np.save(folder / "y.npy", labels)


WRITERS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "mnist": _idx,
    "cifar10": _cifar,
    "cifar100": functools.partial(_cifar, version=cifar.CIFAR100),
    "catdog": _pets,
    "imagenet": _imagenet,
    "spoken-digits": _speech,
    "images": _images,
    "audio": _audio,
    "csv": _csv,
    "arrays": _arrays,
    "arrays, files": _npy,
}
KEYS: dict[str, dict[str, Any]] = {
    "imagenet": {"size": 8, "classes": 2},
    "audio": {"rate": 8000, "steps": 8, "bands": 8},
}


@rounds(22, 220, 1000)
def test_data(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    name = sorted(WRITERS)[seed % len(WRITERS)]
    monkeypatch.setattr(imagenet, "CACHE", tmp_path / "cache")
    (folder := tmp_path / "data").mkdir()
    WRITERS[name](folder, np.random.default_rng(seed))
    config = DATASETS.validate(
        {"dataset": name.partition(",")[0], "dir": folder, "validation": 0.3, **KEYS.get(name, {})}
    )
    whole = data.load(config)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    what = spoil(folder, seed)
    try:
        data.digest(config)
        loaded = data.load(config)
    except UserError as error:
        told(error, folder, what)
        return
    left_out = capsys.readouterr().err.count("left out")
    fewer = left_out or "missing" in what or "grow" in what or "folder" in what  # a folder among files holds none
    for part in ("train", "validation", "test"):
        assert getattr(loaded, part).frames.shape[1:] == getattr(whole, part).frames.shape[1:], what
    counts = [len(d.train) + len(d.validation) + len(d.test) for d in (whole, loaded)]  # other labels, other shares
    assert fewer or counts[0] == counts[1], what


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was trained, exported and compiled."""
    place = tmp_path_factory.mktemp("finished")
    (place / "n.toml").write_text(
        '[model]\ntopology = "free"\nwidths = [8]\n[train]\nepochs = 1\nthreads = 1\n[export]\nframes = 20\n'
        "[compile.fold]\nfps = 1_000_000\n"
    )
    assert run(place) == 0
    return place


def run(place: Path) -> int:
    return cli.main(["emit", str(place / "n.toml"), "--out", str(place / "out")])


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(finished, tmp_path / "place", symlinks=True)
    yield tmp_path / "place"
    shutil.rmtree(tmp_path)


@rounds(6, 60, 2000)
def test_stage_folders(seed: int, finished: Path, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was damaged is made anew, and what comes of it is what it was."""
    what = spoil(copied / "out", seed, "*-*/*")
    capsys.readouterr()
    code = run(copied)
    captured = capsys.readouterr()
    if code == 2:
        assert captured.err.count("\n") == 1, what
        return
    assert code == 0, what
    made = [line for line in captured.out.splitlines() if "set aside" in line]
    assert len(made) <= 1, what
    assert storage.load(copied / "out/compile") == storage.load(finished / "out/compile"), what
    assert [r.status for r in load_rungs(copied / "out/compile")] == ["equal"] * 2
