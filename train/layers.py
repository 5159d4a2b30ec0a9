# SPDX-License-Identifier: Apache-2.0
"""Dense networks: what the hardware computes, in a form that autograd can train.

Shape suffixes: B batch, P pixels, I input features, O output features, C classes.
Weights and activations are in {-1, +1}; in hardware bit 1 is +1 and bit 0 is -1.
"""

from __future__ import annotations

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from adiabit.train.config import CLASSES, PIXELS, ModelConfig
from adiabit.train.quantizers import BipolarQuantizer, act_quant, weight_quant


class BinaryLinear(qnn.QuantLinear):
    """y_BO = x_BI @ sign(W_OI).T, one XNOR-popcount in hardware; no bias, scale 1 (Umuroglu et al., FINN, 2017)."""

    def __init__(self, inputs: int, outputs: int, method: str, init: float) -> None:
        super().__init__(inputs, outputs, bias=False, weight_quant=weight_quant(method))
        nn.init.normal_(self.weight, std=init)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Dot products; Brevitas' wrapping is left to the export, it would take half of a small step."""
        if self.weight_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        quantizer: BipolarQuantizer = self.weight_quant.tensor_quant
        return nn.functional.linear(input, quantizer.quantize(self.weight))


class BinaryActivation(qnn.QuantIdentity):
    """y in {-1, +1}, any shape; after a batch norm it is one integer threshold a neuron in hardware."""

    def __init__(self, method: str) -> None:
        super().__init__(act_quant=act_quant(method))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Quantize; Brevitas' wrapping is left to the export."""
        if self.act_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        quantizer: BipolarQuantizer = self.act_quant.fused_activation_quant_proxy.tensor_quant
        return quantizer.quantize(input)


class PixelSign(nn.Module):
    """Pixels 0...255 to {-1, +1}: sign(x * 2 / 255 - 1), so 128 is the first +1 (FINN's TFC, SFC and LFC)."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = BinaryActivation("ste")

    def forward(self, x_BP: Tensor) -> Tensor:  # noqa: N803  (shape suffix)
        """(B, P) -> (B, P)."""
        return self.sign(x_BP * (2.0 / 255.0) - 1.0)  # type: ignore[no-any-return]


class TensorNorm(nn.Module):
    """y = x * scale + shift, one pair for the whole tensor: it moves no label, so the compiler drops it.

    The integers of the last layer become logits of a trainable temperature. The scale starts at 1 / sqrt(I)
    and is kept positive: training clamps it before each use.
    """

    SMALLEST = 1e-4

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(inputs**-0.5))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if self.training:
            with torch.no_grad():
                self.scale.clamp_(min=self.SMALLEST)
        return x * self.scale + self.shift


class DenseNet(nn.Sequential):
    """[linear, batch norm, activation] for each hidden layer, then linear and :class:`TensorNorm`.

    Pixels (B, 784) as float 0...255 -> logits (B, 10). Binary where `method` is adiabatic or ste, the
    real-valued twin of the same topology where it is real.
    """

    def __init__(self, config: ModelConfig, method: str, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = [PixelSign()] if config.input_bits == 1 else []
        width = PIXELS
        for outputs in config.hidden:
            layers += [_linear(width, outputs, config, method), nn.BatchNorm1d(outputs), _activation(config, method)]
            layers += [nn.Dropout(dropout)] if dropout else []
            width = outputs
        layers += [_linear(width, CLASSES, config, method), TensorNorm(width)]
        super().__init__(*layers)


def _linear(inputs: int, outputs: int, config: ModelConfig, method: str) -> nn.Module:
    if method == "real":
        return nn.Linear(inputs, outputs, bias=False)
    return BinaryLinear(inputs, outputs, method, config.init)


def _activation(config: ModelConfig, method: str) -> nn.Module:
    if method != "real":
        return BinaryActivation(method)
    return nn.ReLU() if config.activation == "relu" else nn.Tanh()


MARGIN = 1 / 16  # accumulators are integers; float32 rounding of the largest is far below this


@torch.no_grad()
def clear_thresholds(net: nn.Module) -> None:
    """Move each batch norm's threshold away from integers, so that no rounding can turn the sign behind it.

    sign(BatchNorm(x)) changes at T = mean - bias * sqrt(var + eps) / weight. Accumulators x are integers; a T
    within `MARGIN` of one goes to `MARGIN` from it, on the side where it is, so no sign changes. (At T = x the
    sign is +1, which weight > 0 keeps by a lower T and weight < 0 by a higher one.) weight = 0 has no T.
    """
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None and norm.running_var is not None:
            mean, weight = norm.running_mean.double(), norm.weight.double()
            deviation = (norm.running_var.double() + norm.eps).sqrt()
            threshold = mean - norm.bias.double() * deviation / torch.where(weight == 0, 1.0, weight)
            distance = threshold - threshold.round()
            side = torch.where(distance == 0, -weight.sign(), distance.sign())
            near = (distance.abs() < MARGIN) & (weight != 0)
            norm.running_mean.copy_(torch.where(near, mean + side * MARGIN - distance, mean))
