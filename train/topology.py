# SPDX-License-Identifier: Apache-2.0
"""Topologies as data: lists of layers, predefined or free, and a check that they fit their input and the memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from adiabit.errors import UserError
from adiabit.train.blocks import GLOBAL, Layer, Shape
from adiabit.train.table import Count, Table

DEPTH = 1000  # layers, at most
PARAMETERS = 2 << 30  # bytes of a network's float32 parameters, at most; training needs four times as much
ACTIVATION = 64 << 20  # bytes of a layer's float32 input or output for one frame, at most


def _dense(*widths: int) -> tuple[Layer, ...]:
    return tuple(Layer(dense=width) for width in widths)


def _convs(*channels: str, kernel: int = 3, pad: int = 0) -> tuple[Layer, ...]:
    """Channels as in the literature: a max pool of 2 x 2 follows 64P."""
    return tuple(
        Layer.model_validate({"conv": int(c.removesuffix("P")), "kernel": kernel, "pad": pad,
                              "pool": 2 if c.endswith("P") else 1}) for c in channels
    )  # fmt: skip


REAL = 32  # bits of weights that are real numbers
DENSE = ("tfc", "sfc", "lfc")
TOPOLOGIES: dict[str, tuple[Layer, ...]] = {
    "tfc": _dense(64, 64, 64),  # these three and CNV: FINN (Umuroglu et al., 2017)
    "sfc": _dense(256, 256, 256),
    "lfc": _dense(1024, 1024, 1024),
    "cnv": _convs("64", "64P", "128", "128P", "256", "256") + _dense(512, 512),
    "vgg-small": _convs("128", "128P", "256", "256P", "512", "512P", pad=1),  # Zhang et al., LQ-Nets, 2018
    "catdog": _convs("32P", "64P", "128P", "256P") + _dense(256),
    "spoken-digits": _convs("32P", "64P", "64P") + _dense(128),
    "digits-conv": _convs("16P", "32P") + _dense(64),
}
OWN_KEYS, PLAIN_KEYS, END_KEYS = ("arguments", "binarize"), ("weights",), ("first_bits", "last_bits", "input_bits")
Topology = Literal["tfc", "sfc", "lfc", "cnv", "vgg-small", "catdog", "spoken-digits", "digits-conv", "free"]


class ModelConfig(Table):
    """A network: hidden layers, then one dense layer to the classes of the data set; or a module of one's own."""

    module: Annotated[str, Field(pattern=r"^[^:]+:[A-Za-z_]\w*$", max_length=4096)] | None = None
    """A module of your own in place of a topology: `"my_net.py:Net"`, relative to the recipe, or
    `"package.module:Net"`; see [networks.md](networks.md).
    """
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Of the module's constructor, by name."""
    binarize: bool = False
    """The module is of plain PyTorch, and its layers are replaced by binary ones; `input_bits` (then 8), `first_bits`
    and `last_bits` apply.
    """
    weights: Path | None = None
    """A state dict that such a module starts from, relative to the recipe."""
    topology: Topology = "tfc"
    """`"tfc"`, `"sfc"`, `"lfc"`: three dense hidden layers of 64, 256, 1024; `"free"`: those of `widths` or `layers`;
    the others are convolutional, see `train/topology.py`.
    """
    widths: Annotated[tuple[Count, ...], Field(max_length=DEPTH)] = ()
    """The widths of the hidden layers of a free dense topology."""
    layers: Annotated[tuple[Layer, ...], Field(max_length=DEPTH)] = ()
    """Or its hidden layers, blocks included, see below."""
    input_bits: Literal[1, 8] = 1
    """1: pixels from 128 on are +1, others -1 (FINN's TFC); 8: the first layer takes the pixels themselves, the
    default before a convolution and for data of your own.
    """
    pool: Literal["before", "behind"] = "before"
    """Max pools come before batch norm and sign, which trains better, or behind both, as in FINN's CNV."""
    activation: Literal["relu", "tanh"] = "relu"
    """Of the real-valued twin."""
    # What flows between blocks, the *stream*, is -1 and +1, or integers of `shortcut_bits` times `shortcut_scale`:
    shortcut_bits: Annotated[int, Field(ge=1, le=8)] = 1
    """What flows between blocks, the *stream*: -1 and +1, or with 2 to 8 signed integers of so many bits."""
    shortcut_scale: Annotated[float, Field(ge=2**-20, le=2**20)] | None = None
    """The real value of a stream's integer 1, a power of 2; by default a stream reaches from -4 to 4."""
    preactivation: Literal["sign", "shift", "norm"] = "sign"
    """Before the sign of a stream of integers: nothing, a trained shift per channel (RSign), or a batch norm
    (BinaryDenseNet).
    """
    rprelu: bool = False
    """ReActNet's RPReLU after each sum of integers; its slopes stay at least 0."""
    first_bits: Literal[1, 2, 4, 8, 32] = 1
    """Weights of the first layer: ±1, integers of so many bits, or with 32 real numbers, which have no hardware."""
    last_bits: Literal[1, 2, 4, 8, 32] = 1
    """Weights of the last layer, likewise."""
    init: Annotated[float, Field(gt=0, le=1000)] = 0.1
    """Standard deviation of the initial latent weights."""

    @model_validator(mode="before")
    @classmethod
    def _convolutions_take_pixels(cls, table: Any) -> Any:
        if isinstance(table, dict) and (
            table.get("module") or table.get("layers") or table.get("topology", "free") not in (*DENSE, "free")
        ):
            return {"input_bits": 8, **table}
        return table

    @model_validator(mode="after")
    def _modules_have_no_layers(self) -> Self:
        defaults = {key: field.get_default(call_default_factory=True) for key, field in type(self).model_fields.items()}
        changed = {key for key in self.model_fields_set if getattr(self, key) != defaults[key]}
        changed -= {"module"} | ({"input_bits"} if self.input_bits == 8 else set())
        if self.module is None and (own := sorted(changed & {*OWN_KEYS, *PLAIN_KEYS})):
            raise ValueError(f"{own[0]} needs module, the name of a module of your own")
        allowed = {*OWN_KEYS, *PLAIN_KEYS, "first_bits", "last_bits", "input_bits"} if self.binarize else {*OWN_KEYS}
        if self.module is not None and self.why_not:
            raise ValueError(f"{self.why_not}; a module of your own has at most 8 bits there; choose 1, 2, 4 or 8")
        if self.module is not None and (other := sorted(changed - allowed)):
            why = "needs binarize = true" if other[0] in (*PLAIN_KEYS, *END_KEYS) else "is not for a module of your own"
            raise ValueError(f"{other[0]} {why}; the module itself decides; remove one of the two")
        return self

    @model_validator(mode="after")
    def _free_topologies_have_layers(self) -> Self:
        if self.module is not None:
            return self
        given = [key for key in ("widths", "layers") if getattr(self, key)]
        if self.topology != "free" and given:
            raise ValueError(f'{given[0]} need topology = "free"')
        if self.topology == "free" and len(given) != 1:
            raise ValueError('topology = "free" needs either widths or layers')
        kinds = [layer.kind == "dense" for layer in self.blocks]
        if kinds != sorted(kinds):
            raise ValueError("a convolution cannot follow a dense layer; put the dense layers last")
        if not self.blocks[0].product:
            raise ValueError(f"a {self.blocks[0].kind} layer cannot be the first; begin with a conv or dense layer")
        return self

    @model_validator(mode="after")
    def _streams_have_a_scale(self) -> Self:
        if self.shortcut_scale is not None and math.frexp(self.shortcut_scale)[0] != 0.5:
            raise ValueError(f"shortcut_scale = {self.shortcut_scale:g} must be a power of 2, so that sums are exact")
        if self.shortcut_bits == 1 and (self.rprelu or self.preactivation != "sign" or self.shortcut_scale):
            raise ValueError("rprelu, preactivation and shortcut_scale need shortcut_bits of at least 2")
        for number, layer in enumerate(self.blocks[:-1]):
            if layer.average_pool == GLOBAL:
                raise ValueError(f"layer {number} averages the whole image; only the last layer can")
        return self

    @property
    def scale(self) -> float:
        """The real value of a stream's integer 1."""
        return self.shortcut_scale or 8.0 / 2**self.shortcut_bits

    @property
    def blocks(self) -> tuple[Layer, ...]:
        """The hidden layers."""
        return self.layers or _dense(*self.widths) or TOPOLOGIES[self.topology]

    @property
    def why_not(self) -> str:
        """Why the network has no binary hardware, whatever the method; empty where it has."""
        real = [name for name, bits in (("first", self.first_bits), ("last", self.last_bits)) if bits == REAL]
        return f"the weights of its {' and '.join(real)} layer are real" if real else ""

    @property
    def title(self) -> str:
        """The topology, or the module without its folder: what a checkpoint names."""
        return self.topology if self.module is None else Path(self.module).name

    @property
    def portable(self) -> ModelConfig:
        """The same without folders and the weights that training started from, as a checkpoint keeps it."""
        return self if self.module is None else self.model_copy(update={"module": self.title, "weights": None})

    @property
    def hidden(self) -> tuple[int, ...]:
        """The numbers of channels or neurons of the hidden layers outside of blocks."""
        return tuple(layer.conv or layer.dense or 0 for layer in self.blocks if layer.product)

    @property
    def convolutional(self) -> bool:
        """Whether the network takes images (H, W, C) and not features."""
        return self.blocks[0].conv is not None

    def frame(self, image: Shape) -> Shape:
        """The shape of this network's frames, given the data set's (H, W, C)."""
        return image if self.convolutional else (math.prod(image),)

    def shapes(self, frame: Shape, classes: int = 0) -> list[Shape]:
        """The shapes of the frame and of each hidden layer's output.

        `UserError` where a layer does not fit its input, or where the network, including its last layer to `classes`,
        does not fit into memory.
        """
        shapes, parameters = [frame], 0
        for number, layer in enumerate((*self.blocks, Layer.model_construct(dense=classes))):
            name = f"layer {number}"
            shapes.append(layer.out(shapes[-1], name))
            for product, shape, place in layer.products(shapes[-2], name):
                own, activation = product.size(shape)
                parameters += own
                if parameters > PARAMETERS or activation > ACTIVATION:
                    what = (
                        f"brings the network to {parameters:,} bytes of parameters; at most {PARAMETERS:,} are allowed"
                        if parameters > PARAMETERS
                        else f"takes or returns {activation:,} bytes per frame; at most {ACTIVATION:,} are allowed"
                    )
                    raise UserError(f"recipe: [model]: {place}, {product!r}, {what}; use fewer or narrower layers")
        return shapes[:-1]
