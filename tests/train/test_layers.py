# SPDX-License-Identifier: Apache-2.0
"""Layers: what the hardware will compute."""

from __future__ import annotations

import pytest
import torch

from adiabit.train.config import ModelConfig
from adiabit.train.layers import BinaryConv2d, BinaryLinear, Pad, PixelSign, RisingNorm2d, TensorNorm
from adiabit.train.margins import MARGIN, clear
from adiabit.train.network import Network
from adiabit.train.quantizers import hardened, quantizers, sign


def test_pixels_from_128_on_are_plus_one() -> None:
    pixels = torch.arange(256.0)[None]
    assert PixelSign()(pixels).tolist() == [[-1.0] * 128 + [1.0] * 128]


@pytest.mark.parametrize(("topology", "widths"), [("tfc", [64] * 3), ("sfc", [256] * 3), ("lfc", [1024] * 3)])
def test_topologies_are_those_of_finn(topology: str, widths: list[int]) -> None:
    net = Network(ModelConfig.model_validate({"topology": topology}), "adiabatic")
    shapes = [tuple(m.weight.shape) for m in net if isinstance(m, BinaryLinear)]
    assert shapes == list(zip([*widths, 10], [784, *widths], strict=True))


@pytest.mark.parametrize("method", ["adiabatic", "ste"])
@pytest.mark.parametrize("input_bits", [1, 8])
def test_a_hard_network_computes_integers(method: str, input_bits: int) -> None:
    torch.manual_seed(0)
    net = Network(
        ModelConfig.model_validate({"topology": "free", "widths": [5, 7], "input_bits": input_bits}), method
    ).eval()
    pixels = torch.randint(0, 256, (20, 784)).float()
    seen: list[torch.Tensor] = []
    for module in net.modules():
        if isinstance(module, BinaryLinear):
            module.register_forward_hook(lambda _, args, out: seen.extend([args[0], out]))
    with hardened(net):
        net(pixels)
    first = sign(pixels - 127.5) if input_bits == 1 else pixels
    assert torch.equal(seen[0], first)
    weight = next(m for m in net if isinstance(m, BinaryLinear)).weight
    assert torch.equal(seen[1].double(), first.double() @ sign(weight).double().T)
    assert all(torch.equal(x.abs(), torch.ones_like(x)) for x in seen[2::2])
    assert not any(q.hard for q in quantizers(net, "weight"))  # as before the context


def test_the_real_twin_has_the_same_topology_and_no_quantizer_but_the_pixels() -> None:
    net = Network(ModelConfig(topology="free", widths=(5, 7)), "real")
    shapes = [tuple(m.weight.shape) for m in net if isinstance(m, torch.nn.Linear)]
    assert shapes == [(5, 784), (7, 5), (10, 7)]
    assert len(list(quantizers(net))) == 1


def test_the_output_scale_stays_positive() -> None:
    norm = TensorNorm(4)
    with torch.no_grad():
        norm.scale.fill_(-3.0)
    assert norm(torch.ones(1)).item() == pytest.approx(TensorNorm.SMALLEST)


def test_thresholds_leave_integers_without_turning_a_sign() -> None:
    norm = torch.nn.BatchNorm1d(8, eps=0.0).eval()
    assert norm.running_mean is not None
    means = [3.0, 3.0, 3.001, 2.999, -5.0, 3.5, 3.0, 0.0]
    gammas = [1.0, -1.0, 2.0, -2.0, 0.5, 1.0, 0.0, -1.0]
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor(means))
        norm.weight.copy_(torch.tensor(gammas))
        integers = torch.arange(-9.0, 10.0)[:, None].expand(19, 8)
        before = sign(norm(integers))
        clear(norm)
        assert torch.equal(sign(norm(integers)), before)
    distance = (norm.running_mean - norm.running_mean.round()).abs()  # beta is 0: the threshold is the mean
    assert all(d >= MARGIN - 1e-6 for d, g in zip(distance.tolist(), gammas, strict=True) if g)
    assert norm.running_mean[5] == 3.5
    assert norm.running_mean[6] == 3.0


# convolutions -----------------------------------------------------------------------------------------------------

CONVS = {
    "topology": "free",
    "layers": [
        {"conv": 6, "pad": 1, "pool": 2},
        {"conv": 5, "pad": [0, 2], "kernel": [3, 2], "stride": 2},
        {"dense": 4},
    ],
}


def windows(x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    """The convolution in loops: (B, C, H, W) with (O, C, R, S) -> (B, O, OH, OW)."""
    rows, columns = ((side - k) // stride + 1 for side, k in zip(x.shape[2:], weight.shape[2:], strict=True))
    out = torch.zeros(len(x), len(weight), rows, columns, dtype=torch.float64)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, :, top : top + weight.shape[2], left : left + weight.shape[3]]
            out[:, :, i, j] = window.double().flatten(1) @ weight.double().flatten(1).T
    return out


@pytest.mark.parametrize("method", ["adiabatic", "ste"])
def test_a_hard_convolution_computes_integers(method: str) -> None:
    torch.manual_seed(0)
    net = Network(ModelConfig.model_validate(CONVS), method, frame=(12, 9, 3)).eval()
    pixels = torch.randint(0, 256, (4, 3, 12, 9)).float()
    seen: list[torch.Tensor] = []
    first, second = (m for m in net if isinstance(m, BinaryConv2d))
    for conv in (first, second):
        conv.register_forward_hook(lambda _, args, out: seen.extend([args[0], out]))
    with hardened(net):
        net(pixels)
    assert torch.equal(seen[0], pixels)
    black = torch.nn.functional.pad(pixels, (1, 1, 1, 1))  # 8-bit pixels are padded with 0
    assert torch.equal(seen[1].double(), windows(black, sign(first.weight), 1))
    assert seen[2].shape[3] == 4 + 2 * 2
    border = torch.cat([seen[2][..., :2], seen[2][..., -2:]], dim=3)
    assert torch.equal(border, torch.full_like(border, -1.0))  # and binary images with -1
    assert torch.equal(seen[2].abs(), torch.ones_like(seen[2]))
    assert torch.equal(seen[3].double(), windows(seen[2], sign(second.weight), 2))


def test_binary_pixels_are_padded_with_minus_one_too() -> None:
    net = Network(ModelConfig.model_validate({**CONVS, "input_bits": 1}), "ste", frame=(12, 9, 3))
    assert [type(m) for m in net][:3] == [PixelSign, Pad, BinaryConv2d]


@pytest.mark.parametrize("input_bits", [1, 8])
def test_the_real_twin_pads_with_zero(input_bits: int) -> None:
    net = Network(ModelConfig.model_validate({**CONVS, "input_bits": input_bits}), "real", frame=(12, 9, 3))
    convs = [m for m in net if isinstance(m, torch.nn.Conv2d)]
    assert [c.padding for c in convs] == [(1, 1), (0, 2)]
    assert not any(isinstance(m, Pad | BinaryConv2d | BinaryLinear) for m in net)


def test_pads_have_any_value() -> None:
    assert Pad((0, 1), 1.0)(torch.zeros(1, 1, 1, 2)).tolist() == [[[[1.0, 0.0, 0.0, 1.0]]]]


def order(pool: str) -> list[str]:
    net = Network(ModelConfig.model_validate({**CONVS, "pool": pool}), "ste", frame=(12, 9, 3))
    return [type(m).__name__ for m in net]


def test_pools_stand_before_or_behind_norm_and_sign() -> None:
    tail = ["Pad", "BinaryConv2d", "BatchNorm2d", "BinaryActivation", "Flatten", "BinaryLinear", "BatchNorm1d",
            "BinaryActivation", "BinaryLinear", "TensorNorm"]  # fmt: skip
    assert order("before") == ["BinaryConv2d", "MaxPool2d", "RisingNorm2d", "BinaryActivation", *tail]
    assert order("behind") == ["BinaryConv2d", "BatchNorm2d", "BinaryActivation", "MaxPool2d", *tail]


def test_a_norm_behind_a_pool_keeps_rising_so_that_the_pool_may_go_behind_the_sign() -> None:
    torch.manual_seed(0)
    norm = RisingNorm2d(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([-2.0, 0.0, 3.0]))
    x = torch.randn(8, 3, 6, 6)
    norm(x)
    assert norm.weight.tolist() == pytest.approx([TensorNorm.SMALLEST, TensorNorm.SMALLEST, 3.0])
    norm.eval()
    pool = torch.nn.MaxPool2d(2)
    assert torch.equal(sign(norm(pool(x))), pool(sign(norm(x))))


def test_thresholds_of_images_leave_integers_too() -> None:
    norm = torch.nn.BatchNorm2d(2, eps=0.0).eval()
    assert norm.running_mean is not None
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([3.0, -7.01]))
    clear(norm)
    assert norm.running_mean.tolist() == pytest.approx([3.0 - MARGIN, -7.0 - MARGIN])
