# SPDX-License-Identifier: Apache-2.0
"""Which module absorbs the scale of a product, and which the shift of an activation."""

from __future__ import annotations

from torch import nn

from adiabit.train.layers import BinaryActivation, BinaryConv2d, BinaryLinear, Shift, TensorNorm
from adiabit.train.wiring import Step, Wiring, behind

Norm = nn.BatchNorm1d | nn.BatchNorm2d


def absorber(wiring: Wiring, product: BinaryLinear | BinaryConv2d) -> nn.Module | None:
    """The norm that alone reads a product and nothing else, or the product itself where it ends the network.

    A batch norm absorbs a scale for each row, a :class:`TensorNorm` or the end one for all: it changes no label.
    """
    steps = wiring.of(product)
    if len(steps) != 1:
        return None
    reader = behind(steps[0])
    if reader is None:
        return product if _ends(steps[0]) else None
    norm = reader.op
    fits = isinstance(norm, TensorNorm) or (isinstance(norm, Norm) and norm.num_features == len(product.weight))
    return norm if fits and isinstance(norm, nn.Module) and len(wiring.of(norm)) == 1 else None


def _ends(step: Step) -> bool:
    while len(step.readers) == 1:
        (step,) = step.readers
        if not step.keeps:
            return False
    return not step.readers


def shifter(wiring: Wiring, activation: BinaryActivation) -> nn.Module | None:
    """The norm or :class:`Shift` that an activation alone reads, also as one addend of a sum."""
    steps = wiring.of(activation)
    return _shifting(wiring, steps[0]) if len(steps) == 1 else None


def _shifting(wiring: Wiring, reader: Step) -> nn.Module | None:
    for source in reader.inputs:
        if source.only_reader is not reader:
            continue
        op = source.op
        if isinstance(op, Shift | Norm) and len(wiring.of(op)) == 1:
            return op
        if (source.keeps or source.adds) and (found := _shifting(wiring, source)) is not None:
            return found
    return None
