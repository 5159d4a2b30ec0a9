# SPDX-License-Identifier: Apache-2.0
"""What the stores hold, and removing it: the folders of `build/NAME`, of comparisons, and those that a sweep shares.

Only what :class:`adiabit.flows.store.Store` has left is seen, by its names, its lock file and its `stage.json`. Nothing
is removed where another run holds one of the locks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from adiabit.errors import UserError
from adiabit.flows.store import lock, manifest, remove

KEY = r"(?P<key>(?P<stage>[^/]+)-[0-9a-f]{12})"
FOLDER = re.compile(rf"{KEY}(?P<end>|\.changed|\.removed)|\.{KEY.replace('<', '<partial_')}\.partial(\.removed)?")
MAPPED, CELLS = "mapped", re.compile(r"\.?[0-9a-f]{32}\.(json|partial)")  # known syntheses of single stages


SHARED = "stages"  # of a sweep


class State(StrEnum):
    """Whether a folder is in use."""

    CURRENT = "current"  # a link points to it
    STALE = "stale"
    ASIDE = "aside"  # changed by somebody else after its stage had ended
    UNFINISHED = "unfinished"  # of a run that was killed; training continues in it
    CACHE = "cache"  # known syntheses, which only save time


REMOVED = frozenset({State.STALE, State.ASIDE})  # with --stale


@dataclass(frozen=True, kw_only=True)
class Item:
    """A folder of a store."""

    folder: Path
    stage: str
    state: State
    bytes: int
    modified: float  # seconds since 1970


def find(places: Sequence[Path]) -> list[Item]:
    """What the stores below some folders hold; `UserError` where one is no folder."""
    for place in places:
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; give the folder of a run, build/NAME, or one above it")
    roots = dict.fromkeys(root for place in places for root in _roots(place))
    return [item for root in roots for item in _items(root)]


def clear(items: Iterable[Item], states: Collection[State]) -> list[Item]:
    """Remove the folders of these states, and links to them; those that were removed.

    `UserError`, before anything is removed, where another run is at work in one of the stores.
    """
    chosen = [item for item in items if item.state in states]
    with ExitStack() as held:
        for root in dict.fromkeys(item.folder.parent for item in chosen):
            for path in _locks(root):
                held.enter_context(lock(path))
        for item in chosen:
            remove(item.folder)
    for root in dict.fromkeys(item.folder.parent for item in chosen):
        for link in _links(_linking(root)):
            if not link.exists() and FOLDER.fullmatch(link.readlink().name):
                link.unlink()
    return chosen


def _roots(place: Path) -> Iterator[Path]:
    """The stores in a folder and below it."""
    inner = [Path(entry.path) for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False)]
    if any(_stage(folder) for folder in inner):
        yield place
    for folder in sorted(inner):
        if not FOLDER.fullmatch(folder.name):
            yield from _roots(folder)


def _items(root: Path) -> Iterator[Item]:
    linked = {link.resolve() for link in _links(_linking(root))}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink()):
        if (stage := _stage(folder)) is None:
            continue
        state = State.CACHE if stage == MAPPED else _state(folder, linked)
        yield Item(folder=folder, stage=stage, state=state, bytes=_size(folder), modified=folder.stat().st_mtime)


def _linking(root: Path) -> Path:
    """The folder below which the links to a store's folders are; those of a sweep are beside it."""
    return root.parent if root.name == SHARED else root


def _state(folder: Path, linked: Collection[Path]) -> State:
    if folder.name.endswith(".partial"):
        return State.UNFINISHED
    if folder.name.endswith((".changed", ".removed")):
        return State.ASIDE
    return State.CURRENT if folder.resolve() in linked else State.STALE


def _stage(folder: Path) -> str | None:
    """The name of the stage whose folder this is; None if a store has not made it."""
    if folder.name == MAPPED:
        ours = any(folder.parent.glob(".synthesize-*.lock")) and all(CELLS.fullmatch(p.name) for p in folder.iterdir())
        return MAPPED if ours else None
    found = FOLDER.fullmatch(folder.name)
    if found is None or not (folder.parent / f".{found['key'] or found['partial_key']}.lock").is_file():
        return None
    if found["key"] and not found["end"]:
        try:
            return found["stage"] if manifest(folder).stage == found["stage"] else None
        except UserError:
            return None
    return found["stage"] or found["partial_stage"]


def _links(place: Path) -> Iterator[Path]:
    """The links in a folder and below it, but not inside of stages."""
    for entry in os.scandir(place):
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir() and not FOLDER.fullmatch(entry.name):
            yield from _links(Path(entry.path))


def _locks(root: Path) -> Iterator[Path]:
    """The locks of a store, and of the sweep or comparison that it belongs to."""
    yield from sorted(path for path in root.glob(".*.lock") if path.is_file())
    yield from (path for path in (root / ".lock", root.parent / ".lock") if path.is_file())


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
