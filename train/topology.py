# SPDX-License-Identifier: Apache-2.0
"""Topologies as data: lists of layers, predefined or free, and a check that they fit their input and the memory."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from adiabit.errors import UserError
from adiabit.train.table import Count, Pads, Pair, Table

Shape = tuple[int, ...]  # of a frame as the host sends it: (features,) or (H, W, C)

DEPTH = 1000  # layers, at most
PARAMETERS = 2 << 30  # bytes of a network's float32 parameters, at most; training needs four times as much
ACTIVATION = 64 << 20  # bytes of a layer's float32 input or output for one frame, at most


class Layer(Table):
    """A hidden layer: `dense` neurons, or `conv` channels with their windows and a max pool.

    Sound is an image of one row: its kernels, pads and pools are [1, n].
    """

    conv: Count | None = None
    dense: Count | None = None
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pad: Pads = (0, 0)  # on both sides, with -1; with 0 where the input is 8-bit pixels
    pool: Pair = (1, 1)

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if (self.conv is None) == (self.dense is None):
            raise ValueError("a layer is either { conv = channels, ... } or { dense = neurons }")
        if self.dense is not None and (unused := sorted(self._chosen() - {"dense"})):
            raise ValueError(f"a dense layer has no {unused[0]}")
        return self

    def size(self, shape: Shape) -> tuple[int, int]:
        """Bytes of the layer's float32 parameters, and of the larger of its padded input and its products for a frame.

        `shape` is that of its input.
        """
        if self.conv is None:
            inputs, outputs = math.prod(shape), self.dense or 0
            return 4 * outputs * (inputs + 4), 4 * max(inputs, outputs)
        padded = [side + 2 * pad for side, pad in zip(shape, self.pad, strict=False)]
        products = [
            (side - dilation * (kernel - 1) - 1) // stride + 1
            for side, dilation, kernel, stride in zip(padded, self.dilation, self.kernel, self.stride, strict=True)
        ]
        parameters = 4 * self.conv * (math.prod(self.kernel) * shape[-1] + 4)
        return parameters, 4 * max(math.prod(padded) * shape[-1], math.prod(products) * self.conv)

    def _chosen(self) -> set[str]:
        return {key for key, field in type(self).model_fields.items() if getattr(self, key) != field.default}

    def __repr__(self) -> str:
        """As in a recipe, without the defaults."""
        chosen = self._chosen()
        keys = (f"{key} = {getattr(self, key)}" for key in type(self).model_fields if key in chosen)
        return f"{{ {', '.join(keys)} }}".replace("(", "[").replace(")", "]")

    def out(self, shape: Shape, name: str) -> Shape:
        """The output's shape, given that of the input; `UserError` where a window does not fit into the input."""
        if self.conv is None:
            return (self.dense or 0,)
        sides = []
        for side, pad, kernel, dilation, stride, pool in zip(
            shape, self.pad, self.kernel, self.dilation, self.stride, self.pool, strict=False
        ):
            sides.append(((side + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1) // pool)
        if min(sides) < 1:
            raise UserError(
                f"recipe: [model]: {name} of kernel {list(self.kernel)}, pad {list(self.pad)} and pool "
                f"{list(self.pool)} leaves nothing of its input of {shape[0]} x {shape[1]} pixels; "
                "use a smaller kernel or pool, or pad the input"
            )
        return (*sides, self.conv)


def _dense(*widths: int) -> tuple[Layer, ...]:
    return tuple(Layer(dense=width) for width in widths)


def _convs(*channels: str, kernel: int = 3, pad: int = 0) -> tuple[Layer, ...]:
    """Channels as in the literature: a max pool of 2 x 2 follows 64P."""
    return tuple(
        Layer.model_validate({"conv": int(c.removesuffix("P")), "kernel": kernel, "pad": pad,
                              "pool": 2 if c.endswith("P") else 1}) for c in channels
    )  # fmt: skip


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
Topology = Literal["tfc", "sfc", "lfc", "cnv", "vgg-small", "catdog", "spoken-digits", "digits-conv", "free"]


class ModelConfig(Table):
    """A network: hidden layers, then one dense layer to the classes of the data set."""

    topology: Topology = "tfc"
    widths: Annotated[tuple[Count, ...], Field(max_length=DEPTH)] = ()  # hidden dense layers of a free topology
    layers: Annotated[tuple[Layer, ...], Field(max_length=DEPTH)] = ()  # or its hidden layers of both kinds
    input_bits: Literal[1, 8] = 1  # 1: pixels from 128 on are +1, others -1 (FINN's TFC); 8: the pixels themselves
    pool: Literal["before", "behind"] = "before"  # max pools come before batch norm and sign, or after both
    activation: Literal["relu", "tanh"] = "relu"  # of the real-valued twin only
    init: Annotated[float, Field(gt=0, le=1000)] = 0.1  # standard deviation of the initial latent weights

    @model_validator(mode="before")
    @classmethod
    def _convolutions_take_pixels(cls, table: Any) -> Any:
        if isinstance(table, dict) and (table.get("layers") or table.get("topology", "free") not in (*DENSE, "free")):
            return {"input_bits": 8, **table}
        return table

    @model_validator(mode="after")
    def _free_topologies_have_layers(self) -> Self:
        given = [key for key in ("widths", "layers") if getattr(self, key)]
        if self.topology != "free" and given:
            raise ValueError(f'{given[0]} need topology = "free"')
        if self.topology == "free" and len(given) != 1:
            raise ValueError('topology = "free" needs either widths or layers')
        kinds = [layer.conv is None for layer in self.blocks]
        if kinds != sorted(kinds):
            raise ValueError("a convolution cannot follow a dense layer; put the dense layers last")
        return self

    @property
    def blocks(self) -> tuple[Layer, ...]:
        """The hidden layers."""
        return self.layers or _dense(*self.widths) or TOPOLOGIES[self.topology]

    @property
    def hidden(self) -> tuple[int, ...]:
        """The numbers of channels or neurons of the hidden layers."""
        return tuple(layer.conv or layer.dense or 0 for layer in self.blocks)

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
            own, activation = layer.size(shapes[-2])
            parameters += own
            if parameters > PARAMETERS or activation > ACTIVATION:
                what = (
                    f"brings the network to {parameters:,} bytes of parameters; at most {PARAMETERS:,} are allowed"
                    if parameters > PARAMETERS
                    else f"takes or returns {activation:,} bytes per frame; at most {ACTIVATION:,} are allowed"
                )
                raise UserError(f"recipe: [model]: {name}, {layer!r}, {what}; use fewer or narrower layers")
        return shapes[:-1]
