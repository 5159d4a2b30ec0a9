# SPDX-License-Identifier: Apache-2.0
"""Pictures for TensorBoard: what they show, by hand, and that a training leaves them."""

from __future__ import annotations

from pathlib import Path

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data.mnist import Digits
from adiabit.train.layers import BinaryLinear
from adiabit.train.loop import fit
from adiabit.train.pictures import SIZE, confusion, grid, weights
from adiabit.train.quantizers import SignQuantizer


def test_weights_are_shown_as_the_network_uses_them() -> None:
    layer = BinaryLinear(6, 2, quantizer=SignQuantizer("weight"))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.3, -0.1, 0.2, -0.4, 0.5, -0.6], [-1.0, 1, 1, 1, 1, 1]]))
    shown = weights(nn.Sequential(nn.ReLU(), layer), (2, 3, 1))
    assert shown is not None
    pictures = torch.tensor([[[1.0, 0, 1], [0, 1, 0]], [[0, 1, 1], [1, 1, 1]]])
    assert torch.equal(shown[0], torch.cat([pictures[0], torch.full((1, 3), 0.5), pictures[1]]))
    assert weights(nn.ReLU(), (2, 3, 1)) is None
    wide = weights(nn.Conv2d(5, 4, 3), (8, 8, 5))
    assert wide is not None
    assert wide.shape == (1, 7, 7)


def test_a_grid_is_about_square() -> None:
    assert grid(torch.zeros(64, 1, 28, 28)).shape == (1, 231, 231)
    assert grid(torch.zeros(3, 3, 1, 40)).shape == (3, 5, 40)


def test_confusion_is_shown_by_shares() -> None:
    shown = confusion(torch.tensor([0, 0, 0, 0, 1]), torch.tensor([0, 0, 0, 1, 1]), 3)
    cells = shown[0, ::SIZE, ::SIZE]
    assert torch.equal(cells, torch.tensor([[0.25, 0.75, 1], [1, 0, 1], [1, 1, 1]]))
    assert shown.shape == (1, 3 * SIZE, 3 * SIZE)


def test_a_training_leaves_them(tmp_path: Path) -> None:
    model = ModelConfig.model_validate({"topology": "free", "widths": [4]})
    fit(Digits(), model, TrainConfig(epochs=2, batch_size=500), tmp_path, progress=False, quiet=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    shown = {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]}
    assert shown == {"weights of the first layer": [1, 2], "confusion (rows: labels)": [2]}
