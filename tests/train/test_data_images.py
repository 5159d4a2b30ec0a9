# SPDX-License-Identifier: Apache-2.0
"""Loaders of images, on small files of the published layouts that the tests write."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adiabit.errors import UserError
from adiabit.train import data
from adiabit.train.data import DATASETS, cifar10, pets
from adiabit.train.data.pets import CatDog


def load(dataset: str, folder: Path | None) -> data.Dataset:
    return data.load(DATASETS.validate({"dataset": dataset, "dir": folder, "validation": 0.25}))


# CIFAR-10 ---------------------------------------------------------------------------------------------------------


def write_cifar(folder: Path, records: int = 20) -> np.ndarray[Any, Any]:
    """Six files; the training images (5 * records, 32, 32, 3), then the test images."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    images = rng.integers(0, 256, (6 * records, 32, 32, 3), dtype=np.uint8)
    for name, part in zip(cifar10.FILES, np.split(images, 6), strict=True):
        content = b""
        for number, image in enumerate(part):
            planes = [image[:, :, plane].tobytes() for plane in range(3)]  # red, green, blue, each row by row
            content += bytes([number % 10]) + b"".join(planes)
        (folder / name).write_bytes(content)
    return images


@pytest.mark.parametrize("layout", ["cifar-10-batches-bin", ".", "cifar10/cifar-10-batches-bin"])
def test_cifar_in_every_layout(tmp_path: Path, layout: str) -> None:
    images = write_cifar(tmp_path / layout)
    dataset = load("cifar10", tmp_path)
    assert np.array_equal(dataset.test.frames, images[100:])
    assert dataset.test.labels.tolist() == [n % 10 for n in range(20)]
    assert dataset.train.frames.shape == (80, 32, 32, 3)
    assert np.ptp(np.bincount(dataset.validation.labels)) == 0
    everything = np.concatenate([dataset.train.frames, dataset.validation.frames])
    assert len(np.unique(everything.reshape(100, -1), axis=0)) == 100
    assert {image.tobytes() for image in everything} == {image.tobytes() for image in images[:100]}
    assert dataset.test.shaped((3072,)).frames.shape == (20, 3072)


def test_cifar_cut_short_or_of_other_labels_is_told(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    whole = path.read_bytes()
    for content in (whole[:-5], b""):
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            load("cifar10", tmp_path)
        assert str(caught.value) == (
            f"{path}: holds {len(content)} bytes, which is not a multiple of a record's 3073; download {cifar10.URL} "
            "and unpack it again"
        )
    path.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(UserError, match=r"data_batch_3.bin: a label is 10; CIFAR-10's are 0 to 9; download "):
        load("cifar10", tmp_path)


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
def test_what_is_no_cifar_file_is_told(tmp_path: Path, put: Callable[[Path], object], reason: str) -> None:
    write_cifar(tmp_path)
    (tmp_path / "data_batch_3.bin").unlink()
    put(tmp_path / "data_batch_3.bin")
    with pytest.raises(UserError, match=rf"data_batch_3.bin: {reason}.*; download .* and unpack it again"):
        load("cifar10", tmp_path)


def test_a_folder_without_cifar_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (
        r": no data_batch_1.bin, .*test_batch.bin in cifar-10-batches-bin/ or the folder itself or .*; the folder must "
        r"hold CIFAR-10 \(binary version\); download "
    )
    with pytest.raises(UserError, match=expected):
        load("cifar10", tmp_path)
    monkeypatch.delenv("ADIABIT_DATA", raising=False)
    with pytest.raises(UserError) as caught:
        load("cifar10", None)
    assert str(caught.value) == (
        f"recipe: [data]: CIFAR-10 (binary version) needs a folder; download {cifar10.URL} and unpack it, and "
        "name the folder by --data or ADIABIT_DATA"
    )
    write_cifar(tmp_path)
    monkeypatch.setenv("ADIABIT_DATA", str(tmp_path))
    assert len(load("cifar10", None).test.labels) == 20


# cats and dogs ----------------------------------------------------------------------------------------------------


def write_pets(folder: Path, count: int = 20, kind: str = "jpg") -> None:
    """Images of several sizes and modes: cats are dark, dogs are bright; brightness tells the number."""
    for label, name in enumerate(("Cat", "Dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            size, mode = ((500, 374), (64, 64), (31, 90))[number % 3], ("RGB", "L")[number % 2]
            level = 100 * label + 2 * number
            image = Image.new(mode, size, (level,) * 3 if mode == "RGB" else level)
            image.save(folder / name / f"{number}.{kind}", quality=95)


@pytest.mark.parametrize(("layout", "kind"), [("PetImages", "jpg"), (".", "png")])
def test_pets_of_any_size_become_grey_squares(tmp_path: Path, layout: str, kind: str) -> None:
    write_pets(tmp_path / layout, kind=kind)
    (tmp_path / layout / "Cat" / "Thumbs.db").write_bytes(b"not wanted")
    dataset = load("catdog", tmp_path)
    assert dataset.test.frames.shape == (8, 64, 64, 1)
    assert dataset.test.frames.dtype == np.uint8
    levels = [[0, 10, 20, 30, 100, 110, 120, 130]]
    assert np.abs(dataset.test.frames.mean(axis=(1, 2, 3)) - levels).max() < 1.5
    assert dataset.test.labels.tolist() == [0] * 4 + [1] * 4
    assert len(dataset.train.labels) == 24
    assert np.bincount(dataset.validation.labels).tolist() == [4, 4]


def test_a_colour_becomes_its_luma(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (200, 100, 50)).save(tmp_path / "1.png")
    image = pets.read_image(tmp_path / "1.png")
    assert image is not None
    assert set(image.ravel().tolist()) == {round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)}


def test_files_that_are_no_images_are_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pets(tmp_path)
    (tmp_path / "Cat" / "6.jpg").write_bytes(b"")
    whole = (tmp_path / "Dog" / "11.jpg").read_bytes()
    (tmp_path / "Dog" / "11.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "Dog" / "12.jpg").write_bytes(b"GIF89a nothing")
    dataset = load("catdog", tmp_path)
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 32 - 3
    assert capsys.readouterr().err == (
        "PetImages: 3 of 40 files are not images and were left out: Cat/6.jpg, Dog/11.jpg, Dog/12.jpg\n"
    )


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path),
    "200 million pixels": lambda path: Image.new("1", (20_000, 10_000)).save(path, "PNG"),
    "100 million pixels": lambda path: Image.new("1", (10_000, 10_000)).save(path, "PNG"),
    "PostScript": lambda path: Image.new("L", (64, 64)).save(path, "EPS"),
    "float": lambda path: Image.new("F", (64, 64), 0.5).save(path, "TIFF"),
}


@pytest.mark.parametrize("put", BROKEN.values(), ids=BROKEN)
def test_one_broken_file_is_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], put: Callable[[Path], object]
) -> None:
    write_pets(tmp_path)
    (tmp_path / "Dog" / "11.jpg").unlink()
    put(tmp_path / "Dog" / "11.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load("catdog", tmp_path)
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 32 - 1
    assert capsys.readouterr().err == ("PetImages: 1 of 40 files are not images and were left out: Dog/11.jpg\n")
    assert data.digest(CatDog(dir=tmp_path))


GREYS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
GRADIENT = Image.fromarray((GREYS // 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.fromarray(GREYS), "PNG"),  # I;16
        (GRADIENT.convert("P"), "PNG"),
        (GRADIENT.convert("P"), "GIF"),
        (GRADIENT.convert("LA"), "PNG"),
        (GRADIENT.convert("RGBA"), "PNG"),
        (GRADIENT.convert("CMYK"), "JPEG"),
        (GRADIENT.convert("RGB"), "BMP"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.mode,
)
def test_images_of_every_mode_keep_their_greys(tmp_path: Path, image: Image.Image, kind: str) -> None:
    image.save(tmp_path / "1.png", kind, **({"quality": 100} if kind == "JPEG" else {}))
    found = pets.read_image(tmp_path / "1.png")
    assert found is not None
    assert np.abs(found.astype(int) - GREYS // 257).max() <= 3


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("L", (64, 64), level) for level in (10, 200)]
    frames[0].save(tmp_path / "1.png", "GIF", save_all=True, append_images=frames[1:])
    found = pets.read_image(tmp_path / "1.png")
    assert found is not None
    assert set(found.ravel().tolist()) == {10}


def test_16_bits_in_32_are_scaled() -> None:
    values = np.array([[-5, 0, 128, 257 * 100, 65535, 10**6]])
    assert pets.eight_bits(values).tolist() == [[0, 0, 0, 100, 255, 255]]


def test_files_in_place_of_folders_are_told(tmp_path: Path) -> None:
    for name in ("Cat", "Dog"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"Cat: Not a directory; name a readable folder that holds the data set"):
        load("catdog", tmp_path)


def test_a_split_without_cats_or_dogs_is_told(tmp_path: Path) -> None:
    write_pets(tmp_path)
    for number in (0, 5, 10, 15):
        (tmp_path / "Dog" / f"{number}.jpg").unlink()
    with pytest.raises(UserError, match=r"the test split, ids divisible by 5, lacks cats or dogs; download "):
        load("catdog", tmp_path)


def test_names_of_pets_are_numbers(tmp_path: Path) -> None:
    write_pets(tmp_path, count=6)
    (tmp_path / "Dog" / "3.jpg").rename(tmp_path / "Dog" / "rex.jpg")
    with pytest.raises(UserError) as caught:
        load("catdog", tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/Dog/rex.jpg: the name is not a number; PetImages numbers its files, and the number chooses the "
        "split; rename or remove the file"
    )


def test_folders_without_pets_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r": no Cat, Dog in PetImages/ or the folder itself or .*; the folder must "
        r"hold PetImages; download ",
    ):
        load("catdog", tmp_path)
    for name in ("Cat", "Dog"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=rf"{tmp_path}: no \.jpg or \.jpeg or \.png files in Cat and Dog; download "):
        load("catdog", tmp_path)


def test_digests_tell_contents_and_names_not_places(tmp_path: Path) -> None:
    write_pets(tmp_path / "a", count=6)
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "PetImages")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    (tmp_path / "c" / "Cat" / "4.jpg").rename(tmp_path / "c" / "Cat" / "7.jpg")
    a, b, c = (data.digest(CatDog(dir=tmp_path / x)) for x in "abc")
    assert a == b != c
