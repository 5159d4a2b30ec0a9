# SPDX-License-Identifier: Apache-2.0
"""The size of a network: 1-bit and other parameters, memory, operations per frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from adiabit.train.blocks import Shape
from adiabit.train.layers import BinaryActivation, BinaryConv2d, BinaryLinear, Mean, PixelSign, TensorNorm
from adiabit.train.quantizers import RealQuantizer
from adiabit.train.trainable import Trainable
from adiabit.train.wiring import Step

REAL_BITS = 32


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """A product and the norm after it; a multiplication and its addition count as one operation."""

    name: str  # conv0, fc2, …
    shape: Shape  # of the weights: (O, I) or (O, I, rows, columns)
    out: Shape  # of the product's output: (O,) or (H, W, O)
    binary: int  # 1-bit parameters
    real: int  # float parameters: weights that are not quantized, scales, norms
    integer: int = 0  # weights of several bits
    integer_bits: int = 0  # of all of these
    xnor: int = 0  # operations per frame, 1 bit by 1 bit
    mixed: int = 0  # 1-bit weights by 8-bit pixels or real activations
    multiply: int = 0  # weights of several bits
    full: int = 0  # real weights

    @property
    def memory(self) -> float:
        """Bytes of the parameters."""
        return (self.binary + self.integer_bits + REAL_BITS * self.real) / 8


def summary(net: Trainable) -> list[LayerSummary]:
    """One row per layer, in the order of execution; norms and scales belong to the layer before them."""
    rows: list[LayerSummary] = []
    for module, (step, *_) in net.wiring().modules.items():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            rows.append(_row(module, step, len(rows)))
        elif isinstance(module, PixelSign | BinaryActivation | nn.BatchNorm1d | nn.BatchNorm2d | TensorNorm):
            rows[-1:] = [_with(row, module) for row in rows[-1:]]
    return rows


def _row(module: nn.Linear | nn.Conv1d | nn.Conv2d, step: Step, number: int) -> LayerSummary:
    out = (*step.shapes[0][2:], step.shapes[0][1])
    bits, weights = _bits(module), module.weight.numel()
    integer = weights if bits > 1 else 0
    operations = weights // module.weight.shape[0]
    for side in out:
        operations *= side
    kind = "full" if not bits else "multiply" if bits > 1 else "xnor" if _reads_signs(step) else "mixed"
    real = sum(p.numel() for p in module.parameters()) - (weights if bits else 0)
    return LayerSummary(
        name=f"{'fc' if isinstance(module, nn.Linear) else 'conv'}{number}", shape=tuple(module.weight.shape), out=out,
        binary=weights - integer if bits else 0, integer=integer, integer_bits=bits * integer, real=real,
        **{kind: operations},
    )  # fmt: skip


def _bits(module: nn.Module) -> int:
    """Of the weights; 0 where they are not quantized."""
    if isinstance(module, BinaryLinear | BinaryConv2d):
        quantizer = module.quantizer
        return 0 if isinstance(quantizer, RealQuantizer) else getattr(quantizer, "bits", 1)
    proxy = getattr(module, "weight_quant", None)  # of Brevitas
    return int(proxy.bit_width()) if proxy is not None and proxy.is_quant_enabled else 0


def _reads_signs(step: Step) -> bool:
    """Whether all inputs are -1 and +1; an average of them is taken after the product in hardware."""
    source = step.inputs[0]
    while source.keeps or isinstance(source.op, Mean):
        source = source.inputs[0]
    return source.signs


def _with(row: LayerSummary, module: nn.Module) -> LayerSummary:
    added = sum(p.numel() for p in module.parameters())
    return LayerSummary(**{**vars(row), "real": row.real + added})
