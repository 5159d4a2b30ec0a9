# SPDX-License-Identifier: Apache-2.0
"""The loader of ImageNet, on small files of its layout that the tests write, and the file of its frames."""

from __future__ import annotations

import os
import shutil
import threading
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from adiabit.errors import UserError
from adiabit.train import data
from adiabit.train.data import DATASETS, imagenet, images
from adiabit.train.data.imagenet import ImageNet, square
from adiabit.train.data.images import decode

CLASSES = ("n01440764", "n02105855", "n03000134")
SIZES = ((50, 37), (32, 32), (31, 90), (120, 64))
REMEDY = imagenet.REMEDY


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(imagenet, "CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "imagenet"


def level(label: int, number: int, split: str) -> int:
    """Of all pixels of an image."""
    return 70 * label + 5 * number + (2 if split == "val" else 0)


def write(root: Path, train: int = 8, val: int = 4, names: tuple[str, ...] = CLASSES) -> Path:
    """Images of several sizes and modes; the level of their pixels tells which one it is."""
    for split, count in (("train", train), ("val", val)):
        for label, name in enumerate(names):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("L", SIZES[number % 4], level(label, number, split))
                mode = ("RGB", "L", "CMYK", "RGB")[number % 4]
                image.convert("RGB").convert(mode).save(path(root, split, name, number), "JPEG", quality=95)
    return root


def path(root: Path, split: str, name: str, number: int) -> Path:
    return root / split / name / (f"{name}_{number}.JPEG" if split == "train" else f"ILSVRC2012_val_{number:08}.JPEG")


def config(root: Path, **keys: Any) -> ImageNet:
    return ImageNet(dir=root, **{"size": 14, "classes": 3, "validation": 0.25, **keys})


def load(root: Path, **keys: Any) -> data.Dataset:
    return data.load(config(root, **keys))


def refused(root: Path, **keys: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(root, **keys)
    return str(caught.value)


@pytest.mark.parametrize("layout", [".", "ILSVRC/Data/CLS-LOC"])
def test_images_of_any_size_and_mode_become_squares(tmp_path: Path, layout: str) -> None:
    write(tmp_path / layout)
    (tmp_path / layout / "val" / CLASSES[0] / "notes.txt").write_text("not wanted")
    dataset = load(tmp_path)
    assert dataset.test.frames.shape == (12, 14, 14, 3)
    assert dataset.test.frames.dtype == np.uint8
    assert dataset.test.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert dataset.test.labels.dtype == np.int64
    expected = [level(label, number, "val") for label in range(3) for number in range(4)]
    assert np.abs(dataset.test.frames.astype(int) - np.reshape(expected, (12, 1, 1, 1))).max() <= 3
    assert [len(dataset.train), len(dataset.validation)] == [18, 6]
    assert np.bincount(dataset.validation.labels).tolist() == [2, 2, 2]
    for split in (dataset.train, dataset.validation):
        assert np.array_equal(split.frames.mean((1, 2, 3)) // 70, split.labels)
    assert config(tmp_path).source == data.Source((14, 14, 3), 3)


def test_labels_are_in_the_order_of_the_sorted_names(tmp_path: Path) -> None:
    write(tmp_path, train=3, val=1, names=("n10", "n2", "n1"))
    assert load(tmp_path).test.frames[:, 0, 0, 0].round(-1).tolist() == [140, 0, 70]  # n1, n10, n2


def gradient(width: int, height: int) -> NDArray[np.uint8]:
    """Red tells the column, green the row."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([2 * columns, 2 * rows, 0 * rows], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("size", "short"), [(64, 64), (48, 64), (28, 32)])
@pytest.mark.parametrize(("width", "height"), [(96, 64), (64, 96), (64, 64)])
def test_the_short_side_is_resized_and_the_middle_is_kept(size: int, short: int, width: int, height: int) -> None:
    found = square(Image.fromarray(gradient(width, height)), size, short).astype(float)
    assert found.shape == (size, size, 3)
    scale = 64 / short
    middle = np.arange(size) - (size - 1) / 2  # of the pixels, from the middle of the frame
    inner = slice(2, -2)  # filters end at the border
    for axis, length in ((0, width), (1, height)):
        expected = 2 * (scale * middle + (length - 1) / 2)
        lines = found[..., axis] if axis == 0 else found[..., axis].T
        assert np.abs(lines - expected)[inner, inner].max() <= 1


def test_a_square_is_not_larger_than_the_image_that_it_is_cut_from() -> None:
    image = Image.new("RGB", (100_000, 1), (9, 8, 7))
    assert square(image, 224, 256).reshape(-1, 3).max(axis=0).tolist() == [9, 8, 7]


@pytest.mark.parametrize(("size", "short"), [(224, 256), (64, 73), (128, 146)])
def test_the_short_side_follows_the_size(size: int, short: int) -> None:
    assert ImageNet(size=size).short == short
    assert ImageNet(size=size, resize=size).short == size


def test_a_square_beyond_the_short_side_is_refused() -> None:
    with pytest.raises(ValidationError, match="resize = 200 is smaller than size = 224; it must be at least as large"):
        DATASETS.validate({"dataset": "imagenet", "resize": 200})


# the file of frames -------------------------------------------------------------------------------------------------


def test_frames_are_mapped_from_a_file_and_decoded_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    first = load(tmp_path)
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith(": decoding 24 images; the file will have 0.0 GB")
    assert told[0].startswith(f"{cache}/train-14-")
    assert told[10].endswith(": 24 of 24")
    monkeypatch.setattr(imagenet, "decode", None)
    again = load(tmp_path, seed=1)
    assert capsys.readouterr().err == ""
    for split in (again.train, again.validation, again.test):
        assert isinstance(split.stored, np.memmap)
        assert not split.stored.flags.writeable
    assert np.array_equal(again.test.frames, first.test.frames)
    assert sorted(p.stat().st_size for p in cache.iterdir()) == [0, 0, 12 * 14 * 14 * 3, 24 * 14 * 14 * 3]  # and locks


def test_the_test_split_alone_leaves_the_training_images_alone(tmp_path: Path, cache: Path) -> None:
    write(tmp_path)
    for image in (tmp_path / "train").rglob("*.JPEG"):
        image.write_bytes(b"damaged")
    assert len(data.load_test(config(tmp_path))) == 12
    assert [p.name[:4] for p in cache.iterdir() if p.stat().st_size] == ["val-"]


@pytest.mark.parametrize("change", ["size", "resize", "name", "content"])
def test_other_frames_are_another_file(tmp_path: Path, change: str) -> None:
    write(tmp_path)
    one, keys = path(tmp_path, "val", CLASSES[0], 0), {}
    before = data.load_test(config(tmp_path))
    if change == "name":
        one.rename(one.with_name("z.JPEG"))
    elif change == "content":
        Image.new("RGB", (40, 40), (250, 250, 250)).save(one, "JPEG")
    else:
        keys = {change: 28}
    after = data.load_test(config(tmp_path, **keys))
    order = [1, 2, 3, 0] if change == "name" else [0, 1, 2, 3]
    shown = [5 * number + 2 for number in order]
    if change == "content":
        shown[0] = 250
    assert np.abs(after.frames[:4].mean((1, 2, 3)) - shown).max() <= 2
    assert after.stored.filename != before.stored.filename  # type: ignore[attr-defined]  # of a memmap


@pytest.mark.parametrize("block", [2, 512])
@pytest.mark.parametrize("more", [b"", b"half a frame"])
def test_an_interrupted_run_leaves_no_file_and_is_resumed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, block: int, more: bytes
) -> None:
    write(tmp_path)
    expected = load(tmp_path).train.stored.copy()
    shutil.rmtree(cache)
    monkeypatch.setattr(images, "BLOCK", block)
    decoded = []

    def interrupted(file: Path, *rest: Any) -> Any:
        if file.name == f"{CLASSES[1]}_2.JPEG":
            raise KeyboardInterrupt
        return decode(file, *rest)

    def counted(file: Path, *rest: Any) -> Any:
        decoded.append(file.name)
        return decode(file, *rest)

    monkeypatch.setattr(imagenet, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path)
    assert all(p.name.startswith(".") for p in cache.iterdir())
    (part,) = cache.glob(".*.part")
    with part.open("ab") as file:
        file.write(more)
    monkeypatch.setattr(imagenet, "decode", counted)
    assert np.array_equal(load(tmp_path).train.stored, expected)
    assert len([name for name in decoded if name.startswith("n")]) == 24 - 10
    assert not list(cache.glob(".*.part"))


def test_two_runs_decode_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    decoded, started = [], threading.Event()

    def counted(file: Path, *rest: Any) -> Any:
        decoded.append(file)
        started.wait(0.05)
        return decode(file, *rest)

    monkeypatch.setattr(imagenet, "decode", counted)
    threads = [threading.Thread(target=load, args=(tmp_path,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == len(set(decoded)) == 36


def test_a_disk_that_is_too_small_is_told_before(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(24 * 588 - 1))
    assert refused(tmp_path).partition(": ")[2] == (
        "needs 0.0 GB, but 0.0 GB are free; choose a smaller [data] size, or name another folder by XDG_CACHE_HOME"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(24 * 588))
    load(tmp_path)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cache").write_bytes(b"")
    assert refused(tmp_path).endswith("Not a directory; name another folder by XDG_CACHE_HOME")


def test_a_file_of_another_size_is_told(tmp_path: Path, cache: Path) -> None:
    write(tmp_path)
    load(tmp_path)
    (file,) = cache.glob("train-*")
    os.truncate(file, 1000)
    assert refused(tmp_path) == f"{file}: 1,000 bytes; 24 frames have 14,112; delete it and run again"


def gone(file: Path) -> Path:
    file.unlink()
    return file


# what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (lambda file: file.write_bytes(b""), "not an image"),
        (lambda file: file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "not an image"),
        (lambda file: file.write_bytes(file.read_bytes()[:-20]), "cannot be decoded (image file is truncated"),
        (lambda file: Image.new("1", (10_000, 10_000)).save(file, "PNG"), "cannot be decoded (Image size (100000000"),
        (lambda file: os.mkfifo(gone(file)), "a pipe or a device, not a file"),
        (lambda file: gone(file).symlink_to("nowhere"), "a link to nowhere, which does not exist"),
    ],
    ids=["empty", "PostScript", "cut short", "100 million pixels", "pipe", "dangling"],
)
def test_a_broken_image_is_told(tmp_path: Path, cache: Path, put: Callable[[Path], object], reason: str) -> None:
    write(tmp_path)
    broken = path(tmp_path, "train", CLASSES[1], 3)
    put(broken)
    message = refused(tmp_path)
    assert message.startswith(f"{broken}: {reason}")
    assert message.endswith("; fetch it again or remove it")
    assert all(p.name.endswith(".lock") for p in cache.glob("*"))


def test_a_png_in_disguise_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    Image.new("RGB", (60, 40), (1, 2, 3)).save(path(tmp_path, "val", CLASSES[0], 0), "PNG")
    assert data.load_test(config(tmp_path)).frames[0, 0, 0].tolist() == [1, 2, 3]


def test_folders_that_are_no_imagenet_are_told(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        f"{tmp_path}: no train, val in the folder itself or imagenet/ or ILSVRC2012/ or ILSVRC/Data/CLS-LOC/; the "
        f"folder must hold ImageNet; {REMEDY}"
    )
    write(tmp_path)
    shutil.rmtree(tmp_path / "val")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG").write_bytes(b"")
    assert refused(tmp_path) == f"{tmp_path}/val: no class folders; {REMEDY}"


def test_class_folders_that_differ_are_told(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "val" / CLASSES[1]).rename(tmp_path / "val" / "n09")
    assert refused(tmp_path) == f"{tmp_path}/val: no folder {CLASSES[1]}, which train/ has; {REMEDY}"
    shutil.rmtree(tmp_path / "train" / CLASSES[1])
    assert refused(tmp_path) == f"{tmp_path}/train: no folder n09, which val/ has; {REMEDY}"


def test_the_number_of_classes_is_checked(tmp_path: Path) -> None:
    write(tmp_path)
    assert refused(tmp_path, classes=1000) == (
        f"{tmp_path}/train: 3 class folders, but [data] classes = 1000; set it to 3 for a subset; else {REMEDY}"
    )


def test_a_class_without_images_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    shutil.rmtree(tmp_path / "train" / CLASSES[2])
    (tmp_path / "train" / CLASSES[2]).mkdir()
    assert refused(tmp_path) == f"{tmp_path}/train/{CLASSES[2]}: no .jpg or .jpeg or .png files; {REMEDY}"


def test_the_digest_tells_names_and_sizes_and_reads_no_image(tmp_path: Path) -> None:
    write(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "imagenet")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    with path(tmp_path / "c", "train", CLASSES[0], 1).open("ab") as file:
        file.write(b"1")
    shutil.copytree(tmp_path / "a", tmp_path / "d")
    (tmp_path / "d" / "train" / CLASSES[0] / "x.JPEG").write_bytes(b"")
    for image in (tmp_path / "b").rglob("*.JPEG"):
        image.write_bytes(bytes(image.stat().st_size))
    a, b, c, d = (data.digest(config(tmp_path / x)) for x in "abcd")
    assert a == b
    assert len({a, c, d}) == 3
