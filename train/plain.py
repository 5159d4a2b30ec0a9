# SPDX-License-Identifier: Apache-2.0
"""A plain PyTorch network as a list of steps, each of which is a module of torch.nn, a sum, or a concatenation.

torch.fx traces it symbolically; functions such as `F.relu(x)` and `x.flatten(1)` become the modules that do the same.
"""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

from adiabit.errors import UserError
from adiabit.train.blocks import Shape

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
    nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softsign, nn.Softplus, nn.LogSigmoid,
)  # fmt: skip
QUANTIZED = ("brevitas.", "adiabit.train.layers")  # the modules of quantized layers
ENDS = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid)
_BY_NAME: dict[str, type[nn.Module]] = {
    **{kind.__name__.lower(): kind for kind in ACTIVATIONS}, "leaky_relu": nn.LeakyReLU, "logsigmoid": nn.LogSigmoid,
    "relu_": nn.ReLU, "softmax": nn.Softmax, "log_softmax": nn.LogSoftmax,
}  # fmt: skip
_RESHAPES = {"flatten", "view", "reshape", "squeeze", "unsqueeze"}
_POOLS: dict[Any, type[nn.Module]] = {
    functional.max_pool2d: nn.MaxPool2d, torch.max_pool2d: nn.MaxPool2d, functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}  # fmt: skip
_SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_JOINS = {torch.cat, torch.concat}
_SCALINGS = {"add", "sub", "mul", "div", "truediv", "float", "to"}  # of pixels


@dataclass(frozen=True, eq=False)
class Step:
    """One step; `op` is a module, or "add", "cat", "scale" (by a constant), "output", or "?" for anything else."""

    name: str
    op: nn.Module | str
    inputs: tuple[Step, ...]
    shape: Shape  # of its output, the batch included; () where it is no tensor
    what: str  # how it is written

    @property
    def given(self) -> Shape:
        """The shape of its first input."""
        return self.inputs[0].shape


class _Tracer(fx.Tracer):
    """Does not look into quantized layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Those of torch.nn, and of libraries of quantized layers."""
        return type(m).__module__.startswith(QUANTIZED) or super().is_leaf_module(m, module_qualified_name)


def steps_of(module: nn.Module, shape: Shape, place: str) -> list[Step]:
    """The steps of a module for frames of a shape, in order; `UserError` where torch.fx cannot trace it."""
    root = copy.deepcopy(module).train()
    try:
        traced = fx.GraphModule(root, _Tracer().trace(root))
        ShapeProp(traced.eval()).propagate(torch.zeros(2, *shape))
    except Exception as error:  # whatever the module's code raises
        first = (str(error).strip() or "no message").splitlines()[0][:200]
        raise UserError(
            f"{place}: torch.fx cannot trace it ({type(error).__name__}: {first}); write a forward without branches "
            "that depend on data, or use the layers of adiabit.nn yourself"
        ) from error
    modules, made = dict(traced.named_modules()), dict[fx.Node, Step]()
    for node in traced.graph.nodes:
        inputs = tuple(made[source] for source in node.all_input_nodes if made[source].shape)
        found = node.meta.get("tensor_meta")
        size = tuple(found.shape) if hasattr(found, "shape") else ()
        name = str(node.target) if node.op == "call_module" else node.name
        op = _op(node, modules, size, inputs)
        what = type(op).__name__ if node.op == "call_module" else f"{getattr(node.target, '__name__', node.target)}()"
        what = "max_pool2d()" if what == "fn()" else what
        made[node] = Step(name=name, op=op, inputs=inputs, shape=size, what=what)
    return [step for step in made.values() if step.shape]


def _op(node: fx.Node, modules: dict[str, nn.Module], shape: Shape, inputs: tuple[Step, ...]) -> nn.Module | str:
    """A node's module, or what else it is."""
    if node.op in ("placeholder", "output"):
        return node.op
    if node.op == "call_module":
        return modules[str(node.target)]
    if node.op == "get_attr" or not inputs:
        return "constant"
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    constant = len(inputs) == 1 or any(source.op == "constant" for source in inputs)
    if (node.target in _SUMS or name in _SUMS) and not constant:
        return "add"
    if node.target in _JOINS:
        return "cat" if _axis(node) % len(shape) == 1 else "?"
    if name.strip("_") in _SCALINGS and constant:
        return "scale"
    return _as_module(node, str(name), shape, inputs[0].shape)


def _axis(node: fx.Node) -> int:
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    return axis if isinstance(axis, int) else 0


def _as_module(node: fx.Node, name: str, shape: Shape, given: Shape) -> nn.Module | str:
    """The module that does what a function does."""
    kwargs = {key: value for key, value in node.kwargs.items() if key not in ("input", "training", "inplace")}
    if name in _BY_NAME:
        return _BY_NAME[name](**({"dim": 1} if "softmax" in name else {}))
    if node.target in _POOLS:
        return _POOLS[node.target](*node.args[1:], **kwargs)
    if name == "dropout":
        return nn.Dropout(float(kwargs.get("p", node.args[1] if len(node.args) > 1 else 0.5)))  # type: ignore[arg-type]
    if name == "mean" and len(given) == 4 and shape[:2] == given[:2] and max(shape[2:], default=1) == 1:
        return nn.AdaptiveAvgPool2d(1)
    if name in _RESHAPES and shape[:1] == given[:1] and (len(shape) == 2 or shape == given):
        return nn.Flatten()
    return nn.Identity() if name == "contiguous" else "?"
