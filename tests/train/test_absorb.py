# SPDX-License-Identifier: Apache-2.0
"""The hardware's network computes what the trained one did, for every method: weights, scales and shifts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adiabit.train.absorb import absorb_scales
from adiabit.train.layers import BinaryConv2d, BinaryLinear
from adiabit.train.method import method
from adiabit.train.methods import METHODS
from adiabit.train.methods.bnn_plus.rules import ScaledSwishQuantizer
from adiabit.train.network import Network
from adiabit.train.quantizers import BipolarQuantizer, hardened
from adiabit.train.topology import ModelConfig
from tests.train.shaken import shaken

LAYERS = [{"conv": 6, "pad": 1, "pool": 2}, {"conv": 5, "pad": 1}, {"dense": 7}]
WITH_HARDWARE = [name for name in METHODS.names if method(name).has_hardware]


def lively(name: str, pool: str = "before") -> Network:
    """A network whose norms, scales and shifts are not what they start with."""
    torch.manual_seed(1)
    config = ModelConfig.model_validate({"topology": "free", "layers": LAYERS, "pool": pool})
    net = Network(config, name, 0.1, frame=(9, 8, 3), classes=4)
    return shaken(net, net.frame)


@pytest.mark.parametrize("pool", ["before", "behind"])
@pytest.mark.parametrize("name", WITH_HARDWARE)
def test_the_hardwares_network_computes_the_same(name: str, pool: str) -> None:
    net = lively(name, pool)
    made = absorb_scales(net)
    x = torch.randint(0, 256, (64, 3, 9, 8)).float()
    with hardened(net), hardened(made), torch.no_grad():
        ours, theirs = net(x), made(x)
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
    assert len(ours.unique(dim=0)) > 4  # frames are told apart
    for module in made:
        if isinstance(module, BinaryLinear | BinaryConv2d):
            assert set(module.weight.unique().tolist()) == {-1.0, 1.0}
            assert isinstance(module.quantizer, BipolarQuantizer)
            assert module.quantizer.factor(module.weight) is None
    assert made.method.table.name == "ste"


def test_negative_scales_turn_rows_and_a_scale_of_zero_makes_a_constant() -> None:
    net = lively("bnn+", "behind")
    first: Any = next(m for m in net if isinstance(m, BinaryConv2d))
    assert isinstance(first.quantizer, ScaledSwishQuantizer)
    with torch.no_grad():
        first.quantizer.alpha.copy_(torch.tensor([-0.5, 0.0, 1.0, -2.0, 0.1, 0.0]))
    made = absorb_scales(net)
    x = torch.randint(0, 256, (64, 3, 9, 8)).float()
    with hardened(net), hardened(made), torch.no_grad():
        torch.testing.assert_close(made(x), net(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted({*METHODS.names} - {*WITH_HARDWARE}))
def test_a_method_without_hardware_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"method '{name}': {method(name).table.why_not}"):
        absorb_scales(lively(name))
