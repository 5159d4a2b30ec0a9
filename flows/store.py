# SPDX-License-Identifier: Apache-2.0
"""Stage folders keyed by what they were made from: reused when nothing changed, never seen half-written.

A stage writes into `.<stage>-<key>.partial`; when it returns, the folder is renamed to `<stage>-<key>`. A killed
run leaves the partial folder alone: a stage that can resume (training) goes on in it, others start it anew. The link
`<stage>` leads to the folder that was made or reused last.
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

from adiabit.errors import UserError
from adiabit.files import read_text

PACKAGE = Path(__file__).parent.parent  # the folder that holds train, hw, boards and flows
MANIFEST = "stage.json"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished stage folder."""

    folder: Path
    reused: bool
    seconds: float  # what making it took, when it was made


@dataclass(frozen=True)
class Store:
    """The stage folders of one recipe, below `root`."""

    root: Path

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
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:12]
        done = self.root / f"{name}-{digest}"
        partial = self.root / f".{done.name}.partial"
        open_folder(self.root)
        with lock(self.root / f".{done.name}.lock"):
            if fresh:
                shutil.rmtree(done, ignore_errors=True)
                shutil.rmtree(partial, ignore_errors=True)
            if (manifest := done / MANIFEST).exists():
                _link(done)
                return Made(folder=done, reused=True, seconds=_seconds(manifest))
            if done.exists() or done.is_symlink():
                raise UserError(f"{done}: not a folder that a stage left; delete it and run again")
            if not resumes:
                shutil.rmtree(partial, ignore_errors=True)
            open_folder(partial)
            start = time.monotonic()
            make(partial)
            seconds = time.monotonic() - start
            document = {"stage": name, "seconds": round(seconds, 3), "key": key}
            (partial / MANIFEST).write_text(json.dumps(document, indent=1, default=str) + "\n")
            partial.rename(done)
            _link(done)
        return Made(folder=done, reused=False, seconds=seconds)


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


def _seconds(manifest: Path) -> float:
    remedy = f"delete the folder {manifest.parent} and run again"
    try:
        return float(json.loads(read_text(manifest, remedy))["seconds"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{manifest}: damaged ({error}); {remedy}") from error


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


def source_digest(*places: str) -> str:
    """Digest of our own source files below the given folders or files of the package, so that an edit makes anew."""
    digest = hashlib.sha256()
    for place in places:
        root = PACKAGE / place
        files = (
            [root]
            if root.is_file()
            else sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        )
        for path in files:
            digest.update(str(path.relative_to(PACKAGE)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file; `UserError` where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give the path of a readable file") from error


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by distribution name; `missing` where a package is not installed."""

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "missing"

    return {name: version(name) for name in packages}
