# SPDX-License-Identifier: Apache-2.0
"""Where a network errs: its confusion matrix, and the frames that it finds hardest, as pictures."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.flows.ladder import Vectors

HARDEST = 12  # frames that are shown


@dataclass(frozen=True, kw_only=True)
class HardFrame:
    """A frame near a decision, or beyond it."""

    frame: int  # its number among the vectors
    label: int
    prediction: int
    margin: float  # the label's logit less the largest other one; negative where the prediction is wrong


@dataclass(frozen=True, kw_only=True)
class Mistakes:
    """The labelled vectors by label and prediction, and the hardest of them."""

    confusion: tuple[tuple[int, ...], ...]  # frames by label (row) and prediction (column)
    hardest: tuple[HardFrame, ...]  # the smallest margin first

    @property
    def frames(self) -> int:
        """The number of labelled frames."""
        return sum(map(sum, self.confusion))


def mistakes(vectors: Vectors) -> Mistakes | None:
    """Those of the vectors; None where none is labelled, or the output is not a class a frame."""
    known = np.flatnonzero(vectors.labels >= 0)
    if not len(known) or vectors.logits.ndim != 2 or vectors.logits.shape[1] < 2:
        return None
    labels, logits = vectors.labels[known], vectors.logits[known].astype(np.float64)
    predictions, classes = vectors.predictions.reshape(len(vectors.labels), -1)[known, 0], logits.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    own = logits[np.arange(len(known)), labels]
    logits[np.arange(len(known)), labels] = -np.inf
    margins = own - logits.max(axis=1)
    order = np.lexsort((known, margins))[:HARDEST]
    hardest = tuple(
        HardFrame(frame=int(known[k]), label=int(labels[k]), prediction=int(predictions[k]), margin=float(margins[k]))
        for k in order
    )
    return Mistakes(confusion=tuple(tuple(map(int, row)) for row in counts), hardest=hardest)


def pictures(vectors: Vectors, found: Mistakes, image: Sequence[int], *, sound: bool = False) -> list[str]:
    """The hardest frames as `data:` addresses of PNG files; `image` is the shape (H, W, C) that a flat frame has.

    Features that are no image are a row of pixels. A spectrogram has its time from left to right, low bands below.
    """
    return [_png(_pixels(vectors.frames[hard.frame], tuple(image), sound=sound)) for hard in found.hardest]


def _pixels(frame: npt.NDArray[Any], image: tuple[int, ...], *, sound: bool) -> npt.NDArray[np.uint8]:
    """A frame as (H, W) or (H, W, 3) bytes."""
    shape = frame.shape if frame.ndim == 3 else image
    if len(shape) != 3 or math.prod(shape) != frame.size or shape[2] not in (1, 3):
        shape = (1, frame.size, 1)
    values = frame.reshape(shape).astype(np.float64)
    low, high = (0.0, 255.0) if values.min() >= 0 and values.max() > 1 else (float(values.min()), float(values.max()))
    pixels = ((values - low) * (255 / max(high - low, 1e-9))).round().clip(0, 255).astype(np.uint8)
    if sound:
        pixels = pixels.swapaxes(0, 1)[::-1]
    return pixels[..., 0] if shape[2] == 1 else pixels


def _png(pixels: npt.NDArray[np.uint8]) -> str:
    from PIL import Image  # only where pictures are made

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
