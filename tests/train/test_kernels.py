# SPDX-License-Identifier: Apache-2.0
"""The kernels against torch's own functions in float64, on tensors of few and of many channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from adiabit.train import kernels
from adiabit.train.kernels import functions, library
from adiabit.train.kernels.functions import convolution, known_norm_quantize, max_pool, norm_quantize, takes
from adiabit.train.methods.ir_net.rules import decay_slope
from adiabit.train.quantizers import Pointwise, clipped, sign, sign_with_slope, soft_sign, tanh, tanh_slope

SHAPES = [(64, 10), (6, 16, 5, 7), (4, 64, 6, 6), (3, 100, 3, 5), (7, 3, 1, 1)]

QUANTIZERS = {
    "sign": Pointwise(tanh_slope(1.6)),
    "tanh": Pointwise(tanh_slope(1.6), tanh(1.6)),
}
REFERENCES: dict[str, Callable[[Tensor], Tensor]] = {
    "sign": lambda z: sign_with_slope(z, tanh_slope(1.6)),
    "tanh": lambda z: soft_sign(z, 1.6),
}


def draw(shape: tuple[int, ...], seed: int) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def test_the_machine_compiles_the_kernels() -> None:
    assert library() is not None
    assert takes(draw((2, 3, 4, 4), 0))
    assert not takes(draw((2, 3, 4, 4), 0).float())
    assert not takes(draw((2, 3, 4, 4), 0).contiguous())


@pytest.mark.parametrize("kind", QUANTIZERS)
@pytest.mark.parametrize("with_shortcut", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_norm_and_quantizer_are_those_of_torch(shape: tuple[int, ...], with_shortcut: bool, kind: str) -> None:
    channels, eps = shape[1], 1e-5
    x = (3 * draw(shape, 0).float() + 5).bfloat16().requires_grad_()
    shortcut = sign(draw(shape, 1)).requires_grad_() if with_shortcut else None
    weight, bias = (torch.randn(channels, generator=torch.Generator().manual_seed(s)).requires_grad_() for s in (2, 3))
    grad = draw(shape, 4)

    y, mean, var = norm_quantize(x, weight, bias, shortcut, QUANTIZERS[kind], eps)
    y.backward(grad)

    x_, weight_, bias_ = (t.detach().double().requires_grad_() for t in (x, weight, bias))
    axes = [axis for axis in range(x.ndim) if axis != 1]
    z = nn.functional.batch_norm(x_, None, None, weight_, bias_, training=True, eps=eps)
    if shortcut is not None:
        shortcut_ = shortcut.detach().double().requires_grad_()
        z = z + shortcut_
    expected = REFERENCES[kind](z)
    expected.backward(grad.double())

    clear = z.abs() > 1e-4  # elsewhere the rounding to float32 may decide
    assert clear.sum() > 0.99 * z.numel()
    torch.testing.assert_close(y[clear].double(), expected[clear], rtol=0.01, atol=0.01 if kind == "tanh" else 0.0)
    torch.testing.assert_close(mean.double(), x_.mean(axes), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(var.double(), x_.var(axes, correction=0), rtol=1e-6, atol=1e-6)
    for ours, theirs in ((x, x_), (weight, weight_), (bias, bias_)):
        assert _difference(ours.grad, theirs.grad) < 0.01  # of numbers of 8 bits
    if shortcut is not None:
        assert _difference(shortcut.grad, shortcut_.grad) < 0.01


def test_the_statistics_do_not_lose_a_small_spread_beside_a_large_mean() -> None:
    x = (256 + 2 * draw((4096, 8), 0).float().round()).bfloat16()
    _, mean, var = norm_quantize(x, torch.ones(8), torch.zeros(8), None, Pointwise(clipped), 1e-5)
    torch.testing.assert_close(mean.double(), x.double().mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double(), x.double().var(0, correction=0), rtol=1e-4, atol=0)


@pytest.mark.parametrize("pointwise", [Pointwise(clipped), Pointwise(clipped, torch.tanh, 0.3, 0.3)])
def test_equal_inputs_and_seeds_give_equal_bits(pointwise: Pointwise) -> None:
    shape = (16, 64, 9, 9)
    found = []
    for _ in range(2):
        x = draw(shape, 0).requires_grad_()
        torch.manual_seed(0)
        norm_quantize(x, torch.ones(64), torch.zeros(64), None, pointwise, 1e-5)[0].backward(draw(shape, 1))
        found.append(x.grad)
    assert torch.equal(found[0], found[1])  # type: ignore[arg-type]


def quantized(z: Tensor, pointwise: Pointwise) -> Tensor:
    """By the kernel, whose norm changes nothing."""
    ones, zeros = torch.ones(z.shape[1]), torch.zeros(z.shape[1])
    return known_norm_quantize(z, ones, zeros, None, pointwise, zeros, ones, 0.0).float()


def test_noise_is_normal_and_drawn_anew_at_each_place_and_call() -> None:
    torch.manual_seed(0)
    zeros = torch.zeros(1000, 100, dtype=torch.bfloat16)
    first, second = (quantized(zeros, Pointwise(torch.ones_like, torch.clone, noise=0.5)) for _ in range(2))
    for drawn in (first, second):
        assert abs(float(drawn.mean())) < 0.01
        assert abs(float(drawn.std()) - 0.5) < 0.01
        assert abs(float((drawn.abs() < 0.5).float().mean()) - 0.6827) < 0.01
        for shift in (1, 64, 100):  # neighbours in a row and in a column
            assert abs(correlation(drawn.flatten()[shift:], drawn.flatten()[:-shift])) < 0.015
    assert abs(correlation(first.flatten(), second.flatten())) < 0.015


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def test_a_sign_has_noise_too() -> None:
    torch.manual_seed(0)
    z = torch.full((1000, 100), 0.5, dtype=torch.bfloat16)
    y = quantized(z, Pointwise(clipped, noise=0.5))
    assert set(y.unique().tolist()) == {-1.0, 1.0}
    assert abs(float((y > 0).float().mean()) - 0.8413) < 0.01  # a standard deviation above 0


def test_a_share_of_the_values_is_sign() -> None:
    torch.manual_seed(0)
    z = draw((1000, 100), 0)
    y = quantized(z, Pointwise(tanh_slope(0.5), tanh(0.5), hard_share=0.3))
    hard = y.abs() == 1
    assert abs(float(hard.float().mean()) - 0.3) < 0.01
    assert torch.equal(y[hard], sign(z.float())[hard])
    torch.testing.assert_close(y[~hard], (0.5 * z.float()).tanh()[~hard], rtol=0.01, atol=0.001)


def test_the_backward_pass_draws_the_same_noise() -> None:
    torch.manual_seed(0)
    x, zeros = torch.zeros(512, 64, dtype=torch.bfloat16).requires_grad_(), torch.zeros(64).requires_grad_()
    pointwise = Pointwise(torch.clone, torch.clone, noise=1.0)  # the slope is the value, so that the gradient tells it
    y, _, _ = norm_quantize(x, torch.ones(64), zeros, None, pointwise, 1e-5)
    y.sum().backward()
    torch.testing.assert_close(zeros.grad, y.detach().float().sum(0), rtol=0.01, atol=0.05)


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
    x = torch.tensor([0.0, -0.0, 1.0, -3.5, float("-inf"), float("nan")]).bfloat16()
    places = x.view(torch.int16).long() & 0xFFFF
    expected = tanh_slope(1.5)(x.float())
    assert torch.equal(functions._table(tanh_slope(1.5))[places].nan_to_num(9.0), expected.nan_to_num(9.0))


def test_without_a_compiler_that_works_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    monkeypatch.setattr(kernels, "_loaded", kernels._loaded.__wrapped__)  # not cached
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\n[ $1 = --version ] || { echo 'k.cpp:1: error: no OpenMP' >&2; exit 1; }\n")
    broken.chmod(0o755)
    for compiler, reason in {
        "no-such-compiler": "no-such-compiler is not on PATH; apt-get install g++",
        "false": "false cannot compile kernels.cpp: exit code 1",
        str(broken): f"{broken} cannot compile kernels.cpp: k.cpp:1: error: no OpenMP",
    }.items():
        monkeypatch.setenv("CXX", compiler)
        assert library() is None
        assert kernels.why_none() == reason
        assert not takes(draw((2, 3, 4, 4), 0))
    assert list(tmp_path.iterdir()) == [broken]


def test_kernels_are_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernels, "CACHE", tmp_path)
    monkeypatch.setattr(kernels, "_loaded", kernels._loaded.__wrapped__)  # not cached
    assert library() is not None
    (made,) = tmp_path.iterdir()
    before = made.stat().st_mtime_ns
    assert library() is not None
    assert kernels.why_none() is None
    assert made.stat().st_mtime_ns == before
