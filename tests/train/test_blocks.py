# SPDX-License-Identifier: Apache-2.0
"""Blocks of layers: their shapes, what they compute, and that every method trains them into the hardware's network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from adiabit.errors import UserError
from adiabit.train.absorb import absorb_scales
from adiabit.train.blocks import Layer
from adiabit.train.checkpoint import ModelCard, check_topology, load_model, save_model
from adiabit.train.layers import (
    BinaryActivation,
    BinaryConv2d,
    Concatenation,
    IntegerQuantizer,
    Mean,
    Residual,
    RPReLU,
    Stream,
    StreamQuantizer,
)
from adiabit.train.margins import CLOSE, clear_thresholds
from adiabit.train.measure import reestimate
from adiabit.train.method import method
from adiabit.train.methods import METHODS
from adiabit.train.network import Network
from adiabit.train.quantizers import hardened
from adiabit.train.topology import ModelConfig

FRAME = (8, 8, 2)
P = {"conv": 4, "pad": 1}
NETS: dict[str, dict[str, Any]] = {
    "resnet": {"layers": [P, {"residual": [P, P], "repeat": 2},
                          {"residual": [{"conv": 6, "pad": 1, "stride": 2}],
                           "shortcut": [{"conv": 6, "kernel": 1, "stride": 2}]}, {"average_pool": "global"}],
               "first_bits": 8, "last_bits": 4},
    "pooled": {"layers": [P, {"residual": [{"conv": 6, "pad": 1, "stride": 2}],
                              "shortcut": [{"average_pool": 2}, {"channels": 6}]},
                          {"max_pool": 2}, {"dense": 5}]},
    "bi-real": {"layers": [P, {"residual": [P]}, {"residual": [{"conv": 6, "pad": 1, "stride": 2}],
                                                  "shortcut": [{"average_pool": 2}, {"conv": 6, "kernel": 1}]},
                           {"average_pool": "global"}], "shortcut_bits": 4, "preactivation": "shift"},
    "reactnet": {"layers": [P, {"residual": [P]}, {"concat": [[{"residual": [{"conv": 4, "kernel": 1}]}],
                                                              [{"residual": [{"conv": 4, "kernel": 1}]}]]},
                            {"average_pool": "global"}], "shortcut_bits": 3, "rprelu": True},
    "dense": {"layers": [P, {"concat": [[], [{"conv": 2, "pad": 1}]], "repeat": 2}, {"max_pool": 2},
                         {"conv": 4, "kernel": 1}, {"average_pool": "global"}],
              "shortcut_bits": 4, "preactivation": "norm"},
}  # fmt: skip


def config(name: str) -> ModelConfig:
    return ModelConfig.model_validate({"topology": "free", **NETS[name]})


def network(name: str, of: str = "ste", seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(config(name), of, frame=FRAME, classes=3)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("resnet", [FRAME, (8, 8, 4), (8, 8, 4), (4, 4, 6), (1, 1, 6)]),
        ("pooled", [FRAME, (8, 8, 4), (4, 4, 6), (2, 2, 6), (5,)]),
        ("dense", [FRAME, (8, 8, 4), (8, 8, 8), (4, 4, 8), (4, 4, 4), (1, 1, 4)]),
    ],
)
def test_shapes(name: str, shapes: list[Any]) -> None:
    assert config(name).shapes(FRAME) == shapes


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ({"residual": [P], "pad": 1}, "a residual layer has no pad"),
        ({"residual": []}, "at least 1 item"),
        ({"concat": [[P]]}, "at least 2 items"),
        ({"average_pool": 0}, "each side must be at least 1; 'global' stands for the whole image"),
        ({"conv": 3, "repeat": 2}, "a conv layer has no repeat"),
    ],
)
def test_layers_that_are_refused(layer: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Layer.model_validate(layer)


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ([P, {"residual": [{"conv": 5, "pad": 1}]}],
         "layer 1: its branch makes [8, 8, 5], its shortcut [8, 8, 4]; they must be equal; give the shortcut layers"),
        ([P, {"concat": [[], [{"conv": 3}]]}],
         "layer 1: its branches make [8, 8, 4] and [6, 6, 3]; rows and columns must be equal; pad or pool one of them"),
        ([P, {"channels": 3}], "layer 1: channels = 3, but its input has 4; it can only add channels"),
        ([P, {"max_pool": 9}], "layer 1, { max_pool = [9, 9] }, is larger than its input of 8 x 8 pixels; use a"),
        ([P, {"residual": [{"conv": 4, "kernel": 9}]}], "layer 1.residual.0 of kernel [9, 9], pad [0, 0] and pool"),
        ([P, {"residual": [{"conv": 1_000_000, "pad": 1}, P]}], "layer 1.residual.0, { conv = 1000000, pad = [1, 1]"),
    ],
)  # fmt: skip
def test_networks_that_do_not_fit(layers: list[Any], text: str) -> None:
    with pytest.raises(UserError) as caught:
        ModelConfig.model_validate({"topology": "free", "layers": layers}).shapes(FRAME, 3)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"layers": [{"max_pool": 2}, P]}, "a max_pool layer cannot be the first; begin with a conv or dense layer"),
        ({"layers": [P], "rprelu": True}, "rprelu, preactivation and shortcut_scale need shortcut_bits of at least 2"),
        ({"layers": [P], "shortcut_bits": 4, "shortcut_scale": 0.3}, "must be a power of 2, so that sums are exact"),
        ({"layers": [P, {"average_pool": "global"}, P]}, "layer 1 averages the whole image; only the last layer can"),
    ],
)
def test_models_that_are_refused(table: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        ModelConfig.model_validate({"topology": "free", **table})


@pytest.mark.parametrize("name", NETS)
def test_a_model_is_read_as_it_was_written(name: str) -> None:
    assert ModelConfig.model_validate_json(config(name).model_dump_json()) == config(name)


def test_streams_are_integers_of_one_scale() -> None:
    quantizer = StreamQuantizer(4, 0.5)
    x = torch.tensor([-9.0, -4.0, -0.3, 0.25, 0.75, 3.4, 5.0], requires_grad=True)
    y = quantizer.quantize(x)
    assert y.tolist() == [-4.0, -4.0, -0.5, 0.0, 1.0, 3.5, 3.5]  # halves to even
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize(("bits", "most"), [(2, 1), (4, 7), (8, 127)])
def test_integer_weights_are_exact_in_float32(bits: int, most: int) -> None:
    quantizer = IntegerQuantizer(bits)
    weights = torch.randn(50, generator=torch.Generator().manual_seed(bits))
    values, scale, _, width = quantizer(weights)
    assert np.log2(float(scale)) % 1 == 0
    assert float(width) == bits
    integers = values / scale
    assert torch.equal(integers, integers.round())
    assert most / 2 < integers.abs().max() <= most
    assert (values - weights).abs().max() <= scale / 2


def test_rprelu() -> None:
    module = RPReLU(2).eval()
    with torch.no_grad():
        module.g[0], module.z[0], module.slope[0] = 1.0, -2.0, 0.5
    x = torch.tensor([[-1.0, -4.0], [2.0, 3.0]])  # two frames of two channels
    assert module(x[:, :, None, None]).flatten(1).tolist() == [[-3.0, -1.0], [-1.0, 3.0]]


def test_a_mean_is_a_sum_times_a_power_of_two() -> None:
    x = torch.arange(98.0).reshape(1, 2, 7, 7)
    assert Mean(49)(x).flatten().tolist() == [x[0, 0].sum() / 64, x[0, 1].sum() / 64]


def test_a_binary_shortcut_joins_before_the_sign() -> None:
    net = network("resnet").eval()
    block = next(m for m in net if isinstance(m, Residual))
    assert isinstance(block.branch, nn.Sequential)
    assert not [m for m in block.branch if isinstance(m, BinaryActivation)][1:]  # the second comes after the sum
    assert isinstance(block.branch[-1], nn.BatchNorm2d)
    with hardened(net), torch.no_grad():
        x = torch.randn(2, 4, 8, 8).sign()
        assert torch.equal(block(x), torch.where(block.branch(x) + x >= 0, 1.0, -1.0))


def test_a_stream_passes_every_block() -> None:
    net = network("bi-real").eval()
    blocks = [m for m in net if isinstance(m, Residual)]
    streams = {id(m) for m in net.modules() if isinstance(m, Stream)}
    assert len(streams) == 1
    with hardened(net), torch.no_grad():
        x = (torch.randn(2, 4, 8, 8) * 2).round() / 2
        x = x.clamp(-4, 3.5)
        branch = blocks[0].branch(x)
        assert set((branch * 2).unique().tolist()) <= set(range(-8, 8))
        assert torch.equal(blocks[0](x), (branch + x).clamp(-4, 3.5))
    assert sum(isinstance(m, Concatenation) for m in network("dense").modules()) == 2


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("of", METHODS.names)
def test_every_method_trains_a_step(name: str, of: str) -> None:
    """A step changes the weights of each layer, shortcuts included, and the hardware's network computes the same."""
    net = network(name, of)
    frames = torch.randint(0, 256, (16, 2, 8, 8), generator=torch.Generator().manual_seed(1)).float()
    net.method.start(net)
    optimizer = net.method.optimizer(net, "adamw", 0.01, 0.0)
    loss = nn.functional.cross_entropy(net(frames), torch.arange(16) % 3)
    loss.backward()
    products = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(m.weight.grad is not None and bool(m.weight.grad.abs().sum() > 0) for m in products)
    optimizer.step()
    if not method(of).has_hardware:
        return
    with hardened(net):
        reestimate(net, frames.permute(0, 2, 3, 1).to(torch.uint8), 1)
    made = absorb_scales(net)
    with hardened(net), hardened(made), torch.no_grad():
        torch.testing.assert_close(made(frames), net.eval()(frames), atol=1e-3, rtol=1e-3)
    binary = [
        m for m in made.modules() if isinstance(m, BinaryConv2d) and not isinstance(m.quantizer, IntegerQuantizer)
    ]
    assert all(set(m.weight.unique().tolist()) <= {-1.0, 1.0} for m in binary)


def test_thresholds_of_streams_keep_away_from_sums() -> None:
    net = network("bi-real").eval()
    norms: list[Any] = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.running_mean.copy_(torch.randn(norm.num_features) * 3)
            norm.running_var.copy_(torch.rand(norm.num_features) * 90 + 30)
    clear_thresholds(net)
    quantizer = next(m.quantizer for m in net.modules() if isinstance(m, Stream))
    bounds = torch.arange(quantizer.low + 0.5, quantizer.high) * quantizer.step  # between two levels
    assert len(bounds) == 2**quantizer.bits - 1
    for norm in norms:
        deviation = (norm.running_var + norm.eps).sqrt() / norm.weight
        thresholds = norm.running_mean[:, None] + (bounds - norm.bias[:, None]) * deviation[:, None]
        assert (thresholds - thresholds.round()).abs().min() >= CLOSE - 1e-4


@pytest.mark.parametrize("name", NETS)
def test_a_checkpoint_keeps_what_the_network_computes(name: str, tmp_path: Path) -> None:
    net = absorb_scales(network(name).eval())
    card = ModelCard(model=net.config, method=METHODS.validate("ste"), hard=True, frame=FRAME, classes=3)
    save_model(tmp_path, net, card)
    check_topology(tmp_path, net.config)
    frames = torch.randint(0, 256, (16, 2, 8, 8)).float()
    loaded = load_model(tmp_path)
    with hardened(net), torch.no_grad():
        assert torch.equal(loaded(frames), net.eval()(frames))
    if net.config.shortcut_bits > 1:
        with pytest.raises(UserError, match="shortcut_bits = "):
            check_topology(tmp_path, net.config.model_copy(update={"shortcut_bits": 5}))
