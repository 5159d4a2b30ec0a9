# SPDX-License-Identifier: Apache-2.0
"""Recordings of one's own: a folder of WAV files a class, as spectrograms; Google's Speech Commands is one.

Speech Commands (Warden, 2018) lists its splits in `testing_list.txt` and `validation_list.txt`.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from adiabit import files
from adiabit.errors import UserError
from adiabit.train.blocks import Shape
from adiabit.train.data import DATASETS
from adiabit.train.data.files import checked_file
from adiabit.train.data.folders import ClassFolders, Frame, Item
from adiabit.train.data.own import TEST, TRAIN, VALIDATION, Labels
from adiabit.train.data.spectrogram import Spectrogram
from adiabit.train.table import Count

LISTS = {"testing_list.txt": TEST, "validation_list.txt": VALIDATION}
UNREADABLE = (  # what scipy raises for damaged files
    OSError, ValueError, EOFError, IndexError, TypeError, ArithmeticError, MemoryError, RuntimeError, struct.error,
)  # fmt: skip
FULL = 32768.0  # full scale, as of 16 bits
REMEDY = "convert it to PCM, or remove it"


@DATASETS.register
class Audio(ClassFolders):
    """The shape of the spectrograms."""

    kinds = (".wav",)
    sound: ClassVar[bool] = True

    dataset: Literal["audio"] = "audio"
    rate: Annotated[int, Field(ge=1000, le=384_000)] = 16_000
    """Samples a second, to which recordings are resampled."""
    seconds: Annotated[float, Field(ge=0.01, le=60)] = 1.0
    """Of a frame: the middle of a recording, or padded with silence."""
    steps: Annotated[Count, Field(le=4096)] = 64
    """Rows of the spectrogram: points in time."""
    bands: Annotated[Count, Field(le=512)] = 32
    """Columns of the spectrogram: mel bands."""

    @model_validator(mode="after")
    def _bands_are_heard(self) -> Self:
        if self.spectrogram.hop < 1:
            raise ValueError(f"steps = {self.steps} are more than the samples of {self.seconds:g} s; choose fewer")
        if self.spectrogram.fft > 1 << 16:
            raise ValueError(
                f"steps = {self.steps} are too few for {self.seconds:g} s at rate = {self.rate}; choose more"
            )
        if not self.spectrogram.filters.any(axis=1).all():
            raise ValueError(f"bands = {self.bands} are too many for {self.steps} steps in {self.seconds:g} s: some "
                             "are narrower than a step can tell apart; choose fewer bands or fewer steps")  # fmt: skip
        return self

    @property
    def spectrogram(self) -> Spectrogram:
        """As many steps as fill the seconds, of windows that overlap by half."""
        hop = round(self.seconds * self.rate / (self.steps + 1))
        return Spectrogram(rate=self.rate, steps=self.steps, bands=self.bands, hop=hop)

    @property
    def shape(self) -> Shape:
        """(time steps, bands, 1)."""
        return self.steps, self.bands, 1

    def frame(self, path: Path) -> Frame:
        """The spectrogram."""
        rate, samples = read_wav(path)
        wanted = math.ceil(self.spectrogram.samples * rate / self.rate) + 2 * rate  # with more than a filter needs
        if (spare := len(samples) - wanted) > 0:
            samples = samples[spare // 2 : spare // 2 + wanted]
        return self.spectrogram(resampled(samples, rate, self.rate))[..., None]

    def own_splits(self, items: Sequence[Item], labels: Labels) -> dict[str, npt.NDArray[np.bool_]]:
        """As the lists say, where they are there."""
        listed = {part: _listed(path) for path, part in self._lists().items()}
        if TEST not in listed:
            return super().own_splits(items, labels)
        names = [path.relative_to(self.root).as_posix() for path, _ in items]
        masks = {part: np.array([name in found for name in names], np.bool_) for part, found in listed.items()}
        return {TRAIN: ~np.logical_or.reduce(list(masks.values())), **masks}

    def more_files(self) -> dict[str, Path]:
        """The lists."""
        return {path.name: path for path in self._lists()}

    def _lists(self) -> dict[Path, str]:
        return {self.root / name: part for name, part in LISTS.items() if (self.root / name).exists()}


def _listed(path: Path) -> set[str]:
    return set(files.read_text(path, "fetch it again or remove it").split("\n"))


def read_wav(path: Path) -> tuple[int, npt.NDArray[np.float64]]:
    """Rate and samples (N,) of a recording, full scale 32768, channels averaged; `UserError` where it is damaged."""
    from scipy.io import wavfile  # type: ignore[import-untyped]  # slow to import

    checked_file(path, REMEDY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)  # a file that ends too early
            warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # of notes and the like
            rate, samples = wavfile.read(path)
    except (*UNREADABLE, wavfile.WavFileWarning) as error:
        raise UserError(f"{path}: not a WAV file that can be read ({error}); {REMEDY}") from error
    if not samples.size or not 1 <= rate <= 10_000_000:
        raise UserError(f"{path}: {samples.size} samples at {rate} Hz; {REMEDY}")
    with np.errstate(over="ignore", invalid="ignore"):
        mono = _scaled(samples).reshape(len(samples), -1).mean(axis=1)
    if not np.isfinite(mono).all():
        raise UserError(f"{path}: holds NaN or infinity; {REMEDY}")
    return int(rate), mono


def _scaled(samples: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Samples of any type at full scale 32768; scipy left-justifies 24 bits in 32."""
    values = samples.astype(np.float64)
    if samples.dtype == np.uint8:
        return (values - 128) * (FULL / 128)
    if samples.dtype.kind == "f":
        return values * FULL
    return values * (FULL / 2.0 ** (8 * samples.dtype.itemsize - 1))


def resampled(samples: npt.NDArray[np.float64], rate: int, wanted: int) -> npt.NDArray[np.float64]:
    """Samples (N,) at another rate, band-limited; a rate that is not a small fraction of it is approximated."""
    if rate == wanted:
        return samples
    from fractions import Fraction

    from scipy.signal import resample_poly  # type: ignore[import-untyped]

    ratio = Fraction(wanted, rate).limit_denominator(2000)
    return np.asarray(resample_poly(samples, ratio.numerator, ratio.denominator))
