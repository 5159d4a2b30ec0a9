# SPDX-License-Identifier: Apache-2.0
"""The recipes that ship with adiabit; a bare name such as `digits` refers to one of them."""

from __future__ import annotations

import difflib
from pathlib import Path

from adiabit.errors import UserError

FOLDER = Path(__file__).parent.parent / "recipes"
RECIPE, COMPARISON, SWEEP = "recipe", "comparison", "sweep"  # kinds of files
PREFIXES = {COMPARISON: "compare_", SWEEP: "sweep_"}  # of their names


def names(wanted: str = RECIPE) -> list[str]:
    """All files of a kind, alphabetically."""
    stems = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return [stem for stem in stems if kind(stem) == wanted]


def kind(stem: str) -> str:
    """The kind of a file by its name."""
    return next((kind for kind, prefix in PREFIXES.items() if stem.startswith(prefix)), RECIPE)


def find(given: Path, wanted: str = RECIPE) -> Path:
    """The given path, or the shipped file of that kind and bare name if no such file exists.

    `UserError` with the nearest names where a bare name is neither.
    """
    if given.suffix or given.name != str(given) or (given.exists() and not given.is_dir()):
        return given
    known = names(wanted)
    if given.name in known:
        return FOLDER / f"{given.name}.toml"
    near = difflib.get_close_matches(given.name, known, n=3, cutoff=0)
    raise UserError(
        f"{given}: no such file, and no {wanted} of that name ships with adiabit; nearest: {', '.join(near)}; give one "
        f"of {', '.join(known)}, or the path of a file"
    )
