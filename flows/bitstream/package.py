# SPDX-License-Identifier: Apache-2.0
"""The deployment archive for a PYNQ board: bitstream, hardware hand-off, description, driver, vectors, notebook."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adiabit.boards.pynq import adiabit_driver
from adiabit.errors import UserError

DRIVER = Path(adiabit_driver.__file__).parent
MOMENT = (1980, 1, 1, 0, 0, 0)  # the date of every file, which makes the archive reproducible


def package(project: Path, name: str, bitfile: Path | None, archive: Path) -> None:
    """Write the archive from a project's folder; `bitfile` is a bitstream built elsewhere, with its .hwh beside it.

    `UserError` if the bitstream or the hand-off is missing.
    """
    bit = bitfile or project / "out" / f"{name}.bit"
    hwh = bit.with_suffix(".hwh")
    for path in (bit, hwh):
        if not path.is_file():
            raise UserError(
                f"{path}: not found; build the project on a machine with Vivado (vivado -mode batch -source build.tcl "
                f"in {project}), then give the bitstream with --bit"
            )
    files = {f"{name}.bit": bit.read_bytes(), f"{name}.hwh": hwh.read_bytes(), **dict(_made(project, name))}
    partial = archive.with_name(f".{archive.name}.partial")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as target:
        for file, content in sorted(files.items()):
            target.writestr(zipfile.ZipInfo(f"{name}/{file}", MOMENT), content, zipfile.ZIP_DEFLATED)
    partial.rename(archive)


def _made(project: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files that do not come from Vivado."""
    for file in (f"{name}.json", "vectors.npz", "README.md"):
        yield file, (project / file).read_bytes()
    for path in sorted(DRIVER.glob("*.py")):
        yield f"adiabit_driver/{path.name}", path.read_bytes()
    yield f"{name}.ipynb", (json.dumps(_notebook(name), indent=1) + "\n").encode()


def _notebook(name: str) -> dict[str, Any]:
    """A Jupyter notebook: load, verify, measure, classify."""
    cells = [
        ("markdown", f"# {name}\n\nAn accelerator made by adiabit. Run this on the board, in the archive's folder."),
        (
            "code",
            f'import numpy as np\nfrom adiabit_driver import Accelerator\n\naccelerator = Accelerator("{name}.bit")',
        ),
        ("markdown", "Every saved frame must give exactly the golden model's result."),
        ("code", 'print(accelerator.verify("vectors.npz"))'),
        ("markdown", "Frames per second, latency of a single frame, cycles per frame by the circuit's own counters."),
        ("code", 'frames = np.load("vectors.npz")["frames"]\naccelerator.measure(frames)'),
        ("code", "accelerator.classify(frames[:10])"),
    ]
    return {
        "cells": [
            {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
            | ({"execution_count": None, "outputs": []} if kind == "code" else {})
            for kind, text in cells
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
