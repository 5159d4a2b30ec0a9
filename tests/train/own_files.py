# SPDX-License-Identifier: Apache-2.0
"""Small data sets of a user's own, written by seed: pictures, recordings, a table, arrays."""

from __future__ import annotations

import csv
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

ODD = ("<b>Kreis & Co.", 'drei "Ecken"', "正方形")  # names of classes that survive everywhere


def shapes(folder: Path, count: int, names: Sequence[str] = ODD, *, seed: int = 0) -> None:
    """Discs, triangles and squares of random size, place and colour: PNG, JPEG and GIF of odd sizes."""
    rng = np.random.default_rng(seed)
    for kind, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            width, height = rng.integers(26, 34, 2)
            image = Image.new("RGB", (int(width), int(height)), tuple(rng.integers(0, 80, 3).tolist()))
            size = int(rng.integers(20, 24))
            left, top = (int(rng.integers(1, side - size)) for side in (width, height))
            draw = ImageDraw.Draw(image)
            color, box = tuple(rng.integers(170, 256, 3).tolist()), (left, top, left + size, top + size)
            if kind == 0:
                draw.ellipse(box, color)
            elif kind == 1:
                draw.polygon([(left, top + size), (left + size, top + size), (left + size // 2, top)], color)
            else:
                draw.rectangle(box, color)
            image.save(folder / name / f"{number}.{('png', 'jpg', 'gif')[number % 3]}")


def tones(folder: Path, count: int, names: Sequence[str], *, rate: int = 8000, seed: int = 0) -> None:
    """A pitch a class, in noise."""
    rng = np.random.default_rng(seed)
    for kind, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            times = np.arange(int(rate * rng.uniform(0.3, 0.5))) / rate
            sound = np.sin(2 * np.pi * 400 * (1 + kind) * rng.uniform(0.95, 1.05) * times)
            write_wav(folder / name / f"{number}.wav", sound + rng.normal(size=len(times)) / 10, rate)


def write_wav(path: Path, sound: Any, rate: int) -> None:
    """16 bits, mono."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((9000 * np.asarray(sound)).astype("<i2").tobytes())


def table(path: Path, count: int, names: Sequence[str], *, features: int = 13, seed: int = 0) -> None:
    """Features of very different ranges, around a centre for each class."""
    rng = np.random.default_rng(1)
    centres, scales = rng.normal(size=(len(names), features)), 10.0 ** rng.integers(-3, 5, features)
    rng = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"f{k}" for k in range(features)), "kind"])
        for number in range(count):
            kind = number % len(names)
            row = (centres[kind] + rng.normal(size=features) / 3) * scales
            writer.writerow([*map(repr, row.tolist()), names[kind]])


def bars(count: int, shape: tuple[int, ...] = (9, 7), *, seed: int = 0) -> tuple[Any, Any]:
    """Frames (N, *shape) uint8 with a bright row (class 0) or column (class 1)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    frames = rng.integers(0, 90, (count, *shape)).astype(np.uint8)
    for frame, label in zip(frames, labels, strict=True):
        if label:
            frame[:, rng.integers(shape[1])] = 250
        else:
            frame[rng.integers(shape[0])] = 250
    return frames, labels
