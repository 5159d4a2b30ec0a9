# SPDX-License-Identifier: Apache-2.0
"""Confusion matrix and hardest frames, counted by hand; pictures of images, features and spectrograms."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from adiabit.flows.ladder import Vectors
from adiabit.flows.report.mistakes import HardFrame, mistakes, pictures

Frames = npt.NDArray[Any]
LOGITS = np.array(
    [[3, 1, 0], [0, 5, 1], [2, 1, 0], [0, 1, 1.5], [9, 9, 9], [0, 0, 4]], np.float32
)  # right, right, wrong by 1, right by 0.5, a corner, wrong by 4
LABELS = np.array([0, 1, 1, 2, -1, 0])


def some(frames: Frames, logits: Frames = LOGITS, labels: Frames = LABELS) -> Vectors:
    return Vectors(frames=frames, labels=labels, logits=logits, predictions=logits.argmax(1))


def test_frames_are_counted_by_label_and_prediction() -> None:
    found = mistakes(some(np.zeros((6, 4), np.uint8)))
    assert found is not None
    assert found.confusion == ((1, 0, 1), (1, 1, 0), (0, 0, 1))
    assert found.frames == 5
    assert found.hardest == (
        HardFrame(frame=5, label=0, prediction=2, margin=-4.0), HardFrame(frame=2, label=1, prediction=0, margin=-1.0),
        HardFrame(frame=3, label=2, prediction=2, margin=0.5), HardFrame(frame=0, label=0, prediction=0, margin=2.0),
        HardFrame(frame=1, label=1, prediction=1, margin=4.0),
    )  # fmt: skip


@pytest.mark.parametrize(("logits", "labels"), [(LOGITS, np.full(6, -1)), (LOGITS[:, :1], LABELS)])
def test_without_labels_or_classes_there_are_none(logits: Frames, labels: Frames) -> None:
    assert mistakes(some(np.zeros((6, 4), np.uint8), logits, labels)) is None


def picture(frame: Frames, image: tuple[int, ...] = (), *, sound: bool = False) -> Frames:
    """The picture of the hardest frame, number 5, as pixels."""
    frames = np.zeros((6, *frame.shape), frame.dtype)
    frames[5] = frame
    vectors = some(frames)
    found = mistakes(vectors)
    assert found is not None
    head, _, data = pictures(vectors, found, image, sound=sound)[0].partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_pictures_show_the_pixels_themselves() -> None:
    rng = np.random.default_rng(0)
    grey, colour = (rng.integers(0, 256, (3, 2, n), dtype=np.uint8) for n in (1, 3))
    assert np.array_equal(picture(grey), grey[..., 0])
    assert np.array_equal(picture(colour), colour)
    assert np.array_equal(picture(grey.ravel(), (3, 2, 1)), grey[..., 0])
    assert np.array_equal(picture(grey, sound=True), grey[..., 0].T[::-1])
    features = np.array([0, 255, 128, 1, 2], np.uint8)
    assert np.array_equal(picture(features), features[None])
    assert np.array_equal(picture(np.array([-1, 1, 1, -1])), [[0, 255, 255, 0]])
