# SPDX-License-Identifier: Apache-2.0
"""Folders of one's own images and recordings: how they are divided and read, and what is told of bad ones."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile  # type: ignore[import-untyped]

from adiabit.errors import UserError
from adiabit.train import data
from adiabit.train.data import DATASETS, audio_folders, own
from tests.train.own_files import ODD, shapes, tones, write_wav


def config(folder: Path, kind: str = "images", **keys: Any) -> Any:
    return DATASETS.validate({"dataset": kind, "dir": folder, "validation": 0.25, **keys})


def one(folder: Path, image: Image.Image, name: str = "a.png", **keys: Any) -> Any:
    """The frame of one image."""
    image.save(folder / name)
    return config(folder, **keys).frame(folder / name)


def save(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 3), level).save(path)


# Divided


def test_a_share_of_each_class_is_the_test_split(tmp_path: Path) -> None:
    shapes(tmp_path, 20)
    dataset = data.load(config(tmp_path, size=[10, 14]))
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [36, 12, 12]
    for split in (dataset.train, dataset.validation, dataset.test):
        assert split.frames.shape[1:] == (10, 14, 3)
        assert len(set(np.bincount(split.labels).tolist())) == 1
    again = data.load(config(tmp_path, size=[10, 14]))
    assert np.array_equal(again.test.frames, dataset.test.frames)
    other = data.load(config(tmp_path, size=[10, 14], seed=1))
    assert not np.array_equal(other.test.frames, dataset.test.frames)
    assert config(tmp_path).source == data.Source((32, 32, 3), 3)
    assert config(tmp_path).legend.names == tuple(sorted(ODD))
    assert np.array_equal(config(tmp_path, size=[10, 14]).test_split().frames, dataset.test.frames)


def test_folders_tell_the_splits(tmp_path: Path) -> None:
    for part, levels in {"train": (1, 2, 3), "val": (4,), "test": (5, 6)}.items():
        for label, name in enumerate(("no", "yes")):
            for level in levels:
                save(tmp_path / part / name / "deeper" / f"{level}.png", 10 * level + label)
    dataset = data.load(config(tmp_path, size=1, color="grey"))
    found = [sorted(split.frames.reshape(-1).tolist()) for split in (dataset.train, dataset.validation, dataset.test)]
    assert found == [[10, 11, 20, 21, 30, 31], [40, 41], [50, 51, 60, 61]]
    assert sorted(config(tmp_path).files())[-1] == "val/yes/deeper/4.png"
    chosen = data.load(config(tmp_path, size=1, color="grey", classes=["yes", "no"]))
    assert chosen.test.labels.tolist() == [0, 0, 1, 1]
    assert chosen.test.frames.reshape(-1).tolist() == [51, 61, 50, 60]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "plane"):
        for number in range(4):
            save(tmp_path / name / f"{number}.png", number)
    assert config(tmp_path).legend.names == ("plane", "train")


def test_every_change_of_a_file_changes_the_digest(tmp_path: Path) -> None:
    shapes(tmp_path, 3)
    digests = [data.digest(config(tmp_path))]
    first = tmp_path / ODD[0] / "0.png"
    stat, content = first.stat(), first.read_bytes()
    first.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    os.utime(first, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    digests.append(data.digest(config(tmp_path)))
    first.rename(first.with_name("9.png"))
    digests.append(data.digest(config(tmp_path)))
    save(tmp_path / ODD[1] / "more.png", 0)
    digests.append(data.digest(config(tmp_path)))
    (tmp_path / ODD[1] / "more.png").unlink()
    assert data.digest(config(tmp_path)) == digests[-2]
    assert len(set(digests)) == len(digests)


# Images


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("1", 1, 255), ("L", 77, 77), ("LA", (77, 255), 77), ("LA", (77, 0), 255), ("RGBA", (0, 0, 0, 0), 255),
        ("RGBA", (10, 10, 10, 255), 10), ("P", 5, 5), ("RGB", (9, 9, 9), 9), ("I;16", 257 * 40, 40),
    ],
)  # fmt: skip
def test_modes(tmp_path: Path, mode: str, color: Any, expected: int) -> None:
    image = Image.new(mode, (8, 6), color)
    if mode == "P":
        image.putpalette([level for level in range(256) for _ in range(3)])
    for key in ("grey", "rgb"):
        frame = one(tmp_path, image, size=[2, 4], color=key)
        assert frame.shape == (2, 4, 1 if key == "grey" else 3)
        assert (frame == expected).all()


def test_transparent_palettes_and_cmyk(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 3)
    image.putpalette([0] * 768)
    image.info["transparency"] = 3
    assert (one(tmp_path, image, "a.gif", size=2) == 255).all()
    assert np.abs(one(tmp_path, Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "a.jpg", size=2).astype(int)).max() < 4
    assert one(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", size=1)[0, 0, 0] > 200


def test_exif_turns_the_image(tmp_path: Path) -> None:
    image = Image.new("L", (8, 4), 0)
    image.paste(255, (0, 0, 4, 4))  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise: the left becomes the top
    image.save(tmp_path / "a.png", exif=exif)
    frame = config(tmp_path, size=[2, 1], color="grey", fit="stretch").frame(tmp_path / "a.png")
    assert frame[0, 0, 0] > 200 > 55 > frame[1, 0, 0]


def test_fit(tmp_path: Path) -> None:
    image = Image.new("L", (30, 10), 100)
    image.paste(200, (10, 0, 20, 10))  # the middle third
    keys: dict[str, Any] = {"size": 10, "color": "grey"}
    assert (one(tmp_path, image, fit="crop", **keys) == 200).all()
    stretched = one(tmp_path, image, fit="stretch", **keys)[..., 0]
    assert (stretched == stretched[0]).all()
    assert (stretched[0, 0], stretched[0, 5]) == (100, 200)
    padded = one(tmp_path, image, fit="pad", **keys)[..., 0]
    assert (padded[:3] == 0).all()
    assert (padded[-3:] == 0).all()
    assert padded[5, 0] == 100


# Recordings


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<i4", "<f4", "<f8"])
@pytest.mark.parametrize("channels", [1, 2])
def test_types_of_samples(tmp_path: Path, dtype: str, channels: int) -> None:
    times = np.arange(4000) / 8000
    sound = np.sin(2 * np.pi * 500 * times) / 2
    scale, shift = {"u1": (128, 128), "<i2": (2**15, 0), "<i4": (2.0**31, 0)}.get(dtype, (1, 0))
    wavfile.write(tmp_path / "a.wav", 8000, np.repeat((sound * scale + shift)[:, None], channels, 1).astype(dtype))
    rate, samples = audio_folders.read_wav(tmp_path / "a.wav")
    assert rate == 8000
    assert np.abs(samples - sound * 32768).max() <= (256 if dtype == "u1" else 1)


def test_24_bits(tmp_path: Path) -> None:
    values = np.array([0, 1 << 22, -(1 << 23)], "<i4")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 3, 8000, 0, "NONE", ""))
        file.writeframes(values.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    assert audio_folders.read_wav(tmp_path / "a.wav")[1].tolist() == [0, 16384, -32768]


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000])
def test_rates_are_one_to_the_spectrogram(tmp_path: Path, rate: int) -> None:
    write_wav(tmp_path / "a.wav", np.sin(2 * np.pi * 700 * np.arange(rate) / rate), rate)
    table = config(tmp_path, "audio", rate=8000, steps=8, bands=20)
    frame = table.frame(tmp_path / "a.wav")
    filters = table.spectrogram.filters
    centres = (filters @ (np.arange(filters.shape[1]) * 8000 / table.spectrogram.fft)) / filters.sum(axis=1)
    assert frame.shape == (8, 20, 1)
    assert np.abs(centres[frame[3, :, 0].argmax()] - 700) < 100


def test_speech_commands_lists_its_splits(tmp_path: Path) -> None:
    tones(tmp_path, 6, ("no", "yes", "_background_noise_"))
    (tmp_path / "testing_list.txt").write_text("no/0.wav\nyes/1.wav\n")
    (tmp_path / "validation_list.txt").write_text("no/2.wav\nyes/3.wav\nno/3.wav\n")
    table = config(tmp_path, "audio", rate=8000, steps=8, bands=8)
    dataset = data.load(table)
    assert [split.labels.tolist() for split in (dataset.validation, dataset.test)] == [[0, 0, 1], [0, 1]]
    assert len(dataset.train) == 7
    assert table.legend.names == ("no", "yes")
    digest = data.digest(table)
    (tmp_path / "testing_list.txt").write_text("no/1.wav\nyes/1.wav\n")
    assert data.digest(table) != digest


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"bands": 400, "steps": 64}, "bands = 400 are too many for 64 steps in 1 s"),
        ({"seconds": 0.01, "steps": 4000}, "steps = 4000 are more than the samples of 0.01 s"),
        ({"seconds": 60, "steps": 2}, "steps = 2 are too few for 60 s"),
    ],
)
def test_spectrograms_that_cannot_be(tmp_path: Path, keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        config(tmp_path, "audio", **keys)


# Bad files


def test_damaged_files_are_left_out_or_stop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes(tmp_path, 10, ("a", "b"))
    (tmp_path / "a/0.png").write_bytes((tmp_path / "a/0.png").read_bytes()[:60])
    (tmp_path / "b/1.jpg").write_bytes(b"nothing")
    (tmp_path / "b/2.gif").unlink()
    (tmp_path / "b/2.gif").symlink_to("2.gif")
    (tmp_path / "b/notes.txt").write_text("")
    (tmp_path / "b/.hidden.png").write_text("")
    (tmp_path / "b/loop").symlink_to("..")
    dataset = data.load(config(tmp_path))
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 17
    told = capsys.readouterr().err
    assert (
        f"{tmp_path}: 2 of 22 files are not .jpg, .jpeg, .png, .gif, .bmp, .webp and were left out: b/loop; b/notes"
        in told
    )
    assert "left out: " in told
    assert "b/1.jpg: not an image" in told
    assert "b/2.gif: not a file" in told
    with pytest.raises(UserError, match=r"/a/0.png: cannot be decoded .*, or set damaged = \"leave-out\""):
        data.load(config(tmp_path, damaged="stop"))


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 20, b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff", b"\0" * 90],
)
def test_damaged_recordings_are_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match=r"a.wav: .*; convert it to PCM, or remove it"):
        audio_folders.read_wav(tmp_path / "a.wav")


def test_recordings_with_nan_are_damaged(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.array([0, np.nan], np.float32))
    with pytest.raises(UserError, match="holds NaN or infinity"):
        audio_folders.read_wav(tmp_path / "a.wav")


def _one_class(folder: Path) -> None:
    save(folder / "a/1.png", 0)


def _empty_class(folder: Path) -> None:
    for name in "ab":
        save(folder / name / "1.png", 0)
    (folder / "b/1.png").unlink()


def _no_test(folder: Path) -> None:
    for name in "ab":
        save(folder / "train" / name / "1.png", 0)


def _class_lacks(folder: Path) -> None:
    _no_test(folder)
    save(folder / "test/a/1.png", 0)


def _class_more(folder: Path) -> None:
    _class_lacks(folder)
    for name in "bc":
        save(folder / "test" / name / "1.png", 0)


def _too_few(folder: Path) -> None:
    for name in "ab":
        save(folder / name / "1.png", 0)


def _all_damaged(folder: Path) -> None:
    for name in "ab":
        for number in range(8):
            save(folder / name / f"{number}.png", 0)
    for number in range(8):
        (folder / "b" / f"{number}.png").write_bytes(b"")


def _not_utf8(folder: Path) -> None:
    _one_class(folder)
    (folder / os.fsdecode(b"b\xff")).mkdir()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda _: None, "class folders []; at least two different ones are needed, a folder a class"),
        (_one_class, "class folders ['a']; at least two different ones are needed"),
        (_empty_class, "no .jpg, .jpeg, .png, .gif, .bmp, .webp files; every class folder needs some"),
        (_no_test, "has train/ but no test/; add it, or"),
        (_class_lacks, "no folder 'b', which is a class; every split needs all classes"),
        (_class_more, "has a folder 'c', which the training split lacks; remove it, or choose [data] classes"),
        (_too_few, "class 'a' has no frames in the test split; every class needs some"),
        (_all_damaged, "class 'b' has no frames in the training split"),
        (_not_utf8, "must be UTF-8; rename the class"),
    ],
)
def test_folders_that_cannot_be(tmp_path: Path, make: Callable[[Path], None], text: str) -> None:
    make(tmp_path)
    with pytest.raises(UserError) as caught:
        _ = config(tmp_path).legend, data.load(config(tmp_path))
    assert text in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_unknown_classes_and_missing_folders_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _too_few(tmp_path)
    with pytest.raises(UserError, match=r"no folder 'c', which is a class; .*; known folders: \['a', 'b'\]"):
        data.load(config(tmp_path, classes=["a", "c"]))
    with pytest.raises(UserError, match="gone: No such file or directory"):
        data.load(config(tmp_path / "gone"))
    monkeypatch.delenv("ADIABIT_DATA", raising=False)
    with pytest.raises(UserError, match='dataset = "images" needs a folder; name it by dir'):
        data.load(DATASETS.validate({"dataset": "images"}))


def test_what_exceeds_the_memory_is_told_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes(tmp_path, 3)
    monkeypatch.setattr(own, "ROOM", 100)
    with pytest.raises(UserError, match=r"frames of 32 x 32 x 3 take .* GB; at most .* GB are read into memory"):
        data.load(config(tmp_path))
