# SPDX-License-Identifier: Apache-2.0
"""The recipes that ship with adiabit; a bare name such as `digits` refers to one of them."""

from __future__ import annotations

import difflib
from pathlib import Path

from adiabit.errors import UserError

FOLDER = Path(__file__).parent.parent / "recipes"
COMPARE = "compare_"  # prefix of the names of comparisons


def names(*, comparisons: bool = False) -> list[str]:
    """All recipes, or all comparisons, alphabetically."""
    return sorted(p.stem for p in FOLDER.glob("*.toml") if p.stem.startswith(COMPARE) == comparisons)


def find(given: Path, *, comparison: bool = False) -> Path:
    """The given path, or the shipped recipe of that bare name if no such file exists.

    `UserError` with the nearest names where a bare name is neither.
    """
    if given.suffix or given.name != str(given) or (given.exists() and not given.is_dir()):
        return given
    known = names(comparisons=comparison)
    if given.name in known:
        return FOLDER / f"{given.name}.toml"
    what = "comparison" if comparison else "recipe"
    near = difflib.get_close_matches(given.name, known, n=3, cutoff=0)
    raise UserError(
        f"{given}: no such file, and no {what} of that name ships with adiabit; nearest: {', '.join(near)}; give one "
        f"of {', '.join(known)}, or the path of a file"
    )
