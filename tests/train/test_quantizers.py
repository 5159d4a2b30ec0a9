# SPDX-License-Identifier: Apache-2.0
"""Quantizers against their closed forms, values and gradients; the one sign of the project."""

from __future__ import annotations

import math

import pytest
import torch

from adiabit.train.methods.adiabatic.rules import AdiabaticQuantizer
from adiabit.train.quantizers import BipolarQuantizer, SignQuantizer, sign

POINTS = torch.tensor([-2.0, -1.0, -0.3, -1e-9, 0.0, 1e-9, 0.3, 1.0, 2.0])


def forward_backward(quantizer: BipolarQuantizer, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = points.clone().requires_grad_()
    y, scale, zero_point, bit_width = quantizer(x)
    assert (float(scale), float(zero_point), float(bit_width)) == (1.0, 0.0, 1.0)
    y.backward(torch.full_like(x, 3.0))
    assert x.grad is not None
    return y.detach(), x.grad / 3.0


def test_sign_of_both_zeros_is_plus_one() -> None:
    x = torch.tensor([0.0, -0.0, -1e-45, 1e-45])
    assert sign(x).tolist() == [1.0, 1.0, -1.0, 1.0]
    assert sign(torch.tensor([math.nan])).tolist() == [-1.0]  # as Brevitas and QONNX: no comparison with NaN holds


@pytest.mark.parametrize("k", [0.5, 1.0, 7.0, 999.0])
def test_soft_quantizer_is_tanh_with_its_true_derivative(k: float) -> None:
    quantizer = AdiabaticQuantizer("weight")
    quantizer.k = k
    points = POINTS / k
    y, slope = forward_backward(quantizer, points)
    torch.testing.assert_close(y, torch.tensor([math.tanh(k * float(p)) for p in points]))
    slopes = torch.tensor([k / math.cosh(k * float(p)) ** 2 for p in points])
    torch.testing.assert_close(slope, slopes, rtol=0, atol=1e-6 * k)


@pytest.mark.parametrize(("k", "hard"), [(1000.0, False), (1.6, True)])
def test_hard_quantizer_is_sign_with_the_derivative_of_tanh(k: float, hard: bool) -> None:
    quantizer = AdiabaticQuantizer("activation")
    quantizer.k, quantizer.hard = k, hard
    points = POINTS / k
    y, slope = forward_backward(quantizer, points)
    assert y.tolist() == [-1.0] * 4 + [1.0] * 5
    torch.testing.assert_close(slope, torch.tensor([k / math.cosh(k * float(p)) ** 2 for p in points]))


def test_straight_through_passes_the_gradient_within_one() -> None:
    y, slope = forward_backward(SignQuantizer("weight"), POINTS)
    assert y.tolist() == [-1.0] * 4 + [1.0] * 5
    assert slope.tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 0]


def test_noise_is_of_the_announced_size_while_training_and_absent_else() -> None:
    torch.manual_seed(0)
    quantizer = AdiabaticQuantizer("activation")
    quantizer.k, quantizer.noise = 2.0, 0.5
    x = torch.zeros(100_000)
    before_tanh = torch.atanh(quantizer.quantize(x).double()) / 2.0
    assert abs(float(before_tanh.std()) - 0.25) < 0.005  # 0.5 / k
    assert torch.equal(quantizer.eval().quantize(x), x)


def test_a_random_share_is_hard_while_training_and_all_have_the_derivative_of_tanh() -> None:
    torch.manual_seed(0)
    quantizer = AdiabaticQuantizer("activation")
    quantizer.k, quantizer.hard_share = 1.6, 0.25
    x = torch.full((100_000,), -0.5)
    first, slope = forward_backward(quantizer, x)
    soft = math.tanh(1.6 * -0.5)
    hard = first == -1.0
    assert abs(float(hard.float().mean()) - 0.25) < 0.005
    torch.testing.assert_close(first[~hard], torch.full_like(first[~hard], soft))
    torch.testing.assert_close(slope, torch.full_like(slope, 1.6 * (1 - soft**2)))
    assert not torch.equal(quantizer.quantize(x) == -1.0, hard)  # drawn anew
    torch.testing.assert_close(quantizer.eval().quantize(x), torch.full_like(x, soft))


def test_a_share_of_one_is_hard_everywhere() -> None:
    quantizer = AdiabaticQuantizer("activation")
    quantizer.k, quantizer.hard_share = 1.6, 1.0
    assert quantizer.quantize(POINTS).tolist() == [-1.0] * 4 + [1.0] * 5


def test_values_are_hard_at_random_in_every_memory_format() -> None:
    torch.manual_seed(0)
    quantizer = AdiabaticQuantizer("activation")
    quantizer.k, quantizer.hard_share = 1.0, 0.5
    images = torch.full((8, 4, 16, 16), 0.1).to(memory_format=torch.channels_last)
    hard = quantizer.quantize(images) == 1.0
    assert all(0.4 < float(part.float().mean()) < 0.6 for part in (*hard.unbind(0), *hard.unbind(1)))
