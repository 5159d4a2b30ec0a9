# SPDX-License-Identifier: Apache-2.0
"""Pictures for TensorBoard: the first layer's weights as training goes on, and the confusion matrix at its end."""

from __future__ import annotations

import math
from typing import Any

import lightning as L  # noqa: N812  (its customary name)
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from adiabit.train.blocks import Shape
from adiabit.train.data import Split
from adiabit.train.layers import BinaryConv2d, BinaryLinear
from adiabit.train.measure import logits, tensors

ROWS = 64  # neurons or filters that are shown
CLASSES = 256  # beyond that, no confusion matrix
SIZE = 8  # pixels of a cell of it


class Pictures(Callback):
    """Draws weights ten times in a training. `image` is the shape (H, W, C) of the frames, `split` what is confused."""

    def __init__(self, net: nn.Module, split: Split, image: Shape) -> None:
        self.net, self.split, self.image = net, split, image

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Draw the weights."""
        epoch, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        if epoch == epochs or epoch % max(1, epochs // 10) == 0:
            self._draw(trainer, epoch, "weights of the first layer", weights(self.net, self.image))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Draw the confusion matrix."""
        frames, labels = tensors(self.split)
        found = logits(self.net, frames).cpu()
        if found.shape[1] <= CLASSES:
            shown = confusion(labels, found.argmax(1), found.shape[1])
            self._draw(trainer, trainer.current_epoch, "confusion (rows: labels)", shown)

    def _draw(self, trainer: L.Trainer, epoch: int, name: str, picture: Tensor | None) -> None:
        writer: Any = trainer.logger.experiment if trainer.logger else None  # type: ignore[attr-defined]  # TensorBoard's
        if writer is not None and picture is not None and trainer.is_global_zero:
            writer.add_image(name, picture, epoch)


@torch.no_grad()
def weights(net: nn.Module, image: Shape) -> Tensor | None:
    """The first product's weights as the network uses them, (1 or 3, H, W) in 0...1: a picture a neuron or filter."""
    kinds = (BinaryLinear, BinaryConv2d, nn.Linear, nn.Conv2d)
    layer = next((module for module in net.modules() if isinstance(module, kinds)), None)
    if layer is None:
        return None
    value = layer.weight.detach()
    if isinstance(layer, BinaryLinear | BinaryConv2d):
        value = layer.quantizer.quantize(value)
    value = value[:ROWS].float().cpu()
    if value.ndim == 2:
        flat = math.prod(image) != value.shape[1]
        value = value[:, None, None] if flat else value.view(-1, *image).permute(0, 3, 1, 2)
    if value.shape[1] not in (1, 3):
        value = value.mean(1, keepdim=True)
    return grid(0.5 + value / (2 * value.abs().max().clamp_min(1e-9)))


def grid(pictures: Tensor) -> Tensor:
    """Pictures (N, C, H, W) in 0...1 as one (C, H', W'), in rows of about as many as there are rows."""
    count, channels, height, width = pictures.shape
    columns = max(1, round(math.sqrt(count * height / width)))
    rows = -(-count // columns)
    out = torch.full((channels, rows * (height + 1) - 1, columns * (width + 1) - 1), 0.5)
    for k, picture in enumerate(pictures):
        y, x = (k // columns) * (height + 1), (k % columns) * (width + 1)
        out[:, y : y + height, x : x + width] = picture
    return out


def confusion(labels: Tensor, predictions: Tensor, classes: int) -> Tensor:
    """Shares of each label's frames (row) by prediction (column), (1, H, W) in 0...1, black for all of them."""
    counts = torch.bincount(labels * classes + predictions, minlength=classes**2).view(classes, classes).float()
    shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
    return 1 - shares.repeat_interleave(SIZE, 0).repeat_interleave(SIZE, 1)[None]
