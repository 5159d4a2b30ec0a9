# SPDX-License-Identifier: Apache-2.0
"""Sound as images: mel spectrograms of 8-bit elements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

RANGE_DB = 64.0  # below the loudest element; 255 levels of a quarter dB


def middle(samples: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """So many samples (count,) out of the middle of a recording (N,), or that padded with zeros on both sides."""
    spare = count - len(samples)
    return np.pad(samples, (spare // 2, spare - spare // 2)) if spare >= 0 else samples[-spare // 2 :][:count]


@dataclass(frozen=True, kw_only=True)
class Spectrogram:
    """The logarithm of the energy of a recording in `bands` mel bands from 0 to `rate` / 2, at `steps` moments."""

    rate: int  # samples a second
    steps: int
    bands: int
    hop: int  # samples from step to step; a window is twice as long

    @property
    def window(self) -> int:
        """Samples of a window."""
        return 2 * self.hop

    @property
    def fft(self) -> int:
        """Points of the transform, at least twice the window: a power of 2."""
        return 1 << (2 * self.window - 1).bit_length()

    @property
    def samples(self) -> int:
        """Samples of a recording that the steps span."""
        return (self.steps - 1) * self.hop + self.window

    @property
    def filters(self) -> npt.NDArray[np.float64]:
        """Triangular filters (bands, bins of the transform), evenly spaced in mel = 2595 log10(1 + f / 700)."""
        return _filters(self.rate, self.bands, self.fft)

    def __call__(self, samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """The spectrogram (steps, bands) of a recording (N,): of its middle, or padded with silence on both sides.

        The loudest element is 255, 64 dB below it is 0.
        """
        whole = middle(samples, self.samples).astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(whole, self.window)[:: self.hop]
        power = np.abs(np.fft.rfft(windows * np.hanning(self.window), self.fft)) ** 2
        energy = power @ self.filters.T
        share = energy / max(energy.max(), 1e-9)
        decibel = 10 * np.log10(np.maximum(share, 1e-12))
        levels: npt.NDArray[np.float64] = np.round(255 * (1 + decibel / RANGE_DB))
        return levels.clip(0, 255).astype(np.uint8)


@cache
def _filters(rate: int, bands: int, fft: int) -> npt.NDArray[np.float64]:
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), bands + 2) / 2595) - 1)
    bins = np.arange(fft // 2 + 1) * rate / fft
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))
