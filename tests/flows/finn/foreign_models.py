# SPDX-License-Identifier: Apache-2.0
"""Networks in plain Brevitas, as its users write them: default quantizers, calibrated scales, biases on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.quant import (
    Int8Bias,
    Int8WeightPerChannelFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    TruncTo8bit,
)
from brevitas_examples.bnn_pynq.models.CNV import CNV
from brevitas_examples.bnn_pynq.models.FC import FC
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.transformation.general import GiveReadableTensorNames
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup_model
from torch import Tensor, nn

from adiabit.flows.finn.finn_setup import finn

Shape = tuple[int, ...]


def fully_connected(widths: list[int], weight_bits: int, act_bits: int, in_bits: int = 2, inputs: int = 784) -> FC:
    """Brevitas' own TFC, SFC and LFC, whose hidden activations are signed."""
    return FC(10, weight_bits, act_bits, in_bits, 1, widths, in_features=(1, inputs))


def jets(bits: int = 6) -> nn.Sequential:
    """The jet-tagging network of hls4ml's tutorials: biases, 6 bits, a Softmax."""
    sizes, layers = [16, 64, 32, 32, 5], list[nn.Module]()
    for before, after in itertools.pairwise(sizes):
        layers += [qnn.QuantLinear(before, after, bias=True, weight_bit_width=bits), nn.BatchNorm1d(after)]
        if after != sizes[-1]:
            layers.append(qnn.QuantReLU(bit_width=bits))
    del layers[-1]
    return nn.Sequential(*layers, nn.Softmax(dim=1))


def separable(bits: int = 4) -> nn.Sequential:
    """A mobile-style network of depthwise-separable convolutions."""
    layers: list[nn.Module] = [
        qnn.QuantConv2d(3, 8, 3, stride=2, padding=1, bias=False, weight_bit_width=8),
        nn.BatchNorm2d(8),
        qnn.QuantReLU(bit_width=bits),
    ]
    for before, after, stride in ((8, 16, 1), (16, 24, 2)):
        layers += [
            qnn.QuantConv2d(before, before, 3, stride=stride, padding=1, groups=before, bias=False,
                            weight_bit_width=bits, weight_quant=Int8WeightPerChannelFloat),
            nn.BatchNorm2d(before),
            qnn.QuantReLU(bit_width=bits),
            qnn.QuantConv2d(before, after, 1, bias=False, weight_bit_width=bits,
                            weight_quant=Int8WeightPerChannelFloat),
            nn.BatchNorm2d(after),
            qnn.QuantReLU(bit_width=bits),
        ]  # fmt: skip
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), qnn.QuantLinear(24, 10, bias=True, weight_bit_width=8))


def grouped(bits: int = 4) -> nn.Sequential:
    """Grouped convolutions of several inputs and outputs a group."""
    return nn.Sequential(
        qnn.QuantConv2d(2, 8, 3, bias=False, weight_bit_width=bits), nn.BatchNorm2d(8), qnn.QuantReLU(bit_width=bits),
        qnn.QuantConv2d(8, 12, 3, groups=4, bias=False, weight_bit_width=bits), nn.BatchNorm2d(12),
        qnn.QuantReLU(bit_width=bits), nn.Flatten(), qnn.QuantLinear(12 * 16, 4, bias=False, weight_bit_width=bits),
    )  # fmt: skip


def scaled_channels() -> nn.Sequential:
    """A depthwise convolution of single pixels."""
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=4), qnn.QuantConv2d(3, 3, 1, groups=3, bias=False, weight_bit_width=4),
        nn.BatchNorm2d(3), qnn.QuantReLU(bit_width=4),
        qnn.QuantConv2d(3, 4, 1, bias=False, weight_bit_width=4), nn.AvgPool2d(6), nn.Flatten(),
    )  # fmt: skip


def binary_grouped() -> nn.Sequential:
    """Depthwise and grouped convolutions of signs and 1-bit weights, one of them at the end."""
    signs, bits = {"act_quant": SignedBinaryActPerTensorConst}, {"weight_quant": SignedBinaryWeightPerTensorConst}
    return nn.Sequential(
        qnn.QuantConv2d(2, 6, 3, bias=False, **bits), nn.BatchNorm2d(6), qnn.QuantIdentity(**signs),
        qnn.QuantConv2d(6, 12, 3, groups=6, bias=False, **bits), nn.BatchNorm2d(12), qnn.QuantIdentity(**signs),
        qnn.QuantConv2d(12, 8, 1, groups=4, bias=False, **bits), nn.BatchNorm2d(8), qnn.QuantIdentity(**signs),
        qnn.QuantConv2d(8, 4, 4, groups=2, bias=True, **bits), nn.Flatten(),
    )  # fmt: skip


def audio() -> nn.Sequential:
    """Keyword spotting by one-dimensional convolutions of 8 bits."""
    layers: list[nn.Module] = [qnn.QuantIdentity(bit_width=8)]
    for before, after in ((4, 8), (8, 16)):
        layers += [
            qnn.QuantConv1d(before, after, 3, padding=1, bias=True, weight_bit_width=8), nn.BatchNorm1d(after),
            qnn.QuantReLU(bit_width=8), nn.MaxPool1d(2),
        ]  # fmt: skip
    return nn.Sequential(*layers, nn.Flatten(), qnn.QuantLinear(16 * 4, 12, bias=True, weight_bit_width=8))


def binary_with_ends(end: nn.Module, classes: int = 5) -> nn.Sequential:
    """A dense 1-bit network with an end."""
    weights = {"weight_quant": SignedBinaryWeightPerTensorConst}
    return nn.Sequential(
        qnn.QuantLinear(16, 24, bias=True, **weights), nn.BatchNorm1d(24),
        qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst),
        qnn.QuantLinear(24, classes, bias=True, **weights), end,
    )  # fmt: skip


def activated(activation: nn.Module, quantizer: nn.Module | None = None) -> nn.Sequential:
    """A dense network with a hidden activation, float or quantized."""
    return nn.Sequential(
        qnn.QuantLinear(16, 24, bias=True, weight_bit_width=4), nn.BatchNorm1d(24), activation,
        quantizer or nn.Identity(), qnn.QuantLinear(24, 5, bias=False, weight_bit_width=4),
    )  # fmt: skip


def quantized_bias() -> nn.Sequential:
    """Biases as quantized constants."""
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantLinear(16, 24, bias=True, weight_bit_width=4, bias_quant=Int8Bias),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        qnn.QuantLinear(24, 5, bias=True, weight_bit_width=4, bias_quant=Int8Bias),
    )


def segmentation(*, select: bool) -> nn.Sequential:
    """A class for each pixel."""
    layers = [
        qnn.QuantConv2d(3, 8, 3, padding=1, bias=False, weight_bit_width=4), nn.BatchNorm2d(8),
        qnn.QuantReLU(bit_width=4), qnn.QuantConv2d(8, 4, 1, bias=True, weight_bit_width=4),
    ]  # fmt: skip
    return nn.Sequential(*layers, *([ArgMax()] if select else []))


class ArgMax(nn.Module):
    """The largest class."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, ...)."""
        return x.argmax(dim=1)


class TopK(nn.Module):
    """The index of the largest class."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) -> (B, 1)."""
        return torch.topk(x, 1, dim=1)[1]


class LeNet(nn.Module):
    """Averages of windows that Brevitas truncates."""

    def __init__(self) -> None:
        super().__init__()
        self.image = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.conv = qnn.QuantConv2d(1, 6, 3, bias=True, weight_bit_width=4, bias_quant=Int8Bias)
        self.relu = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)
        self.pool = qnn.TruncAvgPool2d(2, trunc_quant=TruncTo8bit, bit_width=4)
        self.fc = qnn.QuantLinear(6 * 9, 10, bias=True, weight_bit_width=4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 8, 8) -> (B, 10)."""
        return self.fc(self.pool(self.relu(self.conv(self.image(x)))).value.flatten(1))  # type: ignore[no-any-return]


def averages() -> nn.Sequential:
    """Averages of windows that overlap, or are padded, and quantizers behind them."""
    return nn.Sequential(
        qnn.QuantConv2d(2, 6, 2, bias=True, weight_bit_width=4), nn.BatchNorm2d(6), qnn.QuantReLU(bit_width=4),
        nn.AvgPool2d(3, stride=2, padding=1), qnn.QuantIdentity(bit_width=5),
        nn.AvgPool2d(2, stride=1), qnn.QuantIdentity(bit_width=5),
        qnn.QuantConv2d(6, 8, 2, bias=True, weight_bit_width=4), nn.ReLU(), qnn.QuantReLU(bit_width=4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), qnn.QuantLinear(8, 5, bias=True, weight_bit_width=4),
    )  # fmt: skip


MODELS: dict[str, tuple[Shape, Callable[[], nn.Module]]] = {
    "tfc_w1a2": ((784,), lambda: fully_connected([64, 64, 64], 1, 2)),
    "tfc_w2a2": ((784,), lambda: fully_connected([64, 64, 64], 2, 2)),
    "sfc_w1a2": ((784,), lambda: fully_connected([256, 256, 256], 1, 2)),
    "sfc_w2a2": ((784,), lambda: fully_connected([256, 256, 256], 2, 2)),
    "lfc_w1a2": ((784,), lambda: fully_connected([1024, 1024, 1024], 1, 2)),
    "lfc_w2a2": ((784,), lambda: fully_connected([1024, 1024, 1024], 2, 2)),
    "cnv_w2a2": ((3, 32, 32), lambda: CNV(10, 2, 2, 8, 3)),
    "tiny_w1a3": ((32,), lambda: fully_connected([16, 16], 1, 3, inputs=32)),
    "cnv_w1a2": ((3, 32, 32), lambda: CNV(10, 1, 2, 8, 3)),
    "jets": ((16,), jets),
    "separable": ((3, 32, 32), separable),
    "grouped": ((2, 8, 8), grouped),
    "scaled_channels": ((3, 6, 6), scaled_channels),
    "binary_grouped": ((2, 8, 8), binary_grouped),
    "audio": ((4, 16), audio),
    "bias": ((16,), lambda: binary_with_ends(nn.Identity())),
    "norm_end": ((16,), lambda: binary_with_ends(nn.BatchNorm1d(5))),
    "softmax": ((16,), lambda: binary_with_ends(nn.Softmax(dim=1))),
    "log_softmax": ((16,), lambda: binary_with_ends(nn.LogSoftmax(dim=1))),
    "argmax": ((16,), lambda: binary_with_ends(ArgMax())),
    "topk": ((16,), lambda: binary_with_ends(TopK())),
    "sigmoid_one": ((16,), lambda: binary_with_ends(nn.Sigmoid(), 1)),
    "quant_end": ((16,), lambda: binary_with_ends(qnn.QuantIdentity(bit_width=4))),
    "sign_end": ((16,), lambda: binary_with_ends(qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst))),
    "relu6": ((16,), lambda: activated(nn.ReLU6(), qnn.QuantReLU(bit_width=4))),
    "leaky": ((16,), lambda: activated(nn.LeakyReLU(0.1), qnn.QuantIdentity(bit_width=4))),
    "prelu": ((16,), lambda: activated(nn.PReLU(24), qnn.QuantIdentity(bit_width=4))),
    "hardtanh": ((16,), lambda: activated(qnn.QuantHardTanh(bit_width=4, min_val=-1.0, max_val=1.0))),
    "sigmoid": ((16,), lambda: activated(qnn.QuantSigmoid(bit_width=4))),
    "tanh": ((16,), lambda: activated(qnn.QuantTanh(bit_width=4))),
    "hardsigmoid": ((16,), lambda: activated(nn.Hardsigmoid(), qnn.QuantIdentity(bit_width=4))),
    "clip": ((16,), lambda: activated(nn.Hardtanh(-0.5, 0.7), qnn.QuantIdentity(bit_width=4))),
    "quantized_bias": ((16,), quantized_bias),
    "segmentation": ((3, 8, 8), lambda: segmentation(select=False)),
    "segmentation_labels": ((3, 8, 8), lambda: segmentation(select=True)),
    "lenet": ((1, 8, 8), LeNet),
    "averages": ((2, 9, 9), averages),
    "per_channel": ((16,), lambda: nn.Sequential(qnn.QuantLinear(
        16, 5, bias=False, weight_bit_width=4, weight_quant=Int8WeightPerChannelFloat))),
}  # fmt: skip


@torch.no_grad()
def calibrated(net: nn.Module, shape: Shape, seed: int = 0) -> nn.Module:
    """The network with calibrated scales, and random norms: gammas of both signs, and one of 0."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (64, *shape), generator=generator).float()
    net.train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the average of all steps
    for _ in range(4):
        net(pixels)
    for norm in norms:
        norm.weight.copy_(torch.randn(norm.weight.shape, generator=generator))
        norm.bias.copy_(torch.randn(norm.bias.shape, generator=generator))
        norm.weight[-1] = 0
    return net.eval()


def export(name: str, path: Path, seed: int = 0) -> Path:
    """Write a model of the table as QONNX."""
    torch.manual_seed(seed)
    shape, make = MODELS[name]
    return write(make(), shape, path, seed)


def write(net: nn.Module, shape: Shape, path: Path, seed: int = 0) -> Path:
    """Write a network, once it is calibrated, as QONNX."""
    export_qonnx(calibrated(net, shape, seed), torch.zeros(1, *shape), str(path), dynamo=False)
    return path


def export_channels_last(name: str, path: Path, *, input_last: bool) -> Path:
    """A model in qonnx's channels-last form."""
    steps = [
        InferShapes(),
        GiveReadableTensorNames(),
        ConvertToChannelsLastAndClean(make_input_channels_last=input_last),
    ]
    model = ModelWrapper(str(export(name, path)))
    for step in steps:
        model = model.transform(step)
    model.save(str(path))
    return path


def export_finn(name: str, path: Path) -> Path:
    """A model in FINN-ONNX: MultiThresholds, integer weights, scales behind them."""
    with finn(path.with_suffix(".log")):
        from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN

        model = cleanup_model(ModelWrapper(str(export(name, path)))).transform(ConvertQONNXtoFINN())
        model.save(str(path))
    return path


def export_qdq(path: Path) -> Path:
    """A model of QuantizeLinear, Clip and DequantizeLinear, by Brevitas."""
    torch.manual_seed(0)
    net = nn.Sequential(
        qnn.QuantIdentity(bit_width=8), qnn.QuantLinear(16, 24, bias=False, weight_bit_width=4), nn.BatchNorm1d(24),
        qnn.QuantReLU(bit_width=4), qnn.QuantLinear(24, 5, bias=True, weight_bit_width=4),
    )  # fmt: skip
    export_onnx_qcdq(calibrated(net, (16,)), torch.zeros(1, 16), str(path), dynamo=False)
    return path
