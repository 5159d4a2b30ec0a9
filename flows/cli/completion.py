# SPDX-License-Identifier: Apache-2.0
"""What the shell offers where a word of a command is not finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from adiabit.boards import catalog
from adiabit.flows import shipped
from adiabit.flows.recipe import Recipe, TargetConfig, models_in
from adiabit.train.data import DATASETS, DataTable
from adiabit.train.methods import METHODS, MethodTable


def recipes(incomplete: str) -> list[str]:
    """Shipped recipes, and recipes and QONNX models of the folder."""
    return [*_begun(shipped.names(), incomplete), *_files(incomplete, (".toml", ".onnx"))]


def comparisons(incomplete: str) -> list[str]:
    """Shipped comparisons, and files of the folder."""
    return [*_begun(shipped.names(shipped.COMPARISON), incomplete), *_files(incomplete, (".toml",))]


def sweeps(incomplete: str) -> list[str]:
    """Shipped sweeps, and files of the folder."""
    return [*_begun(shipped.names(shipped.SWEEP), incomplete), *_files(incomplete, (".toml",))]


def boards(incomplete: str) -> list[str]:
    """The names of the boards."""
    return _begun(catalog.names(), incomplete)


def settings(incomplete: str) -> list[str]:
    """`table.key=` for each key of a recipe, and its values where they can be counted."""
    key, equals, _ = incomplete.partition("=")
    found = dict[str, set[str]]()
    for name, values in _keys(Recipe):
        found.setdefault(name, set()).update(values)
    if equals:
        return _begun([f"{key}={value}" for value in sorted(found.get(key, ()))], incomplete)
    return _begun([f"{name}=" for name in sorted(found)], incomplete)


def _keys(
    model: type[BaseModel], above: str = "", seen: tuple[type[BaseModel], ...] = ()
) -> Iterator[tuple[str, list[str]]]:
    """The keys that --set reaches, with their values where these are few."""
    for name, field in model.model_fields.items():
        found = [table for base in models_in(field.annotation) for table in REGISTERED.get(base, [base])]
        tables = [table for table in found if table not in seen]
        values = catalog.names() if (model, name) == BOARD else _values(field.annotation)
        if values or not tables:
            yield above + name, values
        for table in () if _is_many(field.annotation) else tables:
            yield from _keys(table, f"{above}{name}.", (*seen, model))


BOARD = (TargetConfig, "board")
REGISTERED: dict[type[BaseModel], Iterable[type[BaseModel]]] = {DataTable: DATASETS, MethodTable: METHODS}


def _values(annotation: Any) -> list[str]:
    """The values of a choice or a switch, as TOML has them."""
    if annotation is bool:
        return ["false", "true"]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [] if _is_many(annotation) else [value for inner in get_args(annotation) for value in _values(inner)]


def _is_many(annotation: Any) -> bool:
    """Whether a key holds a list, or tables by name, whose elements are not offered."""
    if isinstance(origin := get_origin(annotation), type) and issubclass(origin, Sequence | Mapping):
        return True
    return any(_is_many(inner) for inner in get_args(annotation))


def _begun(words: Sequence[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Folders, and files with these suffixes, whose path begins so."""
    folder, _, _ = incomplete.rpartition("/")
    place = Path(f"{folder}/") if incomplete.startswith("/") or folder else Path()
    try:
        found = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    names = [f"{path}/" if path.is_dir() else str(path) for path in found if path.is_dir() or path.suffix in suffixes]
    return _begun(names, incomplete)
