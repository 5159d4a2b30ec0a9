# SPDX-License-Identifier: Apache-2.0
"""What can be told of a recipe's network before it is trained: its layers, its faults, its accelerator."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from adiabit.errors import UserError
from adiabit.flows.export import write_qonnx
from adiabit.flows.finn.stage import unfolded
from adiabit.flows.frontend.explain import Explanation
from adiabit.flows.frontend.explain import explain as explain_model
from adiabit.flows.outline import outline
from adiabit.flows.recipe import Recipe
from adiabit.hw.accelerator import Accelerator
from adiabit.train.measure import pixels
from adiabit.train.models import build
from adiabit.train.quantizers import quantizers
from adiabit.train.source import reported
from adiabit.train.trainable import Trainable


def accelerator(recipe: Recipe, module: nn.Module | None = None) -> Accelerator:
    """The accelerator, one lane a stream; `UserError` with all faults of a module that cannot be compiled."""
    if recipe.model.module is None:
        return outline(recipe.model, recipe.data.source, recipe.compile)
    with _exported(recipe, module) as path:
        faults = _explained(path, recipe).faults
        if faults:
            count = f"{len(faults)} fault{'s keep' if len(faults) > 1 else ' keeps'}"
            raise UserError(f"{recipe.model.title}: {count} it from being compiled: {'; '.join(faults)}")
        return unfolded(path, recipe.compile, path.with_name("finn.log"))


def explain(recipe: Recipe, module: nn.Module | None = None) -> Explanation:
    """The layers as the compiler reads them, and all faults."""
    with _exported(recipe, module) as path:
        return _explained(path, recipe)


def _explained(path: Path, recipe: Recipe) -> Explanation:
    found = explain_model(path, recipe.compile, trusted=True)
    faults = (line.removeprefix(f"{path}: ").replace(str(path), recipe.model.title) for line in found.faults)
    return dataclasses.replace(found, faults=tuple(faults))


@contextmanager
def _exported(recipe: Recipe, module: nn.Module | None) -> Iterator[Path]:
    """The QONNX file of the untrained network; a method without hardware stands aside for `ste`."""
    method = "ste" if recipe.train.method.why_not else recipe.train.method
    with torch.random.fork_rng(devices=[]), TemporaryDirectory(prefix="adiabit-") as folder:
        torch.manual_seed(recipe.train.seed)
        net = build(recipe.model, method, recipe.train.dropout, recipe.data.source, module).hardware()
        for quantizer in quantizers(net):
            quantizer.hard = True
        path = Path(folder) / "model.onnx"
        with reported(f"{recipe.model.title}: cannot be exported"):
            _warm_up(net)
            write_qonnx(net.inner, net.frame, path)
        yield path


@torch.no_grad()
def _warm_up(net: Trainable) -> None:
    """Let quantizers that learn their scales from data see some, and norms too."""
    net.train()
    net(pixels(torch.randint(0, 256, (8, *net.frame), dtype=torch.uint8)))
    net.eval()
