# SPDX-License-Identifier: Apache-2.0
"""The trained network on disk: `model.json` says what it is, `model.pt` holds its tensors and no code."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError, model_validator
from torch import Tensor, nn

from adiabit.errors import UserError
from adiabit.train.layers import BinaryConv2d, BinaryLinear, Network
from adiabit.train.methods.tables import MethodConfig, named
from adiabit.train.quantizers import quantizers, sign
from adiabit.train.topology import ModelConfig, Shape, Table

MODEL, TENSORS = "model.json", "model.pt"


class ModelCard(Table):
    """What `model.json` says."""

    format: Literal[1] = 1
    model: ModelConfig
    frame: Shape = (784,)  # (features,) or (H, W, C)
    classes: int = 10
    method: MethodConfig
    hard: bool  # every weight and activation is -1 or +1
    dropout: float = 0.0  # of a network that is not
    k_weights: float | None = None
    k_activations: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_method_may_be_its_name(cls, card: Any) -> Any:
        return {**card, "method": named(card.get("method"))} if isinstance(card, dict) else card


def save_model(folder: Path, net: nn.Module, card: ModelCard) -> None:
    """Write `model.pt`, then `model.json`; a hard network's weights are kept as signs, one byte each."""
    state = dict(net.state_dict())
    if card.hard:
        for name, module in net.named_modules():
            if isinstance(module, BinaryLinear | BinaryConv2d):
                state[f"{name}.weight"] = sign(module.weight.detach()).to(torch.int8)
    aside = folder / f"{TENSORS}.part"
    torch.save(state, aside)
    aside.replace(folder / TENSORS)
    (folder / MODEL).write_text(card.model_dump_json(indent=1) + "\n")


def load_card(folder: Path) -> ModelCard:
    """Read `model.json`."""
    path = folder / MODEL
    try:
        return ModelCard.model_validate_json(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; `adiabit train` makes it when training has finished") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a model description of ours; run `adiabit train` again") from error


def check_topology(folder: Path, model: ModelConfig) -> None:
    """`UserError` where the network in `folder` is not the one that a recipe's [model] describes."""
    found = load_card(folder).model
    for key, attribute in {"hidden": "hidden", "input_bits": "input_bits", "layers": "blocks", "pool": "pool"}.items():
        ours, theirs = getattr(model, attribute), getattr(found, attribute)
        if ours != theirs:
            raise UserError(
                f"{folder / MODEL}: {key} = {theirs}, but the recipe's [model] has {ours}; "
                "use a checkpoint of the same topology, or change [model]"
            )


def load_model(folder: Path) -> Network:
    """The network of a training folder in eval mode: the hardware's if its card says hard, else as it was trained."""
    card = load_card(folder)
    method, dropout = ("ste", 0.0) if card.hard else (card.method, card.dropout)
    net = Network(card.model, method, dropout, frame=card.frame, classes=card.classes)
    path = folder / TENSORS
    state = load_tensors(path)
    theirs = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
    ours = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    if theirs != ours:
        name = sorted(n for n in theirs.keys() | ours.keys() if theirs.get(n) != ours.get(n))[0]
        raise UserError(
            f"{path}: tensor {name} is {theirs.get(name, 'missing')}, but {MODEL} ({card.model.topology}, "
            f"{card.method.name}) needs {ours.get(name, 'none')}; the two files must come from one training"
        )
    net.load_state_dict(state)
    for quantizer in quantizers(net):
        quantizer.hard = card.hard
    return net.eval()


def load_tensors(path: Path) -> dict[str, Any]:
    """A file of `torch.save` read without running code; `UserError` where it is missing, cut short or not of ours."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; `adiabit train` makes it") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: damaged or not a checkpoint of ours; delete it and run `adiabit train` again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no table of tensors; delete it and run `adiabit train` again")
    return content


def write_json(path: Path, content: Any) -> None:
    """Write aside, then rename."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(json.dumps(content, indent=1) + "\n")
    aside.replace(path)
