# SPDX-License-Identifier: Apache-2.0
"""The loader of cats and dogs, on small files of the published layout that the tests write."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adiabit.errors import UserError
from adiabit.train import data
from adiabit.train.data import images, pets
from adiabit.train.data.pets import CatDog


def load(folder: Path) -> data.Dataset:
    return data.load(CatDog(dir=folder, validation=0.25))


def write(folder: Path, count: int = 20, kind: str = "jpg") -> None:
    """Images of several sizes and modes: cats are dark, dogs are bright; brightness tells the number."""
    for label, name in enumerate(("Cat", "Dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            size, mode = ((500, 374), (64, 64), (31, 90))[number % 3], ("RGB", "L")[number % 2]
            level = 100 * label + 2 * number
            image = Image.new(mode, size, (level,) * 3 if mode == "RGB" else level)
            image.save(folder / name / f"{number}.{kind}", quality=95)


@pytest.mark.parametrize(("layout", "kind"), [("PetImages", "jpg"), (".", "png")])
def test_images_of_any_size_become_grey_squares(tmp_path: Path, layout: str, kind: str) -> None:
    write(tmp_path / layout, kind=kind)
    (tmp_path / layout / "Cat" / "Thumbs.db").write_bytes(b"not wanted")
    dataset = load(tmp_path)
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
    write(tmp_path)
    (tmp_path / "Cat" / "6.jpg").write_bytes(b"")
    whole = (tmp_path / "Dog" / "11.jpg").read_bytes()
    (tmp_path / "Dog" / "11.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "Dog" / "12.jpg").write_bytes(b"GIF89a nothing")
    dataset = load(tmp_path)
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
    write(tmp_path)
    (tmp_path / "Dog" / "11.jpg").unlink()
    put(tmp_path / "Dog" / "11.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load(tmp_path)
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
    assert images.eight_bits(values).tolist() == [[0, 0, 0, 100, 255, 255]]


def test_files_in_place_of_folders_are_told(tmp_path: Path) -> None:
    for name in ("Cat", "Dog"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"Cat: Not a directory; name a readable folder that holds the data set"):
        load(tmp_path)


def test_a_split_without_cats_or_dogs_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    for number in (0, 5, 10, 15):
        (tmp_path / "Dog" / f"{number}.jpg").unlink()
    with pytest.raises(UserError, match=r"the test split, ids divisible by 5, lacks cats or dogs; download "):
        load(tmp_path)


def test_names_of_pets_are_numbers(tmp_path: Path) -> None:
    write(tmp_path, count=6)
    (tmp_path / "Dog" / "3.jpg").rename(tmp_path / "Dog" / "rex.jpg")
    with pytest.raises(UserError) as caught:
        load(tmp_path)
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
        load(tmp_path)
    for name in ("Cat", "Dog"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=rf"{tmp_path}: no \.jpg or \.jpeg or \.png files in Cat and Dog; download "):
        load(tmp_path)


def test_digests_tell_contents_and_names_not_places(tmp_path: Path) -> None:
    write(tmp_path / "a", count=6)
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "PetImages")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    (tmp_path / "c" / "Cat" / "4.jpg").rename(tmp_path / "c" / "Cat" / "7.jpg")
    a, b, c = (data.digest(CatDog(dir=tmp_path / x)) for x in "abc")
    assert a == b != c
