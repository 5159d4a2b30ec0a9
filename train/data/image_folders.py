# SPDX-License-Identifier: Apache-2.0
"""Images of one's own: a folder a class, files of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from adiabit.errors import UserError
from adiabit.train.blocks import Shape
from adiabit.train.data import DATASETS
from adiabit.train.data.folders import ClassFolders, Frame
from adiabit.train.data.images import SUFFIXES, decode, decoded, eight_bits
from adiabit.train.table import Pair

if TYPE_CHECKING:
    from PIL.Image import Image


@DATASETS.register
class Images(ClassFolders):
    """How images become frames."""

    kinds = SUFFIXES

    dataset: Literal["images"] = "images"
    size: Pair = (32, 32)
    """`[rows, columns]` of a frame, or one number."""
    fit: Literal["stretch", "crop", "pad"] = "crop"
    """`"crop"` fills the frame and cuts off what exceeds it, `"pad"` shows all on black, `"stretch"` distorts."""
    color: Literal["grey", "rgb"] = "rgb"
    """One channel or three."""

    @property
    def shape(self) -> Shape:
        """Of the size, with one channel or three."""
        return (*self.size, 1 if self.color == "grey" else 3)

    def frame(self, path: Path) -> Frame:
        """The image, resized."""
        return decode(path, self.resized, "replace or remove it")

    def frames(self, paths: Sequence[Path], read: Callable[[Path], Frame | UserError]) -> Iterable[Frame | UserError]:
        """Decodes in parallel."""
        return decoded(paths, read)

    def resized(self, image: Image) -> Frame:
        """The image as a frame (H, W, C): upright, and on white where it is transparent."""
        from PIL import ImageOps  # needed only here
        from PIL.Image import Resampling

        height, width = self.size
        side = 2 * max(height, width)
        image.draft(None, (side, side))  # JPEG decodes to a smaller size, much faster
        plain = opaque(ImageOps.exif_transpose(image)).convert("L" if self.color == "grey" else "RGB")
        if self.fit == "stretch":
            fitted = plain.resize((width, height), Resampling.BILINEAR)
        elif self.fit == "crop":
            fitted = ImageOps.fit(plain, (width, height), Resampling.BILINEAR)
        else:
            fitted = ImageOps.pad(plain, (width, height), Resampling.BILINEAR)
        return np.asarray(fitted, np.uint8).reshape(self.shape)


def opaque(image: Image) -> Image:
    """The image in a mode of 8 bits without transparency; what is transparent becomes white."""
    from PIL import Image as Images

    if image.mode[:1] == "I":  # 16 bits, which Pillow would clip
        return Images.fromarray(eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Images.alpha_composite(Images.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image
