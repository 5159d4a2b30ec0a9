# SPDX-License-Identifier: Apache-2.0
"""A plain PyTorch network with its layers replaced by binary ones, from its own weights.

The order becomes that of the hardware: product, max pool, batch norm, sign. Latent weights start as the trained ones,
scaled to the deviation that the methods expect (Zhao & Xiao, 2021, start from the trained network as well).
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from adiabit.errors import UserError
from adiabit.train.blocks import Shape
from adiabit.train.layers import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    Mean,
    Pad,
    PixelSign,
    RisingNorm2d,
    TensorNorm,
)
from adiabit.train.plain import ACTIVATIONS, ENDS, QUANTIZED, Step, steps_of
from adiabit.train.quantizers import sign

STD = 0.1  # of the latent weights, as of those that are drawn
Norm = nn.BatchNorm1d | nn.BatchNorm2d
Product = nn.Linear | nn.Conv2d


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What became of one step of the plain network."""

    place: str  # its name there
    plain: str
    binary: str  # "" where nothing is left of it
    note: str = ""


@dataclass(frozen=True)
class Binarized:
    """The binary network, and what became of each layer; as text, a table."""

    module: nn.Module
    replacements: tuple[Replacement, ...]

    def __str__(self) -> str:
        rows = [("layer", "plain", "binary", "")]
        rows += [(r.place, r.plain, r.binary or "dropped", r.note) for r in self.replacements]
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = ("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]).rstrip() for row in rows)
        return "\n".join(lines)


def binarize(
    module: nn.Module, shape: Shape, *, input_bits: int = 8, first_bits: int = 1, last_bits: int = 1,
    place: str = "module",
) -> Binarized:  # fmt: skip
    """Replace the layers of a plain network for frames of `shape`, (C, H, W) or (features,); the module stays as it is.

    `input_bits`: 8 for pixels 0...255, 1 for their signs. `first_bits` and `last_bits`: of the weights of the first and
    the last layer, 1 for signs, else 2 to 8. `UserError`, beginning with `place`, names all layers that have no binary
    form.
    """
    maker = _Maker(input_bits, first_bits, last_bits, steps_of(module, shape, place))
    made = maker.make()
    if maker.faults:
        count = len(maker.faults)
        raise UserError(f"{place}: {count} layer{'s have' if count > 1 else ' has'} no binary form: "
                        f"{'; '.join(maker.faults)}")  # fmt: skip
    made.flat = getattr(module, "flat", False)  # type: ignore[assignment]  # a plain attribute
    return Binarized(made, tuple(maker.replacements))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Value:
    """What a step of the plain network has become: a node of the new graph, and whether it still lacks its sign."""

    node: fx.Node
    bits: bool = False
    pixels: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class _Sums(_Value):
    """Sums of a product, to which pools, norm and sign are added when something reads them."""

    name: str = ""
    product: BinaryLinear | BinaryConv2d
    last: bool = False
    pools: tuple[nn.Module, ...] = ()
    norm: Norm | None = None
    norm_name: str = ""
    activated: bool = False
    nodes: dict[str, fx.Node] = field(default_factory=dict)  # "norm" and "sign", once they are made


@dataclass(frozen=True, eq=False, kw_only=True)
class _Unsigned(_Value):
    """A sum of branches, or an average, whose sign is made when something reads it."""

    name: str = ""
    mean: bool = False
    nodes: dict[str, fx.Node] = field(default_factory=dict)


class _Maker:
    """Makes the new graph step by step."""

    def __init__(self, input_bits: int, first_bits: int, last_bits: int, steps: list[Step]) -> None:
        self.input_bits, self.first_bits, self.last_bits, self.steps = input_bits, first_bits, last_bits, steps
        self.root, self.graph = nn.Module(), fx.Graph()
        self.values: dict[Step, _Value] = {}
        self.replacements: list[Replacement] = []
        self.faults: list[str] = []
        self.readers = {step: sum(step in other.inputs for other in steps) for step in steps}
        self.last = _last(steps)
        self.first = True  # whether no product has been made

    def make(self) -> nn.Module:
        """The new module; what has no binary form is left out and told in `faults`."""
        for step in self.steps:
            if step.op == "placeholder":
                self._input(step)
            elif step.op == "output":
                self._output(step)
            elif step.op != "constant":
                self.values[step] = self._step(step, self.values[step.inputs[0]])
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph)

    # nodes ------------------------------------------------------------------------------------------------------

    def _call(self, name: str, module: nn.Module, *inputs: fx.Node) -> fx.Node:
        name = name.replace(".", "_")
        while hasattr(self.root, name):
            name += "_"
        self.root.add_module(name, module)
        return self.graph.call_module(name, inputs)

    def _tell(self, step: Step, binary: str, note: str = "") -> None:
        self.replacements.append(Replacement(place=step.name, plain=step.what, binary=binary, note=note))

    def _fault(self, step: Step, why: str) -> None:
        self.faults.append(f"{step.name} ({step.what}): {why}")

    def _normed(self, value: _Sums) -> fx.Node:
        """The sums behind their pools and norm."""
        if "norm" not in value.nodes:
            node = value.node
            for pool in value.pools:
                node = self._call(f"{value.name}_pool", pool, node)
            value.nodes["norm"] = self._call(value.norm_name or f"{value.name}_norm", _norm(value), node)
            if value.norm is None:
                added = Replacement(place=value.name, plain="", binary=_norm_kind(value).__name__, note="added")
                places = [done.place for done in self.replacements]
                self.replacements.insert(places.index(value.name) + 1, added)
        return value.nodes["norm"]

    def _signed(self, value: _Value) -> fx.Node:
        """The value as -1 and +1."""
        if isinstance(value, _Sums):
            if "sign" not in value.nodes:
                value.nodes["sign"] = self._call(f"{value.name}_sign", BinaryActivation(), self._normed(value))
            return value.nodes["sign"]
        if isinstance(value, _Unsigned):
            if "sign" not in value.nodes:
                value.nodes["sign"] = self._call(f"{value.name}_sign", BinaryActivation(), value.node)
            return value.nodes["sign"]
        return value.node

    # ends -------------------------------------------------------------------------------------------------------

    def _input(self, step: Step) -> None:
        node = self.graph.placeholder(step.name)
        if self.input_bits == 1:
            self.values[step] = _Value(node=self._call("pixels", PixelSign(), node), bits=True)
        else:
            self.values[step] = _Value(node=node, pixels=True)

    def _output(self, step: Step) -> None:
        value = self.values[step.inputs[0]]
        if not self.faults and not (isinstance(value, _Sums) and value.last):
            self._fault(step, "the network must end with a dense layer, whose outputs are the logits")
        self.graph.output(value.node)

    # steps ------------------------------------------------------------------------------------------------------

    def _step(self, step: Step, value: _Value) -> _Value:
        op = step.op
        if type(op).__module__.startswith(QUANTIZED):
            self._fault(step, "is quantized already; leave binarize out, or use the plain layer")
            return value
        if isinstance(op, Product):
            return self._product(step, op, value)
        if isinstance(value, _Sums) and value.last:
            return self._ending(step, value)
        if isinstance(op, Norm):
            return self._batch_norm(step, op, value)
        if isinstance(op, ACTIVATIONS):
            return self._activation(step, value)
        if isinstance(op, nn.MaxPool2d):
            return self._max_pool(step, op, value)
        if isinstance(op, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            return self._average(step, op, value)
        if isinstance(op, nn.Dropout | nn.Dropout2d):
            self._tell(step, type(op).__name__)
            return _Value(node=self._call(step.name, type(op)(op.p), self._signed(value)), bits=not value.pixels,
                          pixels=value.pixels)  # fmt: skip
        if isinstance(op, nn.Flatten):
            return self._flatten(step, value)
        if isinstance(op, nn.Identity):
            return value
        if op == "scale" and value.pixels:
            self._tell(step, "", "the first batch norm absorbs it")
            return value
        return self._joined(step, value)

    def _joined(self, step: Step, value: _Value) -> _Value:
        if step.op == "add":
            return self._sum(step)
        if step.op == "cat":
            self._tell(step, "cat()", "of -1 and +1")
            nodes = [self._signed(self.values[source]) for source in step.inputs]
            return _Value(node=self.graph.call_function(torch.cat, (nodes, 1)), bits=True)
        self._fault(step, "no binary layer does this; remove it, or use the layers of adiabit.nn yourself")
        return value

    def _product(self, step: Step, op: nn.Linear | nn.Conv2d, value: _Value) -> _Value:
        last, name = step is self.last, step.name
        bits = self.last_bits if last else self.first_bits if self.first else 1
        self.first = False
        notes = [] if op.bias is None else ["its bias is left to the batch norm" if not last else "without its bias"]
        mean = isinstance(value, _Unsigned) and value.mean and last
        node = value.node if mean else self._signed(value)
        made: BinaryLinear | BinaryConv2d
        if isinstance(op, nn.Linear):
            made = BinaryLinear(op.in_features, op.out_features, bits=bits)
        else:
            sides = _sides(op)
            if sides is None or op.padding_mode != "zeros":
                self._fault(step, "its padding is not the same number of zeros on both sides")
                sides = (0, 0)
            own = sides if value.pixels else (0, 0)
            if any(sides) and not value.pixels:
                node = self._call(f"{name}_pad", Pad(sides, -1.0), node)
                notes.append("padded with -1")
            made = BinaryConv2d(op.in_channels, op.out_channels, op.kernel_size, op.stride, own, op.dilation, op.groups,
                                bits=bits)  # fmt: skip
        with torch.no_grad():
            made.weight.copy_(op.weight * (STD / op.weight.std(unbiased=False).clamp_min(1e-12)))
        width, end = f" of {bits} bits" if bits > 1 else "", ", TensorNorm" if last else ""
        self._tell(step, f"{type(made).__name__}{width}{end}", "; ".join(notes))
        node = self._call(name, made, node)
        if last:
            inputs = op.weight[0].numel()
            node = self._call(f"{name}_norm", TensorNorm(inputs), node)
        return _Sums(node=node, name=name, product=made, last=last)

    def _ending(self, step: Step, value: _Sums) -> _Value:
        """A step behind the last product."""
        op = step.op
        if isinstance(op, (Norm, nn.Dropout, nn.Dropout2d, nn.Identity, *ENDS, *ACTIVATIONS)):
            self._tell(step, "", "behind the last layer")
            return value
        if isinstance(op, nn.Flatten):
            return replace(value, node=self._call(step.name, nn.Flatten(), value.node))
        if isinstance(op, nn.AvgPool2d | nn.AdaptiveAvgPool2d) and step.shape[2:] == (1, 1):
            self._tell(step, "Mean")
            return replace(value, node=self._call(step.name, Mean(math.prod(step.given[2:])), value.node))
        self._fault(step, "is behind the last layer, where only an average can be; remove it")
        return value

    def _batch_norm(self, step: Step, op: Norm, value: _Value) -> _Value:
        if isinstance(value, _Sums) and value.norm is None and len(value.product.weight) == op.num_features:
            self._tell(step, _norm_kind(value).__name__, "moved before the sign" if value.activated else "")
            return replace(value, norm=op, norm_name=step.name, nodes={})
        self._tell(step, "", "what it reads is -1 and +1" if not value.pixels else "the first batch norm absorbs it")
        return value

    def _activation(self, step: Step, value: _Value) -> _Value:
        if value.bits or (isinstance(value, _Sums) and value.activated):
            self._tell(step, "", "what it reads is -1 and +1")
            return value
        self._tell(step, "BinaryActivation")
        if isinstance(value, _Sums):
            return replace(value, activated=True)
        if isinstance(value, _Unsigned):
            return _Value(node=self._signed(value), bits=True)
        return _Value(node=self._call(step.name, PixelSign(), value.node), bits=True)

    def _max_pool(self, step: Step, op: nn.MaxPool2d, value: _Value) -> _Value:
        pool = nn.MaxPool2d(op.kernel_size, op.stride, op.padding, op.dilation, ceil_mode=op.ceil_mode)
        alone = self.readers[step.inputs[0]] == 1
        if isinstance(value, _Sums) and alone:
            self._tell(step, "MaxPool2d", "before the batch norm, whose weights stay positive")
            return replace(value, pools=(*value.pools, pool), nodes={})
        self._tell(step, "MaxPool2d")
        node = value.node if value.pixels else self._signed(value)
        return _Value(node=self._call(step.name, pool, node), bits=not value.pixels, pixels=value.pixels)

    def _average(self, step: Step, op: nn.AvgPool2d | nn.AdaptiveAvgPool2d, value: _Value) -> _Value:
        if step.shape == step.given:
            return value
        rows, columns = step.given[2:]
        node = self._signed(value)
        if step.shape[2:] == (1, 1) and not (isinstance(op, nn.AvgPool2d) and op.padding):
            self._tell(step, "Mean")
            return _Unsigned(node=self._call(step.name, Mean(rows * columns), node), name=step.name, mean=True)
        if isinstance(op, nn.AdaptiveAvgPool2d):
            if rows % step.shape[2] or columns % step.shape[3]:
                self._fault(step, f"{rows} x {columns} pixels cannot be cut into {step.shape[2]} x {step.shape[3]} "
                                  "windows of one size")  # fmt: skip
                return value
            op = nn.AvgPool2d((rows // step.shape[2], columns // step.shape[3]))
        self._tell(step, "AvgPool2d, BinaryActivation")
        pool = nn.AvgPool2d(op.kernel_size, op.stride, op.padding, op.ceil_mode, op.count_include_pad)
        return _Unsigned(node=self._call(step.name, pool, node), name=step.name)

    def _flatten(self, step: Step, value: _Value) -> _Value:
        if len(step.given) == len(step.shape):
            return value
        mean = isinstance(value, _Unsigned) and value.mean
        node = value.node if mean or value.pixels else self._signed(value)
        made = self._call(step.name, nn.Flatten(), node)
        if mean:
            return _Unsigned(node=made, name=step.name, mean=True)
        return _Value(node=made, bits=not value.pixels, pixels=value.pixels)

    def _sum(self, step: Step) -> _Value:
        """A sum of branches: the last product that is not a sign yet, and -1 and +1."""
        values = [self.values[source] for source in step.inputs]
        if len(values) != 2:
            self._fault(step, "adds a value to itself; remove it")
            return values[0]
        products = [v for v in values if isinstance(v, _Sums)]
        branch = next((v for v in products if not v.activated), products[-1] if products else None)
        nodes = [self._normed(v) if isinstance(v, _Sums) and v is branch else self._signed(v) for v in values]
        if any(v.pixels for v in values):
            self._fault(step, "adds the pixels to a branch; begin with a convolution")
            return values[0]
        unsigned = any(isinstance(v, _Sums) and v is not branch and not v.activated for v in values)
        self._tell(step, "add(), BinaryActivation", "the shortcut gets a sign" if unsigned else "")
        return _Unsigned(node=self.graph.call_function(operator.add, tuple(nodes)), name=step.name)


def _last(steps: list[Step]) -> Step | None:
    """The product behind which there is no other."""
    products = [step for step in steps if isinstance(step.op, Product)]
    return products[-1] if products else None


def _sides(op: nn.Conv2d) -> tuple[int, int] | None:
    """Rows and columns of zeros on both sides; None where they differ."""
    if not isinstance(op.padding, str):
        rows, columns = op.padding
        return int(rows), int(columns)
    if op.padding == "valid":
        return 0, 0
    reach = [dilation * (kernel - 1) for dilation, kernel in zip(op.dilation, op.kernel_size, strict=True)]
    return None if any(n % 2 for n in reach) else (reach[0] // 2, reach[1] // 2)


def _norm_kind(value: _Sums) -> type[nn.BatchNorm1d] | type[nn.BatchNorm2d]:
    image = isinstance(value.product, BinaryConv2d)
    return RisingNorm2d if value.pools else nn.BatchNorm2d if image else nn.BatchNorm1d


@torch.no_grad()
def _norm(value: _Sums) -> nn.Module:
    """A new batch norm with weights and biases of the plain one.

    A pool before it needs positive weights, so rows of the product turn instead: the pool was behind the norm.
    """
    rows = len(value.product.weight)
    made: Any = _norm_kind(value)(rows)
    if value.norm is not None and value.norm.affine:
        weight: Tensor = value.norm.weight
        made.weight.copy_(weight)
        made.bias.copy_(value.norm.bias)
        if value.pools:
            made.weight.abs_()
            value.product.weight.mul_(sign(weight).view(-1, *[1] * (value.product.weight.ndim - 1)))
    return made  # type: ignore[no-any-return]
