# SPDX-License-Identifier: Apache-2.0
"""The kernels against torch's own functions in float64, on tensors of few and of many channels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from adiabit.train import kernels
from adiabit.train.kernels import functions, library
from adiabit.train.kernels.functions import convolution, max_pool, norm_sign, takes
from adiabit.train.methods.ir_net.rules import decay_slope
from adiabit.train.quantizers import clipped, sign, sign_with_slope, tanh_slope

SHAPES = [(64, 10), (6, 16, 5, 7), (4, 64, 6, 6), (3, 100, 3, 5), (7, 3, 1, 1)]


def draw(shape: tuple[int, ...], seed: int) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def test_the_machine_compiles_the_kernels() -> None:
    assert library() is not None
    assert takes(draw((2, 3, 4, 4), 0))
    assert not takes(draw((2, 3, 4, 4), 0).float())
    assert not takes(draw((2, 3, 4, 4), 0).contiguous())


@pytest.mark.parametrize("with_shortcut", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_norm_and_sign_are_those_of_torch(shape: tuple[int, ...], with_shortcut: bool) -> None:
    channels, slope, eps = shape[1], tanh_slope(1.6), 1e-5
    x = (3 * draw(shape, 0).float() + 5).bfloat16().requires_grad_()
    shortcut = sign(draw(shape, 1)).requires_grad_() if with_shortcut else None
    weight, bias = (torch.randn(channels, generator=torch.Generator().manual_seed(s)).requires_grad_() for s in (2, 3))
    grad = draw(shape, 4)

    y, mean, var = norm_sign(x, weight, bias, shortcut, slope, eps)
    y.backward(grad)

    x_, weight_, bias_ = (t.detach().double().requires_grad_() for t in (x, weight, bias))
    axes = [axis for axis in range(x.ndim) if axis != 1]
    z = nn.functional.batch_norm(x_, None, None, weight_, bias_, training=True, eps=eps)
    if shortcut is not None:
        shortcut_ = shortcut.detach().double().requires_grad_()
        z = z + shortcut_
    sign_with_slope(z, slope).backward(grad.double())

    clear = z.abs() > 1e-4  # elsewhere the rounding to float32 may decide
    assert clear.sum() > 0.99 * z.numel()
    assert torch.equal(y[clear].double(), sign(z)[clear])
    torch.testing.assert_close(mean.double(), x_.mean(axes), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(var.double(), x_.var(axes, correction=0), rtol=1e-6, atol=1e-6)
    for ours, theirs in ((x, x_), (weight, weight_), (bias, bias_)):
        assert _difference(ours.grad, theirs.grad) < 0.01  # of numbers of 8 bits
    if shortcut is not None:
        assert _difference(shortcut.grad, shortcut_.grad) < 0.01


def test_the_statistics_do_not_lose_a_small_spread_beside_a_large_mean() -> None:
    x = (256 + 2 * draw((4096, 8), 0).float().round()).bfloat16()
    _, mean, var = norm_sign(x, torch.ones(8), torch.zeros(8), None, clipped, 1e-5)
    torch.testing.assert_close(mean.double(), x.double().mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double(), x.double().var(0, correction=0), rtol=1e-4, atol=0)


def test_equal_inputs_give_equal_bits() -> None:
    shape = (16, 64, 9, 9)
    found = []
    for _ in range(2):
        x = draw(shape, 0).requires_grad_()
        norm_sign(x, torch.ones(64), torch.zeros(64), None, clipped, 1e-5)[0].backward(draw(shape, 1))
        found.append(x.grad)
    assert torch.equal(found[0], found[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (1, 4)])
@pytest.mark.parametrize("kind", ["bits", "reals"])
@pytest.mark.parametrize("shape", [(3, 16, 7, 9), (2, 65, 8, 8), (2, 3, 4, 5)])
def test_max_pool_is_torch_s(shape: tuple[int, ...], kind: str, window: tuple[int, int]) -> None:
    x = draw(shape, 0)
    x = (sign(x) if kind == "bits" else x).requires_grad_()
    y = max_pool(x, window)
    grad = draw(tuple(y.shape), 1)
    y.backward(grad)
    x_ = x.detach().float().contiguous().requires_grad_()
    expected = nn.functional.max_pool2d(x_, window)
    expected.backward(grad.float())
    assert torch.equal(y.float(), expected)
    assert torch.equal(x.grad.float(), x_.grad)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation"),
    [
        (3, (1, 1), (0, 0), (1, 1)),
        (6, (1, 1), (1, 1), (1, 1)),
        (7, (2, 1), (1, 0), (1, 2)),
        (12, (1, 1), (0, 0), (1, 1)),
    ],
)
def test_convolution_is_torch_s(size: int, stride: object, padding: object, dilation: object) -> None:
    x, weight = draw((4, 8, size, size), 0).requires_grad_(), draw((16, 8, 3, 3), 1).requires_grad_()
    y = convolution(x, weight, stride, padding, dilation)
    grad = draw(tuple(y.shape), 2)
    y.backward(grad)
    x_, weight_ = x.detach().float().requires_grad_(), weight.detach().float().requires_grad_()
    expected = nn.functional.conv2d(x_, weight_, None, stride, padding, dilation)  # type: ignore[call-overload]
    expected.backward(grad.float())
    assert _difference(y, expected) < 0.01
    assert _difference(x.grad, x_.grad) < 0.01
    assert _difference(weight.grad, weight_.grad) < 0.01


def _difference(ours: Tensor | None, theirs: Tensor | None) -> float:
    """The largest difference, as a share of the largest number."""
    assert ours is not None
    assert theirs is not None
    return float((ours.detach().double() - theirs.detach().double()).abs().max() / theirs.abs().max())


def test_slopes_of_equal_numbers_share_a_table() -> None:
    assert functions._table(tanh_slope(1.5)) is functions._table(tanh_slope(1.5))
    assert functions._table(decay_slope(1.5)) is functions._table(decay_slope(1.5))
    assert not torch.equal(functions._table(tanh_slope(1.5)), functions._table(tanh_slope(1.25)))
    x = torch.tensor([0.0, -0.0, 1.0, -3.5, float("inf"), float("nan")]).bfloat16()
    places = x.view(torch.int16).long() & 0xFFFF
    expected = tanh_slope(1.5)(x.float()).nan_to_num(0.0)
    assert torch.equal(functions._table(tanh_slope(1.5))[places], expected)


def test_without_a_compiler_that_works_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert library.__wrapped__() is None
    monkeypatch.setenv("CXX", "false")  # fails
    assert library.__wrapped__() is None
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(functions, "library", lambda: None)
    assert not takes(draw((2, 3, 4, 4), 0))


def test_kernels_are_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    assert library.__wrapped__() is not None
    (made,) = tmp_path.iterdir()
    before = made.stat().st_mtime_ns
    assert library.__wrapped__() is not None
    assert made.stat().st_mtime_ns == before
