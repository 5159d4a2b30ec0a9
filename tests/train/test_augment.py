# SPDX-License-Identifier: Apache-2.0
"""Frames are moved as the bounds say, each by its own draw, and blank pixels stay blank."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adiabit.train.augment import Affine, Crop, Flip


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


# crop and flip ----------------------------------------------------------------------------------------------------


def numbered(count: int = 300) -> Tensor:
    """Each element tells where it was: (count, 6, 5, 2) of 1 to 60."""
    return torch.arange(1, 61, dtype=torch.uint8).view(1, 6, 5, 2).repeat(count, 1, 1, 1)


def test_an_affine_map_moves_the_channels_of_a_frame_alike() -> None:
    grey = frames(20)
    colour = torch.stack([grey, grey // 2, grey], dim=3)
    augment = Affine(shift=2.0, rotate=10.0)
    moved_grey = augment(grey, torch.Generator().manual_seed(0))
    moved_colour = augment(colour, torch.Generator().manual_seed(0))
    assert moved_colour.shape == colour.shape
    assert torch.equal(moved_colour[..., 0], moved_grey)
    assert torch.equal(moved_colour[..., 2], moved_grey)


def test_crops_move_by_every_whole_pixel_within_the_bounds() -> None:
    found = Crop(2, 1)(numbered(), torch.Generator().manual_seed(0))
    whole = torch.nn.functional.pad(numbered(1)[0].permute(2, 0, 1), (1, 1, 2, 2)).permute(1, 2, 0)
    options = {(y, x): whole[y : y + 6, x : x + 5] for y in range(5) for x in range(3)}
    chosen = [[place for place, option in options.items() if torch.equal(frame, option)] for frame in found]
    assert all(len(places) == 1 for places in chosen)
    assert {places[0] for places in chosen} == set(options)


def test_half_of_the_frames_are_mirrored_in_width() -> None:
    found = Flip(on=True)(numbered(), torch.Generator().manual_seed(0))
    mirrored = (found == numbered().flip(2)).all(3).all(2).all(1)
    assert ((found == numbered()).all(3).all(2).all(1) ^ mirrored).all()
    assert 0.4 < mirrored.double().mean() < 0.6


def test_what_is_off_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    for augment in (Affine(), Crop(), Flip()):
        assert torch.equal(augment(numbered(), generator), numbered())
    assert torch.equal(generator.get_state(), before)
