# SPDX-License-Identifier: Apache-2.0
"""`adiabit.fit`: from a module or a recipe to a trained network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adiabit.errors import UserError
from adiabit.flows.api.run import Finished, Settings, name_of, started
from adiabit.flows.ladder import StageName
from adiabit.flows.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from adiabit.flows.training import Training


@dataclass(frozen=True)
class Trained(Finished):
    """A trained network."""

    @property
    def folder(self) -> Path:
        """The folder with `model.pt`, `model.json`, `history.json`, `metrics.json` and TensorBoard's logs."""
        return self.pipeline.folder(StageName.TRAIN)

    @property
    def accuracy(self) -> float:
        """The test accuracy with every weight and activation hardened, 0...1."""
        return self.training.hard_test

    @cached_property
    def training(self) -> Training:
        """The accuracies, and their history epoch by epoch."""
        from adiabit.flows import training

        return training.load(self.folder)

    def network(self) -> nn.Module:
        """The network in eval mode, hard if its schedule completed: (B, features) or (B, C, H, W) -> logits."""
        from adiabit.train.checkpoint import load_model

        return load_model(self.folder, self.recipe.model, self.pipeline.module)

    def __repr__(self) -> str:
        return f"Trained({self.recipe.name}: {100 * self.accuracy:.2f} % test accuracy, {self.folder})"

    def _repr_html_(self) -> str:
        from adiabit.flows.api.notebook import training

        return training(self.figures)


def fit(
    model: nn.Module | Recipe | str | Path = "digits", data: str | Settings | None = None, *,
    settings: Settings | None = None, name: str | None = None, out: Path | str | None = None, progress: bool = False,
    **train: Any,
) -> Trained:  # fmt: skip
    """Train a network to weights and activations of -1 and +1.

    `model` is a module of `adiabit.nn`'s or Brevitas' layers, which is copied, or a recipe, its path, or the name of
    one that ships with adiabit. `data` is the table `[data]`, or the name of a data set; other arguments are keys of
    `[train]`, as in `fit("digits", epochs=5, method="bop")`; `settings` are keys of any table, as
    `{"model.topology": "sfc"}`. `name` is that of the network, by default its class' or the recipe's. The result is
    kept in `out`, by default build/NAME, and reused where nothing has changed. `progress` draws a bar. `UserError` for
    what cannot be.
    """
    values: dict[str, Any] = {**(settings or {}), **{f"train.{key}": value for key, value in train.items()}}
    values |= {"name": name} if name else {}
    if data is not None:
        values["data"] = data if isinstance(data, str) else dict(data)
    if isinstance(model, Recipe | str | Path):
        pipeline = started(model, values, out)
    else:
        kind = type(model).__name__
        named = Recipe.model_validate({"name": name or name_of(model), "model": {"module": f"memory:{kind}"}})
        pipeline = started(named, values, out)
        pipeline.module = model
    pipeline.progress = progress
    if not pipeline.trains:
        raise UserError(f"{pipeline.recipe.name}: its network is already trained; compile it")
    pipeline.folder(StageName.TRAIN)
    return Trained(pipeline)
