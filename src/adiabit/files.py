# SPDX-License-Identifier: Apache-2.0
"""Files that a user names: any fault of one is reported in one line, and none is left half-written."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adiabit.errors import UserError

CACHES = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
CACHE = CACHES / "adiabit"  # what can be made again
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (*FULL, errno.EROFS, errno.EACCES, errno.EPERM)
TEXT = 16 << 20  # bytes of a text file at most; ours are far smaller


def regular(path: Path, remedy: str) -> Path:
    """The path itself; `UserError`, ending in `remedy`, where it is not a regular file.

    Reading a pipe or a device might never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: {_reason(path, error)}; {remedy}") from error
    except ValueError as error:  # a NUL in the path
        raise UserError(f"{path}: {error}; {remedy}") from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise UserError(f"{path}: {what}, not a file; {remedy}")
    return path


def read_bytes(path: Path, remedy: str) -> bytes:
    """The content of a regular file; `UserError`, ending in `remedy`, where it cannot be read."""
    try:
        return regular(path, remedy).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {_reason(path, error)}; {remedy}") from error
    except MemoryError as error:
        raise UserError(f"{path}: {path.stat().st_size:,} bytes do not fit into memory; {remedy}") from error


def read_text(path: Path, remedy: str) -> str:
    """The text of a regular UTF-8 file of at most `TEXT` bytes; else `UserError`, which ends in `remedy`."""
    if (size := regular(path, remedy).stat().st_size) > TEXT:
        raise UserError(f"{path}: {size:,} bytes; at most {TEXT:,} are read; {remedy}")
    try:
        return read_bytes(path, remedy).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text ({error.reason} at byte {error.start}); {remedy}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text completely or not at all, see :func:`written`."""
    with written(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to, which becomes `path` when the block ends.

    A reader sees the old file or the new one, and a full disk leaves the old one in place. `UserError` where a folder
    of that name is in the way, `OSError` with the path where the disk is at fault.
    """
    if path.is_dir():
        raise UserError(f"{path}: a folder, not a file; delete it and run again")
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, remedy: str) -> Iterator[Path]:
    """A temporary folder to fill, which becomes `path` when the block ends without an error.

    `UserError`, ending in `remedy`, where `path` is not new or empty, or cannot be made.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: exists and is not empty; {remedy}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-")
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"{path}: cannot make this folder ({error.strerror}); {remedy}") from error
    with beside as name:
        folder = Path(name) / "made"
        folder.mkdir()
        yield folder
        if path.exists():
            path.rmdir()
        folder.rename(path)


def _reason(path: Path, error: OSError) -> str:
    """The system's own words, or where a dangling link leads."""
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"a link to {path.readlink()}, which does not exist"
    return error.strerror or str(error)


def refused(error: BaseException) -> str | None:
    """The reason if the machine refused to write: a full disk, missing permission; None for any other error.

    torch's errors carry no errno, so a tensor file that cannot be written is recognized by its message.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in REFUSED:
            return f"{cause.filename or 'output'}: {cause.strerror}"
        if isinstance(cause, RuntimeError) and "PytorchStreamWriter failed writing" in str(cause):
            return "output: a tensor file could not be written completely; the disk may be full"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
