# SPDX-License-Identifier: Apache-2.0
"""The trained network on disk: `model.json` describes it, `model.pt` holds its tensors and no code."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor, nn

from adiabit import files
from adiabit.errors import UserError
from adiabit.legend import Encoding, Legend
from adiabit.train.data import Source
from adiabit.train.layers import BinaryConv2d, BinaryLinear
from adiabit.train.methods import MethodConfig
from adiabit.train.models import build
from adiabit.train.quantizers import BipolarQuantizer, quantizers
from adiabit.train.table import Count, Table
from adiabit.train.topology import ModelConfig
from adiabit.train.trainable import Trainable

MODEL, TENSORS = "model.json", "model.pt"
AGAIN = "delete it and run `adiabit train` again"
COMPARED = (  # keys of [model] that determine what a network computes
    "input_bits", "layers", "pool", "shortcut_bits", "scale", "preactivation", "rprelu", "first_bits", "last_bits",
)  # fmt: skip


class ModelCard(Table):
    """The content of `model.json`."""

    format: Literal[1] = 1
    model: ModelConfig
    frame: Annotated[tuple[Count, ...], Field(max_length=3)] = (784,)  # (features,) or (H, W, C)
    classes: Count = 10
    names: tuple[str, ...] = ()  # of the classes; older checkpoints have none
    encoding: Encoding | None = None  # of raw features
    method: MethodConfig
    hard: bool  # every weight and activation is -1 or +1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # where the network is not hard
    k_weights: float | None = None
    k_activations: float | None = None

    @property
    def why_not(self) -> str:
        """Why it has no binary hardware; empty where it has."""
        return self.method.why_not or self.model.why_not

    @property
    def legend(self) -> Legend:
        """What a host must know of the frames and the classes."""
        return Legend(names=self.names, encoding=self.encoding)

    @property
    def slopes(self) -> dict[str, float | None]:
        """The last k of weights and activations, where the schedule has them."""
        return {"k_weights": self.k_weights, "k_activations": self.k_activations}

    @model_validator(mode="after")
    def _convolutions_take_images(self) -> Self:
        if self.model.module is None and len(self.frame) != (3 if self.model.convolutional else 1):
            raise ValueError(f"frame = {list(self.frame)} does not fit the model's layers")
        return self

    @model_validator(mode="after")
    def _legend_fits(self) -> Self:
        if len(self.legend.names) not in (0, self.classes):
            raise ValueError(f"{len(self.names)} names for {self.classes} classes")
        if self.encoding and len(self.encoding.low) not in (1, math.prod(self.frame)):
            raise ValueError(f"an encoding of {len(self.encoding.low)} features for frame = {list(self.frame)}")
        return self


def save_model(folder: Path, net: nn.Module, card: ModelCard) -> None:
    """Write `model.pt`, then `model.json`; binary weights of a hard network are stored as bits, 8 a byte."""
    state = dict(net.state_dict())
    if card.hard:
        for name in _binary(net):
            state[f"{name}.weight"] = _packed(state[f"{name}.weight"])
    with files.written(folder / TENSORS) as aside:
        torch.save(state, aside)
    files.write_text(folder / MODEL, card.model_dump_json(indent=1) + "\n")


def _packed(weights: Tensor) -> Tensor:
    """The bits weights >= 0 of (O, ...), the first in the highest bit of a byte: (O, ceil(n / 8)) for rows of n."""
    return torch.from_numpy(np.packbits((weights.detach() >= 0).flatten(1).cpu().numpy(), axis=1))


def _unpacked(state: dict[Any, Any], net: nn.Module) -> dict[Any, Any]:
    """The tensors with bits as weights of -1 and +1; earlier checkpoints have those as int8."""
    made = dict(state)
    for name in _binary(net):
        weight = net.get_parameter(key := f"{name}.weight")
        bits, count = state.get(key), weight[0].numel()
        if isinstance(bits, Tensor) and bits.dtype == torch.uint8 and bits.shape == (len(weight), (count + 7) // 8):
            signs = np.unpackbits(bits.numpy(), axis=1, count=count).astype(np.int8) * 2 - 1
            made[key] = torch.from_numpy(signs).view(weight.shape)
    return made


def _binary(net: nn.Module) -> set[str]:
    """The names of the products with weights of -1 and +1."""
    products = ((n, m) for n, m in net.named_modules() if isinstance(m, BinaryLinear | BinaryConv2d))
    return {name for name, module in products if isinstance(module.quantizer, BipolarQuantizer)}


def load_card(folder: Path) -> ModelCard:
    """Read `model.json`; `UserError` where it cannot be read or does not describe a network of ours."""
    path = folder / MODEL
    text = files.read_text(path, "`adiabit train` makes it when training has finished")
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        what = ": ".join([*map(str, first["loc"]), first["msg"][:200]])
        raise UserError(f"{path}: not a model description of ours ({what}); run `adiabit train` again") from error


def check_topology(folder: Path, model: ModelConfig) -> None:
    """`UserError` where the network in `folder` is not the one that the recipe's [model] describes."""
    found = load_card(folder).model
    if found.module is not None or model.module is not None:
        _check_module(folder, found, model)
        return
    for key in ("hidden", *COMPARED):
        attribute = "blocks" if key == "layers" else key
        expected, actual = getattr(model, attribute), getattr(found, attribute)
        if expected != actual:
            raise UserError(
                f"{folder / MODEL}: {key} = {actual}, but the recipe's [model] has {expected}; "
                "use a checkpoint of the same topology, or change [model]"
            )


def _check_module(folder: Path, found: ModelConfig, model: ModelConfig | None) -> None:
    """`UserError` where the recipe does not name the module that `found` does, with the same arguments."""
    if model is None or model.module is None:
        raise UserError(
            f"{folder / MODEL}: a network of the module {found.title}, whose code a checkpoint does not hold; name the "
            f'module in the recipe, e.g. [model] module = "{found.title}"'
        )
    for key in ("module", "arguments", "binarize", "input_bits", "first_bits", "last_bits"):
        expected, actual = getattr(model.portable, key), getattr(found, key)
        if expected != actual:
            raise UserError(
                f"{folder / MODEL}: {key} = {actual}, but the recipe's [model] has {expected}; use a checkpoint of the "
                "same module, or change [model]"
            )


def load_model(folder: Path, model: ModelConfig | None = None, module: nn.Module | None = None) -> Trainable:
    """The network of a training folder in eval mode: the hardware's if it is hard, else as it was trained.

    The code of a module of one's own comes from the recipe's `model`, or is `module` itself, never from the folder.
    `UserError` where the two files are damaged or do not belong together, or to `model`.
    """
    card = load_card(folder)
    method, dropout = ("ste", 0.0) if card.hard else (card.method, card.dropout)
    if card.model.module is not None:
        _check_module(folder, card.model, model)
    chosen = card.model if card.model.module is None or model is None else model
    state = load_tensors(folder / TENSORS)
    try:
        net = build(chosen, method, dropout, Source(card.frame, card.classes), module, weights=False)
    except UserError as error:  # too large, or a layer that does not fit
        raise UserError(f"{folder / MODEL}: {error}") from error
    net = net.hardware() if card.hard else net
    state = _unpacked(state, net) if card.hard else state
    _check_tensors(folder / TENSORS, state, net, card)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise _unfit(folder / TENSORS, card, " ".join(str(error).split(":", 1)[-1].split())[:300]) from error
    for quantizer in quantizers(net):
        quantizer.hard = card.hard
    return net.eval()


def _unfit(path: Path, card: ModelCard, what: str) -> UserError:
    return UserError(
        f"{path}: {what}, but {MODEL} ({card.model.title}, {card.method.name}) needs another; the two files must come "
        "from the same training, and the module's source must be that of then"
    )


def _check_tensors(path: Path, state: dict[Any, Any], net: Trainable, card: ModelCard) -> None:
    """`UserError` where these are not the network's tensors, by name, shape, type and range."""
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(f"{path}: {str(name)[:100]!r} is not a named tensor; {AGAIN}")
    expected = net.state_dict()
    found, shapes = ({name: tuple(value.shape) for name, value in s.items()} for s in (state, expected))
    if card.model.module is not None:  # Brevitas' own quantizers have tensors that they make while they are trained
        found, shapes = ({name: s[name] for name in found.keys() & shapes.keys()} for s in (found, shapes))
    if found != shapes:
        name = min(n for n in found.keys() | shapes.keys() if found.get(n) != shapes.get(n))
        raise UserError(
            f"{path}: tensor {name[:100]} is {found.get(name, 'missing')}, but {MODEL} ({card.model.title}, "
            f"{card.method.name}) needs {shapes.get(name, 'none')}; the two files must come from the same training"
        )
    products = _binary(net)
    for name, value in state.items():
        signs = card.hard and name.removesuffix(".weight") in products
        kinds = {expected[name].dtype if name in expected else torch.float32} | ({torch.int8} if signs else set())
        _check_values(f"{path}: tensor {name}", value, kinds)


def _check_values(place: str, value: Tensor, kinds: set[torch.dtype]) -> None:
    if value.dtype not in kinds or value.layout != torch.strided or value.device.type != "cpu":
        names = " or ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        raise UserError(
            f"{place} is {value.dtype}, {value.layout} on {value.device}; it must be a dense tensor of {names}; {AGAIN}"
        )
    if not torch.isfinite(value).all():
        raise UserError(f"{place} holds NaN or infinity; the training diverged; lower train.learning_rate")
    if place.endswith("running_var") and (value < 0).any():
        raise UserError(f"{place} holds a negative variance; {AGAIN}")


def load_tensors(path: Path) -> dict[Any, Any]:
    """The tensors of a `torch.save` file, read without running code; `UserError` where it is missing or damaged."""
    files.regular(path, "`adiabit train` makes it")
    try:
        with zipfile.ZipFile(path) as archive:
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
        content = None if packed else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and zipfile raise all kinds of exceptions, depending on the damage
        raise UserError(f"{path}: damaged or not a checkpoint of ours; {AGAIN}") from error
    if not isinstance(content, dict):
        what = "compressed, which torch.save never does" if packed else "not a dict of tensors"
        raise UserError(f"{path}: {what}; {AGAIN}")
    return content


def write_json(path: Path, content: Any) -> None:
    """Write a document completely or not at all."""
    files.write_text(path, json.dumps(content, indent=1) + "\n")
