# SPDX-License-Identifier: Apache-2.0
"""Layers: what the hardware will compute."""

from __future__ import annotations

import pytest
import torch

from adiabit.train.config import ModelConfig
from adiabit.train.layers import MARGIN, BinaryLinear, Network, PixelSign, TensorNorm, clear_thresholds
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
        clear_thresholds(norm)
        assert torch.equal(sign(norm(integers)), before)
    distance = (norm.running_mean - norm.running_mean.round()).abs()  # beta is 0: the threshold is the mean
    assert all(d >= MARGIN - 1e-6 for d, g in zip(distance.tolist(), gammas, strict=True) if g)
    assert norm.running_mean[5] == 3.5
    assert norm.running_mean[6] == 3.0
