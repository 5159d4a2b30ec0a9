# SPDX-License-Identifier: Apache-2.0
"""Image files, decoded by Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = (".jpg", ".jpeg", ".png")
SUFFIXES = (*KINDS, ".gif", ".bmp", ".webp")
BLOCK = 512  # images that are decoded at a time
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")  # the formats of such files; for EPS, Pillow would run Ghostscript

T = TypeVar("T")


@contextmanager
def bombs_refused() -> Iterator[None]:
    """Images of more than 89 million pixels are refused, not warned of.

    It is for the whole process, so it is entered before threads decode.
    """
    from PIL.Image import DecompressionBombWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", DecompressionBombWarning)
        yield


def decode(path: Path, convert: Callable[[Image], npt.NDArray[np.uint8]], remedy: str) -> npt.NDArray[np.uint8]:
    """What `convert` makes of an image's first frame; `UserError`, ending in `remedy`, where the file is no image."""
    from PIL import Image, UnidentifiedImageError

    bombs = Image.DecompressionBombWarning, Image.DecompressionBombError
    if not path.is_file():
        raise UserError(f"{path}: not a file; {remedy}")
    try:
        with Image.open(path, formats=FORMATS) as image:
            return convert(image)
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image; {remedy}") from error
    except (OSError, SyntaxError, ValueError, *bombs) as error:  # what Pillow raises for damaged files
        raise UserError(f"{path}: cannot be decoded ({error}); {remedy}") from error


def decoded(images: Sequence[Path], decode: Callable[[Path], T]) -> Iterator[T]:
    """What `decode` makes of each image, in order; Pillow decodes in parallel."""
    with bombs_refused(), ThreadPoolExecutor() as pool:
        for start in range(0, len(images), BLOCK):
            yield from pool.map(decode, images[start : start + BLOCK])


def eight_bits(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A 16-bit image scaled to 8 bits; Pillow would clip it."""
    return (image.clip(0, 0xFFFF) / 257).round().astype(np.uint8)
