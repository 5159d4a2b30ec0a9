# SPDX-License-Identifier: Apache-2.0
"""Fused training steps: a batch norm waits for the quantizer behind it, so that one kernel computes both.

    with fused(net):
        ...  # in bfloat16, on a CPU

Within the context, a batch norm that one quantizer reads, or a sum with one quantizer behind it, returns a
:class:`Deferred`, and :class:`BinaryActivation` computes it with its quantizer, into an image that has room for the pad
behind it. Values are the same up to the rounding that is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from adiabit.train.deferred import Deferred
from adiabit.train.kernels.functions import max_pool, takes
from adiabit.train.layers import BinaryActivation, Pad, RisingNorm2d
from adiabit.train.trainable import Trainable
from adiabit.train.wiring import Step, Wiring


@contextmanager
def fused(net: Trainable, *, on: bool = True) -> Iterator[None]:
    """Replace the forward passes of batch norms and max pools that can be fused; if not `on`, change nothing."""
    if not on:
        yield
        return
    wiring = net.wiring()
    replaced, pads = list(_replaced(wiring)), _pads(wiring)
    for module, forward in replaced:
        module.forward = forward
    for activation, pad in pads.items():
        activation.pad = pad
    try:
        yield
    finally:
        for module, _ in replaced:
            del module.forward  # the class has its own
        for activation in pads:
            activation.pad = (0, 0)


def _pads(wiring: Wiring) -> dict[BinaryActivation, tuple[int, int]]:
    """The activations that are padded with -1 somewhere, and how: by the first pad that reads them."""
    found: dict[BinaryActivation, tuple[int, int]] = {}
    for step in wiring:
        source = step.inputs[0].op if step.inputs else None
        if isinstance(step.op, Pad) and step.op.simple and isinstance(source, BinaryActivation):
            found.setdefault(source, (step.op.sides[1], step.op.sides[2]))
    return found


def _replaced(wiring: Wiring) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
    for module, steps in wiring.modules.items():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and _simple(module):
            if all(_signed(step) for step in steps):
                yield module, _deferring(module)
        elif isinstance(module, nn.MaxPool2d) and (window := _window(module)):
            yield module, _pooling(module, window)


def _simple(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> bool:
    """Whether it has parameters and running statistics."""
    return norm.affine and norm.track_running_stats


def _signed(step: Step) -> bool:
    """Whether a sign alone reads it, or a sum that a sign alone reads."""
    reader = step.only_reader
    if reader is not None and reader.adds:
        reader = reader.only_reader
    return reader is not None and isinstance(reader.op, BinaryActivation)


def _window(pool: nn.MaxPool2d) -> tuple[int, int] | None:
    """The window of a pool whose windows lie side by side."""
    window, padding = _pair(pool.kernel_size), _pair(pool.padding)
    plain = window == _pair(pool.stride) and padding == (0, 0) and _pair(pool.dilation) == (1, 1)
    return window if plain and not pool.ceil_mode and not pool.return_indices else None


def _pair(sides: Any) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[1])


def _deferring(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Callable[..., Any]:
    own = norm.forward

    def forward(input: Any) -> Any:  # noqa: A002  (torch's name)
        if takes(input) and (norm.training or not torch.is_grad_enabled()):
            if isinstance(norm, RisingNorm2d):
                norm.rise()
            return Deferred(input, norm, own)
        return own(input)

    return forward


def _pooling(pool: nn.MaxPool2d, window: tuple[int, int]) -> Callable[..., Any]:
    own = pool.forward

    def forward(input: Any) -> Any:  # noqa: A002  (torch's name)
        return max_pool(input, window) if takes(input) else own(input)

    return forward
