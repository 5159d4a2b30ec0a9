# SPDX-License-Identifier: Apache-2.0
"""Stage folders keyed by their inputs: reused if nothing changed, and never visible half-written.

A stage writes into `.<stage>-<key>.partial`, which is renamed to `<stage>-<key>` when the stage returns. After a killed
run the partial folder remains: a stage that can resume (training) continues in it, others start over. The link
`<stage>` points to the folder that was made or reused last.

`stage.json` holds a digest of each file of the stage. A folder whose files have changed since is not reused: it is set
aside as `<stage>-<key>.changed`, and the stage is made again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import reprlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows import documents

if TYPE_CHECKING:
    import numpy.typing as npt

LOGGER = logging.getLogger(__name__)
MANIFEST = "stage.json"


SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 60


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of `stage.json`."""

    stage: str
    seconds: float  # that it took to make
    key: Mapping[str, Any]  # everything it was made from
    files: Mapping[str, str]  # digest by file name


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished stage folder."""

    folder: Path
    reused: bool
    seconds: float  # that it took to make, also if it was reused now


@dataclass(frozen=True)
class Store:
    """Stage folders below `root`; `tell` receives a line about each folder that cannot be reused.

    Several runs may share them: then each has a folder of its own for its links, and waits while another run makes what
    it needs.
    """

    root: Path
    tell: Callable[[str], None] = print
    links: Path | None = None  # the folder of the links; None: `root`, which no other run may use at the same time

    def stage(
        self,
        name: str,
        key: Mapping[str, Any],
        make: Callable[[Path], None],
        *,
        resumes: bool = False,
        fresh: bool = False,
    ) -> Made:
        """Return the folder for `key`; `make(folder)` is called only if there is no finished one."""
        done = self.place(name, key)
        partial = self.root / f".{done.name}.partial"
        open_folder(self.root)
        with lock(self.root / f".{done.name}.lock", wait=self.links is not None):
            if fresh:
                remove(done)
                remove(partial)
            if self.finished(name, key) and self._reusable(name, done):
                _link(done, self.links or self.root)
                return Made(folder=done, reused=True, seconds=manifest(done).seconds)
            LOGGER.info("%s: not reused, because %s", name, self._why(name, key, fresh=fresh))
            if not resumes:
                remove(partial)
            open_folder(partial)
            start = time.monotonic()
            make(partial)
            seconds = time.monotonic() - start
            left = Manifest(stage=name, seconds=round(seconds, 3), key=key, files=_digests(partial))
            documents.write(partial / MANIFEST, left)
            partial.rename(done)
            _link(done, self.links or self.root)
        return Made(folder=done, reused=False, seconds=seconds)

    def place(self, name: str, key: Mapping[str, Any]) -> Path:
        """The path of the finished folder for `key`, whether it exists or not."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:12]
        return self.root / f"{name}-{digest}"

    def finished(self, name: str, key: Mapping[str, Any]) -> Path | None:
        """The finished folder for `key`, if there is one; `UserError` if something else is in its place."""
        done = self.place(name, key)
        if done.is_symlink() or (done.exists() and not done.is_dir()):
            raise UserError(f"{done}: not the folder of a stage; delete it and run again")
        return done if done.exists() else None

    def _why(self, name: str, key: Mapping[str, Any], *, fresh: bool) -> str:
        """Why a stage is made: what differs from the folder that was made or reused last."""
        if fresh:
            return "it was asked to be made again"
        try:
            before = manifest((self.links or self.root) / name).key
        except UserError:
            return "there is no folder of it"
        now = to_jsonable_python(key, fallback=str)
        return "; ".join(differences(before, now)) or "its key changed"

    def _reusable(self, name: str, done: Path) -> bool:
        """Whether a finished folder is unchanged; a changed one is set aside."""
        if fault := changed(done):
            aside = _set_aside(done)
            self.tell(f"{name}: {done}: {fault}; set aside as {aside.name}, the stage is made again")
        return not fault


def changed(folder: Path) -> str:
    """What has changed in a finished folder since its stage ended; empty if nothing. Added files do not matter."""
    try:
        kept = manifest(folder).files
    except UserError as error:
        return f"{MANIFEST} is damaged ({error})"
    for name, digest in kept.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if _digest(path) != digest:
            return f"{name} has changed"
    return ""


def differences(before: Any, now: Any, place: str = "") -> list[str]:
    """What differs between two keys of a stage, a phrase each: `compile.fold.fps changed from 1 to 2`."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        names = [*now, *(name for name in before if name not in now)]
        inner = [(name, f"{place}.{name}" if place else str(name)) for name in names]
        return [line for name, there in inner for line in differences(before.get(name), now.get(name), there)]
    if before == now:
        return []
    table, _, name = place.partition(".")
    if table == "from":
        return [f"the result of {name} changed"]
    if table == "source":
        return ["the sources of adiabit that it runs changed"]
    shown = [SHORT.repr(value) for value in (before, now)]
    return [f"{place} changed" + (f" from {shown[0]} to {shown[1]}" if "digest" not in place else "")]


def identity(folder: Path) -> str:
    """A digest of a finished folder without its logs, which keys the stages that read it."""
    kept = {name: digest for name, digest in manifest(folder).files.items() if not name.endswith(".log")}
    return f"{folder.name} {hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]}"


def manifest(folder: Path) -> Manifest:
    """Read a finished folder's `stage.json`; `UserError` where it is missing or damaged."""
    return documents.read(Manifest, folder / MANIFEST)


def _digests(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _set_aside(folder: Path) -> Path:
    """Rename a changed folder; only the last one is kept."""
    aside = folder.with_name(f"{folder.name}.changed")
    remove(aside)
    return folder.rename(aside)


def remove(folder: Path) -> None:
    """Remove a folder, renaming it first: an interrupted tool may still write there, but not into the next folder."""
    if folder.is_dir() and not folder.is_symlink():
        trash = folder.with_name(f"{folder.name}.removed")
        shutil.rmtree(trash, ignore_errors=True)
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


def _link(done: Path, place: Path) -> None:
    """Link the plain name of a stage, e.g. `train`, to its folder; a user's own file of that name is left alone."""
    link = place / done.name.rpartition("-")[0]
    if link.exists() and not link.is_symlink():
        return
    aside = link.with_name(f".{link.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    try:
        aside.symlink_to(os.path.relpath(done, place))
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP):  # a file system without links; the link is a convenience
            raise
        return
    aside.replace(link)


def open_folder(place: Path, option: str = "--out") -> None:
    """Make a folder and its parents if missing; `UserError` with the `option` that names it where that cannot be."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{place}: cannot make this folder ({error.strerror}); use another {option}") from error


@contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path`; `UserError` if another run holds it, unless we `wait`, or it is not a regular file."""
    if path.is_symlink() or (path.exists() and not path.is_file()):  # opening a pipe would block until it has a reader
        raise UserError(f"{path}: not a regular file, so it cannot be locked; delete it and run again")
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise UserError(
                f"{path.parent}: in use by another adiabit run; wait for it or use another --out"
            ) from error
        yield


def file_digest(path: Path) -> str:
    """SHA-256 of a file; `UserError` where it cannot be read."""
    return hashlib.sha256(files.read_bytes(path, "give the path of a readable file")).hexdigest()


def digest_of(*arrays: npt.NDArray[Any]) -> str:
    """SHA-256 over the types, shapes and contents of arrays."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(f"{array.dtype.str} {array.shape} ".encode())
        hashed.update(array.tobytes())
    return hashed.hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder."""
    return hashlib.sha256(json.dumps(_digests(folder), sort_keys=True).encode()).hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by distribution name; `missing` for a package that is not installed."""

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "missing"

    return {name: version(name) for name in packages}
