# SPDX-License-Identifier: Apache-2.0
"""Spoken digits: free-spoken-digit-dataset, as log-mel spectrograms that the host computes, or as samples.

Why not convolve the raw 8 kHz samples? The first kernels have to learn band-pass filters from weights of -1 and +1,
over 8,000 steps a second. A spectrogram has 2,048 elements and holds what distinguishes digits: which band sounds when.
It is an image of 64 time steps (rows) x 32 bands (columns) with one channel, so the accelerator is the same as for
images, and the host computes 64 short Fourier transforms per recording. Samples are an image of one row.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.data import DATASETS, DataTable, Source
from adiabit.train.data.files import Split, checked_file, find_folder
from adiabit.train.data.spectrogram import Spectrogram, middle

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"
REMEDY = f"clone {URL}"
LAYOUTS = ("free-spoken-digit-dataset/recordings", "recordings", ".")
NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
TEST = 5  # recordings 0 to 4 of each speaker and digit form the upstream test split
RATE = 8000
STEPS, BANDS = 64, 32
Form = Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
spectrogram = Spectrogram(rate=RATE, steps=STEPS, bands=BANDS, hop=128)  # 16 ms from step to step, 1.04 s in all


@DATASETS.register
class SpokenDigits(DataTable):
    """Two ways to split the recordings, in two forms."""

    legend: ClassVar[Legend] = Legend(names=tuple("0123456789"))

    dataset: Literal["spoken-digits"] = "spoken-digits"
    split: Literal["upstream", "speaker"] = "upstream"
    """`"upstream"`: recordings 0 to 4 are the test split; `"speaker"`: all recordings of one speaker."""
    speaker: Annotated[str, Field(min_length=1, max_length=64)] = "theo"
    """That speaker."""
    form: Literal["spectrogram", "samples"] = "spectrogram"
    """64 x 32 levels, or a second of 8-bit samples, an image of 1 x 8,000 (Zhao & Xiao, 2021): kernels are `[1, n]`."""

    @property
    def source(self) -> Source:
        """(time steps, bands, 1), or (1, samples, 1)."""
        return Source((STEPS, BANDS, 1) if self.sound else (1, RATE, 1), 10)

    @property
    def sound(self) -> bool:
        """Whether its frames are spectrograms."""
        return self.form == "spectrogram"

    def splits(self) -> tuple[Split, Split]:
        """3,000 frames in all."""
        form = spectrogram if self.sound else second
        return load(self.dir, self.speaker if self.split == "speaker" else None, form)

    def files(self) -> Mapping[str, Path]:
        """The recordings."""
        return {path.name: path for path in paths(self.dir)}


def load(
    folder: Path | None,
    speaker: str | None = None,
    form: Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]] = spectrogram,
) -> tuple[Split, Split]:
    """Training and test split, frames (N, 64, 32, 1) or those of another `form`, e.g. (N, 1, 8000, 1) of `second`.

    The test split is the upstream one, or all of one speaker's.
    """
    files = paths(folder)
    names = [_parts(path) for path in files]
    speakers = sorted({who for _, who, _ in names})
    if speaker is not None and speaker not in speakers:
        raise UserError(f"recipe: [data]: speaker = {speaker!r} is not one of {speakers}; choose one of them")
    test = np.array([index < TEST if speaker is None else who == speaker for _, who, index in names], dtype=np.bool_)
    if test.all() or not test.any():
        raise UserError(f"{files[0].parent}: all {len(files)} recordings are in one split; {REMEDY}, which has 3,000")
    labels = np.array([digit for digit, _, _ in names], dtype=np.int64)
    whole = Split(np.stack([form(read_wav(path)) for path in files])[..., None], labels)
    return whole.take(~test), whole.take(test)


def second(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A second (1, 8000) of a recording (N,), of its middle: 128 is silence, the loudest sample 1 or 255."""
    whole = middle(samples, RATE).astype(np.float64)
    levels: npt.NDArray[np.float64] = 128 + np.round(127 * whole / max(1.0, np.abs(whole).max()))
    return levels.astype(np.uint8)[None]


def paths(folder: Path | None) -> list[Path]:
    """All recordings, sorted by digit, speaker and index."""
    found = find_folder(folder, LAYOUTS, ("0_jackson_0.wav",), "free-spoken-digit-dataset", REMEDY)
    return sorted(found.glob("*.wav"), key=_parts)


def _parts(path: Path) -> tuple[int, str, int]:
    match = NAME.fullmatch(path.name)
    if match is None:
        raise UserError(f"{path}: the name is not DIGIT_SPEAKER_INDEX.wav, e.g. 7_jackson_12.wav; rename or remove it")
    return int(match[1]), match[2], int(match[3])


def read_wav(path: Path) -> npt.NDArray[np.int16]:
    """Samples (N,) of a recording at 8 kHz."""
    again = f"delete it and {REMEDY} again"
    size = checked_file(path, again).stat().st_size
    try:
        with wave.open(str(path), "rb") as file:
            form = file.getframerate(), file.getnchannels(), 8 * file.getsampwidth()
            announced = file.getnframes() * file.getnchannels() * file.getsampwidth()
            samples = np.frombuffer(file.readframes(min(file.getnframes(), size)), np.uint8)
    except (wave.Error, EOFError, OSError) as error:
        raise UserError(f"{path}: not a WAV file ({error}); {again}") from error
    if form != (RATE, 1, 16):
        raise UserError(f"{path}: {form[0]} Hz, {form[1]} channels, {form[2]} bits; the recordings are {RATE} Hz, 1 "
                        "channel, 16 bits; convert it")  # fmt: skip
    if len(samples) != announced or not announced:
        raise UserError(f"{path}: announces {announced} bytes of samples but holds {len(samples)}; {again}")
    return samples.view("<i2")
