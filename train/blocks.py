# SPDX-License-Identifier: Apache-2.0
"""Hidden layers as data: products, pools, and blocks of branches that hold layers themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from adiabit.errors import UserError
from adiabit.train.table import Count, Pad, Pads, Pair, Table

Shape = tuple[int, ...]  # of a frame as the host sends it: (features,) or (H, W, C)
GLOBAL = (0, 0)  # the window of an average over the whole image

KINDS: dict[str, set[str]] = {  # the key that names a kind of layer, and the other keys that it has
    "conv": {"kernel", "stride", "dilation", "pad", "pool"},
    "dense": set(),
    "residual": {"shortcut", "repeat"},
    "concat": {"repeat"},
    "max_pool": set(),
    "average_pool": set(),
    "channels": set(),
}


def _window(value: Any) -> Any:
    if value == "global":
        return GLOBAL
    sides = (value, value) if isinstance(value, int) else value
    if isinstance(sides, list | tuple) and any(side == 0 for side in sides):
        raise ValueError("each side must be at least 1; 'global' stands for the whole image")
    return sides


def _written(window: Any) -> Any:
    return "global" if window == GLOBAL else window


Window = Annotated[tuple[Pad, Pad], BeforeValidator(_window), PlainSerializer(_written)]  # or "global"


class Layer(Table):
    """A hidden layer; one key names its kind.

    `dense` neurons, or `conv` channels with their windows and a max pool. `residual` is a branch of layers that is
    added to a `shortcut`, by default the input itself. `concat` joins the channels of several branches, of which an
    empty one is the input. `max_pool` and `average_pool` take windows side by side; `channels` pads each pixel with
    further ones.

    Sound is an image of one row: its kernels, pads and pools are [1, n].
    """

    conv: Count | None = None
    dense: Count | None = None
    kernel: Pair = (3, 3)
    """Rows and columns: one number for both, or `[1, 5]`."""
    stride: Pair = (1, 1)
    """Likewise."""
    dilation: Pair = (1, 1)
    """Likewise."""
    pad: Pads = (0, 0)
    """Rows above and below, columns on both sides: with -1, or with 0 where the input is the pixels themselves."""
    pool: Pair = (1, 1)
    """Rows and columns of a max pool without overlap."""
    residual: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=64)] | None = None
    shortcut: Annotated[tuple[Layer, ...], Field(max_length=64)] = ()
    concat: Annotated[tuple[tuple[Layer, ...], ...], Field(min_length=2, max_length=64)] | None = None
    max_pool: Pair | None = None
    average_pool: Window | None = None
    channels: Count | None = None
    repeat: Annotated[int, Field(ge=1, le=1000)] = 1

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a layer has one of the keys {', '.join(KINDS)}; {kinds or 'none'} given")
        if unused := sorted(self._chosen() - {kinds[0]} - KINDS[kinds[0]]):
            raise ValueError(f"a {kinds[0]} layer has no {unused[0]}")
        return self

    @property
    def kind(self) -> str:
        """The key that names the kind."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def product(self) -> bool:
        """Whether the layer is a single product."""
        return self.kind in ("conv", "dense")

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
        return f"{{ {', '.join(keys)} }}".replace("(", "[").replace(",)", "]").replace(")", "]")

    def out(self, shape: Shape, name: str) -> Shape:
        """The output's shape, given that of the input; `UserError` where the layer does not fit its input."""
        if self.kind == "dense":
            return (self.dense or 0,)
        if len(shape) != 3:
            raise UserError(f"recipe: [model]: {name}, {self!r}, follows a dense layer; put dense layers last")
        for _ in range(self.repeat):
            shape = self._once(shape, name)
        return shape

    def _once(self, shape: Shape, name: str) -> Shape:
        if self.conv is not None:
            return (*self._grid(shape, name), self.conv)
        if self.residual is not None:
            return self._sum(shape, name)
        if self.concat is not None:
            outs = [chain(branch, shape, f"{name}.concat.{k}") for k, branch in enumerate(self.concat)]
            if len({out[:-1] for out in outs}) > 1:
                raise UserError(f"recipe: [model]: {name}: its branches make {_listed(outs)}; rows and columns must be "
                                "equal; pad or pool one of them")  # fmt: skip
            return (*outs[0][:-1], sum(out[-1] for out in outs))
        if self.channels is not None:
            if self.channels < shape[-1]:
                raise UserError(f"recipe: [model]: {name}: channels = {self.channels}, but its input has {shape[-1]}; "
                                "it can only add channels")  # fmt: skip
            return (*shape[:-1], self.channels)
        window = self.max_pool or self.average_pool or (1, 1)
        rows, columns = (side // n if n else 1 for side, n in zip(shape, window, strict=False))
        if min(rows, columns) < 1:
            raise UserError(f"recipe: [model]: {name}, {self!r}, is larger than its input of {shape[0]} x {shape[1]} "
                            "pixels; use a smaller window")  # fmt: skip
        return (rows, columns, shape[-1])

    def _grid(self, shape: Shape, name: str) -> list[int]:
        """Rows and columns that a convolution and its pool leave."""
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
        return sides

    def _sum(self, shape: Shape, name: str) -> Shape:
        branch = chain(self.residual or (), shape, f"{name}.residual")
        shortcut = chain(self.shortcut, shape, f"{name}.shortcut")
        if branch != shortcut:
            raise UserError(
                f"recipe: [model]: {name}: its branch makes {list(branch)}, its shortcut {list(shortcut)}; they must "
                "be equal; give the shortcut layers that make the same shape"
            )
        return branch

    def products(self, shape: Shape, name: str) -> Iterator[tuple[Layer, Shape, str]]:
        """Each convolution and dense layer inside, with the shape of its input and its name."""
        for number in range(self.repeat):
            if self.product:
                yield self, shape, name
            branches = {"residual": self.residual or (), "shortcut": self.shortcut}
            branches |= {f"concat.{k}": branch for k, branch in enumerate(self.concat or ())}
            for key, branch in branches.items():
                here = shape
                for k, layer in enumerate(branch):
                    yield from layer.products(here, f"{name}.{key}.{k}")
                    here = layer.out(here, f"{name}.{key}.{k}")
            if number + 1 < self.repeat:
                shape = self._once(shape, name)


def chain(layers: tuple[Layer, ...], shape: Shape, name: str) -> Shape:
    """The shape after several layers."""
    for number, layer in enumerate(layers):
        shape = layer.out(shape, f"{name}.{number}")
    return shape


def _listed(shapes: list[Shape]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes)
