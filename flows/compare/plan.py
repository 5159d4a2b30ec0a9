# SPDX-License-Identifier: Apache-2.0
"""The plan of a comparison: a file names recipes, seeds and methods, and each combination becomes a recipe.

    networks = ["tfc.toml", "sfc.toml"]  # recipes beside the file: data, model, budget
    seeds = [0, 1, 2]
    [train]                              # overrides the recipes' [train] for all methods
    [methods.adiabatic]                  # the recipe's own [train], if that is its method
    [methods.ste]
    [methods."bnn+"]
    learning_rate = 0.003                # keys of [train] for this method
    [methods."stochastic BinaryConnect"]
    method = { name = "binaryconnect", stochastic = true }

A method that is not the recipe's uses its own default learning rate and weight decay, and the recipe's other settings.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows import documents, shipped
from adiabit.flows.recipe import Recipe, load
from adiabit.train.config import TrainConfig

FORM = f"see {shipped.FOLDER / 'compare_digits.toml'} for the form"
OWN = ("method", "learning_rate", "weight_decay")  # keys of [train] that belong to the method


class Comparison(BaseModel):
    """The content of a comparison's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    networks: tuple[Path, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    train: dict[str, Any] = Field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a comparison."""

    network: str  # the recipe's name
    label: str  # the method's name in the comparison
    seed: int
    recipe: Recipe


def load_runs(path: Path, data: Path | None = None, sets: Sequence[str] = ()) -> list[Run]:
    """Every run of a comparison: network by network, then seed by seed, so that an interrupted one has compared most.

    `data` is the folder of the data sets, `sets` overrides the recipes (`table.key=value`). `UserError` names file,
    method and key of a fault.
    """
    path = shipped.find(path, shipped.COMPARISON)
    comparison = _read(path)
    places = {"data.dir": str(data.absolute())} if data else {}
    recipes = [_network(path, network, sets, places) for network in comparison.networks]
    return [
        Run(network=recipe.name, label=label, seed=seed, recipe=changed)
        for recipe in recipes
        for seed in comparison.seeds
        for label, changed in _methods(path, comparison, recipe, seed)
    ]


def _network(path: Path, network: Path, overrides: Sequence[str], places: Mapping[str, str]) -> Recipe:
    recipe = load(path.parent / network, overrides, places)
    if recipe.onnx is not None:
        raise UserError(
            f"{path}: networks: {network}: a QONNX model, which is already trained; name a recipe with a [model]"
        )
    return recipe


def _methods(path: Path, comparison: Comparison, recipe: Recipe, seed: int) -> Iterator[tuple[str, Recipe]]:
    own = recipe.train.model_dump()
    for label, changes in comparison.methods.items():
        kept = own
        if "method" in changes or label != recipe.train.method.name:
            kept = {key: value for key, value in own.items() if key not in OWN} | {"method": {"name": label}}
        try:
            train = TrainConfig.model_validate({**kept, **comparison.train, **changes, "seed": seed})
        except ValidationError as error:
            raise UserError(f"{path}: [methods.{label!r}]: {_first(error)}") from error
        yield label, recipe.model_copy(update={"train": train})


def _read(path: Path) -> Comparison:
    text = files.read_text(
        path, "give the path of a comparison, or the name of one that ships with adiabit, e.g. compare_digits"
    )
    try:
        return Comparison.model_validate(documents.toml(path, text, FORM))
    except ValidationError as error:
        raise UserError(f"{path}: {_first(error)}; {FORM}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    given = "" if first["type"] == "missing" else f" = {reprlib.repr(first['input'])}"
    return f"{place}{given}: {first['msg'][0].lower()}{first['msg'][1:]}"
