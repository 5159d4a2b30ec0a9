# SPDX-License-Identifier: Apache-2.0
"""The recipe: a TOML file with one table per stage. Every key but the name has a default; unknown keys are errors."""

from __future__ import annotations

import difflib
import re
import reprlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from adiabit import files
from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows import documents, shipped
from adiabit.flows.check.budget import Budget
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.train.config import DataConfig, ModelConfig, TrainConfig
from adiabit.train.data import DATASETS
from adiabit.train.data.mnist import Digits
from adiabit.train.source import Reference

TABLES = ("model_type", "model_attributes_type", "dict_type")  # pydantic's error types where a table is expected
SHORT = reprlib.Repr()  # shortens values, because a message is one line
SHORT.maxlist = SHORT.maxtuple = 12
SHORT.maxstring = SHORT.maxother = 100
WORDS = {
    "Tuple should have": "the list should have", " after validation": "", "a valid tuple": "a list",
    "not a valid path for <class 'pathlib.Path'>": "not a path",
}  # fmt: skip
FORM = f"see {shipped.FOLDER / 'digits.toml'} for the form"


class TargetConfig(BaseModel):
    """The recipe's table `[target]`: where the accelerator will run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    board: str = catalog.DEFAULT
    """A folder of `boards/`: `adiabit boards` lists them."""
    clock_mhz: float | None = Field(default=None, gt=0, le=1000)
    """By default the board's own. It also says how many levels of logic lie between registers."""
    verified: Path | None = None
    """What the driver's `--save` wrote on the board (`--verified FILE`): the ladder's last rung."""

    @field_validator("board")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in catalog.names():
            near = difflib.get_close_matches(name, catalog.names(), n=1, cutoff=0) or catalog.names()
            raise ValueError(f"no such board; nearest: {near[0]!r}; known boards: {catalog.names()}")
        return name


class ExportConfig(BaseModel):
    """The recipe's table `[export]`: which vectors the ladder runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int | None = Field(default=None, ge=1)
    """Test frames, spread evenly over the split, that become vectors for every rung; by default all. Corner inputs are
    added to them. Also for `onnx` with `[data]`.
    """


class Recipe(BaseModel):
    """Everything that a run depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)
    """Lower case, digits and `_`; by default the file's name. The stages go to `build/NAME`."""
    onnx: Path | None = None
    """A QONNX model from elsewhere, relative to the recipe. Nothing is trained then, and `[model]` and `[train]` are
    not allowed; with `[data]`, the ladder also runs the test split.
    """
    checkpoint: Path | None = None
    """Folder of a trained network (`model.json`, `model.pt`) with the topology of `[model]`, relative to the recipe;
    nothing is trained then. Also `--checkpoint DIR`.
    """
    data: DataConfig = Digits()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    export: ExportConfig = ExportConfig()
    target: TargetConfig = TargetConfig()
    compile: CompileConfig = CompileConfig()
    simulate: SimulateConfig = SimulateConfig()
    budget: Budget = Budget()

    @property
    def why_not(self) -> str:
        """Why its network has no binary hardware; empty where it has."""
        return self.train.method.why_not or self.model.why_not

    @model_validator(mode="before")
    @classmethod
    def _data_gives_defaults(cls, document: Any) -> Any:
        """Bits that a data set's frames are best taken by, unless `[model]` says."""
        bits = DATASETS.get(document.get("data", Digits()), Digits).input_bits if isinstance(document, dict) else 1
        if bits == 1 or not isinstance(model := document.get("model", {}), dict):
            return document
        return {**document, "model": {"input_bits": bits, **model}}


def load(path: Path, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> Recipe:
    """Read and check a recipe, or a bare QONNX model (`.onnx`), which stands for a recipe of defaults.

    A bare name stands for a recipe that ships with adiabit (:func:`adiabit.flows.shipped.find`). `overrides` are
    `table.key=value` with a TOML value; `values` are applied after them and taken as they are. `UserError` names file,
    table, key, value, constraint and the nearest valid value.
    """
    path = shipped.find(path)
    document = _read(path)
    for override in overrides:
        key, value = _parsed(override)
        _override(document, key, value, f"--set {SHORT.repr(override)}")
    return checked(document, path, values)


def changed(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with other values of some keys, `table.key`; a dict replaces a whole table. Errors as :func:`load`."""
    return checked(recipe.model_dump(exclude_unset=True), Path(recipe.name), values)


def checked(document: dict[str, Any], path: Path, values: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a document, with these values of some keys; paths are relative to the folder of `path`."""
    for key, value in (values or {}).items():
        _override(document, key, value, key)
    documents.check_depth(path, document, FORM)  # of what --set gave
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise UserError(_message(path, error)) from error
    if recipe.onnx is not None:
        unused = sorted({"model", "train", "checkpoint"} & document.keys())
        if unused:
            raise UserError(
                f"{path}: onnx = {str(recipe.onnx)!r} and {unused} exclude each other; remove one or the other"
            )
    return _resolved(recipe, path.parent)


def _resolved(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its relative paths resolved against its own folder."""
    update: dict[str, Any] = {k: folder / v for k in ("onnx", "checkpoint") if (v := getattr(recipe, k))}
    if recipe.model.module is not None:
        own: dict[str, Any] = {"weights": folder / place} if (place := recipe.model.weights) else {}
        if Reference.of(recipe.model.module).is_file:
            own["module"] = str(folder / recipe.model.module)
        update["model"] = recipe.model.model_copy(update=own)
    if "data" in recipe.model_fields_set:
        update["data"] = recipe.data.beside(folder)
    if (place := recipe.compile.fold.finn_json) is not None:
        fold = recipe.compile.fold.model_copy(update={"finn_json": folder / place})
        update["compile"] = recipe.compile.model_copy(update={"fold": fold})
    if (distill := recipe.train.distill) is not None and distill.teacher is not None:
        distill = distill.model_copy(update={"teacher": folder / distill.teacher})
        update["train"] = recipe.train.model_copy(update={"distill": distill})
    if (place := recipe.target.verified) is not None:
        update["target"] = recipe.target.model_copy(update={"verified": folder / place})
    if (place := recipe.budget.baseline) is not None:
        update["budget"] = recipe.budget.model_copy(update={"baseline": folder / place})
    return recipe.model_copy(update=update)


def name_of(stem: str) -> str:
    """A file's or folder's name as that of a recipe."""
    name = re.sub(r"[^a-z0-9_]", "_", stem.lower())
    return name if name[:1].isalpha() else f"net_{name}"


def _read(path: Path) -> dict[str, Any]:
    name = name_of(path.stem)
    if path.suffix == ".onnx":
        return {"name": name, "onnx": path.name}
    text = files.read_text(path, "give the path of a recipe, or the name of one that ships with adiabit, e.g. digits")
    return {"name": name} | documents.toml(path, text, FORM)


def _parsed(override: str) -> tuple[str, Any]:
    """Key and value of `table.key=value`."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise UserError(f"--set {SHORT.repr(override)}: must read table.key=value, e.g. --set train.epochs=20")
    try:
        return key, tomllib.loads(f"v={text}")["v"]
    except (ValueError, RecursionError):
        return key, text.strip()  # a bare word is a string


def _override(document: dict[str, Any], key: str, value: Any, option: str) -> None:
    """Put a value into the document; messages refer to it as `option`."""
    *tables, last = key.strip().split(".")
    for number, table in enumerate(tables, 1):
        inner = document.setdefault(table, {})
        if not isinstance(inner, dict):
            place = ".".join(tables[:number])
            raise UserError(
                f"{option}: {_stated(place, inner)} is not a table, so it has no keys; write it as a table in the "
                f"recipe, or set {place} itself"
            )
        document = inner
    document[last] = value


def _message(path: Path, error: ValidationError) -> str:
    first, more = error.errors()[0], error.error_count() - 1
    loc, value = first["loc"], first["input"]
    if isinstance(value, dict) and loc[-1] in (value.get("name"), value.get("kind"), value.get("dataset")):
        loc = loc[:-1]  # the tag of a union
    place, key, owner = _place(loc)
    where = f"{path}: [{place}]: " if place else f"{path}: "
    table = f"[{'.'.join(filter(None, (place, key)))}]"
    reason = _reason(first["msg"])
    if first["type"] == "extra_forbidden":
        text = f"{where}{SHORT.repr(key)[1:-1]}: unknown key; {_known(key, owner)}"
    elif first["type"] == "union_tag_invalid":
        field, tag, there = (str(first["ctx"][k]).strip("'") for k in ("discriminator", "tag", "expected_tags"))
        text = f"{path}: {table}: {_stated(field, value.get(field, tag))}: must be one of '{there}'"
        text += _nearest({"ctx": {"expected": there}}, tag)
    elif first["type"] in TABLES:
        text = f"{where}{_stated(key, value)}: must be a table, {table} with its keys below"
    elif isinstance(value, dict) and first["type"] == "value_error":  # about several keys, which the reason names
        text = f"{path}: {table}: {reason}"
    else:
        text = f"{where}{_stated(key, value)}: {reason}{_nearest(first, value)}"
    return text + (f" (and {more} more)" if more else "")


def _stated(key: str, value: Any) -> str:
    """A key and its value; a table or a list of tables is described, not printed."""
    if isinstance(value, dict):
        return f"{key} is a table"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return f"{key} is a list of tables or lists"
    return f"{key} = {SHORT.repr(value)}"


def _reason(message: str) -> str:
    """Pydantic's message in TOML's terms."""
    reason = message.removeprefix("Value error, ")
    for theirs, ours in WORDS.items():
        reason = reason.replace(theirs, ours)
    return f"{reason[0].lower()}{reason[1:]}"


def _known(key: str, owner: type[BaseModel] | None) -> str:
    known = [*owner.model_fields] if owner else []
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {sorted(known)}"


def _nearest(error: Any, value: Any) -> str:
    expected = error.get("ctx", {}).get("expected", "")
    options = [part.strip(" '") for part in str(expected).replace(" or ", ", ").split(",") if part.strip(" '")]
    near = difflib.get_close_matches(str(value), options, n=1, cutoff=0.3)
    return f"; nearest: {near[0]!r}" if near else ""


def _place(loc: Sequence[int | str]) -> tuple[str, str, type[BaseModel] | None]:
    """The table's dotted name, the key, and the model class that owns the key, for a pydantic location."""
    owner: type[BaseModel] | None = Recipe
    tables: list[str] = []
    for part in loc[:-1]:
        if isinstance(part, int):  # an index into a list of tables
            tables.append(str(part))
            continue
        inner = models_in(owner.model_fields[str(part)].annotation) if owner and str(part) in owner.model_fields else []
        if not inner and owner and str(part) not in owner.model_fields:
            owner = next((table for table in owner.__subclasses__() if str(part) in _tags(table)), owner)
            continue  # the tag of a discriminated union
        tables.append(str(part))
        owner = inner[0] if len(inner) == 1 else None
        if len(inner) > 1:
            tags = [m for m in inner if any(str(p) in _tags(m) for p in loc)]
            owner = tags[0] if tags else None
    return ".".join(tables), str(loc[-1]), owner


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a key of this annotation may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType) or get_args(annotation):
        return [m for a in get_args(annotation) for m in models_in(a)]
    return []


def _tags(model: type[BaseModel]) -> list[str]:
    return [
        str(a)
        for f in model.model_fields.values()
        if get_origin(f.annotation) is Literal
        for a in get_args(f.annotation)
    ]
