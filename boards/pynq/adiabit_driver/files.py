# SPDX-License-Identifier: Apache-2.0
"""The files beside a bitstream: its description NAME.json and the saved vectors. Each fault is one line."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .packing import Port, whole

FORMAT = 1  # of NAME.json
UNREADABLE = (  # what numpy, zipfile and zlib raise for a damaged archive
    OSError, EOFError, ValueError, TypeError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class DriverError(RuntimeError):
    """The board, the bitstream and the description do not fit, or the circuit reports a fault."""


def load_description(path: Path, keys: tuple[str, ...]) -> tuple[dict[str, Any], Port, Port]:
    """These keys of NAME.json, and the input and output; `DriverError` where it is missing or is something else."""
    try:
        description = json.loads(_regular(path).read_text(encoding="utf-8"))
        if not isinstance(description, dict):
            raise TypeError("not an object")
        if description.get("format", FORMAT) != FORMAT:
            raise ValueError(f"format = {description['format']!r}, this driver reads {FORMAT}")
        found = {key: CHECKS[key](description, key) for key in keys}
        word_bytes = whole(description, "word_bytes")
        return found, _port(description, "input", word_bytes), _port(description, "output", word_bytes)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DriverError(
            f"{path}: no description of an accelerator ({_reason(error)}); take the .json beside the bitstream, and "
            "the driver of the adiabit that made both"
        ) from error


def load_vectors(path: Path) -> tuple[Any, Any]:
    """The arrays `frames` and `outputs` of a saved archive; `DriverError` where they cannot be read."""
    try:
        with _regular(path).open("rb") as source:
            saved = np.load(source, allow_pickle=False)
            if isinstance(saved, np.ndarray):
                raise TypeError("a single array; an archive (.npz) is needed")
            missing = [name for name in ("frames", "outputs") if name not in saved.files]
            if missing:
                raise ValueError(f"{' and '.join(missing)} is missing")
            return saved["frames"], saved["outputs"]
    except UNREADABLE as error:
        raise DriverError(
            f"{path}: no vectors of an accelerator ({_reason(error)}); take the vectors.npz beside the bitstream"
        ) from error


def _regular(path: Path) -> Path:
    if path.exists() and not path.is_file():  # reading a pipe would wait
        raise ValueError("not a regular file")
    return path


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _port(description: dict[str, Any], end: str, word_bytes: int) -> Port:
    if not isinstance(description[end], dict):
        raise TypeError(f"{end} = {description[end]!r}, an object is needed")
    try:
        return Port(description[end], word_bytes)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{end}: {_reason(error)}") from error


def _identity(table: dict[str, Any], key: str) -> str:
    if not re.fullmatch("[0-9a-f]{16}", str(table[key])):
        raise ValueError(f"{key} = {table[key]!r}, 16 hexadecimal digits are needed")
    return str(table[key])


def _name(table: dict[str, Any], key: str) -> str:
    if not isinstance(table[key], str):
        raise TypeError(f"{key} = {table[key]!r}, a name is needed")
    return str(table[key])


CHECKS: dict[str, Any] = {  # the keys of NAME.json beside those of the ports
    "identity": _identity,
    "dma": _name,
    "address": lambda table, key: whole(table, key, 0),
    "address_bits": lambda table, key: whole(table, key, 2),
    "baud": whole,
}
