# SPDX-License-Identifier: Apache-2.0
"""Spoken digits: free-spoken-digit-dataset, as log-mel spectrograms that the host computes.

Why not convolve the raw 8 kHz samples? The first kernels would have to learn band-pass filters from weights of -1 and
+1, over 8,000 steps a second. A spectrogram has 2,048 elements and holds what distinguishes digits: which band sounds
when. It is an image of 64 time steps (rows) x 32 bands (columns) with one channel, so the accelerator is the same as
for images, and the host computes 64 short Fourier transforms per recording.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from adiabit.errors import UserError
from adiabit.legend import Legend
from adiabit.train.data import DATASETS, DataTable, Source
from adiabit.train.data.files import Split, checked_file, find_folder
from adiabit.train.data.spectrogram import Spectrogram

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"
REMEDY = f"clone {URL}"
LAYOUTS = ("free-spoken-digit-dataset/recordings", "recordings", ".")
NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
TEST = 5  # recordings 0 to 4 of each speaker and digit form the upstream test split
RATE = 8000
STEPS, BANDS = 64, 32
spectrogram = Spectrogram(rate=RATE, steps=STEPS, bands=BANDS, hop=128)  # 16 ms from step to step, 1.04 s in all


@DATASETS.register
class SpokenDigits(DataTable):
    """Two ways to split the recordings."""

    source: ClassVar[Source] = Source((STEPS, BANDS, 1), 10)  # (time steps, bands, 1)
    legend: ClassVar[Legend] = Legend(names=tuple("0123456789"))
    sound: ClassVar[bool] = True

    dataset: Literal["spoken-digits"] = "spoken-digits"
    split: Literal["upstream", "speaker"] = "upstream"
    """`"upstream"`: recordings 0 to 4 are the test split; `"speaker"`: all recordings of one speaker."""
    speaker: Annotated[str, Field(min_length=1, max_length=64)] = "theo"
    """That speaker."""

    def splits(self) -> tuple[Split, Split]:
        """3,000 frames in all."""
        return load(self.dir, self.speaker if self.split == "speaker" else None)

    def files(self) -> Mapping[str, Path]:
        """The recordings."""
        return {path.name: path for path in paths(self.dir)}


def load(folder: Path | None, speaker: str | None = None) -> tuple[Split, Split]:
    """Training and test split, frames (N, 64, 32, 1); the test split is the upstream one, or all of one speaker's."""
    files = paths(folder)
    names = [_parts(path) for path in files]
    speakers = sorted({who for _, who, _ in names})
    if speaker is not None and speaker not in speakers:
        raise UserError(f"recipe: [data]: speaker = {speaker!r} is not one of {speakers}; choose one of them")
    test = np.array([index < TEST if speaker is None else who == speaker for _, who, index in names], dtype=np.bool_)
    if test.all() or not test.any():
        raise UserError(f"{files[0].parent}: all {len(files)} recordings are in one split; {REMEDY}, which has 3,000")
    labels = np.array([digit for digit, _, _ in names], dtype=np.int64)
    whole = Split(np.stack([spectrogram(read_wav(path)) for path in files])[..., None], labels)
    return whole.take(~test), whole.take(test)


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
