# SPDX-License-Identifier: Apache-2.0
"""From the recipe's `[model]` to a network: a topology of ours, or a module of one's own."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adiabit import files
from adiabit.errors import UserError
from adiabit.train.binarize import Binarized, binarize
from adiabit.train.blocks import Shape
from adiabit.train.data import Source
from adiabit.train.methods import MethodTable
from adiabit.train.network import Network
from adiabit.train.source import CALL, Reference, load, reported
from adiabit.train.topology import ModelConfig
from adiabit.train.trainable import Own, Trainable


def build(
    model: ModelConfig, method: str | MethodTable, dropout: float, source: Source, module: nn.Module | None = None,
    *, weights: bool = True,
) -> Trainable:  # fmt: skip
    """A network for frames of `source`, with weights drawn from torch's generator.

    `module` is one that exists already, which `model` then only names; it is copied. `weights`: whether a module that
    is binarized starts from its own; a checkpoint brings others. `UserError` where the network cannot be built, or does
    not fit the frames.
    """
    if model.module is None:
        return Network(model, method, dropout, frame=model.frame(source.shape), classes=source.classes)
    made = copy.deepcopy(module) if module is not None else _made(model)
    frame = frame_of(made, source.shape)
    if model.binarize:
        made = binarized(model, made, frame, weights=weights).module
    return Own(made, method, frame=frame, classes=source.classes, place=place(model))


def binarized(model: ModelConfig, made: nn.Module, frame: Shape, *, weights: bool = True) -> Binarized:
    """A plain module with its layers replaced, as `[model]` says."""
    if weights and model.weights is not None:
        _load_weights(made, model.weights)
    shape = (frame[-1], *frame[:-1]) if len(frame) == 3 else frame
    bits = {"input_bits": model.input_bits, "first_bits": model.first_bits, "last_bits": model.last_bits}
    return binarize(made, shape, **bits, place=place(model))


def replacements(model: ModelConfig, source: Source, module: nn.Module | None = None) -> Binarized | None:
    """What `binarize = true` replaces; None where nothing is to be binarized."""
    if not model.binarize:
        return None
    made = copy.deepcopy(module) if module is not None else _made(model)
    return binarized(model, made, frame_of(made, source.shape))


def place(model: ModelConfig) -> str:
    """How messages refer to the module."""
    return f"recipe: [model]: {model.title}"


def frame_of(module: nn.Module, image: Shape) -> Shape:
    """What a module takes: the data set's frames, or where its attribute `flat` is true, their features."""
    return (math.prod(image),) if getattr(module, "flat", False) else image


def _made(model: ModelConfig) -> nn.Module:
    """The module of the recipe, constructed."""
    assert model.module is not None  # noqa: S101  # the callers have checked
    found = load(Reference.of(model.module))
    with reported(f"{model.module}({', '.join(f'{k}={v!r}' for k, v in model.arguments.items())})"):
        made: Any = found(**model.arguments)
    if not isinstance(made, nn.Module):
        raise UserError(f"{model.module}: returned a {type(made).__name__}; {CALL}")
    return made


def _load_weights(module: nn.Module, path: Path) -> None:
    """Load a state dict without running code; `UserError` where it is none, or not this module's."""
    files.regular(path, "give a state dict that torch.save has written")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state)
    except Exception as error:  # torch raises all kinds of exceptions, depending on the damage
        first = " ".join(str(error).split())[:300]
        raise UserError(
            f"{path}: not the weights of {type(module).__name__} ({first}); save them by "
            "torch.save(net.state_dict(), path)"
        ) from error
