# SPDX-License-Identifier: Apache-2.0
"""The size of a network: 1-bit and other parameters, memory, operations per frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adiabit.train.blocks import Shape
from adiabit.train.layers import BinaryActivation, BinaryConv2d, BinaryLinear, IntegerQuantizer, PixelSign, TensorNorm
from adiabit.train.measure import pixels
from adiabit.train.trainable import Trainable

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
    """One row per layer, in order; norms and scales belong to the layer before them."""
    outs: dict[int, Shape] = {}
    with _shapes_captured(net, outs), torch.no_grad():
        training = net.training
        net.eval()(pixels(torch.zeros(1, *net.frame)))
        net.train(training)
    rows: list[LayerSummary] = []
    binary_input = False  # whether the next product's input is -1 and +1
    for module in net.modules():
        if isinstance(module, PixelSign | BinaryActivation):
            binary_input = True
            rows[-1:] = [_with(row, module) for row in rows[-1:]]
        elif isinstance(module, nn.Linear | nn.Conv2d):
            rows.append(_row(module, outs[id(module)], len(rows), binary_input=binary_input))
            binary_input = False
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | TensorNorm):
            rows[-1:] = [_with(row, module) for row in rows[-1:]]
    return rows


def _row(module: nn.Linear | nn.Conv2d, out: Shape, number: int, *, binary_input: bool) -> LayerSummary:
    quantizer = module.quantizer if isinstance(module, BinaryLinear | BinaryConv2d) else None
    weights, quantized = module.weight.numel(), quantizer is not None
    bits = quantizer.bits if isinstance(quantizer, IntegerQuantizer) else 1
    integer = weights if bits > 1 else 0
    operations = weights // module.weight.shape[0]
    for side in out:
        operations *= side
    kind = "full" if not quantized else "multiply" if bits > 1 else "xnor" if binary_input else "mixed"
    real = sum(p.numel() for p in module.parameters()) - (weights if quantized else 0)
    return LayerSummary(
        name=f"{'fc' if isinstance(module, nn.Linear) else 'conv'}{number}", shape=tuple(module.weight.shape), out=out,
        binary=weights - integer if quantized else 0, integer=integer, integer_bits=bits * integer, real=real,
        **{kind: operations},
    )  # fmt: skip


def _with(row: LayerSummary, module: nn.Module) -> LayerSummary:
    added = sum(p.numel() for p in module.parameters())
    return LayerSummary(**{**vars(row), "real": row.real + added})


@contextmanager
def _shapes_captured(net: Trainable, outs: dict[int, Shape]) -> Iterator[None]:
    """Collect the output shapes of the products within the context, by module id; (H, W, O) for images."""

    def see(module: nn.Module, _: object, out: Tensor) -> None:
        shape = tuple(out.shape[1:])
        outs[id(module)] = (*shape[1:], shape[0])

    hooks = [m.register_forward_hook(see) for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
