# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses as JSON files; one module writes and reads each kind, and a damaged file is a one-line error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from adiabit import files
from adiabit.errors import UserError

T = TypeVar("T")


def write(path: Path, document: object) -> None:
    """Write a dataclass, or a list of them, atomically."""
    files.write_text(path, json.dumps(to_jsonable_python(document, fallback=str), indent=1) + "\n")


def read(kind: type[T], path: Path, remedy: str = "") -> T:
    """Read what :func:`write` wrote; keys unknown to `kind` are ignored.

    `UserError` where the file is missing or damaged: it names the key and its fault, and ends in `remedy`, by default
    to delete the folder.
    """
    remedy = remedy or f"delete the folder {path.parent} and run again"
    try:
        return TypeAdapter(kind).validate_json(files.read_text(path, remedy))
    except ValidationError as error:
        raise UserError(f"{path}: damaged ({fault(error)}); {remedy}") from error


def fault(error: ValidationError) -> str:
    """The first fault: its key and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    return ": ".join(part for part in (".".join(map(str, first["loc"])), reason) if part)
