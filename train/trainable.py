# SPDX-License-Identifier: Apache-2.0
"""What training, measuring and exporting need of a network; a module of one's own becomes one, too."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

from adiabit.errors import UserError
from adiabit.train.absorbers import Norm, absorber, shifter
from adiabit.train.blocks import Shape
from adiabit.train.layers import BinaryActivation, BinaryConv2d, BinaryLinear
from adiabit.train.measure import pixels
from adiabit.train.method import Method
from adiabit.train.method import method as method_of
from adiabit.train.methods import MethodTable
from adiabit.train.quantizers import BipolarQuantizer, RealQuantizer, SignQuantizer
from adiabit.train.wiring import Wiring, wired

Layer = BinaryLinear | BinaryConv2d | BinaryActivation


class Trainable(nn.Module):
    """A network with its method: pixels as float 0...255, (B, features) or (B, C, H, W) -> logits (B, classes)."""

    method: Method[Any]
    frame: Shape  # of what the host sends: (features,) or (H, W, C)
    classes: int

    @property
    def inner(self) -> nn.Module:
        """What is exported."""
        return self

    @property
    def why_not(self) -> str:
        """Why it has no binary hardware; empty where it has."""
        return str(self.method.table.why_not)

    def hardware(self) -> Self:
        """A network of the same layers whose weights and activations are signs, in eval mode, without our dropout."""
        raise NotImplementedError

    def wiring(self) -> Wiring:
        """What reads what, seen on a black frame."""
        return wired(self.inner, pixels(torch.zeros(1, *self.frame, device=next(self.parameters()).device)))


class Own(Trainable):
    """A module of one's own, of adiabit's or any other layers.

    The method chooses the quantizers of those layers of ours that were made without one. A module that has none is
    trained as it is, by the rules of `ste`, which then change nothing. `UserError`, beginning with `place`, where the
    module does not take the frames or return logits, or where the method needs a batch norm that is missing.
    """

    def __init__(
        self, module: nn.Module, method: str | MethodTable, *, frame: Shape, classes: int, place: str = "module"
    ) -> None:
        super().__init__()
        self.module, self.frame, self.classes = module, frame, classes
        self.method = bound(module, method, _checked(module, frame, classes, place), place)

    @property
    def inner(self) -> nn.Module:
        """The module itself."""
        return self.module

    def forward(self, x: Tensor) -> Tensor:
        """The module's logits; Brevitas may return a QuantTensor."""
        return _plain(self.module(x))  # type: ignore[no-any-return]

    def hardware(self) -> Self:
        """A copy, whose layers of other makes stay as they are."""
        made = copy.deepcopy(self)
        made.method = method_of("ste")
        for layer in made.modules():
            if isinstance(layer, BinaryLinear | BinaryConv2d) and isinstance(layer.quantizer, BipolarQuantizer):
                layer.use(SignQuantizer("weight"))
            elif isinstance(layer, BinaryActivation) and getattr(layer.quantizer, "role", "") == "activation":
                layer.use(SignQuantizer("activation"))
        return made.eval()


def _plain(out: Any) -> Any:
    return out if isinstance(out, Tensor) else getattr(out, "value", out)


def _checked(module: nn.Module, frame: Shape, classes: int, place: str) -> Wiring:
    """Run the module on two black frames; `UserError` where it does not return logits of them."""
    x = pixels(torch.zeros(2, *frame))
    try:
        wiring = wired(module, x)
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0][:200]
        raise UserError(
            f"{place}: {type(error).__name__} for frames of shape {list(x.shape)}: {first}; it must take pixels "
            "0...255 of this shape as float32"
        ) from error
    if next(module.parameters(), None) is None:
        raise UserError(f"{place}: has no parameters, so there is nothing to train; give a module with layers")
    out = _plain(wiring.out)
    if not isinstance(out, Tensor) or tuple(out.shape) != (2, classes):
        found = f"shape {list(out.shape)}" if isinstance(out, Tensor) else f"type {type(out).__name__}"
        raise UserError(
            f"{place}: returns {found} for 2 frames; it must return logits of shape [2, {classes}], one for each class "
            "of the data set"
        )
    return wiring


def bound(module: nn.Module, method: str | MethodTable, wiring: Wiring, place: str) -> Method[Any]:
    """Let a method choose the quantizers of the layers that are open; returns it, or `ste` where there are none."""
    layers = {layer: name for name, layer in module.named_modules() if isinstance(layer, Layer)}
    chosen = method_of(method if any(layer.open for layer in layers) else "ste")
    for layer, name in layers.items():
        where = f"{place}: {type(layer).__name__} {name!r}"
        if isinstance(layer, BinaryActivation):
            _bind_activation(layer, chosen, wiring, where)
        else:
            _bind_weights(layer, chosen, wiring, where)
    return chosen


def _bind_weights(layer: BinaryLinear | BinaryConv2d, method: Method[Any], wiring: Wiring, where: str) -> None:
    norm = absorber(wiring, layer)
    if layer.open and method.binary_weights:
        layer.use(method.weight(len(layer.weight) if isinstance(norm, Norm) else 1))
    elif layer.open:
        layer.use(RealQuantizer())
    quantizer = layer.quantizer
    scaled = isinstance(quantizer, BipolarQuantizer) and quantizer.factor(layer.weight) is not None
    if method.has_hardware and scaled and norm is None:
        raise UserError(
            f"{where} has no batch norm of its own behind it, but method {method.table.name!r} scales weights, which a "
            "batch norm absorbs in hardware; add one, or train with method 'adiabatic'"
        )


def _bind_activation(layer: BinaryActivation, method: Method[Any], wiring: Wiring, where: str) -> None:
    channels = {step.shapes[0][1] for step in wiring.of(layer)} or {1}
    if layer.open and len(channels) > 1:
        raise UserError(f"{where} is called with {sorted(channels)} channels; use a module for each")
    if layer.open:
        binary = method.binary_activations
        layer.use(method.activation(channels.pop()) if binary else RealQuantizer(nn.ReLU()))
    quantizer = layer.quantizer
    shifted = isinstance(quantizer, BipolarQuantizer) and quantizer.shift() is not None
    if method.has_hardware and shifted and shifter(wiring, layer) is None:
        raise UserError(
            f"{where} has no batch norm of its own before it, but method {method.table.name!r} shifts activations, "
            "which a batch norm absorbs in hardware; add one, or train with method 'adiabatic'"
        )
