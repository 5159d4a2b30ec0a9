# SPDX-License-Identifier: Apache-2.0
"""The plan of a sweep: a file that names a base recipe, a space of changes to it, and how to search it.

base = "digits.toml"                 # a recipe beside the file, or one that ships with adiabit
objectives = ["accuracy", "lut"]
seeds = [0]                          # every point is trained with these
front_seeds = [1, 2]                 # points on the front are trained again with these
[recipe]                             # keys of the recipe that differ from the base at every point
"train.epochs" = 40
[space]                              # see :mod:`adiabit.flows.sweep.space`
"model.widths" = [[16], [32, 32]]
[constraints]                        # the keys of a recipe's [budget]
fps = 100_000
[search]
method = "tpe"
trials = 24
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows import documents, shipped
from adiabit.flows.check.budget import Limits
from adiabit.flows.recipe import Recipe, load
from adiabit.flows.sweep.space import Point, Space

FORM = f"see {shipped.FOLDER / 'sweep_digits.toml'} for the form"
SEED, BASE, ACTIVITY = "train.seed", "base", "simulate.activity"
FRAMES = 16  # over which toggles are counted where they are an objective
Quantity = Literal["accuracy", "lut", "ff", "bram18", "dsp", "fps", "cycles", "latency_us", "toggles"]
Seeds = tuple[Annotated[int, Field(ge=0)], ...]


class Table(BaseModel):
    """A table of a sweep's file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Constraints(Limits):
    """The limits of a point, and whether it must fit the board."""

    fits: bool = True


class Pruning(Table):
    """When the training of a poor point is stopped; :mod:`adiabit.flows.sweep.pruning` has the rule."""

    after: Annotated[float, Field(ge=0, le=1)] = 0.3  # share of the epochs that every point trains
    rivals: Annotated[int, Field(ge=1)] = 2  # points that cost no more and are better
    margin: Annotated[float, Field(ge=0, le=1)] = 0.01  # of validation accuracy


class Search(Table):
    """How points are chosen."""

    method: Literal["grid", "random", "tpe", "nsga2"] = "grid"
    trials: Annotated[int, Field(ge=1)] | None = None  # points that are trained; a grid trains all of its points
    seed: Annotated[int, Field(ge=0)] = 0
    population: Annotated[int, Field(ge=2)] = 16  # of nsga2
    storage: str | None = None  # Optuna's: the URL of a database; by default a file in the sweep's folder
    pruning: Pruning | None = None

    @model_validator(mode="after")
    def _trials_are_known(self) -> Self:
        if (self.method == "grid") != (self.trials is None):
            raise ValueError(
                "trials goes with random, tpe and nsga2; a grid has as many points as its axes make"
                if self.method == "grid"
                else f"method = {self.method!r} needs trials, the number of points"
            )
        if self.storage is not None and self.method in ("grid", "random"):
            raise ValueError(f"storage is that of tpe and nsga2; {self.method} needs none")
        return self


class Demands(Table):
    """What each trial takes of a machine."""

    cpus: Annotated[float, Field(gt=0)] = 1.0
    gpus: Annotated[float, Field(ge=0)] = 0.0
    memory_gb: Annotated[float, Field(ge=0)] = 0.0  # 0: unknown


class Sweep(Table):
    """The content of a sweep's file."""

    base: Path
    objectives: Annotated[tuple[Quantity, ...], Field(min_length=2, max_length=4)] = ("accuracy", "lut")
    seeds: Annotated[Seeds, Field(min_length=1)] = (0,)
    front_seeds: Seeds = ()
    recipe: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, Any] = Field(default_factory=dict)
    constraints: Constraints = Constraints()
    search: Search = Search()
    resources: Demands = Demands()

    @field_validator("objectives")
    @classmethod
    def _distinct(cls, objectives: tuple[Quantity, ...]) -> tuple[Quantity, ...]:
        if len(set(objectives)) < len(objectives):
            raise ValueError("an objective is there twice")
        return objectives


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a sweep: a point, trained with one seed."""

    point: Point
    seed: int | None  # None: the network is trained already
    values: Mapping[str, Any]  # of the recipe, by dotted key

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.point.name if self.seed is None else f"{self.point.name}-seed{self.seed}"

    def __str__(self) -> str:
        return f"{self.point}" if self.seed is None else f"{self.point}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep that is ready to run."""

    path: Path
    sweep: Sweep
    space: Space
    sets: tuple[str, ...] = ()  # `table.key=value` of the command line, for every point
    places: Mapping[str, str] = field(default_factory=dict)  # the recipe's folders that the command line gave

    def base(self, point: Point | None = None) -> Path:
        """The base recipe, or that of a point: beside the file, or one that ships with adiabit."""
        name = Path(point.overrides.get(BASE, self.sweep.base) if point else self.sweep.base)
        beside = self.path.parent / name
        return (beside if beside.exists() else shipped.find(name)).absolute()

    def trial(self, point: Point, seed: int | None) -> Trial:
        """The run of a point with a seed."""
        asked = {ACTIVITY: FRAMES} if "toggles" in self.sweep.objectives else {}
        values = {**asked, **self.sweep.recipe, **point.overrides, **({} if seed is None else {SEED: seed})}
        values.pop(BASE, None)
        return Trial(point=point, seed=seed, values=values)

    def recipe(self, trial: Trial) -> Recipe:
        """The recipe of a trial; `UserError` where its keys do not go together."""
        name = f"{self.path.stem}_{trial.point.name}".lower()
        return load(self.base(trial.point), self.sets, {**trial.values, **self.places, "name": name[-64:]})

    def selection(self, trial: Trial) -> tuple[str, ...]:
        """The words of the command line that choose the recipe of a trial."""
        sets = [*self.sets, *(f"{key}={toml(value)}" for key, value in trial.values.items())]
        options = [word for text in sets for word in ("--set", text)]
        folders = [word for key, path in self.places.items() for word in (f"--{key.split('.')[0]}", path)]
        return (str(self.base(trial.point)), *options, *folders)

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """The seeds of every point; a single None where nothing is trained."""
        return self.sweep.seeds if self._trains else (None,)

    @property
    def front_seeds(self) -> tuple[int | None, ...]:
        """Further seeds of the points on the front."""
        return tuple(seed for seed in self.sweep.front_seeds if seed not in self.sweep.seeds) if self._trains else ()

    @cached_property
    def _trains(self) -> bool:
        recipe = load(self.base(), self.sets, self.places)
        return recipe.onnx is None and recipe.checkpoint is None


def load_plan(path: Path, data: Path | None = None, sets: Sequence[str] = ()) -> Plan:
    """Read a sweep's file, or the one that ships with adiabit under a bare name.

    `data` is the folder of the data sets, `sets` overrides the recipe of every point (`table.key=value`). `UserError`
    names file, table and key of a fault.
    """
    path = shipped.find(path, shipped.SWEEP)
    remedy = "give the path of a sweep, or the name of one that ships with adiabit, e.g. sweep_digits"
    text = files.read_text(path, remedy)
    try:
        sweep = Sweep.model_validate(documents.toml(path, text, FORM))
    except ValidationError as error:
        raise UserError(f"{path}: {documents.fault(error)}; {FORM}") from error
    try:
        space = Space.of(sweep.space)
        if sweep.search.method == "grid":
            space.grid()
    except ValueError as error:
        raise UserError(f"{path}: [space]: {error}; {FORM}") from error
    places = {"data.dir": str(data.absolute())} if data else {}
    plan = Plan(path=path, sweep=sweep, space=space, sets=tuple(sets), places=places)
    load(plan.base(), plan.sets, plan.places)  # a fault of the base is told before one of a point
    axes = {key for axis in space.axes for key in axis.keys}
    if twice := sorted(axes & sweep.recipe.keys()):
        raise UserError(f"{path}: {twice[0]}: set by [space] and by [recipe]; keep one; {FORM}")
    if SEED in {*axes, *sweep.recipe}:
        raise UserError(f"{path}: {SEED}: seeds are not a part of the space; give seeds = [0, 1]; {FORM}")
    return plan


def toml(value: Any) -> str:
    """A value in one line of TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    return json.dumps(value)
