# SPDX-License-Identifier: Apache-2.0
"""Spoken digits: the published layout, both splits, and what the spectrogram shows."""

from __future__ import annotations

import os
import tracemalloc
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.train import data
from adiabit.train.data import DATASETS, speech

SPEAKERS = ("jackson", "theo")


def write_wav(
    path: Path, samples: np.ndarray[Any, Any], *, rate: int = 8000, channels: int = 1, width: int = 2
) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def tone(hertz: float, seconds: float = 0.4) -> np.ndarray[Any, Any]:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(8000 * seconds)) / 8000)).astype("<i2")


def write(folder: Path, takes: int = 8) -> None:
    """Each digit has its tone, so that its label can be read off the spectrogram."""
    folder.mkdir(parents=True, exist_ok=True)
    for digit in range(10):
        for number, who in enumerate(SPEAKERS):
            for take in range(takes):
                write_wav(
                    folder / f"{digit}_{who}_{take}.wav", tone(300 * (digit + 1), 0.3 + 0.1 * number + 0.01 * take)
                )


def load(folder: Path, **settings: Any) -> data.Dataset:
    table = {"dataset": "spoken-digits", "dir": folder, "validation": 0.2, **settings}
    return data.load(DATASETS.validate(table))


@pytest.mark.parametrize("layout", ["free-spoken-digit-dataset/recordings", "recordings", "."])
def test_the_upstream_split(tmp_path: Path, layout: str) -> None:
    write(tmp_path / layout)
    dataset = load(tmp_path)
    assert dataset.test.frames.shape == (10 * 2 * 5, 64, 32, 1)
    assert dataset.test.frames.dtype == np.uint8
    assert [len(dataset.train.labels), len(dataset.validation.labels)] == [50, 10]
    bands = dataset.test.frames[:, 32, :, 0].argmax(axis=1)  # the loudest at mid-recording
    order = [int(np.unique(bands[dataset.test.labels == digit]).item()) for digit in range(10)]
    assert order == sorted(set(order))


def test_one_speaker_is_the_test(tmp_path: Path) -> None:
    write(tmp_path)
    dataset = load(tmp_path, split="speaker", speaker="jackson")
    assert len(dataset.test.labels) == 80
    jackson = [speech.spectrogram(speech.read_wav(p)) for p in sorted(tmp_path.glob("*_jackson_*.wav"))]
    assert {f.tobytes() for f in jackson} == {f.tobytes() for f in dataset.test.frames}
    with pytest.raises(UserError) as caught:
        load(tmp_path, split="speaker", speaker="nobody")
    assert str(caught.value) == (
        "recipe: [data]: speaker = 'nobody' is not one of ['jackson', 'theo']; choose one of them"
    )


def test_samples_are_a_second_of_sound(tmp_path: Path) -> None:
    write(tmp_path)
    dataset = load(tmp_path, form="samples")
    assert dataset.test.frames.shape == (10 * 2 * 5, 1, 8000, 1)
    assert dataset.test.frames.dtype == np.uint8
    pitch = np.abs(np.fft.rfft(dataset.test.frames[:, 0, :, 0].astype(float) - 128)).argmax(axis=1)  # 1 Hz a bin
    assert np.array_equal(np.round(pitch / 300) - 1, dataset.test.labels)
    config: Any = DATASETS.validate({"dataset": "spoken-digits", "form": "samples"})
    assert (config.source.shape, config.sound) == ((1, 8000, 1), False)


def test_a_second_is_the_middle_of_a_recording_or_padded_with_silence() -> None:
    assert np.array_equal(speech.second(np.zeros(9, np.int16)), np.full((1, 8000), 128))
    short = speech.second(np.array([-32768, 0, 32767], np.int16))[0]
    assert short[3998:4001].tolist() == [1, 128, 255]
    assert np.all(np.delete(short, [3998, 3999, 4000]) == 128)
    long = np.arange(-6000, 6000, dtype=np.int16)
    middle = long[2000:10000].astype(float)
    assert np.array_equal(speech.second(long)[0], 128 + np.round(127 * middle / 4000))


def test_recordings_of_one_split_alone_are_told(tmp_path: Path) -> None:
    write(tmp_path, takes=5)
    with pytest.raises(UserError, match=r"all 100 recordings are in one split; clone .*, which has 3,000"):
        load(tmp_path)


def test_a_spectrogram_shows_pitch_and_time() -> None:
    bands = speech.spectrogram.filters
    centres = (bands @ (np.arange(257) * 8000 / 512)) / bands.sum(axis=1)
    low, high = speech.spectrogram(tone(500)), speech.spectrogram(tone(2000))
    for image, hertz in ((low, 500), (high, 2000)):
        assert abs(centres[image[32].argmax()] - hertz) < 150
        loud = np.flatnonzero(image.max(axis=1) > 200)
        assert 22 <= len(loud) <= 28  # 0.4 s of 16 ms steps, in the middle
        assert abs(loud.mean() - 31.5) < 1
        assert image.max() == 255


def test_the_mel_scale_is_even_where_it_should_be() -> None:
    bands = speech.spectrogram.filters
    assert bands.shape == (32, 257)
    assert (bands.max(axis=1) > 0.5).all()  # no band falls between two bins
    peaks = bands.argmax(axis=1) * 8000 / 512
    mel = 2595 * np.log10(1 + peaks / 700)
    step = 2595 * np.log10(1 + 4000 / 700) / 33
    assert np.abs(np.diff(mel) - step).max() < 25  # a bin is 15.6 Hz


def test_loudness_does_not_matter_and_silence_is_black() -> None:
    loud = tone(700).astype(np.int32)
    assert np.abs(speech.spectrogram(loud).astype(int) - speech.spectrogram(loud // 4)).max() <= 12  # rounded samples
    assert not speech.spectrogram(np.zeros(3000, np.int16)).any()


def test_decibels_are_quarters() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=speech.spectrogram.samples)
    faint = np.concatenate([noise[:4096], noise[4096:] * 10**-1.0])  # 20 dB down in its second half
    image = speech.spectrogram(faint).astype(float)
    fall = image[2:28].mean() - image[36:62].mean()
    assert abs(fall - 20 * 255 / 64) < 6


@pytest.mark.parametrize("length", [1, 200, 8319, 8320, 8321, 20_000])
def test_recordings_of_any_length(length: int) -> None:
    samples = np.random.default_rng(length).integers(-3000, 3000, length).astype(np.int16)
    assert speech.spectrogram(samples).shape == (64, 32)


def test_long_recordings_keep_their_middle() -> None:
    samples = np.concatenate([np.zeros(10_000, np.int16), tone(900, 0.5), np.zeros(10_000, np.int16)])
    assert np.array_equal(speech.spectrogram(samples), speech.spectrogram(tone(900, 0.5)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 16_000}, "16000 Hz, 1 channels, 16 bits; the recordings are 8000 Hz, 1 channel, 16 bits; convert it"),
        ({"channels": 2}, "8000 Hz, 2 channels, 16 bits"),
        ({"width": 1}, "8000 Hz, 1 channels, 8 bits"),
    ],
)
def test_other_recordings_are_told(tmp_path: Path, settings: dict[str, int], message: str) -> None:
    write_wav(tmp_path / "0_theo_0.wav", tone(500), **settings)
    with pytest.raises(UserError) as caught:
        speech.read_wav(tmp_path / "0_theo_0.wav")
    assert str(caught.value).startswith(f"{tmp_path}/0_theo_0.wav: {message}")


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (Path.mkdir, "a folder, not a file"),
        (os.mkfifo, "a pipe or a device, not a file"),
        (lambda path: path.symlink_to("nowhere"), "a link to nowhere, which does not exist"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b""), "not a WAV file"),
    ],
    ids=["folder", "pipe", "dangling", "loop", "empty"],
)
def test_what_is_no_recording_is_told(tmp_path: Path, put: Callable[[Path], object], reason: str) -> None:
    write(tmp_path)
    (tmp_path / "3_theo_2.wav").unlink()
    put(tmp_path / "3_theo_2.wav")
    with pytest.raises(UserError, match=rf"3_theo_2.wav: {reason}.*; delete it and clone .* again"):
        load(tmp_path)


def test_a_recording_that_announces_gigabytes_is_told(tmp_path: Path) -> None:
    write_wav(path := tmp_path / "0_theo_0.wav", tone(500))
    content = bytearray(path.read_bytes())
    content[40:44] = (0xFFFFFFF0).to_bytes(4, "little")  # the size of the data
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"announces 4294967280 bytes of samples but holds 6400; delete it"):
        speech.read_wav(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_damaged_recordings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "0_theo_0.wav"
    write_wav(path, tone(500))
    whole = path.read_bytes()
    for content in (b"", b"RIFF", b"nothing of the kind" * 5):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"0_theo_0.wav: not a WAV file \(.*\); delete it and clone "):
            speech.read_wav(path)
    path.write_bytes(whole[:-101])
    with pytest.raises(UserError, match=r"announces 6400 bytes of samples but holds 6299; delete it and clone "):
        speech.read_wav(path)
    write_wav(path, tone(500, 0.0))
    with pytest.raises(UserError, match=r"announces 0 bytes of samples but holds 0"):
        speech.read_wav(path)


def test_names_and_missing_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r": no 0_jackson_0.wav in free-spoken-digit-dataset/recordings/ or "):
        load(tmp_path)
    write(tmp_path, takes=1)
    (tmp_path / "zero.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"zero.wav: the name is not DIGIT_SPEAKER_INDEX.wav, e.g. 7_jackson_12.wav"):
        load(tmp_path)
