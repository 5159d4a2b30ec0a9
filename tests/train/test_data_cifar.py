# SPDX-License-Identifier: Apache-2.0
"""Loaders of CIFAR-10 and CIFAR-100, on small files of the published layouts that the tests write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from adiabit.errors import UserError
from adiabit.train import data
from adiabit.train.data import DATASETS
from adiabit.train.data.cifar import CIFAR10, CIFAR100, Binary

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


def load(dataset: str, folder: Path | None, **keys: Any) -> data.Dataset:
    return data.load(DATASETS.validate({"dataset": dataset, "dir": folder, "validation": 0.25, **keys}))


def write(folder: Path, version: Binary, labels: Callable[[int], list[int]], records: int = 20) -> NDArray[np.uint8]:
    """The files, `records` in each; the images of all of them, (N, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    images = rng.integers(0, 256, (len(version.files) * records, 32, 32, 3), dtype=np.uint8)
    for name, part in zip(version.files, np.split(images, len(version.files)), strict=True):
        content = b""
        for number, image in enumerate(part):
            planes = [image[:, :, plane].tobytes() for plane in range(3)]  # red, green, blue, each row by row
            content += bytes(labels(number)) + b"".join(planes)
        (folder / name).write_bytes(content)
    return images


def write10(folder: Path) -> NDArray[np.uint8]:
    return write(folder, CIFAR10, lambda number: [number % 10])


def write100(folder: Path) -> NDArray[np.uint8]:
    """Four frames each of five classes, among them the last."""
    return write(folder, CIFAR100, lambda number: [15 + number % 5, 99 - number % 5])


@pytest.mark.parametrize("layout", ["cifar-10-batches-bin", ".", "cifar10/cifar-10-batches-bin"])
def test_cifar10_in_every_layout(tmp_path: Path, layout: str) -> None:
    images = write10(tmp_path / layout)
    dataset = load("cifar10", tmp_path)
    assert np.array_equal(dataset.test.frames, images[100:])
    assert dataset.test.labels.tolist() == [n % 10 for n in range(20)]
    assert dataset.train.frames.shape == (80, 32, 32, 3)
    assert np.ptp(np.bincount(dataset.validation.labels)) == 0
    everything = np.concatenate([dataset.train.frames, dataset.validation.frames])
    assert len(np.unique(everything.reshape(100, -1), axis=0)) == 100
    assert {image.tobytes() for image in everything} == {image.tobytes() for image in images[:100]}
    assert dataset.test.shaped((3072,)).frames.shape == (20, 3072)


@pytest.mark.parametrize("layout", ["cifar-100-binary", ".", "cifar100"])
def test_cifar100_has_fine_and_coarse_labels(tmp_path: Path, layout: str) -> None:
    images = write100(tmp_path / layout)
    fine, coarse = (load("cifar100", tmp_path, **keys) for keys in ({}, {"labels": "coarse"}))
    assert np.array_equal(fine.test.frames, images[20:])
    assert np.array_equal(coarse.test.frames, images[20:])
    assert fine.test.labels.tolist() == [99 - n % 5 for n in range(20)]
    assert coarse.test.labels.tolist() == [15 + n % 5 for n in range(20)]
    assert [len(fine.train.labels), len(fine.validation.labels)] == [15, 5]
    assert sorted(fine.validation.labels) == [95, 96, 97, 98, 99]
    classes = [DATASETS.validate({"dataset": "cifar100", "labels": kind}).source.classes for kind in ("fine", "coarse")]
    assert classes == [100, 20]


def test_what_is_cut_short_or_of_other_labels_is_told(tmp_path: Path) -> None:
    write10(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    whole = path.read_bytes()
    for content in (whole[:-5], b""):
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            load("cifar10", tmp_path)
        assert str(caught.value) == (
            f"{path}: holds {len(content)} bytes, which is not a multiple of a record's 3073; download {URL} and "
            "unpack it again"
        )
    path.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(UserError, match=r"data_batch_3.bin: a label is 10; CIFAR-10's are 0 to 9; download "):
        load("cifar10", tmp_path)


@pytest.mark.parametrize(("labels", "head"), [("fine", b"\x00\x64"), ("coarse", b"\x14\x00")])
def test_labels_beyond_those_of_cifar100_are_told(tmp_path: Path, labels: str, head: bytes) -> None:
    write100(tmp_path)
    path = tmp_path / "train.bin"
    path.write_bytes(head + path.read_bytes()[2:])
    with pytest.raises(UserError) as caught:
        load("cifar100", tmp_path, labels=labels)
    most = max(head)
    assert str(caught.value) == (
        f"{path}: a {labels} label is {most}; CIFAR-100's are 0 to {most - 1}; download "
        f"{URL.replace('10', '100')} and unpack it again"
    )


def _sparse(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 2 << 30)


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (Path.mkdir, "a folder, not a file"),
        (os.mkfifo, "a pipe or a device, not a file"),
        (_sparse, "2,147,483,648 bytes; a file may have at most 1,073,741,824"),
    ],
    ids=["folder", "pipe", "large"],
)
def test_what_is_no_file_is_told(tmp_path: Path, put: Callable[[Path], object], reason: str) -> None:
    write10(tmp_path)
    (tmp_path / "data_batch_3.bin").unlink()
    put(tmp_path / "data_batch_3.bin")
    with pytest.raises(UserError, match=rf"data_batch_3.bin: {reason}.*; download .* and unpack it again"):
        load("cifar10", tmp_path)


def test_a_folder_without_the_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (
        r": no data_batch_1.bin, .*test_batch.bin in cifar-10-batches-bin/ or the folder itself or .*; the folder must "
        r"hold CIFAR-10 \(binary version\); download "
    )
    with pytest.raises(UserError, match=expected):
        load("cifar10", tmp_path)
    with pytest.raises(UserError, match=r": no train.bin, test.bin in cifar-100-binary/ or .* hold CIFAR-100 \(binary"):
        load("cifar100", tmp_path)
    monkeypatch.delenv("ADIABIT_DATA", raising=False)
    with pytest.raises(UserError) as caught:
        load("cifar10", None)
    assert str(caught.value) == (
        f"recipe: [data]: CIFAR-10 (binary version) needs a folder; download {URL} and unpack it, and name the folder "
        "by --data or ADIABIT_DATA"
    )
    write10(tmp_path)
    monkeypatch.setenv("ADIABIT_DATA", str(tmp_path))
    assert len(load("cifar10", None).test.labels) == 20


def test_digests_tell_the_versions_apart(tmp_path: Path) -> None:
    write10(tmp_path)
    write100(tmp_path)
    ten, hundred = (data.digest(DATASETS.validate({"dataset": f"cifar{n}", "dir": tmp_path})) for n in (10, 100))
    assert ten != hundred
