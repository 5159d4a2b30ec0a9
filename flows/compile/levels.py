# SPDX-License-Identifier: Apache-2.0
"""Which integers travel between the layers, and which real values the model sees for them."""

from __future__ import annotations

from dataclasses import dataclass

from adiabit.flows.compile.config import CompileConfig
from adiabit.flows.compile.network import Network, Quantizer
from adiabit.hw.accelerator import Kind


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Integers low...high (bipolar: -1 and +1 alone) that stand for the reals scale * integer + offset."""

    low: int
    high: int
    scale: float
    offset: float = 0.0
    bipolar: bool = False


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Accumulators n = low...high of a layer; its integer product is first + stride * n (a popcount: -MW + 2 * n)."""

    first: int
    stride: int
    low: int
    high: int


def host_levels(config: CompileConfig) -> Levels:
    """What the host sends."""
    scale, offset = config.input_scale, config.input_offset
    if config.input_bits == 1:
        return Levels(low=-1, high=1, scale=scale, offset=offset, bipolar=True)
    half = 2 ** (config.input_bits - 1)
    low, high = (-half, half - 1) if config.input_signed else (0, 2 * half - 1)
    return Levels(low=low, high=high, scale=scale, offset=offset)


def layer_inputs(network: Network, config: CompileConfig) -> list[Levels]:
    """What each layer reads."""
    first = host_levels(config)
    if network.quantizer is not None:
        first = _of(network.quantizer)
    else:
        factor, addend = (float(v[0]) for v in network.head.affine(network.features))
        first = Levels(low=first.low, high=first.high, scale=first.scale * factor,
                       offset=first.offset * factor + addend, bipolar=first.bipolar)  # fmt: skip
    return [first, *(_of(layer.quantizer) for layer in network.layers if layer.quantizer is not None)]


def _of(quantizer: Quantizer) -> Levels:
    if quantizer.kind is Kind.BIPOLAR:
        return Levels(low=-1, high=1, scale=quantizer.scale, bipolar=True)
    return Levels(low=0, high=quantizer.steps, scale=quantizer.scale)
