# SPDX-License-Identifier: Apache-2.0
"""Augmentation: every frame of a batch moved by a random affine map of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its customary name)


@dataclass(frozen=True)
class Affine:
    """Rotate, zoom and shift frames, each by its own uniform draw; bilinear, black beyond the border.

    `shift` is in pixels, `rotate` in degrees, `zoom` the share by which a frame grows or shrinks; each bounds a
    draw from both sides. `share` of the frames are moved, the others stay as they are.
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    share: float = 1.0

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 frames (B, H, W) -> uint8 frames of the same shape; every draw is the generator's."""
        if not (self.shift or self.rotate or self.zoom):
            return frames
        batch, height, width = frames.shape
        angle, zoom, dy, dx = (2 * torch.rand(4, batch, generator=generator) - 1) * torch.tensor(
            [[math.radians(self.rotate)], [self.zoom], [2 * self.shift / height], [2 * self.shift / width]]
        )
        still = torch.rand(batch, generator=generator) >= self.share
        angle, zoom, dy, dx = (draw.masked_fill(still, 0.0) for draw in (angle, zoom, dy, dx))
        cos, sin = angle.cos() * (1 + zoom), angle.sin() * (1 + zoom)
        maps = torch.stack([cos, -sin, dx, sin, cos, dy], dim=1).view(batch, 2, 3)
        grid = F.affine_grid(maps, [batch, 1, height, width], align_corners=False)
        moved = F.grid_sample(frames[:, None].float(), grid, align_corners=False)
        return moved[:, 0].round().to(torch.uint8)
