# SPDX-License-Identifier: Apache-2.0
"""Stage folders keyed by what they were made from: reused when nothing changed, never seen half-written.

A stage writes into `.<stage>-<key>.partial`; when it returns, the folder is renamed to `<stage>-<key>`. A killed
run leaves the partial folder alone: a stage that can resume (training) goes on in it, others start it anew. The link
`<stage>` leads to the folder that was made or reused last.

`stage.json` holds a digest of each file that the stage left. A folder whose files have changed since is not reused: it
is set aside as `<stage>-<key>.changed`, and the stage is made anew.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows import documents

MANIFEST = "stage.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`stage.json`."""

    stage: str
    seconds: float  # what making it took
    key: Mapping[str, Any]  # all that it was made from
    files: Mapping[str, str]  # digests by name


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished stage folder."""

    folder: Path
    reused: bool
    seconds: float  # what making it took, when it was made


@dataclass(frozen=True)
class Store:
    """The stage folders of one recipe, below `root`; `tell` gets a line about a folder that cannot be reused."""

    root: Path
    tell: Callable[[str], None] = print

    def stage(
        self,
        name: str,
        key: Mapping[str, Any],
        make: Callable[[Path], None],
        *,
        resumes: bool = False,
        fresh: bool = False,
    ) -> Made:
        """Return the folder for `key`, calling `make(folder)` only where no finished one stands."""
        done = self.place(name, key)
        partial = self.root / f".{done.name}.partial"
        open_folder(self.root)
        with lock(self.root / f".{done.name}.lock"):
            if fresh:
                _remove(done)
                _remove(partial)
            if self.finished(name, key) and self._reusable(name, done):
                _link(done)
                return Made(folder=done, reused=True, seconds=manifest(done).seconds)
            if not resumes:
                _remove(partial)
            open_folder(partial)
            start = time.monotonic()
            make(partial)
            seconds = time.monotonic() - start
            left = Manifest(stage=name, seconds=round(seconds, 3), key=key, files=_digests(partial))
            documents.write(partial / MANIFEST, left)
            partial.rename(done)
            _link(done)
        return Made(folder=done, reused=False, seconds=seconds)

    def place(self, name: str, key: Mapping[str, Any]) -> Path:
        """Where the finished folder for `key` stands, or will."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:12]
        return self.root / f"{name}-{digest}"

    def finished(self, name: str, key: Mapping[str, Any]) -> Path | None:
        """The finished folder for `key`, if there is one; `UserError` where something else stands in its place."""
        done = self.place(name, key)
        if done.is_symlink() or (done.exists() and not done.is_dir()):
            raise UserError(f"{done}: not a folder that a stage left; delete it and run again")
        return done if done.exists() else None

    def _reusable(self, name: str, done: Path) -> bool:
        """Whether a finished folder is as its stage left it; one that is not is set aside."""
        if fault := changed(done):
            aside = _set_aside(done)
            self.tell(f"{name}: {done}: {fault}; set aside as {aside.name} and made anew")
        return not fault


def changed(folder: Path) -> str:
    """What is no longer as the stage left it in its finished folder; empty where all is. Files beside do not matter."""
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


def identity(folder: Path) -> str:
    """Of a finished folder's content, logs apart: what a stage that reads it is keyed by."""
    kept = {name: digest for name, digest in manifest(folder).files.items() if not name.endswith(".log")}
    return f"{folder.name} {hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]}"


def manifest(folder: Path) -> Manifest:
    """What a finished folder is; `UserError` where its `stage.json` is missing or damaged."""
    return documents.read(Manifest, folder / MANIFEST)


def _digests(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _set_aside(folder: Path) -> Path:
    """Keep a changed folder, and only the last one."""
    aside = folder.with_name(f"{folder.name}.changed")
    _remove(aside)
    return folder.rename(aside)


def _remove(folder: Path) -> None:
    """Remove a folder; what a tool that was cut off may still write there must not come into the next one."""
    if folder.is_dir() and not folder.is_symlink():
        grave = folder.with_name(f"{folder.name}.removed")
        shutil.rmtree(grave, ignore_errors=True)
        folder.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)


def _link(done: Path) -> None:
    """Let the plain name of a stage, e.g. `train`, lead to its folder; what a user put there is left alone."""
    link = done.with_name(done.name.rpartition("-")[0])
    if link.exists() and not link.is_symlink():
        return
    aside = link.with_name(f".{link.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    try:
        aside.symlink_to(done.name)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP):  # a file system without links; nothing needs this one
            raise
        return
    aside.replace(link)


def open_folder(place: Path) -> None:
    """Make a folder, with those above it, where there is none; `UserError` where something else stands there."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{place}: no folder can be made there ({error.strerror}); use another --out") from error


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Work alone: hold the lock file `path`; `UserError` where another run holds it, or it is no file."""
    if path.is_symlink() or (path.exists() and not path.is_file()):  # opening a pipe would wait for its reader
        raise UserError(f"{path}: no regular file, so it cannot be locked; delete it and run again")
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{path.parent}: another adiabit run is at work there; wait for it or use another --out"
            ) from error
        yield


def file_digest(path: Path) -> str:
    """SHA-256 of a file; `UserError` where it cannot be read."""
    return hashlib.sha256(files.read_bytes(path, "give the path of a readable file")).hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 of every file below a folder, and of their names."""
    return hashlib.sha256(json.dumps(_digests(folder), sort_keys=True).encode()).hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by distribution name; `missing` where a package is not installed."""

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "missing"

    return {name: version(name) for name in packages}
