# SPDX-License-Identifier: Apache-2.0
"""What reads what in a module: its calls on one frame, in order, as a graph.

Modules of torch, Brevitas and adiabit are single steps; inside all others the calls of torch functions are. So it does
not matter whether a network is written with modules or with functions, and nothing has to be traced symbolically.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from adiabit.train.blocks import Shape
from adiabit.train.layers import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    Concatenation,
    IntegerQuantizer,
    Mean,
    Pad,
    PixelSign,
    Residual,
    Stream,
)
from adiabit.train.quantizers import BipolarQuantizer

LIBRARIES = ("torch.nn.", "brevitas.", "adiabit.train.layers")
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, Residual, Concatenation)
KEEPS = {  # functions that leave values, channels and their order as they are, in evaluation
    "flatten", "reshape", "view", "squeeze", "unsqueeze", "contiguous", "clone", "max_pool1d", "max_pool2d", "dropout",
    "dropout1d", "dropout2d", "feature_dropout",
}  # fmt: skip
KEEPING = (nn.Flatten, nn.Unflatten, nn.Identity, nn.MaxPool1d, nn.MaxPool2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
MOVES = {"permute", "transpose", "__getitem__", "chunk", "split"}  # functions that only move or drop elements
SUMS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
JOINS = {"cat", "concat", "concatenate"}


@dataclass(eq=False)
class Step:
    """One call: of a module, or of a function, which `op` then names; the network's input is called "input"."""

    op: nn.Module | str
    inputs: tuple[Step, ...]
    shapes: tuple[Shape, ...]  # of the tensors that it makes, the batch included
    constant: bool = False  # whether it also reads tensors that do not depend on the input
    readers: list[Step] = field(default_factory=list)

    @property
    def keeps(self) -> bool:
        """Whether values, channels and their order stay as they are, in evaluation; some values may be dropped."""
        return self.op in KEEPS if isinstance(self.op, str) else isinstance(self.op, KEEPING)

    @property
    def adds(self) -> bool:
        """Whether it is the sum of two branches."""
        return self.op in SUMS and len(self.inputs) == 2 and not self.constant

    @property
    def only_reader(self) -> Step | None:
        """The one step that reads it; None where there are several, or none."""
        return self.readers[0] if len(self.readers) == 1 else None

    @property
    def signs(self) -> bool:
        """Whether all values are -1 and +1 once the network is hard."""
        if isinstance(self.op, BinaryActivation | PixelSign):
            return True
        if isinstance(self.op, Pad) and abs(self.op.value) != 1:
            return False
        whole = self.keeps or self.op in MOVES or self.op in JOINS or isinstance(self.op, Pad)
        return whole and not self.constant and all(source.signs for source in self.inputs)


@dataclass(frozen=True)
class Wiring:
    """The steps of a module in the order of execution; the first is its input."""

    steps: tuple[Step, ...]
    out: Any  # what the module returned

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def of(self, module: nn.Module) -> list[Step]:
        """The calls of a module."""
        return [step for step in self.steps if step.op is module]

    @property
    def modules(self) -> dict[nn.Module, list[Step]]:
        """The calls of each module that was called, in the order of their first calls."""
        found: dict[nn.Module, list[Step]] = {}
        for step in self.steps:
            if isinstance(step.op, nn.Module):
                found.setdefault(step.op, []).append(step)
        return found


def wired(net: nn.Module, x: Tensor) -> Wiring:
    """Run a module on x (B, ...) in eval mode, without gradients, and record its steps; its mode is restored."""
    training = {module: module.training for module in net.modules()}
    recorder = _Recorder(x)
    hooks = [hook for module in net.modules() if _is_step(module) for hook in recorder.hooks(module)]
    net.eval()
    try:
        with torch.no_grad(), recorder:
            out = net(x)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    return Wiring(steps=tuple(recorder.steps), out=out)


def _is_step(module: nn.Module) -> bool:
    kind = f"{type(module).__module__}."
    return kind.startswith(tuple(f"{name.rstrip('.')}." for name in LIBRARIES)) and not isinstance(module, CONTAINERS)


class _Recorder(TorchFunctionMode):
    """Sees every call of a torch function, and by hooks the calls of modules, whose insides it leaves out."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        first = Step(op="input", inputs=(), shapes=(tuple(x.shape),))
        self.steps, self.makers = [first], {id(x): first}
        self.kept: list[Any] = [x]  # so that no tensor gets the id of an earlier one
        self.depth = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function, and record it if it makes a tensor of known ones."""
        out = func(*args, **(kwargs or {}))
        if self.depth == 0:
            name = str(getattr(func, "__name__", func))
            if name not in ("__get__", "detach"):
                self._record(name, [args, kwargs or {}], out)
        return out

    def hooks(self, module: nn.Module) -> list[Any]:
        """The hooks of a module that is a step."""

        def before(*_: Any) -> None:
            self.depth += 1

        def after(made: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
            self.depth -= 1
            if self.depth == 0:
                self._record(made, [args, kwargs], out)

        return [
            module.register_forward_pre_hook(before),
            module.register_forward_hook(after, with_kwargs=True),
        ]

    def _record(self, op: nn.Module | str, given: Any, out: Any) -> None:
        tensors, made = list(_tensors(given)), list(_tensors(out))
        known = [self.makers[id(t)] for t in tensors if id(t) in self.makers]
        if not known or not made:
            return
        step = Step(
            op=op, inputs=tuple(known), shapes=tuple(tuple(t.shape) for t in made), constant=len(known) < len(tensors)
        )  # fmt: skip
        for source in known:
            source.readers.append(step)
        self.steps.append(step)
        self.kept += [out, *made]
        for tensor in made:
            self.makers[id(tensor)] = step


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested containers; of a QuantTensor, its value."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(getattr(value, "value", None), Tensor):
        yield value.value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def behind(step: Step) -> Step | None:
    """The step that alone reads a step's values, past those that keep them; None where it ends or several read it."""
    reader = step.only_reader
    while reader is not None and reader.keeps:
        reader = reader.only_reader
    return reader


def grids(wiring: Wiring) -> dict[Step, float | None]:
    """The number whose multiples a step's values are, however the weights are trained; None where none is known."""
    found: dict[Step, float | None] = {}
    for step in wiring:
        found[step] = _grid(step, [found[source] for source in step.inputs])
    return found


def _grid(step: Step, given: list[float | None]) -> float | None:
    op, first = step.op, given[0] if given else 1.0  # pixels are integers
    if step.keeps or op == "input" or op in MOVES:
        return first
    if isinstance(op, BinaryActivation | PixelSign):
        return 1.0
    if isinstance(op, Stream):
        return op.quantizer.step
    if isinstance(op, BinaryConv2d | BinaryLinear):
        return _scaled(first, op)
    if isinstance(op, Mean):
        return None if first is None else first * op.factor
    same = len(set(given)) == 1 and not step.constant
    if isinstance(op, Pad):
        return first if first and (op.value / first).is_integer() else None
    return first if same and (step.adds or op in JOINS) else None


def _scaled(grid: float | None, product: BinaryConv2d | BinaryLinear) -> float | None:
    if grid is None or isinstance(product.quantizer, BipolarQuantizer):
        return grid
    if not isinstance(product.quantizer, IntegerQuantizer):
        return None
    return grid * float(product.quantizer.scale(product.weight))


def exact(wiring: Wiring) -> bool:
    """Whether float32 holds every sum: all products are ours, of multiples of a known number.

    Else the order of an addition decides on last bits, and torch is no reference for them.
    """
    known = grids(wiring)
    products = [step for step in wiring if isinstance(step.op, nn.Linear | nn.Conv1d | nn.Conv2d)]
    return all(known[step] is not None for step in products)
