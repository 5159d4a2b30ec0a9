# SPDX-License-Identifier: Apache-2.0
"""Writing files into a user's folder: all of them or none, and over nothing that is the user's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.store import open_folder


def write(folder: Path, texts: Mapping[str, str], *, force: bool) -> list[Path]:
    """Write texts below a folder, which is made; the paths.

    `UserError`, before anything is written, where one of the files exists and is not to be overwritten by `force`.
    """
    places = {folder / name: text for name, text in texts.items()}
    for place in places:
        if place.is_dir():
            raise UserError(f"{place}: a folder, where a file is to be written; move it away")
        if not force and (place.exists() or place.is_symlink()):
            raise UserError(f"{place}: exists already; keep it, or overwrite it with --force")
    for place, text in places.items():
        open_folder(place.parent, "DIR")
        files.write_text(place, text)
    return list(places)
