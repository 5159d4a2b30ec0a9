# SPDX-License-Identifier: Apache-2.0
"""The tutorials run from their first cell to their last in an empty folder, and say what they say on the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
TUTORIALS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def words(notebook: Any) -> list[str]:
    """The verdicts and kinds of outputs of each cell, without figures that depend on the machine."""
    found = []
    for cell in notebook.cells:
        text = "".join(str(output.get("text", output.get("data", ""))) for output in cell.get("outputs", ()))
        verdicts = re.findall(r"\b(?:equal|DIFFERS|Exact|Not exact|exit code \d|finished|failed)\b", text)
        found.append(" ".join(sorted(verdicts)))  # the forms of an output have no order
    return found


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_runs_as_it_is_shown(name: str, tmp_path: Path) -> None:
    shown: Any = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    again: Any = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(again, timeout=1200, kernel_name="python3", resources=place).execute()
    assert words(again) == words(shown)


def test_every_tutorial_has_its_outputs_and_no_path_of_a_machine() -> None:
    assert TUTORIALS == ["board", "ci", "sweep"]
    for name in TUTORIALS:
        notebook: Any = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [cell.source for cell in code if not cell.outputs] == []
        assert not re.search(r"(?<![\w.])/(?:tmp|home|root|usr)/|Traceback", str(notebook))
