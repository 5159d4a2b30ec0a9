# SPDX-License-Identifier: Apache-2.0
"""Documents: frozen dataclasses as JSON files, each kind written and read by one module, and TOML that people write.

A damaged file is a one-line error.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from adiabit import files
from adiabit.errors import UserError

T = TypeVar("T")
DEPTH = 16  # nesting of tables and lists in TOML; a recipe needs seven


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


def toml(path: Path, text: str, remedy: str) -> dict[str, Any]:
    """The tables of a TOML file's `text`; `UserError` where it is none, or nested beyond the recursion limit."""
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise UserError(f"{path}: not TOML: nested too deeply; {remedy}") from error
    except ValueError as error:  # also raised by a number of thousands of digits
        raise UserError(f"{path}: not TOML: {error}; {remedy}") from error
    check_depth(path, document, remedy)
    return document


def check_depth(path: Path, document: dict[str, Any], remedy: str) -> None:
    """`UserError` where values are nested so deeply that checking or printing them would exceed the recursion limit."""
    level: list[Any] = [document]
    for _ in range(DEPTH):
        level = [inner for value in level if isinstance(value, dict | list)
                 for inner in (value.values() if isinstance(value, dict) else value)]  # fmt: skip
    if level:
        raise UserError(f"{path}: tables or lists are nested more than {DEPTH} levels deep; {remedy}")
