# SPDX-License-Identifier: Apache-2.0
"""Frames are moved as the bounds say, each by its own draw, and blank pixels stay blank."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adiabit.train.augment import Affine


def frames(count: int = 200) -> Tensor:
    """A bright 4x4 square amid black, (count, 28, 28)."""
    square = torch.zeros(28, 28, dtype=torch.uint8)
    square[12:16, 12:16] = 255
    return square.repeat(count, 1, 1)


def moved(augment: Affine, seed: int = 0) -> Tensor:
    return augment(frames(), torch.Generator().manual_seed(seed))


def centres(batch: Tensor) -> Tensor:
    """(y, x) of each frame's centre of brightness, in pixels from the frame's centre: (B, 2)."""
    mass = batch.double() / batch.double().sum((1, 2), keepdim=True)
    axis = torch.arange(28, dtype=torch.float64) - 13.5
    return torch.stack([(mass.sum(2) * axis).sum(1), (mass.sum(1) * axis).sum(1)], 1)


def test_without_bounds_nothing_moves() -> None:
    assert torch.equal(moved(Affine()), frames())


def test_shifts_fill_their_bounds_in_both_directions() -> None:
    found = centres(moved(Affine(shift=2.0)))
    assert found.abs().max() <= 2.01
    assert (found.amax(0) > 1.8).all()
    assert (found.amin(0) < -1.8).all()


def test_frames_move_each_on_its_own() -> None:
    assert len({tuple(c) for c in centres(moved(Affine(shift=2.0))).tolist()}) > 190


def test_rotation_keeps_centre_and_area() -> None:
    turned = moved(Affine(rotate=45.0))
    assert centres(turned).abs().max() < 0.05
    torch.testing.assert_close(turned.double().sum((1, 2)), frames().double().sum((1, 2)), rtol=0.05, atol=0)
    assert not torch.equal(turned, frames())


def test_zoom_changes_the_area_within_its_bounds() -> None:
    share = moved(Affine(zoom=0.25)).double().sum((1, 2)) / frames().double().sum((1, 2))
    assert 0.95 / 1.25**2 < share.min() < 0.75
    assert 1.4 < share.max() < 1.05 / 0.75**2


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_moved_frames(share: float) -> None:
    still = (moved(Affine(shift=3.0, share=share)) == frames()).all((1, 2)).double().mean()
    assert abs(float(still) - (1 - share)) < 0.1


def test_the_draw_is_the_generators_alone() -> None:
    augment = Affine(shift=2.0, rotate=10.0, zoom=0.1, share=0.8)
    assert torch.equal(moved(augment, 3), moved(augment, 3))
    assert not torch.equal(moved(augment, 3), moved(augment, 4))
