# SPDX-License-Identifier: Apache-2.0
"""Augmentation: random transforms, drawn for each frame of a batch.

Transforms take uint8 images (B, H, W, C) or (B, H, W). Only the given generator is drawn from, and a transform that is
off draws nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its customary name)

from adiabit.train.blocks import Shape
from adiabit.train.config import TrainConfig
from adiabit.train.measure import Indexed


@dataclass(frozen=True)
class Affine:
    """Rotate, zoom and shift frames by uniform draws; bilinear, black beyond the border.

    `shift` is in pixels, `rotate` in degrees, `zoom` the share by which a frame grows or shrinks; each bounds its draw
    from both sides. `share` of the frames are transformed, the others stay as they are.
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    share: float = 1.0

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Frames of the same shape."""
        if not (self.shift or self.rotate or self.zoom):
            return frames
        batch, height, width = frames.shape[:3]
        draws = (2 * torch.rand(4, batch, generator=generator) - 1) * torch.tensor(
            [[math.radians(self.rotate)], [self.zoom], [2 * self.shift / height], [2 * self.shift / width]]
        )
        rows = torch.nonzero(torch.rand(batch, generator=generator) < self.share)[:, 0]
        angle, zoom, dy, dx = draws[:, rows, None, None]
        cos, sin = angle.cos() * (1 + zoom), angle.sin() * (1 + zoom)
        y, x = (((2 * torch.arange(size) + 1) / size - 1).view(-1, 1) for size in (height, width))
        along = x * torch.cat([cos, sin], dim=-1)  # (B, W, 2); affine_grid takes five times as long
        down = y * torch.cat([-sin, cos], dim=-1) + torch.cat([dx, dy], dim=-1)  # (B, H, 2)
        grid = along[:, None] + down[:, :, None]
        images = frames[rows].view(-1, height, width, math.prod(frames.shape[3:])).permute(0, 3, 1, 2)
        moved = F.grid_sample(images.float(), grid, align_corners=False)
        result = frames.clone()
        result[rows] = moved.permute(0, 2, 3, 1).round().to(torch.uint8).reshape(-1, *frames.shape[1:])
        return result


@dataclass(frozen=True)
class Crop:
    """Move frames by whole pixels, up to `rows` and `columns` in either direction; black beyond the border.

    The usual augmentation of CIFAR-10: 4 pixels of padding on each side, then a random crop (He et al., 2015).
    """

    rows: int = 0
    columns: int = 0

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Frames of the same shape."""
        if not (self.rows or self.columns):
            return frames
        batch, height, width = frames.shape[:3]
        padded = frames.new_zeros(batch, height + 2 * self.rows, width + 2 * self.columns, *frames.shape[3:])
        padded[:, self.rows : self.rows + height, self.columns : self.columns + width] = frames
        top = torch.randint(2 * self.rows + 1, (batch, 1, 1), generator=generator)
        left = torch.randint(2 * self.columns + 1, (batch, 1, 1), generator=generator)
        rows, columns = torch.arange(height)[None, :, None] + top, torch.arange(width)[None, None] + left
        return padded[torch.arange(batch)[:, None, None], rows, columns]


@dataclass(frozen=True)
class Flip:
    """Mirror half of the frames, left to right."""

    on: bool = False

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Frames of the same shape."""
        if not self.on:
            return frames
        mirrored = torch.rand(len(frames), generator=generator) < 0.5
        frames = frames.clone()
        frames[mirrored] = frames[mirrored].flip(2)
        return frames


class Augmentation:
    """The transforms of a recipe; `image` is the shape of a frame as an image, (H, W, C), or (features,)."""

    def __init__(self, config: TrainConfig, image: Shape) -> None:
        affine = Affine(config.shift, config.rotate, config.zoom, config.moved)
        self.image, self.transforms = image, (affine, Crop(*config.crop), Flip(config.flip))

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """Frames of the same shape, (B, ...): a dense network has them flat."""
        images = frames.view(-1, *self.image)
        for transform in self.transforms:
            images = transform(images, generator)
        return images.reshape(frames.shape)


class Augmented:
    """Frames (N, ...) that are augmented when they are indexed, by draws of their own."""

    def __init__(self, frames: Indexed, augmentation: Augmentation) -> None:
        self.frames, self.augmentation = frames, augmentation
        self.ndim, self.generator = frames.ndim, torch.Generator().manual_seed(0)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self.augmentation(self.frames[rows], self.generator)
