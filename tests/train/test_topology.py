# SPDX-License-Identifier: Apache-2.0
"""Networks as lists of layers: which there are, what shapes they make, what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from adiabit.errors import UserError
from adiabit.train.blocks import Layer
from adiabit.train.data import DATASETS
from adiabit.train.layers import BinaryConv2d, BinaryLinear
from adiabit.train.measure import pixels
from adiabit.train.network import Network
from adiabit.train.topology import ModelConfig

DATASET = {"cnv": "cifar10", "vgg-small": "cifar10", "catdog": "catdog", "spoken-digits": "spoken-digits",
           "digits-conv": "digits"}  # fmt: skip


def config(**table: Any) -> ModelConfig:
    return ModelConfig.model_validate(table)


@pytest.mark.parametrize(
    ("topology", "shapes"),
    [
        (
            "cnv",
            [(32, 32, 3), (30, 30, 64), (14, 14, 64), (12, 12, 128), (5, 5, 128), (3, 3, 256), (1, 1, 256), (512,),
             (512,)],
        ),
        (
            "vgg-small",
            [(32, 32, 3), (32, 32, 128), (16, 16, 128), (16, 16, 256), (8, 8, 256), (8, 8, 512), (4, 4, 512)],
        ),
        ("digits-conv", [(28, 28, 1), (13, 13, 16), (5, 5, 32), (64,)]),
    ],
)  # fmt: skip
def test_shapes_of_the_literature(topology: str, shapes: list[tuple[int, ...]]) -> None:
    assert config(topology=topology).shapes(shapes[0]) == shapes


@pytest.mark.parametrize(("topology", "dataset"), DATASET.items())
def test_each_topology_takes_its_data_set(topology: str, dataset: str) -> None:
    source, model = DATASETS.validate(dataset).source, config(topology=topology)
    net = Network(model, "adiabatic", frame=model.frame(source.shape), classes=source.classes)
    out = net(pixels(torch.randint(0, 256, (2, *source.shape), dtype=torch.uint8)))
    assert out.shape == (2, source.classes)
    products = [m for m in net if isinstance(m, BinaryConv2d | BinaryLinear)]
    assert [len(m.weight) for m in products] == [*model.hidden, source.classes]
    assert model.input_bits == 8


@pytest.mark.parametrize(
    "layer",
    [
        {"conv": 5},
        {"conv": 5, "kernel": [1, 4], "pool": [1, 3]},
        {"conv": 4, "kernel": 5, "stride": [2, 1], "pad": [2, 0]},
        {"conv": 3, "kernel": 2, "dilation": [3, 2], "pad": 1, "pool": 2},
    ],
)
def test_the_shapes_are_those_of_torch(layer: dict[str, Any]) -> None:
    model = config(topology="free", layers=[layer, layer])
    net = Network(model, "ste", frame=(31, 26, 2), classes=7)
    seen: list[tuple[int, ...]] = []
    last = next(m for m in net if isinstance(m, nn.Flatten))
    last.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    net(torch.rand(2, 2, 31, 26))
    height, width, channels = model.shapes((31, 26, 2))[-1]
    assert seen == [(2, channels, height, width)]


def test_dense_networks_take_any_frame_flat() -> None:
    model = config(topology="free", widths=[4], input_bits=8)
    assert model.frame((32, 32, 3)) == (3072,)
    net = Network(model, "ste", frame=(3072,), classes=3)
    assert net(torch.rand(2, 3072)).shape == (2, 3)


def test_widths_are_dense_layers() -> None:
    assert config(topology="free", widths=[3, 4]).blocks == (Layer(dense=3), Layer(dense=4))
    assert config(topology="free", layers=[{"dense": 3}]).input_bits == 8


def test_one_number_stands_for_rows_and_columns() -> None:
    layer = Layer.model_validate({"conv": 2, "kernel": 5, "stride": [1, 2], "pad": 1, "pool": 2})
    assert (layer.kernel, layer.stride, layer.pad, layer.pool) == ((5, 5), (1, 2), (1, 1), (2, 2))


def test_a_window_beyond_its_image_is_told() -> None:
    model = config(topology="free", layers=[{"conv": 4, "pool": 4}, {"conv": 4, "kernel": [3, 5]}])
    with pytest.raises(UserError) as caught:
        Network(model, "ste", frame=(16, 16, 1))
    assert str(caught.value) == (
        "recipe: [model]: layer 1 of kernel [3, 5], pad [0, 0] and pool [1, 1] leaves nothing of its input of 3 x 3 "
        "pixels; use a smaller kernel or pool, or pad the input"
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"topology": "free"}, 'topology = "free" needs either widths or layers'),
        ({"topology": "free", "widths": [3], "layers": [{"dense": 3}]}, "needs either widths or layers"),
        ({"topology": "cnv", "layers": [{"dense": 3}]}, 'layers need topology = "free"'),
        ({"topology": "free", "layers": [{"dense": 3}, {"conv": 3}]}, "a convolution cannot follow a dense layer"),
        (
            {"topology": "free", "layers": [{"conv": 3, "dense": 3}]},
            "average_pool, channels; ['conv', 'dense'] given",
        ),
        ({"topology": "free", "layers": [{}]}, "average_pool, channels; none given"),
        ({"topology": "free", "layers": [{"dense": 3, "pool": 2}]}, "a dense layer has no pool"),
        ({"topology": "free", "layers": [{"conv": 3, "kernel": 0}]}, "greater than or equal to 1"),
        ({"topology": "free", "layers": [{"conv": 3, "groups": 3}]}, "Extra inputs are not permitted"),
        ({"topology": "cnv", "pool": "inside"}, "'before' or 'behind'"),
    ],
)
def test_what_cannot_be_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**table)
    assert message in str(caught.value)


def test_frames_of_a_convolutional_network_are_images() -> None:
    assert config(topology="cnv").frame((8, 9, 3)) == (8, 9, 3)
    assert config().frame((8, 9, 3)) == (math.prod((8, 9, 3)),)


@pytest.mark.parametrize("table", [{}, {"topology": "cnv"}, {"module": "net.py:Net", "arguments": {"width": 3}},
                                   {"module": "net.py:Net", "binarize": True, "last_bits": 4}])  # fmt: skip
def test_a_written_table_reads_back_as_the_same(table: dict[str, Any]) -> None:
    model = ModelConfig.model_validate(table)
    assert ModelConfig.model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        ({}, ""),
        ({"first_bits": 8, "last_bits": 8}, ""),
        ({"first_bits": 32}, "the weights of its first layer are real"),
        ({"first_bits": 32, "last_bits": 32}, "the weights of its first and last layer are real"),
    ],
)
def test_real_layers_at_the_ends_have_no_hardware(bits: dict[str, int], reason: str) -> None:
    layers = [{"conv": 4}, {"conv": 5}, {"dense": 6}]
    model = config(topology="free", layers=layers, **bits)
    assert model.why_not == reason
    net = Network(model, "adiabatic", frame=(8, 8, 3))
    assert net.why_not == reason
    products = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    real = [not isinstance(m, BinaryConv2d | BinaryLinear) for m in products]
    assert real == [bits.get("first_bits") == 32, False, False, bits.get("last_bits") == 32]


def test_a_module_of_ones_own_has_no_real_ends() -> None:
    with pytest.raises(ValueError, match="its last layer are real; a module of your own has at most 8 bits"):
        config(module="net.py:Net", binarize=True, last_bits=32)
