# SPDX-License-Identifier: Apache-2.0
"""Random networks in plain Brevitas, for hypothesis: kinds of layers, bits, scales, activations, ends."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
)
from hypothesis import strategies as st
from torch import nn

from adiabit.hw.stages import divisors
from tests.flows.finn.foreign_models import ArgMax, Shape, TopK


def weights(draw: st.DrawFn) -> dict[str, Any]:
    """How a layer's weights are quantized, and whether it has a bias."""
    bits = draw(st.sampled_from([1, 1, 2, 3, 4, 6, 8]))
    if bits == 1:
        return {"weight_quant": SignedBinaryWeightPerTensorConst, "bias": draw(st.booleans())}
    kind = draw(st.sampled_from([Int8WeightPerTensorFloat, Int8WeightPerChannelFloat]))
    return {"weight_quant": kind, "weight_bit_width": bits, "bias": draw(st.booleans())}


def activation(draw: st.DrawFn) -> tuple[list[nn.Module], bool]:
    """An activation that ends with a quantizer, and whether 0 is one of its levels."""
    kind = draw(st.sampled_from(["relu", "relu", "identity", "sign", "hardtanh", "sigmoid", "tanh", "leaky", "clip"]))
    bits = draw(st.sampled_from([2, 2, 3, 4, 5, 8]))
    signed = qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits)
    if kind == "sign":
        return [qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)], False
    modules: dict[str, list[nn.Module]] = {
        "relu": [qnn.QuantReLU(bit_width=bits)],
        "identity": [signed],
        "hardtanh": [qnn.QuantHardTanh(bit_width=bits, min_val=-1.0, max_val=1.0)],
        "sigmoid": [qnn.QuantSigmoid(bit_width=bits)],
        "tanh": [qnn.QuantTanh(bit_width=bits)],
        "leaky": [nn.LeakyReLU(0.25), signed],
        "clip": [nn.Hardtanh(-1.5, 1.0), signed],
    }
    return modules[kind], True


def end(draw: st.DrawFn, classes: int) -> list[nn.Module]:
    """What follows the last layer."""
    kind = draw(st.sampled_from(["none", "none", "norm", "softmax", "argmax", "topk", "quantizer", "sigmoid"]))
    modules: dict[str, list[nn.Module]] = {
        "none": [], "norm": [nn.BatchNorm1d(classes)], "softmax": [nn.Softmax(dim=1)], "argmax": [ArgMax()],
        "topk": [TopK()], "quantizer": [qnn.QuantIdentity(bit_width=4)], "sigmoid": [nn.Sigmoid()],
    }  # fmt: skip
    return [] if classes == 1 and kind in ("softmax", "argmax", "topk") else modules[kind]


@st.composite
def networks(draw: st.DrawFn) -> tuple[Shape, nn.Module]:
    """The shape of a frame, and a network that reads it."""
    layers: list[nn.Module] = []
    zero = True  # whether 0 is a level of what the next layer reads
    if draw(st.booleans()):
        bits = draw(st.sampled_from([2, 4, 8]))
        layers.append(qnn.QuantIdentity(bit_width=bits))
    classes = draw(st.sampled_from([1, 2, 5]))
    if draw(st.booleans()):
        shape: Shape = (draw(st.integers(4, 20)),)
        width = shape[0]
        for _ in range(draw(st.integers(1, 3))):
            made = draw(st.integers(2, 16))
            layers.append(qnn.QuantLinear(width, made, **weights(draw)))
            layers += [nn.BatchNorm1d(made)] * draw(st.booleans())
            layers += activation(draw)[0]
            width = made
    else:
        side, channels = draw(st.integers(5, 8)), draw(st.integers(1, 3))
        shape = (channels, side, side)
        for _ in range(draw(st.integers(1, 3))):
            groups = draw(st.sampled_from(divisors(channels)))
            made, kernel = groups * draw(st.integers(1, 3)), draw(st.integers(1, min(3, side)))
            pad, stride = draw(st.integers(0, 1)) if zero else 0, draw(st.integers(1, 2))
            layers.append(qnn.QuantConv2d(channels, made, kernel, stride=stride, padding=pad, groups=groups,
                                          **weights(draw)))  # fmt: skip
            layers += [nn.BatchNorm2d(made)] * draw(st.booleans())
            more, zero = activation(draw)
            layers += more
            side, channels = (side + 2 * pad - kernel) // stride + 1, made
            if side >= 2 and draw(st.booleans()):
                if draw(st.booleans()):
                    step = draw(st.sampled_from([1, 2]))
                    layers.append(nn.MaxPool2d(2, stride=step))
                    side = (side - 2) // step + 1
                else:
                    layers += [nn.AvgPool2d(2, stride=1), qnn.QuantIdentity(bit_width=5)]
                    side, zero = side - 1, True
        layers.append(nn.Flatten())
        width = channels * side * side
    layers.append(qnn.QuantLinear(width, classes, **weights(draw)))
    return shape, nn.Sequential(*layers, *end(draw, classes))
