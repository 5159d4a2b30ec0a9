# SPDX-License-Identifier: Apache-2.0
"""The recipes that a check takes: those that patterns match or, of these, those that a change affects.

A change of a file that a recipe names (its model, checkpoint, baseline, ...) affects the recipes that name it. A change
of anything else, but of texts for readers and of other recipes, may affect all of them. Where git cannot tell, all are
checked: leaving recipes out saves time, and must never hide a fault.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adiabit.errors import UserError
from adiabit.flows import shipped
from adiabit.flows.check.changes import changed_files
from adiabit.flows.recipe import Recipe

TEXTS = (".md", ".rst", ".gitignore", ".gitattributes", "LICENSE", "CODEOWNERS")  # ends of names
PROJECT = "pyproject.toml"  # the TOML file beside recipes that is none


def expand(given: Iterable[Path]) -> list[Path]:
    """The recipes that paths, names and patterns stand for, each once.

    A pattern, e.g. `recipes/**/*.toml`, leaves out comparisons, sweeps and `pyproject.toml`. `UserError` if it matches
    nothing.
    """
    return list(dict.fromkeys(path for one in given for path in _matched(one)))


def _matched(given: Path) -> list[Path]:
    if not glob.has_magic(str(given)) or given.exists():
        return [given]
    paths = (Path(name) for name in sorted(glob.glob(str(given), recursive=True)))  # noqa: PTH207  # takes any pattern
    found = [p for p in paths if p.is_file() and p.name != PROJECT and shipped.kind(p.stem) == shipped.RECIPE]
    if not found:
        raise UserError(f"{given}: no recipe matches this pattern; give one that does, or the path of a recipe")
    return found


def changed(recipes: Sequence[Path], ref: str, load: Callable[[Path], Recipe]) -> tuple[list[Path], str]:
    """The recipes that the changes since the commit `ref` affect, and a line that says why these.

    `ref` may be empty, as it is in a CI job without a pull request. `load` reads a recipe.
    """
    every = f"all of {len(recipes)} recipes are checked"
    if not ref:
        return list(recipes), f"no commit to compare with; {every}"
    try:
        changes = changed_files(ref, recipes)
    except UserError as error:
        return list(recipes), f"{error}; {every}"
    affected, cause = select({recipe: named(recipe, load) for recipe in recipes}, changes)
    if cause is not None:
        return affected, f"{cause}: changed since {ref}; {every}"
    return affected, f"{len(affected)} of {len(recipes)} recipes are affected by changes since {ref}"


def select(reads: Mapping[Path, Collection[Path]], changes: Iterable[Path]) -> tuple[list[Path], Path | None]:
    """The recipes, keys of `reads`, that changed files affect; `reads` holds the places that a recipe depends on.

    Second, the file that may affect all of them, if there is one. A recipe that could not be read depends on nothing
    known, `reads` is empty, and is always among them.
    """
    folders = {place.parent for places in reads.values() for place in places if place.suffix == ".toml"}
    affected = {recipe for recipe, places in reads.items() if not places}
    for change in changes:
        readers = {recipe for recipe, places in reads.items() if any(change.is_relative_to(p) for p in places)}
        if not readers and _matters(change, folders):
            return list(reads), change
        affected |= readers
    return [recipe for recipe in reads if recipe in affected], None


def _matters(change: Path, folders: Collection[Path]) -> bool:
    """Whether recipes may depend on a file that none of them names; `folders` are the recipes' own."""
    other = change.suffix == ".toml" and change.parent in folders and change.name != PROJECT  # maybe a deleted recipe
    return not other and not change.name.endswith(TEXTS)


def named(recipe: Path, load: Callable[[Path], Recipe]) -> set[Path]:
    """The resolved paths of a recipe and of everything that it names; empty if it cannot be read."""
    try:
        found = shipped.find(recipe)
        return {found.resolve(), *(path.resolve() for path in _paths(load(recipe).model_dump()))}
    except UserError:
        return set()


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        yield from (path for inner in value.values() for path in _paths(inner))
    elif isinstance(value, list | tuple):
        yield from (path for inner in value for path in _paths(inner))
