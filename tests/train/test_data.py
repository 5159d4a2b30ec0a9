# SPDX-License-Identifier: Apache-2.0
"""Loaders, on the embedded digits and on small idx files that the tests write."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import struct
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.train import data
from adiabit.train.data import DATASETS
from adiabit.train.data import mnist as idx_files
from adiabit.train.data.mnist import Digits, Mnist


def idx(array: np.ndarray[Any, Any]) -> bytes:
    return struct.pack(f">{1 + array.ndim}i", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, *, train: int = 40, test: int = 20, zipped: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, count in (("train", train), ("t10k", test)):
        arrays[f"{name}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{name}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    for name, array in arrays.items():
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return arrays


def mnist(folder: Path | None) -> data.Dataset:
    return data.load(Mnist(dir=folder, validation=0.25))


def test_digits_are_embedded_stratified_and_fixed() -> None:
    dataset = data.load(Digits())
    assert [len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)] == [3600, 400, 1000]
    assert all(np.ptp(np.bincount(s.labels)) == 0 for s in (dataset.train, dataset.validation, dataset.test))
    assert dataset.test.frames.dtype == np.uint8
    assert dataset.test.frames.shape == (1000, 784)
    assert len(set(dataset.test.labels[:30].tolist())) > 5  # mixed
    everything = np.concatenate([dataset.train.frames, dataset.validation.frames, dataset.test.frames])
    assert len(np.unique(everything, axis=0)) == 5000  # no frame in two splits
    other = data.load(Digits(seed=1))
    assert np.array_equal(other.test.frames, dataset.test.frames)
    assert not np.array_equal(other.validation.frames, dataset.validation.frames)


@pytest.mark.parametrize("layout", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_in_every_layout(tmp_path: Path, layout: str, zipped: bool) -> None:
    arrays = write(tmp_path / layout, zipped=zipped)
    dataset = mnist(tmp_path)
    assert np.array_equal(dataset.test.frames, arrays["t10k-images-idx3-ubyte"].reshape(20, 784))
    assert np.array_equal(dataset.test.labels, arrays["t10k-labels-idx1-ubyte"])
    assert [len(dataset.train.labels), len(dataset.validation.labels)] == [30, 10]
    assert np.bincount(dataset.validation.labels).tolist() == [1] * 10


def test_the_environment_names_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.setenv("ADIABIT_DATA", str(tmp_path))
    assert len(mnist(None).test.labels) == 20


def test_the_digest_tells_contents_not_places(tmp_path: Path) -> None:
    write(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "mnist")
    write(tmp_path / "c", test=19)
    a, b, c = (data.digest(Mnist(dir=tmp_path / x, validation=0.25)) for x in "abc")
    assert a == b != c


def damage(folder: Path, name: str, content: bytes) -> str:
    write(folder, zipped=False)
    (folder / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        mnist(folder)
    return str(caught.value)


LABELS, IMAGES = "t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    assert damage(tmp_path, LABELS, idx(np.zeros(20, np.uint8))[:-1]) == (
        f"{tmp_path}/{LABELS}: announces 20 bytes but holds 19; delete it and fetch {idx_files.MNIST_URL} again"
    )
    assert "starts with 0000; an idx file of 1 axes starts with 00000801" in damage(tmp_path, LABELS, b"\0\0")


def test_a_truncated_archive_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    whole = (tmp_path / f"{IMAGES}.gz").read_bytes()
    for content in (whole[:-100], b"not gzip", whole[:40] + b"\xff\xff\xff" + whole[43:]):
        (tmp_path / f"{IMAGES}.gz").write_bytes(content)
        with pytest.raises(UserError, match=rf"{IMAGES}.gz: cannot be unpacked .*delete it"):
            mnist(tmp_path)


@pytest.mark.parametrize("shape", [(-1, 28, 28), (2**31 - 1, 2**31 - 1, 2**31 - 1), (2**30, 28, 28)])
def test_a_head_that_announces_what_cannot_be_is_told(tmp_path: Path, shape: tuple[int, ...]) -> None:
    message = damage(tmp_path, IMAGES, struct.pack(">4i", 0x803, *shape) + bytes(100))
    assert f"announces {' x '.join(map(str, shape))} bytes; must be 0 to 1,073,741,824; delete it" in message


def test_no_more_is_unpacked_than_was_announced(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / f"{LABELS}.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(20, np.uint8)) + bytes(200 << 20)))
    tracemalloc.start()
    with pytest.raises(UserError, match=rf"{LABELS}.gz: announces 20 bytes but holds more; delete it"):
        mnist(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (lambda _: None, "No such file or directory"),
        (lambda path: path.write_bytes(b""), "Not a directory"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (os.mkfifo, "Not a directory"),
    ],
    ids=["nothing", "file", "dangling", "loop", "pipe"],
)
@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "cifar100", "catdog", "imagenet", "spoken-digits"])
def test_a_folder_that_is_none_is_told(
    tmp_path: Path, dataset: str, put: Callable[[Path], object], reason: str
) -> None:
    put(folder := tmp_path / "data")
    for use in (data.load, data.digest):
        with pytest.raises(UserError) as caught:
            use(DATASETS.validate({"dataset": dataset, "dir": folder}))
        assert str(caught.value) == (
            f"{folder}: {reason}; name a readable folder that holds the data set by --data or ADIABIT_DATA"
        )


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_idx_file_is_missing(tmp_path: Path, put: Callable[[Path], object]) -> None:
    write(tmp_path)
    (tmp_path / f"{LABELS}.gz").unlink()
    put(tmp_path / f"{LABELS}.gz")
    with pytest.raises(UserError, match=rf": no {LABELS}\[.gz\] in it"):
        mnist(tmp_path)


def test_a_foreign_magic_is_told(tmp_path: Path) -> None:
    message = damage(tmp_path, IMAGES, idx(np.zeros(20, np.uint8)))
    assert "starts with 00000801; an idx file of 3 axes starts with 00000803" in message


def test_images_and_labels_must_fit(tmp_path: Path) -> None:
    assert "20 images but 19 labels" in damage(tmp_path, LABELS, idx(np.zeros(19, np.uint8)))
    assert "a label is 10; labels are 0 to 9" in damage(tmp_path, LABELS, idx(np.full(20, 10, np.uint8)))
    assert "images are (8, 8); MNIST's are (28, 28)" in damage(tmp_path, IMAGES, idx(np.zeros((20, 8, 8), np.uint8)))


def test_a_missing_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / f"{LABELS}.gz").unlink()
    with pytest.raises(UserError) as caught:
        mnist(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no {LABELS}[.gz] in it, its mnist/ or its MNIST/raw/; MNIST is four idx files; "
        f"download {idx_files.MNIST_URL}{LABELS}.gz, or name no folder to let adiabit download"
    )


def test_a_split_must_not_be_empty(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(UserError, match=r"validation = 0.01 of 40 frames leaves a split empty; choose another share"):
        data.load(Mnist(dir=tmp_path, validation=0.01))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A stand-in for the network: serves what the test puts in; the cache is empty."""
    served: dict[str, bytes] = {}

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        name = url.removeprefix(idx_files.MNIST_URL)
        if name not in served:
            raise urllib.error.URLError("no network")
        return io.BytesIO(served[name])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(idx_files, "CACHE", tmp_path / "cache")
    monkeypatch.delenv("ADIABIT_DATA", raising=False)
    return served


def test_a_download_is_checked_and_kept(
    tmp_path: Path, mirror: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "source")
    mirror.update({path.name: path.read_bytes() for path in (tmp_path / "source").iterdir()})
    with pytest.raises(UserError, match="the download's MD5 is not"):
        mnist(None)
    sums = {
        name: hashlib.md5(mirror[f"{name}.gz"], usedforsecurity=False).hexdigest() for name in idx_files.MNIST_FILES
    }
    monkeypatch.setattr(idx_files, "MNIST_FILES", sums)
    first = mnist(None)
    mirror.clear()
    assert np.array_equal(mnist(None).train.frames, first.train.frames)


def test_no_network_is_told_with_the_remedy(mirror: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match=r'train-images.*the download failed .*ADIABIT_DATA, or use dataset = "digits"'):
        mnist(None)
