# SPDX-License-Identifier: Apache-2.0
"""Stage folders keyed by what they were made from: reused when nothing changed, never seen half-written.

A stage writes into `.<stage>-<key>.partial`; when it returns, the folder is renamed to `<stage>-<key>`. A killed
run leaves the partial folder alone: a stage that can resume (training) goes on in it, others start it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from adiabit.errors import UserError
from adiabit.files import read_bytes

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
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
            raise UserError(
                f"{self.root}: no folder can be made there ({error.strerror}); use another --out"
            ) from error
        with _lock(self.root / f".{done.name}.lock"):
            if fresh:
                shutil.rmtree(done, ignore_errors=True)
                shutil.rmtree(partial, ignore_errors=True)
            if (manifest := done / MANIFEST).exists():
                return Made(folder=done, reused=True, seconds=_seconds(manifest))
            if not resumes:
                shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(exist_ok=True)
            start = time.monotonic()
            make(partial)
            seconds = time.monotonic() - start
            document = {"stage": name, "seconds": round(seconds, 3), "key": key}
            (partial / MANIFEST).write_text(json.dumps(document, indent=1, default=str) + "\n")
            partial.rename(done)
        return Made(folder=done, reused=False, seconds=seconds)


def _seconds(manifest: Path) -> float:
    try:
        return float(json.loads(manifest.read_text())["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{manifest}: damaged ({error}); delete the folder {manifest.parent} and run again") from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{path.parent}: another adiabit run is making this stage; wait for it or use --out"
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
    return hashlib.sha256(read_bytes(path, "give the path of a readable file")).hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by distribution name; `missing` where a package is not installed."""

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "missing"

    return {name: version(name) for name in packages}
